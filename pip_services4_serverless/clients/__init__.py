"""Clients that call serverless functions: an abstract base, a client for each provider, their commandable twins; each
of them blocking and for asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .azure_function_client import AzureFunctionClient
from .cloud_function_client import CloudFunctionClient
from .commandable_azure_function_client import CommandableAzureFunctionClient
from .commandable_cloud_function_client import CommandableCloudFunctionClient
from .commandable_lambda_client import CommandableLambdaClient
from .function_client import FunctionClient
from .lambda_client import LambdaClient

if TYPE_CHECKING:
    from .async_azure_function_client import AsyncAzureFunctionClient
    from .async_cloud_function_client import AsyncCloudFunctionClient
    from .async_commandable_azure_function_client import AsyncCommandableAzureFunctionClient
    from .async_commandable_cloud_function_client import AsyncCommandableCloudFunctionClient
    from .async_commandable_lambda_client import AsyncCommandableLambdaClient
    from .async_function_client import AsyncFunctionClient
    from .async_lambda_client import AsyncLambdaClient

__all__ = [
    "AsyncAzureFunctionClient",
    "AsyncCloudFunctionClient",
    "AsyncCommandableAzureFunctionClient",
    "AsyncCommandableCloudFunctionClient",
    "AsyncCommandableLambdaClient",
    "AsyncFunctionClient",
    "AsyncLambdaClient",
    "AzureFunctionClient",
    "CloudFunctionClient",
    "CommandableAzureFunctionClient",
    "CommandableCloudFunctionClient",
    "CommandableLambdaClient",
    "FunctionClient",
    "LambdaClient",
]

# Imported when they are asked for, as they need asyncio, whose import takes as long as that of all else here.
_ASYNCHRONOUS = {
    "AsyncAzureFunctionClient": "async_azure_function_client",
    "AsyncCloudFunctionClient": "async_cloud_function_client",
    "AsyncCommandableAzureFunctionClient": "async_commandable_azure_function_client",
    "AsyncCommandableCloudFunctionClient": "async_commandable_cloud_function_client",
    "AsyncCommandableLambdaClient": "async_commandable_lambda_client",
    "AsyncFunctionClient": "async_function_client",
    "AsyncLambdaClient": "async_lambda_client",
}


def __getattr__(name: str) -> Any:
    if name in _ASYNCHRONOUS:
        from importlib import import_module

        return getattr(import_module(f".{_ASYNCHRONOUS[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
