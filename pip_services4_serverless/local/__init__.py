"""Hosts that run serverless functions on this machine, for development and tests.

They need the extra `local`. Each host is imported when its name is first used, with only the packages that it needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .azure_function_host import AzureFunctionHost
    from .google_function_host import GoogleFunctionHost
    from .lambda_host import LambdaHost

__all__ = ["AzureFunctionHost", "GoogleFunctionHost", "LambdaHost"]

_MODULES = {
    "AzureFunctionHost": "azure_function_host",
    "GoogleFunctionHost": "google_function_host",
    "LambdaHost": "lambda_host",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f".{_MODULES[name]}", __name__), name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(__name__):
            raise
        raise ImportError(
            f'{name} needs the package {error.name!r}: pip install "pip-services4-serverless[local]"', name=error.name
        ) from error
