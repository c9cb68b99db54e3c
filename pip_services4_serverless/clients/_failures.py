"""Which error code an exception of an attempt stands for.

Tools that replace the wire (responses, requests-mock, Stubber) raise the exceptions of requests and botocore.
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
    """The platform's identity gave no token, or not in time. The cause is the library's exception, if any."""


# Exception classes and their error code. The first matching row counts.
Failures: TypeAlias = Sequence[tuple[tuple[type[Exception], ...], str]]

_OF_THE_WIRE: Failures = (
    ((PoolClosedError,), "NOT_OPENED"),
    ((NoTokenError,), "NO_CREDENTIALS"),
    ((NotSentError,), "CANNOT_CONNECT"),
    ((ResponseTimeoutError,), "CALL_TIMEOUT"),
    ((ContentDecodingError,), "DESERIALIZATION_FAILED"),
    ((ResponseTooLargeError, BodyTooLargeError), "RESPONSE_TOO_LARGE"),
    ((WireError,), "NO_RESPONSE"),
)


def failures_of_the_wire() -> Failures:
    """The table of asynchronous clients over HTTP."""
    return _OF_THE_WIRE


def failures_of_requests() -> Failures:
    """The table for calls through `requests.Session.send`."""
    import requests
    from requests.exceptions import ContentDecodingError as NotDecodedError
    from urllib3.exceptions import HTTPError

    return (
        *_OF_THE_WIRE,
        ((requests.ConnectTimeout,), "CANNOT_CONNECT"),
        ((requests.Timeout,), "CALL_TIMEOUT"),
        ((NotDecodedError,), "DESERIALIZATION_FAILED"),
        ((requests.RequestException, HTTPError, OSError), "NO_RESPONSE"),
    )


def failures_of_botocore() -> Failures:
    """The table for calls through boto3's `invoke`."""
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
        *_OF_THE_WIRE,
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


def classify(err: Exception, failures: Failures) -> tuple[str, Exception] | None:
    """The error code of an exception, and the exception to raise the error from. None for an unknown exception.

    If requests has wrapped an exception of the wire, that one counts.
    """
    code = _code_of(err, failures)
    if code is None:  # for example an interrupt while an exception of the wire is handled
        return None
    wrapped = err.__context__
    if isinstance(wrapped, WireError) and not isinstance(err, WireError):
        return _code_of(wrapped, failures) or code, wrapped
    return code, err


def _code_of(err: BaseException, failures: Failures) -> str | None:
    return next((code for classes, code in failures if isinstance(err, classes)), None)
