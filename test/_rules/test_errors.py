"""Which error a caller gets, and whether the call may be retried."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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
from requests.structures import CaseInsensitiveDict

from pip_services4_serverless._rules.errors import (
    SITUATIONS,
    Failure,
    Retry,
    call_error,
    failure_of_response,
    failure_without_response,
    rejects_token,
)
from pip_services4_serverless._rules.response import FunctionResponse
from pip_services4_serverless.clients import LambdaClient

LAMBDA = LambdaClient._PROVIDER

TABLE = {
    "NO_COMMAND": (UnknownException, 500, Retry.NEVER),
    "WRONG_CONTEXT": (BadRequestException, 400, Retry.NEVER),
    "WRONG_OPTION": (BadRequestException, 400, Retry.NEVER),
    "NOT_OPENED": (InvalidStateException, 500, Retry.NEVER),
    "SERIALIZATION_FAILED": (BadRequestException, 400, Retry.NEVER),
    "PAYLOAD_TOO_LARGE": (BadRequestException, 413, Retry.NEVER),
    "WRONG_INVOCATION_TYPE": (BadRequestException, 400, Retry.NEVER),
    "WRONG_HEADER": (BadRequestException, 400, Retry.NEVER),
    "NO_CREDENTIALS": (ConfigException, 500, Retry.NEVER),
    "CANNOT_CONNECT": (ConnectionException, 503, Retry.ALWAYS),
    "CALL_TIMEOUT": (ConnectionException, 504, Retry.IF_IDEMPOTENT),
    "NO_RESPONSE": (ConnectionException, 502, Retry.IF_IDEMPOTENT),
    "FUNCTION_ERROR": (InvocationException, 500, Retry.NEVER),
    "BAD_REQUEST": (BadRequestException, 400, Retry.NEVER),
    "UNAUTHORIZED": (UnauthorizedException, 401, Retry.NEVER),
    "NOT_FOUND": (NotFoundException, 404, Retry.NEVER),
    "CONFLICT": (ConflictException, 409, Retry.NEVER),
    "TOO_MANY_REQUESTS": (InvocationException, 429, Retry.ALWAYS),
    "CALL_FAILED": (InvocationException, 500, Retry.NEVER),
    "UNEXPECTED_REDIRECT": (InvocationException, 500, Retry.NEVER),
    "DESERIALIZATION_FAILED": (InvocationException, 500, Retry.NEVER),
    "RESPONSE_TOO_LARGE": (InvocationException, 500, Retry.NEVER),
}

# Bodies as the published servers write them.
REAL_ERROR = {
    "category": "NotFound",
    "code": "NO_X",
    "status": 404,
    "details": {"id": "7"},
    "trace_id": "T9",
    "message": "X not found",
    "cause": "None",
    "stack_stace": "NoneType: None\n",
}
REAL_VALIDATION_ERROR = {
    "category": "BadRequest",
    "code": "INVALID_DATA",
    "status": 400,
    "details": {"results": "[{'path': 'id', 'type': 5}]"},
    "trace_id": {"_values": {"trace_id": "T9"}},
    "message": "Validation failed: id is required",
    "cause": "None",
    "stack_stace": "NoneType: None\n",
}
REAL_FAILED_INVOCATION = {
    "category": "FailedInvocation",
    "code": "EXEC_FAILED",
    "status": 500,
    "details": {"command": "break"},
    "trace_id": "T9",
    "message": "Execution break failed: no such thing",
    "cause": "no such thing",
    "stack_stace": "Traceback (most recent call last):\n...\nValueError: no such thing\n",
}


def failure(status: int, body: Any = b"", headers: dict[str, str] | None = None, error_name: str = "") -> Failure:
    """The failure of an attempt that got this response."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = failure_of_response(
        FunctionResponse(status, CaseInsensitiveDict(headers or {}), raw, error_name), "T", LAMBDA
    )
    assert found is not None
    return found


