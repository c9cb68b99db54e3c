"""Clients that call serverless functions: one abstract base, a client for each provider, their commandable twins."""

from .azure_function_client import AzureFunctionClient
from .commandable_azure_function_client import CommandableAzureFunctionClient
from .commandable_lambda_client import CommandableLambdaClient
from .function_client import FunctionClient
from .lambda_client import LambdaClient

__all__ = [
    "AzureFunctionClient",
    "CommandableAzureFunctionClient",
    "CommandableLambdaClient",
    "FunctionClient",
    "LambdaClient",
]
