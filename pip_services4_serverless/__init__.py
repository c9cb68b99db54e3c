"""Clients that call serverless functions (Azure Functions, AWS Lambda, Google Cloud Functions), for pip-services
components and for scripts.

The clients can be imported from here, or from `clients`. `connect` has the connections' parameters, `build` the
factory, and `local` the hosts that run functions on this machine.
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


def __getattr__(name: str) -> Any:
    """The clients, imported when they are asked for: the command line and the local hosts begin without them."""
    if name in __all__:
        from . import clients

        return getattr(clients, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