def function_failure(payload: Any, status: int = 200) -> ApplicationException:
    """The error for a Lambda response that says that the function failed."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    found = failure_of_response(FunctionResponse(status, {}, raw, function_failed=True), "T")
    assert found is not None
    assert found.retry is Retry.NEVER
    return found.error


# --- The table ---


@pytest.mark.parametrize("code", SITUATIONS)
def test_each_code_has_its_exception_status_and_retry_rule(code: str) -> None:
    """The package has the exception, the status and the retry rule of the contract."""
    assert tuple(SITUATIONS[code]) == TABLE[code]


def test_the_table_has_no_other_codes() -> None:
    """The package and the contract have the same codes."""
    assert set(SITUATIONS) == set(TABLE)


@pytest.mark.parametrize("code", SITUATIONS)
@pytest.mark.defect(20)
def test_an_error_is_complete_and_can_be_serialised(code: str) -> None:
    """It has a code, a status, a message and a trace id. Details that are None are left out."""
    error = call_error(code, "T", "It failed", cmd="c", nothing=None)

    assert type(error) is SITUATIONS[code].exception
    assert (error.code, error.status, error.message, error.trace_id) == (
        code,
        SITUATIONS[code].status,
        "It failed",
        "T",
    )
    assert json.loads(json.dumps(error.to_json()))["details"] == {"cmd": "c"}


def test_an_error_takes_nothing_from_an_exception_that_is_being_handled() -> None:
    """It has no details and no stack trace of the other exception."""
    try:
        raise KeyError("secret of somebody else")
    except KeyError:
        error = call_error("CALL_FAILED", None, "It failed", 502)

    assert error.details is None
    assert error.stack_trace == ""
    assert error.status == 502


@pytest.mark.parametrize("code", ["CANNOT_CONNECT", "CALL_TIMEOUT", "NO_RESPONSE", "RESPONSE_TOO_LARGE"])
def test_a_failure_without_a_response_keeps_its_cause(code: str) -> None:
    """The message quotes the beginning of the cause on one line."""
    cause = OSError("refused\n  by " + 1000 * "x")

    found = failure_without_response(code, "T", "No luck", cause)

    assert found.cause is cause
    assert found.error.cause is cause
    assert found.error.message.startswith("No luck: OSError: refused by xxx")
    assert "\n" not in found.error.message
    assert len(found.error.message) < 600
    assert (found.error.code, found.error.trace_id, found.retry) == (code, "T", SITUATIONS[code].retry)


def test_the_text_of_an_exception_of_this_package_is_the_message() -> None:
    """It is a whole sentence. An exception of another package is quoted, even if the packages have similar names."""
    own = type("WireError", (OSError,), {"__module__": "pip_services4_serverless._wire.errors"})
    other = type("ExtraError", (OSError,), {"__module__": "pip_services4_serverless_extra.errors"})

    assert failure_without_response("NO_RESPONSE", "T", "No luck", own("Lost.")).error.message == "No luck"
    assert failure_without_response("NO_RESPONSE", "T", "No luck", other("x")).error.message == "No luck: ExtraError: x"


# --- Responses without an error body ---


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_2xx_status_is_not_a_failure(status: int) -> None:
    """The body does not matter, even if it looks like an error."""
    assert failure_of_response(FunctionResponse(status, {}, b'{"code": "X"}'), "T") is None


@pytest.mark.defect(8)
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_an_error(status: int) -> None:
    """Redirects are not followed and not retried, whatever the body is."""
    found = failure(status, REAL_ERROR, {"Location": "https://elsewhere/", "Retry-After": "1"})

    assert type(found.error) is InvocationException
    assert (found.error.code, found.error.status) == ("UNEXPECTED_REDIRECT", status)
    assert found.retry is Retry.NEVER


@pytest.mark.defect(9)
@pytest.mark.defect(26)
@pytest.mark.parametrize(
    ("status", "exception", "code", "retry"),
    [
        (400, BadRequestException, "BAD_REQUEST", Retry.NEVER),
        (401, UnauthorizedException, "UNAUTHORIZED", Retry.NEVER),
        (403, UnauthorizedException, "UNAUTHORIZED", Retry.NEVER),
        (404, NotFoundException, "NOT_FOUND", Retry.NEVER),
        (409, ConflictException, "CONFLICT", Retry.NEVER),
        (413, BadRequestException, "PAYLOAD_TOO_LARGE", Retry.NEVER),
        (418, InvocationException, "CALL_FAILED", Retry.NEVER),
        (429, InvocationException, "TOO_MANY_REQUESTS", Retry.ALWAYS),
        (500, InvocationException, "CALL_FAILED", Retry.IF_IDEMPOTENT),
        (501, InvocationException, "CALL_FAILED", Retry.NEVER),
        (502, InvocationException, "CALL_FAILED", Retry.IF_IDEMPOTENT),
        (503, InvocationException, "CALL_FAILED", Retry.IF_IDEMPOTENT),
        (504, InvocationException, "CALL_FAILED", Retry.IF_IDEMPOTENT),
        (599, InvocationException, "CALL_FAILED", Retry.NEVER),
        (101, InvocationException, "CALL_FAILED", Retry.NEVER),
    ],
)
def test_the_status_decides_when_the_body_describes_no_error(
    status: int, exception: type[ApplicationException], code: str, retry: Retry
) -> None:
    """Each status has its exception, and the exception has that status."""
    found = failure(status, b"<html>Bad\n gateway</html>")

    assert type(found.error) is exception
    assert (found.error.code, found.error.status, found.error.trace_id) == (code, status, "T")
    assert found.error.message == f"The response has status {status}: <html>Bad gateway</html>"
    assert found.retry is retry


def test_every_other_status_is_an_error_that_is_not_retried() -> None:
    """These are all numbers that the table above does not have. The fault matrix has some of them."""
    named = {400, 401, 403, 404, 409, 413, 429, 500, 502, 503, 504}
    for status in {*range(300, 600)} - named:
        found = failure(status, b"<h1>No</h1>")
        assert (type(found.error), found.error.status, found.retry) == (InvocationException, status, Retry.NEVER)
        assert found.error.code == ("UNEXPECTED_REDIRECT" if status < 400 else "CALL_FAILED")


@pytest.mark.defect(9)
@pytest.mark.defect(11)
@pytest.mark.parametrize("status", [404, 503])
@pytest.mark.parametrize(
    "body", [b"", b"Unauthorized", b"[]", b'"oops"', b"5", b"null", b"{}", b'{"error": {"code": "X"}}', b"\xff", b"\0"]
)
def test_a_body_that_describes_no_error_changes_nothing(status: int, body: bytes) -> None:
    """The status decides for empty bodies, text, lists, strings and other objects."""
    found = failure(status, body)

    assert (found.error.code, found.error.status) == ("NOT_FOUND" if status == 404 else "CALL_FAILED", status)
    assert "\n" not in found.error.message


def test_a_status_alone_is_enough_for_an_error() -> None:
    """No header, body or error name of the provider is needed."""
    found = failure_of_response(FunctionResponse(500, {}, b""), "T")

    assert found is not None
    assert found.error.message == "The response has status 500"
    assert (found.error.details, found.retry_after, found.cause) == (None, None, None)


def test_the_message_quotes_the_beginning_of_an_unknown_body() -> None:
    """200 characters are enough to recognise it."""
    message = failure(502, b"<h1>Bad   gateway</h1>\n" + 10_000 * b"x").error.message

    assert message == "The response has status 502: " + ("<h1>Bad gateway</h1> " + 200 * "x")[:200]


@pytest.mark.defect(11)
@pytest.mark.parametrize("cut", [1, 20, 60, 100])
def test_a_truncated_error_body_is_ignored(cut: int) -> None:
    """The status decides which exception is raised."""
    found = failure(404, json.dumps(REAL_ERROR).encode()[:cut])

    assert (type(found.error), found.error.code) == (NotFoundException, "NOT_FOUND")


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 200_000, b"9" * 5000])
def test_a_body_that_the_parser_cannot_handle_is_ignored(body: bytes) -> None:
    """No body causes a RecursionError."""
    assert failure(500, body).error.code == "CALL_FAILED"


# --- Provider errors of AWS ---


@pytest.mark.parametrize("name", sorted(LAMBDA.not_started))
@pytest.mark.parametrize("status", [400, 409, 429, 502, 500])
def test_lambda_errors_before_the_function_runs_are_retried(name: str, status: int) -> None:
    """The error name says that the function did not run, whatever the status is."""
    found = failure(status, b"Rate exceeded", error_name=name)

    assert found.retry is Retry.ALWAYS
    assert found.error.details["error_type"] == name
    assert f"{name}: Rate exceeded" in found.error.message


def test_the_error_names_that_mean_that_the_function_did_not_run() -> None:
    """The contract has nine names of errors that Lambda sends before it runs the function."""
    assert {
        "TooManyRequestsException",
        "EC2ThrottledException",
        "ResourceNotReadyException",
        "ResourceConflictException",
        "SnapStartNotReadyException",
        "ENINotReadyException",
        "CodeArtifactUserPendingException",
        "ThrottlingException",
        "Throttling",
    } == LAMBDA.not_started


@pytest.mark.parametrize(
    ("status", "name", "exception", "code", "retry"),
    [
        (403, "AccessDeniedException", UnauthorizedException, "UNAUTHORIZED", Retry.NEVER),
        (404, "ResourceNotFoundException", NotFoundException, "NOT_FOUND", Retry.NEVER),
        (413, "RequestTooLargeException", BadRequestException, "PAYLOAD_TOO_LARGE", Retry.NEVER),
        (400, "InvalidParameterValueException", BadRequestException, "BAD_REQUEST", Retry.NEVER),
        (500, "ServiceException", InvocationException, "CALL_FAILED", Retry.IF_IDEMPOTENT),
        (502, "EC2UnexpectedException", InvocationException, "CALL_FAILED", Retry.IF_IDEMPOTENT),
        (502, "ENILimitReachedException", InvocationException, "CALL_FAILED", Retry.IF_IDEMPOTENT),
    ],
)
@pytest.mark.defect(26)
def test_other_lambda_errors_have_different_exceptions(
    status: int, name: str, exception: type[ApplicationException], code: str, retry: Retry
) -> None:
    """A missing function, a missing permission and a failing service have different errors."""
    found = failure(status, b"", error_name=name)

    assert (type(found.error), found.error.code, found.error.status) == (exception, code, status)
    assert found.error.details["error_type"] == name
    assert found.retry is retry


# --- Retry-After ---


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose time zone is not UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.defect(6)
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("9" * 400, float("inf")),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wednesday, 21-Oct-15 07:28:00 GMT", 0.0),
        ("Wed Oct 21 07:28:00 2015", 0.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str, seconds: float) -> None:
    """HTTP has three date formats. A date in the past means no wait."""
    found = failure(503, b"", {"retry-after": value})

    assert found.retry_after == seconds
    assert found.retry is Retry.ALWAYS


@pytest.mark.usefixtures("new_york")
@pytest.mark.parametrize(
    "form",
    [
        "%a, %d %b %Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a, %d %b %Y %H:%M:%S -0000",
        "%a %b %d %H:%M:%S %Y",
    ],
)
def test_the_date_in_retry_after_is_utc(form: str) -> None:
    """Some formats do not name a time zone. The time zone of the machine does not matter."""
    at = datetime.now(UTC) + timedelta(seconds=15)

    retry_after = failure(429, b"", {"Retry-After": at.strftime(form)}).retry_after

    assert retry_after is not None
    assert 10 < retry_after <= 15


@pytest.mark.parametrize(
    "value", ["", " ", "soon", "-1", "1.5", "+3", "٣", "²", "5, 10", "99999999 Oct", "Wed, 99 Oct 2015 99:99:99 GMT"]
)
def test_an_invalid_retry_after_is_ignored(value: str) -> None:
    """A 503 with it is like a 503 without it: the function may have run."""
    found = failure(503, b"", {"Retry-After": value})

    assert found.retry_after is None
    assert found.retry is Retry.IF_IDEMPOTENT


date_parts = st.sampled_from(
    [
        "Wed,",
        "Wednesday,",
        "21",
        "Oct",
        "21-Oct-15",
        "0001",
        "2015",
        "99999",
        "07:28:00",
        "99:99",
        "GMT",
        "-0000",
        "+9999",
    ]
)


@given(st.text(max_size=30) | st.lists(date_parts, max_size=8).map(" ".join))
@settings(max_examples=40, deadline=None)
def test_any_retry_after_is_seconds_or_none(value: str) -> None:
    """The seconds are never negative."""
    retry_after = failure(503, b"", {"Retry-After": value}).retry_after

    assert retry_after is None or retry_after >= 0


# --- Restored errors ---


@pytest.mark.defect(10)
@pytest.mark.defect(26)
def test_an_error_of_a_published_server_is_restored() -> None:
    """Published servers send a 404 in a response with status 400, and call the stack `stack_stace`."""
    found = failure(400, REAL_ERROR)

    error = found.error
    assert type(error) is NotFoundException
    assert (error.code, error.status, error.message) == ("NO_X", 404, "X not found")
    assert (error.category, error.trace_id) == ("NotFound", "T9")
    assert error.details == {"id": "7"}
    assert error.stack_trace == "NoneType: None\n"
    assert found.retry is Retry.NEVER


@pytest.mark.defect(10)
@pytest.mark.defect(20)
def test_a_validation_error_of_a_published_server_is_restored() -> None:
    """Its trace id is an object, so the error has the trace id of the call."""
    error = failure(400, REAL_VALIDATION_ERROR).error

    assert type(error) is BadRequestException
    assert (error.code, error.status, error.trace_id) == ("INVALID_DATA", 400, "T")
    assert error.details["results"] == "[{'path': 'id', 'type': 5}]"


def test_a_failed_invocation_of_a_published_server_is_restored() -> None:
    """The error has its cause and its traceback."""
    error = failure(400, REAL_FAILED_INVOCATION).error

    assert type(error) is InvocationException
    assert (error.code, error.status, error.cause) == ("EXEC_FAILED", 500, "no such thing")
    assert error.stack_trace.startswith("Traceback")


@pytest.mark.parametrize(
    ("category", "exception"),
    [
        (ErrorCategory.Unknown, UnknownException),
        (ErrorCategory.Internal, InternalException),
        (ErrorCategory.Misconfiguration, ConfigException),
        (ErrorCategory.InvalidState, InvalidStateException),
        (ErrorCategory.NoResponse, ConnectionException),
        (ErrorCategory.FailedInvocation, InvocationException),
        (ErrorCategory.FileError, FileException),
        (ErrorCategory.BadRequest, BadRequestException),
        (ErrorCategory.Unauthorized, UnauthorizedException),
        (ErrorCategory.NotFound, NotFoundException),
        (ErrorCategory.Conflict, ConflictException),
        (ErrorCategory.Unsupported, UnsupportedException),
    ],
)
def test_each_category_is_restored_to_its_exception(category: str, exception: type[ApplicationException]) -> None:
    """Each of the toolkit's twelve exceptions is restored from its own JSON."""
    original = exception("T9", "MY_CODE", "My message").with_details("id", "7")

    error = failure(500, json.loads(json.dumps(original.to_json()))).error

    assert type(error) is exception
    assert (error.category, error.code, error.message) == (category, "MY_CODE", "My message")
    assert (error.status, error.trace_id, error.details) == (original.status, "T9", {"id": "7"})


