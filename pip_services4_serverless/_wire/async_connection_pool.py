"""A pool of connections for asyncio, separately for each event loop."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic

from .async_connection import AsyncConnection
from .endpoint import Endpoint
from .errors import PoolClosedError
from .request import request_head
from .response import Response


class _Idle(deque[AsyncConnection]):
    """The idle connections of one event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.pid = os.getpid()


class AsyncConnectionPool:
    """Like `ConnectionPool`, but `request` is awaited. A connection belongs to the event loop that opened it.

    Any thread may call `close`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        max_connections: int,
        connect_timeout: float,
        timeout: float,
        idle_timeout: float,
        limit: int,
    ) -> None:
        self.endpoint = endpoint
        self._max_connections = max_connections
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._idle_timeout = idle_timeout
        self._limit = limit
        self._idle: dict[asyncio.AbstractEventLoop, _Idle] = {}  # a connection refers to its loop anyway
        self._closed = False

    async def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, timeout: float | None = None
    ) -> Response:
        """Makes one exchange within `timeout` seconds.

        Raises:
            WireError: there is no response, or it cannot be used; the class shows which.
        """
        ends_at = monotonic() + (self._timeout if timeout is None else timeout)
        head = request_head(self.endpoint, method, target, headers, len(body))
        if self._closed:
            raise PoolClosedError("The connections were closed before the request was sent")
        loop = asyncio.get_running_loop()
        idle = self._idle.get(loop)
        if idle is None:
            idle = self._first_of(loop)
        connection = self._fresh(idle)
        if connection is None:
            connection = AsyncConnection(loop)
            await connection.open(self.endpoint, min(ends_at, monotonic() + self._connect_timeout))
        response = await connection.exchange(head, body, ends_at, self._limit)
        if connection.reusable:
            if len(idle) < self._max_connections and not self._closed:
                idle.append(connection)
            else:
                connection.close()
        return response

    def _first_of(self, loop: asyncio.AbstractEventLoop) -> _Idle:
        for other, connections in list(self._idle.items()):
            if other.is_closed():
                _close_all(connections)
                self._idle.pop(other, None)
        return self._idle.setdefault(loop, _Idle())

    def _fresh(self, idle: _Idle) -> AsyncConnection | None:
        while idle:
            connection = idle.pop()
            if connection.is_fresh(self._idle_timeout):
                return connection
            connection.close()
        return None

    def close(self) -> None:
        """Closes the idle connections, each in its loop, and those in use after their exchange."""
        self._closed = True
        try:
            here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        for loop, idle in list(self._idle.items()):
            # In a fork's child, its parent's loop seems to run, but never does.
            if loop is here or idle.pid != os.getpid() or not loop.is_running():
                _close_all(idle)
            else:
                with suppress(RuntimeError):  # the loop was closed meanwhile
                    loop.call_soon_threadsafe(_close_all, idle)

    def __del__(self) -> None:
        if not self._closed:  # the loops watch the connections, and would keep them open
            self.close()


def _close_all(connections: _Idle) -> None:
    with suppress(IndexError):  # another thread took the last one
        while True:
            connections.pop().close()
