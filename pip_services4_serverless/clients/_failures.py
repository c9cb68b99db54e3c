"""What an exception below a call means: the one table, which the rules turn into the caller's error.

Tools that stand in for the wire (responses, requests-mock, Stubber) raise what requests and botocore would.
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
    """The platform's identity gave no token, or not in time. Its cause is what the library raised, if it did."""


# Classes of exceptions and a code of the error table; the first row that fits counts.
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
    """Those of asynchronous clients, which have no library between."""
    return _OF_THE_WIRE


def failures_of_requests() -> Failures:
    """With those that `requests.Session.send` raises."""
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
    """With those that boto3's `invoke` raises."""
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
    """The code of the error that an exception means, and the exception to raise it from; None for one of another kind.

    The wire's own exception counts where requests has put its own around it.
    """
    code = _code_of(err, failures)
    if code is None:  # an interrupt, for one, which may come while an exception of the wire is handled
        return None
    wrapped = err.__context__
    if isinstance(wrapped, WireError) and not isinstance(err, WireError):
        return _code_of(wrapped, failures) or code, wrapped
    return code, err


def _code_of(err: BaseException, failures: Failures) -> str | None:
    return next((code for classes, code in failures if isinstance(err, classes)), None)
