"""Calls that a timer's signal interrupts at random moments, and the comparing of what each side counted.

Short in test_interrupts.py, long in test/soak.py.
"""

from __future__ import annotations

import contextlib
import random
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from time import monotonic
from types import FrameType
from typing import Any

from pip_services4_serverless.clients import FunctionClient

PATIENCE = 30.0  # seconds after which a call hangs: several times its timeout


class Interrupted(BaseException):
    """As `SystemExit` and `KeyboardInterrupt`."""


class TimeIsUp(Exception):  # noqa: N818
    """As the time limits of job queues, which are an `Exception`."""


class HangError(Exception):
    """A call that nothing interrupted did not end."""


class Interrupts:
    """What became of the calls. Questions are numbers from 0 on."""

    def __init__(self) -> None:
        self.calls = 0
        self.raised = 0  # interrupts that were raised within a call
        self.interrupted = 0  # calls that ended with the interrupt itself
        self.answered: set[int] = set()
        self.mixed_up = self.hung = 0
        self.others: list[BaseException] = []  # errors that are none of the above

    @property
    def suppressed(self) -> int:
        """Interrupts that no caller saw, because they came within a destructor (Python drops what those raise; botocore
        has one for each response) or within Python's `copyreg`, which suppresses everything. The call goes on."""
        return self.raised - self.interrupted - len(self.others)

    def make_call(self, client: FunctionClient) -> None:
        """One call; what the answer says is compared with what was asked."""
        question = self.calls
        self.calls += 1
        if client._call("ask", f"trace-{question}", {"question": question})["question"] == question:
            self.answered.add(question)
        else:
            self.mixed_up += 1

    def lost(self, executed: Mapping[int, int]) -> int:
        """Questions that were answered and not executed."""
        return sum(question not in executed for question in self.answered)

    def executed_twice(self, executed: Mapping[int, int]) -> int:
        return sum(count > 1 for count in executed.values())


def interrupt_calls(
    client: FunctionClient,
    interrupts: int,
    seconds: float,
    kind: type[BaseException] = Interrupted,
    progress: Callable[[int], Any] = lambda done: None,
) -> Interrupts:
    """Interrupts so many calls, or as many as `seconds` allow. Each is followed by a call that is not interrupted.

    Only the main thread can do this: it is the one that signals interrupt.
    """
    result, ends_at = Interrupts(), monotonic() + seconds
    longest = 1.5 * _usual(client, result)
    with untraced(), _alarm() as alarm, _destructors(kind, result):
        while result.raised < interrupts and monotonic() < ends_at:
            fired = result.raised
            try:
                try:
                    alarm(random.uniform(1e-6, longest), kind, result)  # noqa: S311
                    result.make_call(client)
                finally:
                    alarm(0, kind, result)
            except kind:
                result.interrupted += 1
            except BaseException as err:
                result.others.append(err)
            if result.raised > fired:
                _check(client, result, alarm)
                progress(result.raised)
    return result


def _usual(client: FunctionClient, result: Interrupts) -> float:
    """Seconds of a call."""
    took = []
    for _ in range(50):
        started = monotonic()
        result.make_call(client)
        took.append(monotonic() - started)
    return median(took)


def _check(client: FunctionClient, result: Interrupts, alarm: Callable[..., None]) -> None:
    try:
        alarm(PATIENCE, HangError, None)
        result.make_call(client)
    except HangError:
        result.hung += 1
    except BaseException as err:
        result.others.append(err)
    finally:
        alarm(0, HangError, None)


@contextlib.contextmanager
def untraced() -> Iterator[None]:
    """Without coverage in this thread. Coverage takes a lock at each call, and an interrupt at that moment leaves it
    locked: the next call waits forever."""
    before = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(before)


@contextlib.contextmanager
def _destructors(kind: type[BaseException], result: Interrupts) -> Iterator[None]:
    """Takes what is raised within destructors: interrupts, and the warning of a socket whose making was interrupted."""

    def hook(told: Any) -> None:
        if not issubclass(told.exc_type, (kind, ResourceWarning)):
            result.others.append(told.exc_value)

    before, sys.unraisablehook = sys.unraisablehook, hook
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextlib.contextmanager
def _alarm() -> Iterator[Callable[[float, type[BaseException], Interrupts | None], None]]:
    """What has an exception raised once after some seconds; 0 takes it back."""
    armed: list[tuple[type[BaseException], Interrupts | None]] = []

    def arm(seconds: float, kind: type[BaseException], result: Interrupts | None) -> None:
        armed[:] = [(kind, result)] if seconds else []
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def ring(number: int, frame: FrameType | None) -> None:
        if armed:
            kind, result = armed.pop()
            if result:
                result.raised += 1
            raise kind

    before = signal.signal(signal.SIGALRM, ring)
    try:
        yield arm
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
