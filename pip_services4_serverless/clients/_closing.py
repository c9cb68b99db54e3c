from __future__ import annotations

import threading
from contextlib import suppress


class Closing:
    """Ends the waits between the attempts of a client's calls when the client closes.

    Like a `threading.Event`, but an interrupt during a wait leaves no lock locked.

    Each wait has a lock of its own.
    """

    __slots__ = ("_gates", "_is_closed")

    def __init__(self) -> None:
        self._gates: set[threading.Lock] = set()
        self._is_closed = False

    def close(self) -> None:
        """Ends all waits, also later ones. Closing twice does nothing."""
        self._is_closed = True
        for gate in tuple(self._gates):
            with suppress(RuntimeError):  # it was released already
                gate.release()

    def wait(self, seconds: float) -> bool:
        """Waits. Returns True, possibly early, if the client was closed."""
        gate = threading.Lock()
        gate.acquire()
        self._gates.add(gate)
        try:
            if not self._is_closed:
                gate.acquire(timeout=seconds)
        finally:
            self._gates.discard(gate)
        return self._is_closed
