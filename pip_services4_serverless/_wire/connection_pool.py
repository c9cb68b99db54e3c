"""A pool of blocking connections. It uses no lock that an interrupt or a fork could leave locked."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from time import monotonic
from typing import Any

from .connection import Connection
from .endpoint import Endpoint
from .errors import PoolClosedError
from .request import request_head
from .response import Response


class ConnectionPool:
    """Sends requests to one endpoint, and keeps connections for reuse.

    A connection is idle in the pool, in use by one call, or closed. The number of calls is not limited: connections
    beyond `max_connections` are closed after use.

    Args:
        endpoint: where to connect.
        max_connections: the maximum number of idle connections.
        connect_timeout: seconds to connect, unless a request sets its own.
        timeout: seconds for a whole exchange, unless a request sets its own.
        idle_timeout: seconds after which an idle connection is no longer reused.
        limit: the maximum size of a response's body, in bytes.
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
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._idle_timeout = idle_timeout
        self._limit = limit
        self._idle: deque[Connection] = deque(maxlen=max_connections)
        self._max_connections = max_connections
        self._closed = False

    def urlopen(
        self,
        method: str,
        url: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: Any = None,
        **_: Any,
    ) -> Response:
        """Makes one exchange. `requests.adapters.HTTPAdapter.send` calls this method of a urllib3 pool.

        Args:
            method: for example `POST`.
            url: the target on the request line.
            body: the whole body.
            headers: `Host` and `Content-Length` are added if they are missing.
            timeout: with `connect_timeout` and `read_timeout` in seconds, the second for the whole exchange.

        Raises:
            WireError: there is no response, or it cannot be used; the class shows which.
        """
        seconds = (getattr(timeout, "read_timeout", None) or self._timeout) if timeout is not None else self._timeout
        connect = getattr(timeout, "connect_timeout", None) if timeout is not None else None
        return self.request(method, url, headers or {}, body or b"", seconds, connect)

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | str,
        timeout: float | None = None,
        connect_timeout: float | None = None,
    ) -> Response:
        """Makes one exchange within `timeout` seconds. Raises what `urlopen` raises."""
        ends_at = monotonic() + (self._timeout if timeout is None else timeout)
        content = body.encode() if isinstance(body, str) else body
        head = request_head(self.endpoint, method, target, headers, len(content))
        connection = self._fresh()
        if connection is None:
            seconds = self._connect_timeout if connect_timeout is None else connect_timeout
            connection = Connection()
            connection.open(self.endpoint, min(ends_at, monotonic() + seconds))
        response = connection.exchange(head, content, ends_at, self._limit)
        if connection.reusable:
            self._keep(connection)
        return response

    def _fresh(self) -> Connection | None:
        if self._closed:
            raise PoolClosedError("The connections were closed before the request was sent")
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.is_fresh(self._idle_timeout):
                return connection
            connection.close()

    def _keep(self, connection: Connection) -> None:
        if len(self._idle) < self._max_connections:
            self._idle.append(connection)  # if two threads race, the deque drops its oldest, which closes it
            if self._closed:
                self.close()
        else:
            connection.close()

    def close(self) -> None:
        """Closes the idle connections immediately, and those in use after their exchange."""
        self._closed = True
        while True:
            try:
                self._idle.pop().close()
            except IndexError:
                return
