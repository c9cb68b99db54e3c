"""A pool of connections for asyncio."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic

from .async_connection import AsyncConnection
from .endpoint import Endpoint, PoolLimits
from .errors import PoolClosedError
from .request import request_head
from .response import Response


class _Idle(deque[AsyncConnection]):
    """The idle connections of one event loop."""

    def __init__(self) -> None:
        super().__init__()
        self.pid = os.getpid()


class AsyncConnectionPool:
    """Like `ConnectionPool`, but `request` is awaited. Only the event loop that opened a connection reuses it.

    Any thread may call `close`.
    """

    def __init__(self, endpoint: Endpoint, limits: PoolLimits) -> None:
        self.endpoint = endpoint
        self._limits = limits
        self._idle: dict[asyncio.AbstractEventLoop, _Idle] = {}
        self._closed = False

    async def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, timeout: float | None = None
    ) -> Response:
        """Makes one exchange within `timeout` seconds.

        Raises:
            WireError: there is no response, or it cannot be used. The subclass says which.
        """
        deadline = monotonic() + (self._limits.timeout if timeout is None else timeout)
        head = request_head(self.endpoint, method, target, headers, len(body))
        if self._closed:
            raise PoolClosedError("The connections were closed before the request was sent")
        loop = asyncio.get_running_loop()
        idle = self._idle.get(loop)
        if idle is None:
            idle = self._add_loop(loop)
        connection = self._get_idle(idle)
        if connection is None:
            connection = AsyncConnection(loop)
            await connection.open(self.endpoint, min(deadline, monotonic() + self._limits.connect_timeout))
        response = await connection.exchange(head, body, deadline, self._limits.max_response_size)
        if connection.reusable:
            if len(idle) < self._limits.max_connections and not self._closed:
                idle.append(connection)
            else:
                connection.close()
        return response

    def _add_loop(self, loop: asyncio.AbstractEventLoop) -> _Idle:
        """Adds an event loop. Removes those that were closed."""
        for other, connections in list(self._idle.items()):
            if other.is_closed():
                _close_all(connections)
                self._idle.pop(other, None)
        return self._idle.setdefault(loop, _Idle())

    def _get_idle(self, idle: _Idle) -> AsyncConnection | None:
        while idle:
            connection = idle.pop()
            if connection.is_fresh(self._limits.idle_timeout):
                return connection
            connection.close()
        return None

    def close(self) -> None:
        """Closes the idle connections, each in its own loop. Connections in use are closed after their exchange."""
        self._closed = True
        try:
            current: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            current = None
        for loop, idle in list(self._idle.items()):
            # After a fork, `is_running` of the parent's loop is still true in the child, but nothing runs the loop.
            if loop is current or idle.pid != os.getpid() or not loop.is_running():
                _close_all(idle)
            else:
                with suppress(RuntimeError):  # the loop was closed meanwhile
                    loop.call_soon_threadsafe(_close_all, idle)

    def __del__(self) -> None:
        if not self._closed:  # the loops refer to the connections, and would keep them open
            self.close()


def _close_all(connections: _Idle) -> None:
    with suppress(IndexError):  # the end; another thread may remove connections at the same time
        while True:
            connections.pop().close()
