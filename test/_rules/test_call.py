"""One call as a value: what it decides after each attempt, without a socket, a clock that runs, or a wait."""

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
    """Stands still but when it is moved on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def call(params: Any = None, clock: Clock | None = None, **policy: Any) -> Call:
    allowed = {"timeout": 10.0, "total_timeout": 0.0, "retries": 3, "idempotent": False} | policy
    provider = Provider(not_started=frozenset({"TooBusy"}))
    return Call("act", "T", params, CallPolicy(**allowed), provider, 1000, (KEY,), TARGET, clock or Clock())


def ended(of: Call) -> ApplicationException:
    """The error of a call that has ended."""
    with pytest.raises(ApplicationException) as caught:
        of.result()
    return caught.value


def test_an_answer_is_the_result() -> None:
    """The payload holds the parameters, the command and the trace id."""
    one = call({"a": 1})
    assert one.payload == b'{"a": 1, "cmd": "act", "trace_id": "T"}'
    assert one.begin() == 10.0
    assert one.received(FunctionResponse(200, {}, b'{"b": 2}')) is None
    assert one.result() == {"b": 2}


def test_what_cannot_be_sent_is_no_call() -> None:
    """It is refused when it is made."""
    with pytest.raises(BadRequestException):
        call({"a": object})
    with pytest.raises(BadRequestException):
        call({"a": "x" * 1000})


def test_a_refused_attempt_waits_for_the_next_one() -> None:
    """And the answer of the next one is the result, as if nothing had been before."""
    one = call()
    one.begin()
    wait = one.received(FunctionResponse(429, {}, b""))
    assert wait is not None
    assert 0 <= wait <= 0.1
    assert one.code == "TOO_MANY_REQUESTS"
    one.begin()
    assert one.received(FunctionResponse(200, {}, b"1")) is None
    assert (one.result(), one.code) == (1, "")


def test_a_providers_name_decides() -> None:
    """Whatever the status that comes with it."""
    one, other = call(), call()
    one.begin()
    other.begin()
    assert one.received(FunctionResponse(502, {}, b"", "TooBusy")) is not None
    assert other.received(FunctionResponse(502, {}, b"", "Unlucky")) is None


@pytest.mark.parametrize("idempotent", [False, True])
def test_a_lost_answer_is_never_sent_for_again_but_by_leave(idempotent: bool) -> None:
    """Its error is raised from what happened."""
    one = call(idempotent=idempotent, retries=1)
    one.begin()
    assert (one.failed("NO_RESPONSE", OSError("gone")) is not None) is idempotent
    if idempotent:
        one.begin()
        assert one.failed("NO_RESPONSE", OSError("gone")) is None
    error = ended(one)
    assert isinstance(error, ConnectionException)
    assert isinstance(error.__cause__, OSError)
    assert (error.code, error.trace_id) == ("NO_RESPONSE", "T")


def test_an_attempt_has_what_is_left() -> None:
    """Of the call's time; without any left, the call has ended."""
    clock = Clock()
    one = call(clock=clock, total_timeout=12.0)
    assert one.begin() == 10.0
    clock.now += 11.5
    assert one.begin() == 0.5
    clock.now += 0.5
    assert one.begin() is None
    assert ended(one).code == "CALL_TIMEOUT"


def test_no_time_to_connect_tells_less_than_what_was_before() -> None:
    """Where the last attempt sent nothing for want of time, the error of the one before is raised."""
    clock = Clock()
    one = call(clock=clock, total_timeout=12.0)
    one.begin()
    assert one.received(FunctionResponse(429, {}, b"")) is not None
    one.begin()
    clock.now += 12.0
    assert one.failed("CANNOT_CONNECT", OSError("timed out")) is None
    assert ended(one).code == "TOO_MANY_REQUESTS"


def test_the_key_is_in_no_error() -> None:
    """Neither in what the far side says, nor in an exception's text, nor in what did not decode."""
    said, raised, undecoded = call(), call(), call()
    said.received(FunctionResponse(500, {}, f"key {KEY}".encode()))
    raised.failed("NO_RESPONSE", OSError(f"key {KEY}"))
    undecoded.received(FunctionResponse(200, {"content-type": f"x/{KEY}"}, f"key {KEY}".encode()))
    for one in (said, raised, undecoded):
        error = ended(one)
        assert KEY not in f"{error} {error!r} {error.to_json()} {error.__cause__!r}"
        assert isinstance(error, InvocationException | ConnectionException)


def test_a_closed_client_ends_a_wait() -> None:
    """The error says so, and what came before is its cause."""
    one = call()
    one.begin()
    one.received(FunctionResponse(429, {}, b""))
    error = one.closed("SomeClient")
    assert isinstance(error, InvalidStateException)
    assert (error.code, getattr(error.__cause__, "code", "")) == ("NOT_OPENED", "TOO_MANY_REQUESTS")
