"""Clients that call serverless functions: an abstract base, a client for each provider, their commandable twins; each
of them blocking and for asyncio."""

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

# Imported when they are asked for: the asynchronous ones need asyncio, whose import takes as long as that of all else
# here, and the types of options are for type checkers.
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
