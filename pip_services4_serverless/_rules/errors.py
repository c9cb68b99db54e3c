"""Decides which error a caller sees, and whether the call may be retried. Nothing here depends on one provider.

`SITUATIONS` is the table of all codes. A test compares `docs/errors.md` with it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from datetime import UTC
from enum import Enum
from typing import Any, NamedTuple

from pip_services4_commons.data import AnyValueMap
from pip_services4_commons.errors import (
    ApplicationException,
    BadRequestException,
    ConfigException,
    ConflictException,
    ConnectionException,
    ErrorCategory,
    FileException,
    InternalException,
    InvalidStateException,
    InvocationException,
    NotFoundException,
    UnauthorizedException,
    UnknownException,
    UnsupportedException,
)
from pip_services4_components.context import IContext

from .._tracebacks import hide_failures
from .response import FunctionResponse

__tracebackhide__ = hide_failures


class Retry(Enum):
    """When a failed attempt may be retried: always, if the action is idempotent, never, or once with a new token."""

    ALWAYS = "nothing was executed"
    IF_IDEMPOTENT = "it may have been executed"
    NEVER = "it was executed, or would fail in the same way"
    NEW_TOKEN = "its token was rejected before anything was executed"  # noqa: S105 (not a password)


class Situation(NamedTuple):
    """One row of the error table."""

    exception: type[ApplicationException]
    status: int  # of the exception, if there is no response with an error status
    retry: Retry


SITUATIONS: Mapping[str, Situation] = {
    # Mistakes in the call or in the configuration
    "NO_COMMAND": Situation(UnknownException, 500, Retry.NEVER),
    "WRONG_CONTEXT": Situation(BadRequestException, 400, Retry.NEVER),
    "WRONG_OPTION": Situation(BadRequestException, 400, Retry.NEVER),
    "NOT_OPENED": Situation(InvalidStateException, 500, Retry.NEVER),
    "SERIALIZATION_FAILED": Situation(BadRequestException, 400, Retry.NEVER),
    "PAYLOAD_TOO_LARGE": Situation(BadRequestException, 413, Retry.NEVER),
    "WRONG_INVOCATION_TYPE": Situation(BadRequestException, 400, Retry.NEVER),
    "WRONG_HEADER": Situation(BadRequestException, 400, Retry.NEVER),
    "NO_CREDENTIALS": Situation(ConfigException, 500, Retry.NEVER),
    # No whole response
    "CANNOT_CONNECT": Situation(ConnectionException, 503, Retry.ALWAYS),
    "CALL_TIMEOUT": Situation(ConnectionException, 504, Retry.IF_IDEMPOTENT),
    "NO_RESPONSE": Situation(ConnectionException, 502, Retry.IF_IDEMPOTENT),
    # Errors reported by the function or the provider
    "FUNCTION_ERROR": Situation(InvocationException, 500, Retry.NEVER),
    "BAD_REQUEST": Situation(BadRequestException, 400, Retry.NEVER),
    "UNAUTHORIZED": Situation(UnauthorizedException, 401, Retry.NEVER),
    "NOT_FOUND": Situation(NotFoundException, 404, Retry.NEVER),
    "CONFLICT": Situation(ConflictException, 409, Retry.NEVER),
    "TOO_MANY_REQUESTS": Situation(InvocationException, 429, Retry.ALWAYS),
    "CALL_FAILED": Situation(InvocationException, 500, Retry.NEVER),
    "UNEXPECTED_REDIRECT": Situation(InvocationException, 500, Retry.NEVER),
    # Unusable responses
    "DESERIALIZATION_FAILED": Situation(InvocationException, 500, Retry.NEVER),
    "RESPONSE_TOO_LARGE": Situation(InvocationException, 500, Retry.NEVER),
}

_CODE_BY_STATUS = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "UNAUTHORIZED",
    404: "NOT_FOUND",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    429: "TOO_MANY_REQUESTS",
}

_MAY_HAVE_RUN = frozenset({500, 502, 503, 504})


class Provider(NamedTuple):
    """How a provider's own errors are classified."""

    # Names of errors after which the function has not run, whatever their status.
    not_started: frozenset[str] = frozenset()
    # Statuses of named errors after which the function may have run, in addition to 500, 502, 503 and 504.
    may_have_run: frozenset[int] = frozenset()


