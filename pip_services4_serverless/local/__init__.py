"""Hosts that run serverless functions on this machine, for development and tests.

They need the extra `local`. Each host is imported when its name is first used, with only the packages that it needs.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .azure_function_host import AzureFunctionHost
    from .google_function_host import GoogleFunctionHost
    from .lambda_host import LambdaHost

__all__ = ["AzureFunctionHost", "GoogleFunctionHost", "LambdaHost"]


if not TYPE_CHECKING:  # a type checker accepts any name of a module with `__getattr__`

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .._late import import_class  # imported late: the pytest plugin must not cost a session anything

        try:
            return import_class(__name__, name)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith(__name__):
                raise
            raise ImportError(
                f'{name} needs the package {error.name!r}: pip install "pip-services4-serverless[local]"',
                name=error.name,
            ) from error


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
