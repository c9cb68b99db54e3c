"""Interrupts the main thread: once, when a test says so, or many calls at random moments.

For the latter, the results are compared with the server's counts: test_interrupts.py does so for a short time, and
test/soak.py for a long time.
"""

from __future__ import annotations

import contextlib
import faulthandler
import random
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from time import monotonic
from types import FrameType
from typing import Any

from pip_services4_serverless.clients import FunctionClient

HANG_TIMEOUT = 30.0  # seconds after which a call counts as hung; several times its timeout


@contextlib.contextmanager
def interrupting() -> Iterator[Callable[[], None]]:
    """A function that raises `KeyboardInterrupt` in the main thread, once, like Ctrl-C. Any thread may call it.

    A single signal would not be enough: if it comes just before a system call, Python handles it after that.
    """
    raised = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if not raised.is_set():
            raised.set()
            raise KeyboardInterrupt

    def interrupt() -> None:
        while not raised.is_set():
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            raised.wait(0.05)

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)


class Interrupted(BaseException):
    """An interrupt that is a `BaseException`, like `SystemExit` and `KeyboardInterrupt`."""


class TimeIsUp(Exception):  # noqa: N818
    """An interrupt that is an `Exception`, like the time limits of job queues."""


class HangError(Exception):
    """A call that was not interrupted did not end."""


class Interrupts:
    """The results of the calls, which are numbered from 0."""

    def __init__(self) -> None:
        self.calls = 0
        self.raised = 0  # interrupts that were raised during a call
        self.interrupted = 0  # calls that raised the interrupt itself
        self.returned: set[int] = set()
        self.mixed_up = self.hung = 0
        self.others: list[BaseException] = []  # all other exceptions

    @property
    def suppressed(self) -> int:
        """Interrupts that no caller saw. Python drops exceptions in destructors, of which botocore has one for each
        response, and in `copyreg`, and the call goes on."""
        return self.raised - self.interrupted - len(self.others)

    def make_call(self, client: FunctionClient) -> None:
        """Makes one call, and checks that the response belongs to it."""
        number = self.calls
        self.calls += 1
        if client._call("echo", f"trace-{number}", {"number": number})["number"] == number:
            self.returned.add(number)
        else:
            self.mixed_up += 1

    def lost(self, executed: Mapping[int, int]) -> int:
        """Calls that returned, but were not executed."""
        return sum(number not in executed for number in self.returned)

    def executed_twice(self, executed: Mapping[int, int]) -> int:
        return sum(count > 1 for count in executed.values())


def interrupt_calls(
    client: FunctionClient,
    interrupts: int,
    seconds: float,
    kind: type[BaseException] = Interrupted,
    progress: Callable[[int], Any] = lambda done: None,
) -> Interrupts:
    """Interrupts this many calls, or as many as possible in `seconds`. An uninterrupted call follows each of them.

    It must run in the main thread, because signals interrupt only that.
    """
    result, ends_at = Interrupts(), monotonic() + seconds
    longest = 1.5 * _median_duration(client, result)
    with untraced(), _alarm() as alarm, _unraisable_errors(kind, result):
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


def _median_duration(client: FunctionClient, result: Interrupts) -> float:
    """The median duration of a call, in seconds."""
    took = []
    for _ in range(50):
        started = monotonic()
        result.make_call(client)
        took.append(monotonic() - started)
    return median(took)


def _check(client: FunctionClient, result: Interrupts, alarm: Callable[..., None]) -> None:
    started = monotonic()
    try:
        alarm(HANG_TIMEOUT, HangError, None)
        result.make_call(client)
    except HangError:
        result.hung += 1
        # Where it hung, and what the other threads did. pytest shows this if the test fails.
        sys.stderr.write(f"Call {result.calls - 1} hung for {monotonic() - started:.1f} s\n{traceback.format_exc()}\n")
        sys.stderr.flush()
        faulthandler.dump_traceback(file=2)
    except BaseException as err:
        result.others.append(err)
    finally:
        alarm(0, HangError, None)


@contextlib.contextmanager
def untraced() -> Iterator[None]:
    """Turns coverage off in this thread. Coverage takes a lock at each call, and an interrupt could leave it locked, so
    that the next call would wait forever."""
    before = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(before)


@contextlib.contextmanager
def _unraisable_errors(kind: type[BaseException], result: Interrupts) -> Iterator[None]:
    """Collects exceptions in destructors, except interrupts and the warnings of sockets that they leave open."""

    def hook(unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, (kind, ResourceWarning)):
            result.others.append(unraisable.exc_value)

    before, sys.unraisablehook = sys.unraisablehook, hook
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextlib.contextmanager
def _alarm() -> Iterator[Callable[[float, type[BaseException], Interrupts | None], None]]:
    """A function that raises an exception once after some seconds. 0 cancels it."""
    armed: list[tuple[type[BaseException], Interrupts | None]] = []

    def arm(seconds: float, kind: type[BaseException], result: Interrupts | None) -> None:
        armed[:] = [(kind, result)] if seconds else []
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def on_alarm(number: int, frame: FrameType | None) -> None:
        if armed:
            kind, result = armed.pop()
            if result:
                result.raised += 1
            raise kind

    before = signal.signal(signal.SIGALRM, on_alarm)
    try:
        yield arm
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