_ANY = Provider()

_CLASS_BY_CATEGORY: Mapping[str, type[ApplicationException]] = {
    ErrorCategory.Unknown: UnknownException,
    ErrorCategory.Internal: InternalException,
    ErrorCategory.Misconfiguration: ConfigException,
    ErrorCategory.InvalidState: InvalidStateException,
    ErrorCategory.NoResponse: ConnectionException,
    ErrorCategory.FailedInvocation: InvocationException,
    ErrorCategory.FileError: FileException,
    ErrorCategory.BadRequest: BadRequestException,
    ErrorCategory.Unauthorized: UnauthorizedException,
    ErrorCategory.NotFound: NotFoundException,
    ErrorCategory.Conflict: ConflictException,
    ErrorCategory.Unsupported: UnsupportedException,
}
# By the name of the class, because the Lambda runtime returns no category.
_CLASS_BY_NAME: Mapping[str, type[ApplicationException]] = {
    **{cls.__name__: cls for cls in _CLASS_BY_CATEGORY.values()},
    "ApplicationException": UnknownException,
    "ValidationException": BadRequestException,
    "CreateException": InternalException,
    "ReferenceException": InternalException,
    "ExpressionException": BadRequestException,
    "MustacheException": BadRequestException,
    "SyntaxException": BadRequestException,
}

# Compiled when an error first needs them, as other regular expressions of errors.
_CODE = r"[A-Z][A-Z0-9_]+"

_CONTEXTS = (str, IContext)
_BEARER = r"(?is)(?:^|,)\s*Bearer(?:\s.*)?$"
_CHALLENGE_ERROR = r"""(?i)\berror\s*=\s*"?([^\s",]+)"""
_MAX_KEPT_BODY = 4096  # bytes of an error body that are kept in the error's details
_PACKAGE = __name__.partition(".")[0] + "."
_MAX_EXCERPT = 200  # characters of an error body that are shown in the message


class Failure(NamedTuple):
    """How an attempt failed: the caller's error, and what decides about a retry."""

    error: ApplicationException
    retry: Retry
    retry_after: float | None = None  # seconds, requested by the server
    cause: BaseException | None = None
    is_restored: bool = False  # the error comes from the function, and keeps its message and details
    response_body: str = ""  # the beginning of the body, unless it is a pip-services error


class Target(NamedTuple):
    """The function that a client calls, for errors."""

    client: str  # the name of the client's class
    kind: str  # `url` or `function`
    address: str  # without a query
    credential: str = ""  # says how the key is sent, without the key


def call_error(
    code: str, trace_id: str | None, message: str, status: int | None = None, **details: Any
) -> ApplicationException:
    """Makes the exception that `SITUATIONS` has for a code."""
    situation = SITUATIONS[code]
    return _make_error(situation.exception, trace_id, code, message, status or situation.status, details)


def check_context(context: object) -> None:
    """Checks that a value is a context. A common mistake is to pass the parameters in its place.

    Raises:
        BadRequestException: `WRONG_CONTEXT`.
    """
    if context is None or isinstance(context, _CONTEXTS):
        return
    hint = ": the context comes before the parameters" if isinstance(context, Mapping) else ""
    message = f"The context must be an IContext, a trace id as a str, or None, not {type(context).__name__}{hint}"
    raise call_error("WRONG_CONTEXT", None, message)


