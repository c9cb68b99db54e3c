"""Clients that call serverless functions.

For each provider there is a client and a commandable client. All have abstract base classes. Each of these classes
exists for blocking code and for asyncio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._late import import_class

if TYPE_CHECKING:
    from .async_azure_function_client import AsyncAzureFunctionClient
    from .async_cloud_function_client import AsyncCloudFunctionClient
    from .async_commandable_azure_function_client import AsyncCommandableAzureFunctionClient
    from .async_commandable_cloud_function_client import AsyncCommandableCloudFunctionClient
    from .async_commandable_function_client import AsyncCommandableFunctionClient
    from .async_commandable_lambda_client import AsyncCommandableLambdaClient
    from .async_function_client import AsyncFunctionClient
    from .async_lambda_client import AsyncLambdaClient
    from .azure_function_client import AzureFunctionClient
    from .call_options import CallOptions
    from .cloud_function_client import CloudFunctionClient
    from .commandable_azure_function_client import CommandableAzureFunctionClient
    from .commandable_cloud_function_client import CommandableCloudFunctionClient
    from .commandable_function_client import CommandableFunctionClient
    from .commandable_lambda_client import CommandableLambdaClient
    from .function_client import FunctionClient
    from .lambda_call_options import LambdaCallOptions
    from .lambda_client import LambdaClient

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
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = import_class(__name__, name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
