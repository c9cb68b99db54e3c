"""Clients that call serverless functions (Azure Functions, AWS Lambda, Google Cloud Functions), for pip-services
components and for scripts.

You can import the clients from here or from `clients`. `connect` has the connection parameters and their resolvers,
`build` the factory for containers, and `local` the hosts that run functions on this machine.

```python
from pip_services4_serverless import AzureFunctionClient

client = AzureFunctionClient.from_uri("http://localhost:7071/api/orders")
assert not client.is_open()
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .clients import (
        AsyncAzureFunctionClient,
        AsyncCloudFunctionClient,
        AsyncCommandableAzureFunctionClient,
        AsyncCommandableCloudFunctionClient,
        AsyncCommandableFunctionClient,
        AsyncCommandableLambdaClient,
        AsyncFunctionClient,
        AsyncLambdaClient,
        AzureFunctionClient,
        CallOptions,
        CloudFunctionClient,
        CommandableAzureFunctionClient,
        CommandableCloudFunctionClient,
        CommandableFunctionClient,
        CommandableLambdaClient,
        FunctionClient,
        LambdaCallOptions,
        LambdaClient,
    )

__all__ = [
    "AsyncAzureFunctionClient",
    "AsyncCloudFunctionClient",
    "AsyncCommandableAzureFunctionClient",
    "AsyncCommandableCloudFunctionClient",
    "AsyncCommandableFunctionClient",
    "AsyncCommandableLambdaClient",
    "AsyncFunctionClient",
    "AsyncLambdaClient",
    "AzureFunctionClient",
    "CallOptions",
    "CloudFunctionClient",
    "CommandableAzureFunctionClient",
    "CommandableCloudFunctionClient",
    "CommandableFunctionClient",
    "CommandableLambdaClient",
    "FunctionClient",
    "LambdaCallOptions",
    "LambdaClient",
]


if not TYPE_CHECKING:  # a type checker accepts any name of a module with `__getattr__`

    def __getattr__(name: str) -> Any:
        """Imports a client on first use, because the command line and the local hosts start faster without them."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ._late import import_class

        found = globals()[name] = import_class(f"{__name__}.clients", name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