def add_call_details(failure: Failure, target: Target, cmd: str, attempts: int) -> None:
    """Adds the command, address and number of attempts to an error: its message, details and notes.

    A restored error gets only the note.
    """
    error = failure.error
    place = f"{cmd} at {target.address}" if target.address else cmd
    times = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    error.add_note(f"{target.client} called {place}: {times}")
    if failure.is_restored:
        return
    message = error.message
    error_type = _text((error.details or {}).get("error_type"))
    if error.code == "FUNCTION_ERROR" and error_type and not message.startswith(error_type):
        message = f"{error_type}: {message}"
    if error.code == "UNAUTHORIZED" and target.credential:
        message = f"{message}; {target.credential}"
    error.message = f"{message} (calling {place}, {times})"
    error.args = (error.message,)
    details = {"command": cmd, "client": target.client, target.kind: target.address, "attempts": str(attempts)}
    for key, value in {**details, "response_body": failure.response_body}.items():
        if value:
            error.with_details(key, value)


def is_own(err: BaseException) -> bool:
    """Whether the class of an exception belongs to this package. The text of such an exception is a whole sentence."""
    return type(err).__module__.startswith(_PACKAGE)


def failure_without_response(code: str, trace_id: str, message: str, cause: BaseException) -> Failure:
    """The failure of an attempt that received no whole response. The message quotes the exception of a library."""
    text = message if is_own(cause) else f"{message}: {_one_line(cause)}"
    error = call_error(code, trace_id, text).with_cause(cause)
    return Failure(error, SITUATIONS[code].retry, cause=cause)


def failure_of_response(response: FunctionResponse, trace_id: str, provider: Provider = _ANY) -> Failure | None:
    """The failure that a response reports, or None for a successful response."""
    if response.function_failed:
        error, is_restored = _function_error(response.body, trace_id)
        return Failure(error, Retry.NEVER, is_restored=is_restored)
    if 200 <= response.status < 300:
        return None
    if 300 <= response.status < 400:
        message = f"The response is a redirect (status {response.status}), and redirects are not followed"
        return Failure(call_error("UNEXPECTED_REDIRECT", trace_id, message, response.status), Retry.NEVER)
    body = _json_object(response.body)
    if _is_toolkit_error(body):
        return Failure(_restore_error(body, response.status, trace_id), Retry.NEVER, is_restored=True)
    code = _CODE_BY_STATUS.get(response.status, "CALL_FAILED")
    reasons = response.error_name, _excerpt(response.body)
    message = ": ".join((f"The response has status {response.status}", *filter(None, reasons)))
    error = call_error(code, trace_id, message, response.status)
    if response.error_name:
        error.with_details("error_type", response.error_name)
    retry_after = _retry_after(response.headers.get("retry-after"))
    kept_body = response.body[:_MAX_KEPT_BODY].decode("utf-8", "replace")
    return Failure(error, _retry_rule(response, retry_after, provider), retry_after, response_body=kept_body)


def rejects_token(response: FunctionResponse) -> bool:
    """Whether the request was rejected because of its token: a 401 with a challenge as in RFC 6750.

    Gateways (App Service Authentication, Cloud Run) and web frameworks send the challenge before a handler runs. A 401
    without it, or with a pip-services error, may come from a function that has run.
    """
    if response.status != 401 or _is_toolkit_error(_json_object(response.body)):
        return False
    challenge = re.search(_BEARER, response.headers.get("www-authenticate") or "")
    if challenge is None:
        return False
    error = re.search(_CHALLENGE_ERROR, challenge[0])
    return error is None or error[1].lower() == "invalid_token"


def _retry_rule(response: FunctionResponse, retry_after: float | None, provider: Provider) -> Retry:
    if response.token_rejected:
        return Retry.NEW_TOKEN
    rejected = response.status == 429 or (response.status == 503 and retry_after is not None)
    if rejected or response.error_name in provider.not_started:
        return Retry.ALWAYS
    is_provider_error = response.error_name and response.status in provider.may_have_run
    return Retry.IF_IDEMPOTENT if is_provider_error or response.status in _MAY_HAVE_RUN else Retry.NEVER


