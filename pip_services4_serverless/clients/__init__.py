"""Clients that call serverless functions.

For each provider there is a client and a commandable client. All have abstract base classes. Each of these classes
exists for blocking code and for asyncio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .azure_function_client import AzureFunctionClient
from .cloud_function_client import CloudFunctionClient
from .commandable_azure_function_client import CommandableAzureFunctionClient
from .commandable_cloud_function_client import CommandableCloudFunctionClient
from .commandable_function_client import CommandableFunctionClient
from .commandable_lambda_client import CommandableLambdaClient
from .function_client import FunctionClient
from .lambda_client import LambdaClient

if TYPE_CHECKING:
    from .async_azure_function_client import AsyncAzureFunctionClient
    from .async_cloud_function_client import AsyncCloudFunctionClient
    from .async_commandable_azure_function_client import AsyncCommandableAzureFunctionClient
    from .async_commandable_cloud_function_client import AsyncCommandableCloudFunctionClient
    from .async_commandable_function_client import AsyncCommandableFunctionClient
    from .async_commandable_lambda_client import AsyncCommandableLambdaClient
    from .async_function_client import AsyncFunctionClient
    from .async_lambda_client import AsyncLambdaClient
    from .call_options import CallOptions
    from .lambda_call_options import LambdaCallOptions

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

# Names that are imported on first use. The asynchronous clients import asyncio, which takes as long as all other
# imports of this package together. Only type checkers need the types of options.
_LATE = {
    "AsyncAzureFunctionClient": "async_azure_function_client",
    "AsyncCloudFunctionClient": "async_cloud_function_client",
    "AsyncCommandableAzureFunctionClient": "async_commandable_azure_function_client",
    "AsyncCommandableCloudFunctionClient": "async_commandable_cloud_function_client",
    "AsyncCommandableFunctionClient": "async_commandable_function_client",
    "AsyncCommandableLambdaClient": "async_commandable_lambda_client",
    "AsyncFunctionClient": "async_function_client",
    "AsyncLambdaClient": "async_lambda_client",
    "CallOptions": "call_options",
    "LambdaCallOptions": "lambda_call_options",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        from importlib import import_module

        return getattr(import_module(f".{_LATE[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
