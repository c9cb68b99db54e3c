"""The time of one attempt, and how far it got: what the caller's loop and the sockets below have to tell each other."""

from __future__ import annotations

import threading
from time import monotonic
from typing import Self


class Deadline:
    """The bounds of the attempt that this thread is making. Entered, it is what `current` gives."""

    __slots__ = (
        "_before",
        "connect_ends_at",
        "connect_timeout",
        "connecting",
        "ends_at",
        "idle_timeout",
        "timed_out",
        "touched",
    )

    def __init__(self, timeout: float, connect_timeout: float, idle_timeout: float) -> None:
        self.ends_at = monotonic() + timeout
        self.connect_timeout = min(connect_timeout, timeout)  # seconds
        self.idle_timeout = idle_timeout  # seconds
        # Set by the connection.
        self.touched = False  # a connection was begun or used
        self.connecting = False  # a connection was begun and is not yet made: nothing of the call was sent
        self.connect_ends_at = self.ends_at
        self.timed_out = False
        self._before: Deadline | None = None

    def connect(self) -> None:
        """Notes that a connection is begun, in the time for connecting."""
        self.touched = self.connecting = True
        self.connect_ends_at = min(self.ends_at, monotonic() + self.connect_timeout)

    def left(self) -> float:
        """Seconds left, for connecting or for the whole.

        Raises:
            TimeoutError: there are none.
        """
        left = (self.connect_ends_at if self.connecting else self.ends_at) - monotonic()
        if left <= 0:
            self.timed_out = True
            raise TimeoutError("the attempt's time is over")
        return left

    def __enter__(self) -> Self:
        self._before = current()
        _thread.deadline = self
        return self

    def __exit__(self, *exc_info: object) -> None:
        _thread.deadline = self._before


_thread = threading.local()


def current() -> Deadline | None:
    """The deadline of the attempt that this thread is making, if any."""
    return getattr(_thread, "deadline", None)
