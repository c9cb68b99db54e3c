"""A lock that a fork cannot leave locked."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager


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