def test_the_table_above_has_all_categories_of_the_toolkit() -> None:
    """`ErrorCategory` has no others."""
    mark = next(m for m in test_each_category_is_restored_to_its_exception.pytestmark if m.name == "parametrize")
    names = {value for name, value in vars(ErrorCategory).items() if not name.startswith("_")}

    assert {category for category, _ in mark.args[1]} == names


@pytest.mark.defect(11)
@pytest.mark.parametrize("category", ["Weird", "", None, 5, ["NotFound"], {"a": 1}])
@pytest.mark.parametrize(
    ("status", "exception"),
    [(401, UnauthorizedException), (404, NotFoundException), (409, ConflictException), (500, InvocationException)],
)
def test_the_status_decides_when_the_category_is_unknown(
    category: Any, status: int, exception: type[ApplicationException]
) -> None:
    """The code, the message and a category that is text are restored."""
    error = failure(status, {"category": category, "code": "C", "message": "M"}).error

    assert type(error) is exception
    assert (error.code, error.message, error.status) == ("C", "M", status)
    if category == "Weird":
        assert error.category == "Weird"


@pytest.mark.defect(10)
@pytest.mark.parametrize("missing", REAL_ERROR)
def test_an_error_with_a_missing_field_is_restored(missing: str) -> None:
    """The other fields are kept, and no KeyError is raised."""
    body = {key: value for key, value in REAL_ERROR.items() if key != missing}

    error = failure(404, body).error

    assert type(error) is NotFoundException
    assert error.status == 404
    assert error.trace_id == ("T" if missing == "trace_id" else "T9")
    assert (error.code == "NO_X") is (missing != "code")
    assert (error.message == "X not found") is (missing != "message")
    assert (error.details == {"id": "7"}) is (missing != "details")
    assert error.message


