"""Clients that call serverless functions: an abstract base, a client for each provider, their commandable twins; each
of them blocking and for asyncio."""

from .async_azure_function_client import AsyncAzureFunctionClient
from .async_commandable_azure_function_client import AsyncCommandableAzureFunctionClient
from .async_commandable_lambda_client import AsyncCommandableLambdaClient
from .async_function_client import AsyncFunctionClient
from .async_lambda_client import AsyncLambdaClient
from .azure_function_client import AzureFunctionClient
from .commandable_azure_function_client import CommandableAzureFunctionClient
from .commandable_lambda_client import CommandableLambdaClient
from .function_client import FunctionClient
from .lambda_client import LambdaClient

__all__ = [
    "AsyncAzureFunctionClient",
    "AsyncCommandableAzureFunctionClient",
    "AsyncCommandableLambdaClient",
    "AsyncFunctionClient",
    "AsyncLambdaClient",
    "AzureFunctionClient",
    "CommandableAzureFunctionClient",
    "CommandableLambdaClient",
    "FunctionClient",
    "LambdaClient",
]
