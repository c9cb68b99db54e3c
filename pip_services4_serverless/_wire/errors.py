"""The exceptions of an exchange. Their messages do not quote the response."""

from __future__ import annotations


class WireError(OSError):
    """An exchange failed. This is an `OSError`, so that requests converts it to its own `ConnectionError`."""


class NotSentError(WireError):
    """Nothing of the request was sent: the connection failed or timed out, or the request is not valid."""


class PoolClosedError(NotSentError):
    """Nothing of the request was sent: the pool is closed."""


class ResponseTimeoutError(WireError):
    """The request was sent, at least in part, and the whole response did not arrive in time."""


class ConnectionLostError(WireError):
    """The request was sent, at least in part. The connection was lost, or the response is not valid HTTP."""


class ContentDecodingError(WireError):
    """The response arrived, but its body does not match its `Content-Encoding`."""


class ResponseTooLargeError(WireError):
    """The response's body is larger than the limit, counted after decompression."""