@pytest.mark.parametrize("invalid", [None, 5, 1.5, True, [], [1], {"a": [1]}, ""], ids=repr)
@pytest.mark.parametrize("field", [key for key in REAL_ERROR if key != "category"])
def test_an_error_with_an_invalid_field_is_restored(field: str, invalid: Any) -> None:
    """A field of the wrong type counts as missing, and the error can be serialised."""
    error = failure(404, {**REAL_ERROR, field: invalid}).error

    assert type(error) is NotFoundException
    assert isinstance(error.trace_id, str)
    assert isinstance(error.code, str)
    assert isinstance(error.message, str)
    assert error.status == 404
    assert json.loads(json.dumps(error.to_json()))["category"] == "NotFound"


@pytest.mark.parametrize(
    ("details", "restored"),
    [
        ({"id": "7", "n": {"a": [1]}}, {"id": "7", "n": {"a": [1]}}),
        ({}, None),
        (None, None),
        (["a"], {"details": ["a"]}),
        ("text", {"details": "text"}),
    ],
)
def test_details_are_kept(details: Any, restored: Any) -> None:
    """Nested details are kept. Details that are not an object get a name."""
    assert failure(400, {"code": "X", "details": details}).error.details == restored


@pytest.mark.parametrize("status", [0, 99, 600, -1, 404.0, "404", True, None])
def test_an_invalid_status_in_the_body_is_ignored(status: Any) -> None:
    """The HTTP status is used. A valid status is a number from 100 to 599."""
    assert failure(409, {"code": "X", "status": status}).error.status == 409


