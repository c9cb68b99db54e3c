"""Connection parameters (the address of a function and the credential to call it with), and their resolvers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._late import import_class

if TYPE_CHECKING:
    from .aws_connection_params import AwsConnectionParams
    from .aws_connection_resolver import AwsConnectionResolver
    from .azure_connection_params import AzureConnectionParams
    from .azure_connection_resolver import AzureConnectionResolver
    from .gcp_connection_params import GcpConnectionParams
    from .gcp_connection_resolver import GcpConnectionResolver

__all__ = [
    "AwsConnectionParams",
    "AwsConnectionResolver",
    "AzureConnectionParams",
    "AzureConnectionResolver",
    "GcpConnectionParams",
    "GcpConnectionResolver",
]


if not TYPE_CHECKING:  # a type checker accepts any name of a module with `__getattr__`

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = import_class(__name__, name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