def _retry_after(value: str | None) -> float | None:
    """The seconds of a `Retry-After` header, or None if it is missing or not valid."""
    value = (value or "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    if not value:
        return None
    from email.utils import parsedate_to_datetime  # imported late: it is slow to import

    try:
        when = parsedate_to_datetime(value)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)  # HTTP dates are in UTC
        return max(0.0, when.timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _is_toolkit_error(body: Mapping[str, Any]) -> bool:
    return isinstance(body.get("code"), str) or isinstance(body.get("category"), str)


def _restore_error(body: Mapping[str, Any], status: int | None, trace_id: str) -> ApplicationException:
    """The exception that an error body describes, even if parts of the description are missing or malformed."""
    own_status = body.get("status")
    if isinstance(own_status, int) and 400 <= own_status <= 599:
        status = own_status
    fallback = SITUATIONS[_CODE_BY_STATUS.get(status or 500, "CALL_FAILED")].exception
    category = _text(body.get("category"))
    exception = _CLASS_BY_CATEGORY.get(category, fallback)
    status = status or exception().status
    remote_trace_id = _text(body.get("trace_id")) or trace_id
    message = _text(body.get("message")) or f"The function failed with status {status}"
    details = body.get("details")
    if details is not None and not isinstance(details, dict):
        details = {"details": details}
    error = _make_error(exception, remote_trace_id, _text(body.get("code")) or "UNKNOWN", message, status, {})
    error.category = category or error.category
    error.details = AnyValueMap(details) if details else None
    error.cause = _text(body.get("cause")) or None
    # The published services misspell it as `stack_stace`.
    error.stack_trace = _text(body.get("stack_trace")) or _text(body.get("stack_stace"))
    return error


def _function_error(body: bytes, trace_id: str) -> tuple[ApplicationException, bool]:
    """The exception of a Lambda `FunctionError`, and whether it is restored. Any part of the payload may be missing."""
    payload = _json_object(body)
    message, error_type = _text(payload.get("errorMessage")), _text(payload.get("errorType"))
    described = _json_object(message.encode("utf-8", "replace")) or payload
    if _is_toolkit_error(described):
        return _restore_error(described, None, trace_id), True  # no status: Lambda's is 200, also for an error
    exception = _CLASS_BY_NAME.get(error_type)
    if not payload.get("errorMessage"):
        message = error_type  # an error can have no message, for example that of `assert x`
    stack = payload.get("stackTrace") or payload.get("trace") or ""
    stack_trace = "\n".join(str(line).rstrip("\n") for line in stack) if isinstance(stack, list) else str(stack)
    if exception is None:
        message = message or _excerpt(body) or "The function failed without an error message"
        error = call_error("FUNCTION_ERROR", trace_id, message, error_type=error_type, stack_trace=stack_trace)
        if re.fullmatch(_CODE, error_type):  # the code of a pip-services service in Node, which sends nothing else
            error.code = error_type
    else:
        status = exception().status
        error = _make_error(exception, trace_id, "FUNCTION_ERROR", message or error_type, status, {})
    error.stack_trace = stack_trace
    return error, exception is not None


def _make_error(
    exception: type[ApplicationException],
    trace_id: str | None,
    code: str,
    message: str,
    status: int,
    details: Mapping[str, Any],
) -> ApplicationException:
    error = exception(trace_id, code, message).with_status(status)
    error.stack_trace = ""  # the constructor has set the traceback of any exception that is handled now
    for key, value in details.items():
        if value is not None:
            error.with_details(key, value)
    return error


def _json_object(body: bytes) -> Mapping[str, Any]:
    """The JSON object in an error body, or an empty one."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _excerpt(body: bytes) -> str:
    """The beginning of a body, on one line."""
    return " ".join(body[: 4 * _MAX_EXCERPT].decode("utf-8", "replace").split())[:_MAX_EXCERPT]


def _one_line(err: BaseException) -> str:
    """The class and the text of an exception. It is shortened, because libraries quote each other's exceptions."""
    return " ".join(f"{type(err).__name__}: {err}".split())[:500]