@pytest.mark.parametrize("status", [400, 410, 599])
def test_a_status_in_the_body_overrides_the_http_status(status: int) -> None:
    """Published servers send all errors with HTTP status 400."""
    assert failure(400, {"code": "X", "status": status}).error.status == status


@pytest.mark.parametrize("body", [{"code": "X"}, {"category": "Internal"}, {"code": None, "category": "Internal"}])
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_error_that_the_body_describes_is_never_retried(status: int, body: Any) -> None:
    """The function ran and sent the error, whatever the status is."""
    assert failure(status, body, {"Retry-After": "1"}).retry is Retry.NEVER


@pytest.mark.parametrize("body", [{"code": 5}, {"category": None}, {"message": "M"}, {"status": 404}, [{"code": "X"}]])
def test_an_object_without_code_and_category_describes_no_error(body: Any) -> None:
    """A pip-services error has a string in at least one of the two."""
    assert failure(503, body, {"Retry-After": "1"}).retry is Retry.ALWAYS


# --- Lambda's function errors ---


@pytest.mark.defect(21)
@pytest.mark.parametrize("status", [200, 202])
def test_a_failed_lambda_function_is_an_error(status: int) -> None:
    """The details have the type and the stack of the function's exception."""
    error = function_failure(
        {
            "errorMessage": "list index out of range",
            "errorType": "IndexError",
            "requestId": "r",
            "stackTrace": ['  File "/var/task/app.py", line 3, in handler\n', "    return rows[0]\n"],
        },
        status,
    )

    assert type(error) is InvocationException
    assert (error.code, error.status, error.message) == ("FUNCTION_ERROR", 500, "list index out of range")
    assert error.details["error_type"] == "IndexError"
    assert error.details["stack_trace"] == '  File "/var/task/app.py", line 3, in handler\n    return rows[0]'
    assert error.stack_trace == error.details["stack_trace"]
    json.dumps(error.to_json())


