"""Locks that a fork cannot leave locked."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager, suppress

_FORK_TIMEOUT = 10  # seconds that a fork waits for another thread that has a `ForkLock`


class ProcessLock:
    """A reentrant lock. After a fork, the child has another lock than its parent.

    During a fork, the lock may be held by a thread that the child does not have. The child would wait for it forever.
    """

    __slots__ = ("_by_process",)

    def __init__(self) -> None:
        self._by_process = {os.getpid(): threading.RLock()}

    @property
    def own(self) -> AbstractContextManager[bool]:
        """The lock of this process. An interrupt cannot leave it locked, because its `__enter__` is written in C."""
        process = os.getpid()
        return self._by_process.get(process) or self._by_process.setdefault(process, threading.RLock())


class ForkLock:
    """A reentrant lock for which a fork waits, at most 10 seconds. Create it once, when a module is imported.

    Threads hold it while they create a TLS context. If another thread held a lock of OpenSSL during a fork, it would
    stay locked in the child, whose first TLS context would hang.
    """

    __slots__ = ("own",)

    def __init__(self) -> None:
        self.own = threading.RLock()
        """The lock of this process."""
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._before, after_in_parent=self._in_parent, after_in_child=self._in_child)

    def _before(self) -> None:
        self.own.acquire(timeout=_FORK_TIMEOUT)

    def _in_parent(self) -> None:
        with suppress(RuntimeError):  # the timeout ended before the fork got the lock
            self.own.release()

    def _in_child(self) -> None:
        self.own = threading.RLock()
