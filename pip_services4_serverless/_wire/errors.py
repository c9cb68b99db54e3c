"""How an exchange may fail. No message quotes what the far side sent."""

from __future__ import annotations


class WireError(OSError):
    """An exchange without a whole response. An `OSError`, so that requests makes its own `ConnectionError` of it."""


class NotSentError(WireError):
    """Nothing of the request was sent: the connection was not made, or not in time."""


class PoolClosedError(NotSentError):
    """Nothing of the request was sent: the pool was closed before."""


class ResponseTimeoutError(WireError):
    """The request was sent, at least in part, and the response did not arrive whole in time."""


class ConnectionLostError(WireError):
    """The request was sent, at least in part, and the connection ended, or sent something else than a response."""


class ContentDecodingError(WireError):
    """The response arrived, and its body is not what its `Content-Encoding` says."""


class ResponseTooLargeError(WireError):
    """The response's body is over the limit, counted after decompression."""