@pytest.mark.parametrize(
    ("name", "exception", "status"),
    [
        ("UnknownException", UnknownException, 500),
        ("ApplicationException", UnknownException, 500),
        ("InternalException", InternalException, 500),
        ("ConfigException", ConfigException, 500),
        ("InvalidStateException", InvalidStateException, 500),
        ("ConnectionException", ConnectionException, 500),
        ("InvocationException", InvocationException, 500),
        ("FileException", FileException, 500),
        ("BadRequestException", BadRequestException, 400),
        ("ValidationException", BadRequestException, 400),
        ("UnauthorizedException", UnauthorizedException, 401),
        ("NotFoundException", NotFoundException, 404),
        ("ConflictException", ConflictException, 409),
        ("UnsupportedException", UnsupportedException, 500),
        ("ReferenceException", InternalException, 500),
    ],
)
def test_a_toolkit_exception_is_restored_by_its_name(
    name: str, exception: type[ApplicationException], status: int
) -> None:
    """Lambda sends only the name of the class and the message."""
    error = function_failure({"errorMessage": "X not found", "errorType": name, "requestId": "r", "stackTrace": ["a"]})

    assert type(error) is exception
    assert (error.code, error.message, error.trace_id) == ("FUNCTION_ERROR", "X not found", "T")
    assert error.status == status == exception().status
    assert error.stack_trace == "a"


