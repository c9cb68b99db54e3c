"""An exception that interrupts a call from outside is raised unchanged."""

from __future__ import annotations

import ctypes
import random
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from operator import itemgetter
from typing import Any

import pytest
from pip_services4_commons.errors import ApplicationException, BadRequestException, ConfigException
from support.interrupts import untraced

from pip_services4_serverless._rules.payload import encode
from pip_services4_serverless.clients._aws_signature import AwsSecrets
from pip_services4_serverless.clients._lambda_session import _find_keys, _new_session

# Python suppresses exceptions that are raised in a finaliser.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class TimeIsUp(Exception):  # noqa: N818 - as Celery's `SoftTimeLimitExceeded`: not derived from anything else
    """What a worker raises in a task that takes too long."""


@dataclass
class Order:
    id: uuid.UUID
    price: Decimal
    at: datetime


class Plain:
    def __init__(self) -> None:
        self.name = "n"


class WithJson:
    def to_json(self) -> Any:
        return {str(number): [number] for number in range(20)}


VALUES = [Order(uuid.UUID(int=1), Decimal(1), datetime.now(UTC)), Plain(), {1, 2}, b"x", {"a": [Decimal(2)]}] * 8


def raise_it(number: int, frame: Any) -> None:
    raise TimeIsUp


def raise_built_in_class(number: int, frame: Any) -> None:
    raise TimeoutError("time is up")


class Handler:
    """A handler that is an object, and that raises in a second frame."""

    def __call__(self, number: int, frame: Any) -> None:
        self.raise_in_method()

    def raise_in_method(self) -> None:
        raise TimeIsUp


def raise_in_thread(number: int, frame: Any) -> None:
    """Raises when the interpreter checks next, which is close to where it was interrupted."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(threading.get_ident()), ctypes.py_object(TimeIsUp))


def raise_with_any_arguments(*arguments: Any) -> None:
    raise TimeIsUp


HANDLERS = {
    "signal": raise_it,
    "signal, any arguments": raise_with_any_arguments,
    "signal, built-in class": raise_built_in_class,
    "signal, object": Handler(),
    "thread": raise_in_thread,
}


@pytest.fixture(params=HANDLERS)
def handler(request: pytest.FixtureRequest) -> Iterator[str]:
    """How the timer interrupts the code."""
    before = signal.signal(signal.SIGALRM, HANDLERS[request.param])  # type: ignore[arg-type]
    with untraced():
        yield request.param
        signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def interrupted(call: Callable[[], Any], times: int, seconds: float = 30) -> dict[str, int]:
    """Interrupts calls at random points, until `times` of them were interrupted, and counts how all of them ended."""
    started = time.monotonic()
    for _ in range(3):
        call()
    duration = (time.monotonic() - started) / 3
    ends_at = time.monotonic() + seconds
    ended: dict[str, int] = {}
    while ended.get("interrupted", 0) < times and time.monotonic() < ends_at:
        try:
            signal.setitimer(signal.ITIMER_REAL, max(2e-6, random.uniform(0, duration)))  # noqa: S311
            try:
                call()
                how = "done"
            except ApplicationException as err:
                how = err.code
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            for _ in range(10):
                pass  # a pending interrupt is raised here
        except (TimeIsUp, TimeoutError):
            how = "interrupted"
        ended[how] = ended.get(how, 0) + 1
    return ended


def test_an_interrupt_while_parameters_are_serialised_is_raised_unchanged(handler: str) -> None:
    """The interrupt may come in this package's code or in Python's. It does not become a serialisation error."""
    ended = interrupted(lambda: encode("c", "T", {"values": VALUES}, 1_000_000), 500)

    assert ended["interrupted"] == 500
    assert ended.keys() <= {"interrupted", "done"}


@pytest.mark.parametrize("handler", [name for name in HANDLERS if name != "thread"], indirect=True)
def test_an_interrupt_in_a_method_of_the_caller_is_raised_unchanged(handler: str) -> None:
    """A signal is recognised by its handler. Any other exception counts as an exception of the method."""
    ended = interrupted(lambda: encode("c", "T", {"values": [WithJson()] * 20}, 1_000_000), 500)

    assert ended["interrupted"] == 500
    assert ended.keys() <= {"interrupted", "done"}


def test_an_interrupt_while_keys_are_loaded_is_raised_unchanged(handler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interrupt may come while keys are found or renewed. It does not become a credential error."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "S")

    def look() -> None:
        session = _new_session()
        for _ in range(20):
            _find_keys("T", session).get_keys()

    ended = interrupted(look, 100)

    assert ended["interrupted"] == 100
    assert ended.keys() <= {"interrupted", "done"}


class CallersError(Exception):
    """An exception of the caller."""


def raise_callers_error(*_: Any) -> Any:
    raise CallersError


@pytest.mark.parametrize(
    "method",
    [
        raise_callers_error,
        partial(raise_callers_error, 1),
        partial(itemgetter("id"), {}),
        lambda: raise_callers_error(),
        lambda: dict[str, int]()["id"],
    ],
)
def test_an_exception_of_the_callers_code_is_a_serialisation_error(method: Any) -> None:
    """The exception may be of any class, and the code may be written in C."""
    value = Plain()
    value.to_json = method  # type: ignore[attr-defined]
    with pytest.raises(BadRequestException) as caught:
        encode("c", "T", {"order": value}, 1000)

    assert caught.value.code == "SERIALIZATION_FAILED"
    assert caught.value.details["parameter"] == "order"
    assert isinstance(caught.value.__cause__, CallersError | KeyError)


def test_an_exception_of_a_credential_provider_is_a_credential_error() -> None:
    """The provider may raise it while it finds keys or renews them."""

    class Session:
        def get_credentials(self) -> Any:
            return self

        def get_frozen_credentials(self) -> Any:
            raise CallersError

    with pytest.raises(ConfigException) as caught:
        _find_keys("T", Session())
    assert caught.value.code == "NO_CREDENTIALS"
    with pytest.raises(Exception, match="retrieving credentials") as renewed:
        AwsSecrets(Session())
    assert type(renewed.value).__name__ == "CredentialRetrievalError"
