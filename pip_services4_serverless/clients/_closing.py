from __future__ import annotations

import threading
from contextlib import suppress


class Closing:
    """An event that ends the waits of a client's calls when the client is closed.

    It is used like a `threading.Event`. An event has one lock, which an interrupt during a wait could leave locked.
    Here each wait has its own lock.
    """

    __slots__ = ("_is_closed", "_locks")

    def __init__(self) -> None:
        self._locks: set[threading.Lock] = set()
        self._is_closed = False

    def close(self) -> None:
        """Ends all waits, also those that begin later. Closing twice does nothing."""
        self._is_closed = True
        for lock in tuple(self._locks):
            with suppress(RuntimeError):  # the lock was released already
                lock.release()

    def wait(self, seconds: float) -> bool:
        """Waits until the time is over or `close` is called. Returns whether `close` was called."""
        lock = threading.Lock()
        lock.acquire()
        self._locks.add(lock)
        try:
            if not self._is_closed:
                lock.acquire(timeout=seconds)
        finally:
            self._locks.discard(lock)
        return self._is_closed