@pytest.mark.parametrize("name", ["NotFoundException", "Boom"])
@pytest.mark.parametrize(
    ("stack", "text"),
    [
        (["a\n", "b"], "a\nb"),
        ([["app.py", 3], None], "['app.py', 3]\nNone"),
        ("text", "text"),
        ({"a": 1}, "{'a': 1}"),
        ([], ""),
        (None, ""),
        (5, "5"),
    ],
)
@pytest.mark.parametrize("key", ["stackTrace", "trace"])
def test_a_stack_trace_of_any_type_is_accepted(name: str, stack: Any, text: str, key: str) -> None:
    """Python and Node send it with different keys. It may be a list, text or missing."""
    assert function_failure({"errorType": name, key: stack}).stack_trace == text


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "The function failed without an error message"),
        (b"null", "null"),
        (b"Task timed out after 3.00 seconds", "Task timed out after 3.00 seconds"),
        ([1], "[1]"),
        ({}, "{}"),
        ({"errorMessage": 5}, '{"errorMessage": 5}'),
        ({"errorMessage": "M"}, "M"),
        ({"errorMessage": "M", "errorType": None}, "M"),
        ({"errorMessage": "M", "errorType": ["NotFoundException"]}, "M"),
        (
            {"errorMessage": "RequestId: r Error: exited", "errorType": "Runtime.ExitError"},
            "RequestId: r Error: exited",
        ),
        ({"errorMessage": "\ud800", "errorType": "X"}, "\ud800"),
        ({"errorMessage": "[1]"}, "[1]"),
        ({"errorMessage": '{"a": 1}'}, '{"a": 1}'),
    ],
)
@pytest.mark.defect(21)
def test_any_payload_of_a_function_error_is_accepted(payload: Any, message: str) -> None:
    """The error has the best message that can be found in the payload."""
    error = function_failure(payload)

    assert type(error) is InvocationException
    assert (error.code, error.message, error.trace_id) == ("FUNCTION_ERROR", message, "T")
    assert isinstance(error.details["error_type"], str)
    assert isinstance(error.details["stack_trace"], str)


def test_a_toolkit_exception_without_a_message_gets_its_name_as_message() -> None:
    """The message is never empty."""
    assert function_failure({"errorType": "ConflictException", "errorMessage": ""}).message == "ConflictException"


@pytest.mark.parametrize("fields", [{"errorMessage": ""}, {"errorMessage": None}, {}], ids=repr)
def test_a_function_error_without_a_message_gets_its_type_as_message(fields: dict[str, Any]) -> None:
    """`assert x` and `raise Custom()`, for example, have no message."""
    error = function_failure({**fields, "errorType": "AssertionError", "requestId": "r", "stackTrace": ["a"]})

    assert (error.code, error.message) == ("FUNCTION_ERROR", "AssertionError")


@pytest.mark.parametrize("code", ["NO_DUMMY", "CONFLICT", "E404", "NO_2ND_TRY"])
def test_an_error_type_that_looks_like_a_code_is_the_code(code: str) -> None:
    """A Node service sends the code of its exception as the type, and does not send the class."""
    error = function_failure({"errorType": code, "errorMessage": "Dummy 7 was not found", "trace": ["a"]})

    assert type(error) is InvocationException
    assert (error.code, error.status, error.message) == (code, 500, "Dummy 7 was not found")
    assert error.details["error_type"] == code


@pytest.mark.parametrize(
    "name", ["", "Error", "OSError", "Runtime.ExitError", "A", "_X", "NO DUMMY", "NO_DUMMY\n", "ÄÖ"]
)
def test_other_error_types_are_not_codes(name: str) -> None:
    """Most of them are names of classes."""
    assert function_failure({"errorType": name, "errorMessage": "M"}).code == "FUNCTION_ERROR"


@pytest.mark.parametrize(
    "payload",
    [
        {"errorMessage": json.dumps(REAL_ERROR), "errorType": "Exception"},
        {"errorMessage": json.dumps(REAL_ERROR), "errorType": "ConflictException", "stackTrace": []},
        REAL_ERROR,
    ],
    ids=["in the message", "in the message, another type", "as the payload"],
)
def test_an_error_that_lambda_sends_as_json_is_restored_completely(payload: Any) -> None:
    """Code, status, details and trace id are restored."""
    error = function_failure(payload)

    assert type(error) is NotFoundException
    assert (error.code, error.status, error.trace_id, error.details) == ("NO_X", 404, "T9", {"id": "7"})


