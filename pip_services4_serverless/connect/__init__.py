"""Connection parameters (the address of a function and the credential to call it with), and their resolvers."""

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
