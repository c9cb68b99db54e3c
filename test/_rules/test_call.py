"""What a `Call` decides after each attempt, without sockets, waits or a real clock."""

from __future__ import annotations

from typing import Any

import pytest
from pip_services4_commons.errors import (
    ApplicationException,
    BadRequestException,
    ConnectionException,
    InvalidStateException,
    InvocationException,
)

from pip_services4_serverless._rules.attempts import CallPolicy
from pip_services4_serverless._rules.call import Call
from pip_services4_serverless._rules.errors import Provider, Target
from pip_services4_serverless._rules.response import FunctionResponse

TARGET = Target("SomeClient", "url", "http://host/f", "no key was sent")
KEY = "FunctionKey-hunter2"


class Clock:
    """A clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def call(params: Any = None, clock: Clock | None = None, **policy: Any) -> Call:
    allowed = {"timeout": 10.0, "total_timeout": 0.0, "retries": 3, "idempotent": False} | policy
    provider = Provider(not_started=frozenset({"TooBusy"}))
    return Call("act", "T", params, CallPolicy(**allowed), provider, 1000, (KEY,), TARGET, clock or Clock())


def error_of(finished: Call) -> ApplicationException:
    """The error that a finished call raises."""
    with pytest.raises(ApplicationException) as caught:
        finished.result()
    return caught.value


def test_a_successful_response_is_the_result() -> None:
    """The payload has the parameters, the command and the trace id."""
    one = call({"a": 1})
    assert one.payload == b'{"a": 1, "cmd": "act", "trace_id": "T"}'
    assert one.begin() == 10.0
    assert one.received(FunctionResponse(200, {}, b'{"b": 2}')) is None
    assert one.result() == {"b": 2}


def test_a_call_that_cannot_be_sent_raises_when_it_is_made() -> None:
    """Its parameters cannot be serialised, or are too large."""
    with pytest.raises(BadRequestException):
        call({"a": object})
    with pytest.raises(BadRequestException):
        call({"a": "x" * 1000})


def test_a_rejected_attempt_is_retried_after_a_wait() -> None:
    """The response of the second attempt is the result, and `code` is empty again."""
    one = call()
    one.begin()
    wait = one.received(FunctionResponse(429, {}, b""))
    assert wait is not None
    assert 0 <= wait <= 0.1
    assert one.code == "TOO_MANY_REQUESTS"
    one.begin()
    assert one.received(FunctionResponse(200, {}, b"1")) is None
    assert (one.result(), one.code) == (1, "")


@pytest.mark.parametrize("idempotent", [False, True])
def test_a_rejection_with_a_long_body_is_retried_only_if_idempotent(idempotent: bool) -> None:
    """The client uses only the beginning. The whole body might be the error of a function that ran."""
    one = call(idempotent=idempotent)
    one.begin()
    body = b'{"code": "BUSY", "details": "' + b"x" * (256 << 10) + b'"}'
    assert (one.received(FunctionResponse(429, {}, body)) is not None) == idempotent


def test_the_providers_error_name_decides_on_a_retry() -> None:
    """The status of the response does not matter."""
    one, other = call(), call()
    one.begin()
    other.begin()
    assert one.received(FunctionResponse(502, {}, b"", "TooBusy")) is not None
    assert other.received(FunctionResponse(502, {}, b"", "Unlucky")) is None


@pytest.mark.parametrize("idempotent", [False, True])
def test_a_lost_response_is_retried_only_if_the_call_is_idempotent(idempotent: bool) -> None:
    """The error of the connection is the cause of the error that is raised."""
    one = call(idempotent=idempotent, retries=1)
    one.begin()
    assert (one.failed("NO_RESPONSE", OSError("gone")) is not None) is idempotent
    if idempotent:
        one.begin()
        assert one.failed("NO_RESPONSE", OSError("gone")) is None
    error = error_of(one)
    assert isinstance(error, ConnectionException)
    assert isinstance(error.__cause__, OSError)
    assert (error.code, error.trace_id) == ("NO_RESPONSE", "T")


def test_an_attempt_gets_the_rest_of_the_total_timeout() -> None:
    """When no time is left, the call ends with a timeout."""
    clock = Clock()
    one = call(clock=clock, total_timeout=12.0)
    assert one.begin() == 10.0
    clock.now += 11.5
    assert one.begin() == 0.5
    clock.now += 0.5
    assert one.begin() is None
    assert error_of(one).code == "CALL_TIMEOUT"


def test_the_earlier_error_is_raised_if_the_last_attempt_could_not_connect_in_time() -> None:
    """The last attempt sent nothing, so the earlier error says more."""
    clock = Clock()
    one = call(clock=clock, total_timeout=12.0)
    one.begin()
    assert one.received(FunctionResponse(429, {}, b"")) is not None
    one.begin()
    clock.now += 12.0
    assert one.failed("CANNOT_CONNECT", OSError("timed out")) is None
    assert error_of(one).code == "TOO_MANY_REQUESTS"


def test_the_earlier_error_is_raised_if_the_wait_took_all_the_time() -> None:
    """On a busy machine or event loop, a wait may last too long. Then there is no second attempt."""
    clock = Clock()
    one = call(clock=clock, total_timeout=12.0)
    one.begin()
    assert one.received(FunctionResponse(429, {}, b"")) is not None
    clock.now += 12.0
    assert one.begin() is None
    error = error_of(one)
    assert error.code == "TOO_MANY_REQUESTS"
    assert "1 attempt)" in error.message


def test_no_error_contains_the_key() -> None:
    """The key may be in a response, in an exception's text or in a body that cannot be decoded."""
    responded, raised, undecoded = call(), call(), call()
    responded.received(FunctionResponse(500, {}, f"key {KEY}".encode()))
    raised.failed("NO_RESPONSE", OSError(f"key {KEY}"))
    undecoded.received(FunctionResponse(200, {"content-type": f"x/{KEY}"}, f"key {KEY}".encode()))
    for one in (responded, raised, undecoded):
        error = error_of(one)
        assert KEY not in f"{error} {error!r} {error.to_json()} {error.__cause__!r}"
        assert isinstance(error, InvocationException | ConnectionException)


def test_closing_the_client_ends_a_wait() -> None:
    """The error says that the client is closed, and its cause is the error of the last attempt."""
    one = call()
    one.begin()
    one.received(FunctionResponse(429, {}, b""))
    error = one.closed_error("SomeClient")
    assert isinstance(error, InvalidStateException)
    assert (error.code, getattr(error.__cause__, "code", "")) == ("NOT_OPENED", "TOO_MANY_REQUESTS")


def test_the_previous_error_of_a_closed_clients_call_is_masked() -> None:
    """The name of AWS's error is a header of the response, which may repeat the key."""
    one = call()
    one.begin()
    one.received(FunctionResponse(429, {}, b"", KEY))
    error = one.closed_error("SomeClient")
    assert KEY not in f"{error.__cause__} {error.__cause__!r} {vars(error.__cause__)}"
