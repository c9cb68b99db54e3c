"""The wire: HTTP/1.1 exchanges on connections of our own. Knows nothing of commands, retries, requests or boto3."""

from .async_connection_pool import AsyncConnectionPool
from .connection_pool import ConnectionPool
from .endpoint import Endpoint
from .errors import (
    ConnectionLostError,
    ContentDecodingError,
    NotSentError,
    PoolClosedError,
    ResponseTimeoutError,
    ResponseTooLargeError,
    WireError,
)
from .response import Headers, Response

__all__ = [
    "AsyncConnectionPool",
    "ConnectionLostError",
    "ConnectionPool",
    "ContentDecodingError",
    "Endpoint",
    "Headers",
    "NotSentError",
    "PoolClosedError",
    "Response",
    "ResponseTimeoutError",
    "ResponseTooLargeError",
    "WireError",
]