# --- Random input ---

scalars = st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(allow_nan=False) | st.text(max_size=6)
anything = st.recursive(
    scalars, lambda v: st.lists(v, max_size=2) | st.dictionaries(st.text(max_size=3), v, max_size=2), max_leaves=3
)
names = st.sampled_from([*REAL_ERROR, "stack_trace", "errorMessage", "errorType", "stackTrace", "trace"])


@given(st.dictionaries(names, anything, max_size=5), st.sampled_from([302, 400, 404, 429, 500, 503]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_body_becomes_a_complete_error(body: dict[str, Any], status: int, failed: bool) -> None:
    """It has a trace id that is a string, and can be serialised."""
    found = failure_of_response(FunctionResponse(status, {}, json.dumps(body).encode(), function_failed=failed), "T")

    assert found is not None
    error = found.error
    assert isinstance(error, ApplicationException)
    assert isinstance(error.trace_id, str)
    assert isinstance(error.code, str)
    assert isinstance(error.message, str)
    assert error.code
    assert error.message
    assert 100 <= error.status <= 599
    json.dumps(error.to_json())


@pytest.mark.parametrize(("name", "status"), [("EFSMountTimeoutException", 408), ("EFSIOException", 410)])
def test_file_system_errors_of_lambda_are_retried_if_the_call_is_idempotent(name: str, status: int) -> None:
    """The error name does not say whether the function ran. Without it, the status comes from the function."""
    named, unnamed = (failure_of_response(FunctionResponse(status, {}, b"", sent), "T", LAMBDA) for sent in (name, ""))
    assert named
    assert unnamed
    assert (named.retry, unnamed.retry) == (Retry.IF_IDEMPOTENT, Retry.NEVER)


def test_an_error_in_lambdas_message_has_the_status_of_its_class() -> None:
    """It has no status of its own, and the status of the response is 200."""
    body = json.dumps({"errorMessage": json.dumps({"category": "NotFound", "code": "X"})}).encode()
    failed = failure_of_response(FunctionResponse(200, {}, body, function_failed=True), "T")

    assert failed
    error = failed.error
    assert (type(error), error.status) == (NotFoundException, 404)


@pytest.mark.parametrize(
    ("challenge", "is_rejected"),
    [
        ("Bearer", True),
        ('Bearer realm="shop.azurewebsites.net" authorization_uri="https://login.example" resource_id="1"', True),
        ('Bearer error="invalid_token" error_description="The access token could not be verified"', True),
        ("bearer error=invalid_token", True),
        ('Basic realm="shop", Bearer error="invalid_token"', True),
        ('Bearer error="insufficient_scope"', False),
        ('Bearer error_description="x", error="invalid_request"', False),
        ("BearerToken", False),
        ("Basic realm=shop", False),
        ("", False),
        (None, False),
    ],
)
def test_a_401_that_names_the_token_rejects_it(challenge: str | None, is_rejected: bool) -> None:
    """The `WWW-Authenticate` header must say so in the form of RFC 6750."""
    headers = {} if challenge is None else {"www-authenticate": challenge}
    assert rejects_token(FunctionResponse(401, headers, b"")) is is_rejected
    assert not rejects_token(FunctionResponse(403, headers, b""))
    assert not rejects_token(FunctionResponse(200, headers, b""))
    assert not rejects_token(FunctionResponse(401, headers, b'{"code": "NOT_SIGNED"}'))


def test_a_rejected_token_is_retried_only_if_a_new_one_is_available() -> None:
    """An error of pip-services in the body is never retried."""
    headers = {"www-authenticate": "Bearer"}
    failures = [
        failure_of_response(FunctionResponse(401, headers, b"no"), "T"),
        failure_of_response(FunctionResponse(401, headers, b"no", token_rejected=True), "T"),
        failure_of_response(FunctionResponse(401, headers, b'{"code": "NOT_SIGNED"}', token_rejected=True), "T"),
    ]
    assert [each and each.retry for each in failures] == [Retry.NEVER, Retry.NEW_TOKEN, Retry.NEVER]
