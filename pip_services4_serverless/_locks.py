"""A lock that a fork cannot leave locked."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager


class ProcessLock:
    """A reentrant lock of which each process has its own.

    At a fork, a thread that does not exist in the child may hold the parent's lock. The child would wait for ever.
    """

    __slots__ = ("_by_process",)

    def __init__(self) -> None:
        self._by_process = {os.getpid(): threading.RLock()}

    @property
    def own(self) -> AbstractContextManager[bool]:
        """The lock of this process. An interrupt cannot leave it locked, because its `__enter__` is not Python code."""
        process = os.getpid()
        return self._by_process.get(process) or self._by_process.setdefault(process, threading.RLock())
