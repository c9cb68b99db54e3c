"""A pool of blocking connections. It has no lock, because an interrupt or a fork could leave a lock locked."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from time import monotonic
from typing import Any

from .connection import Connection
from .endpoint import Endpoint, PoolLimits
from .errors import PoolClosedError
from .request import request_head
from .response import Response


class ConnectionPool:
    """Sends requests to one endpoint, and keeps connections for reuse.

    A connection is idle in the pool, in use by one request, or closed. The number of concurrent requests is not
    limited: connections beyond `max_connections` are closed after use.
    """

    def __init__(self, endpoint: Endpoint, limits: PoolLimits) -> None:
        self.endpoint = endpoint
        self._limits = limits
        self._idle: deque[Connection] = deque(maxlen=limits.max_connections)
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
        """Makes one exchange. `requests.adapters.HTTPAdapter.send` calls this method, as it would on a urllib3 pool.

        Args:
            method: for example `POST`.
            url: the target on the request line.
            body: the whole body.
            headers: `Host` and `Content-Length` are added if they are missing.
            timeout: a `urllib3.Timeout`. Its read timeout limits the whole exchange.

        Raises:
            WireError: there is no response, or it cannot be used. The subclass says which.
        """
        # A timeout of None has neither attribute.
        seconds, connect = getattr(timeout, "read_timeout", None), getattr(timeout, "connect_timeout", None)
        return self.request(method, url, headers or {}, body or b"", seconds or None, connect)

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | str,
        timeout: float | None = None,
        connect_timeout: float | None = None,
    ) -> Response:
        """Makes one exchange within `timeout` seconds. Raises the exceptions of `urlopen`."""
        deadline = monotonic() + (self._limits.timeout if timeout is None else timeout)
        content = body.encode() if isinstance(body, str) else body
        head = request_head(self.endpoint, method, target, headers, len(content))
        connection = self._get_idle()
        if connection is None:
            seconds = self._limits.connect_timeout if connect_timeout is None else connect_timeout
            connection = Connection()
            connection.open(self.endpoint, min(deadline, monotonic() + seconds))
        response = connection.exchange(head, content, deadline, self._limits.max_response_size)
        if connection.reusable:
            self._put_idle(connection)
        return response

    def _get_idle(self) -> Connection | None:
        if self._closed:
            raise PoolClosedError("The connections were closed before the request was sent")
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.is_fresh(self._limits.idle_timeout):
                return connection
            connection.close()

    def _put_idle(self, connection: Connection) -> None:
        if len(self._idle) < self._limits.max_connections:
            # If two threads pass this check for the last place, the deque drops its oldest connection, which closes it.
            self._idle.append(connection)
            if self._closed:
                self.close()
        else:
            connection.close()

    def close(self) -> None:
        """Closes the idle connections immediately. Connections in use are closed after their exchange."""
        self._closed = True
        while True:
            try:
                self._idle.pop().close()
            except IndexError:
                return
