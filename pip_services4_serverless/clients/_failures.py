"""The tables that assign an error code to each exception of an attempt.

Besides the exceptions of the wire, they contain those of requests and botocore. Tools that replace the wire, such as
responses, requests-mock and Stubber, raise these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from .._rules.response import BodyTooLargeError
from .._wire.errors import (
    ContentDecodingError,
    NotSentError,
    PoolClosedError,
    ResponseTimeoutError,
    ResponseTooLargeError,
    WireError,
)


class NoTokenError(Exception):
    """The platform's identity returned no token, or not in time. The cause is the library's exception, if any."""


# Exception classes and their error code. The first matching row is used.
ErrorTable: TypeAlias = Sequence[tuple[tuple[type[Exception], ...], str]]

# The table for asynchronous calls over HTTP. The other tables contain it.
WIRE_ERRORS: ErrorTable = (
    ((PoolClosedError,), "NOT_OPENED"),
    ((NoTokenError,), "NO_CREDENTIALS"),
    ((NotSentError,), "CANNOT_CONNECT"),
    ((ResponseTimeoutError,), "CALL_TIMEOUT"),
    ((ContentDecodingError,), "DESERIALIZATION_FAILED"),
    ((ResponseTooLargeError, BodyTooLargeError), "RESPONSE_TOO_LARGE"),
    ((WireError,), "NO_RESPONSE"),
)


def requests_errors() -> ErrorTable:
    """The table for blocking calls over HTTP, through `requests.Session.send`."""
    import requests
    from requests.exceptions import ContentDecodingError as NotDecodedError
    from urllib3.exceptions import HTTPError

    return (
        *WIRE_ERRORS,
        ((requests.ConnectTimeout,), "CANNOT_CONNECT"),
        ((requests.Timeout,), "CALL_TIMEOUT"),
        ((NotDecodedError,), "DESERIALIZATION_FAILED"),
        ((requests.RequestException, HTTPError, OSError), "NO_RESPONSE"),
    )


def botocore_errors() -> ErrorTable:
    """The table for calls of AWS Lambda."""
    from http.client import HTTPException

    from botocore import exceptions as aws
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import DecodeError, HTTPError

    credentials = (
        aws.NoCredentialsError,
        aws.PartialCredentialsError,
        aws.CredentialRetrievalError,
        aws.SSOError,
        aws.TokenRetrievalError,
    )
    return (
        *WIRE_ERRORS,
        (credentials, "NO_CREDENTIALS"),
        ((aws.ConnectTimeoutError, aws.EndpointConnectionError, aws.ProxyConnectionError), "CANNOT_CONNECT"),
        ((aws.ReadTimeoutError,), "CALL_TIMEOUT"),
        ((ResponseParserError, UnicodeDecodeError, DecodeError), "DESERIALIZATION_FAILED"),
        (
            (
                aws.HTTPClientError,
                aws.ResponseStreamingError,
                aws.IncompleteReadError,
                HTTPError,
                HTTPException,
                OSError,
            ),
            "NO_RESPONSE",
        ),
        ((aws.BotoCoreError,), "CALL_FAILED"),
    )


def classify(err: Exception, errors: ErrorTable) -> tuple[str, Exception] | None:
    """The error code of an exception, and the exception to use as the cause. None for an exception not in the table.

    If requests has wrapped an exception of the wire, the wrapped exception is used.
    """
    code = _find_code(err, errors)
    if code is None:  # for example an interrupt that was raised while an exception of the wire was handled
        return None
    wrapped = err.__context__
    if isinstance(wrapped, WireError) and not isinstance(err, WireError):
        return _find_code(wrapped, errors) or code, wrapped
    return code, err


def _find_code(err: BaseException, errors: ErrorTable) -> str | None:
    return next((code for classes, code in errors if isinstance(err, classes)), None)
