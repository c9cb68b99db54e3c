"""A pool of blocking connections. It holds no lock, so that no interrupt and no fork can leave one held."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from time import monotonic
from typing import Any

from .connection import Connection
from .endpoint import Endpoint
from .errors import NotSentError, PoolClosedError
from .response import Response


class ConnectionPool:
    """Sends requests to one endpoint and keeps the connections that may be used again.

    A connection is idle in the pool, belongs to one call, or is closed. Calls beyond what is kept open connections of
    their own, which are closed after use.

    Args:
        endpoint: where to connect.
        max_connections: connections that are kept.
        connect_timeout: seconds to connect, where a request says nothing else.
        timeout: seconds for a whole exchange, where a request says nothing else.
        idle_timeout: seconds after which a connection is not used again.
        limit: bytes that a response's body may have.
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
        """Makes one exchange: what `requests.adapters.HTTPAdapter.send` asks of a pool of urllib3.

        Args:
            method: as `POST`.
            url: the request's target, as it stands on the request's line.
            body: the whole body.
            headers: `Host` and `Content-Length` are added where they are missing.
            timeout: with `connect_timeout` and `read_timeout` in seconds, the second for the whole exchange.

        Raises:
            WireError: there is no response, or it cannot be used; its class says which.
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
        """Makes one exchange within `timeout` seconds. Raises as `urlopen`."""
        ends_at = monotonic() + (self._timeout if timeout is None else timeout)
        content = body.encode() if isinstance(body, str) else body
        head = self._head(method, target, headers, len(content))
        connection = self._fresh()
        if connection is None:
            seconds = self._connect_timeout if connect_timeout is None else connect_timeout
            connection = Connection(self.endpoint, min(ends_at, monotonic() + seconds))
        response = connection.exchange(head, content, ends_at, self._limit)
        if connection.reusable:
            self._keep(connection)
        return response

    def _fresh(self) -> Connection | None:
        if self._closed:
            raise PoolClosedError("The connections were closed")
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
            self._idle.append(connection)  # where two threads race, the oldest drops out of the deque and is closed
            if self._closed:
                self.close()
        else:
            connection.close()

    def close(self) -> None:
        """Closes the idle connections at once, and those in use after their exchange."""
        self._closed = True
        while True:
            try:
                self._idle.pop().close()
            except IndexError:
                return

    def _head(self, method: str, target: str, headers: Mapping[Any, Any], length: int) -> bytes:
        """The request's line and headers, which requests allows to be bytes.

        Raises:
            NotSentError: there is a line break in one, or a character that is not latin-1.
        """
        lines = [f"{method} {target} HTTP/1.1"]
        needs_host = needs_length = True
        for name, value in headers.items():
            if isinstance(name, bytes) or isinstance(value, bytes):
                name, value = _text(name), _text(value)
            lines.append(f"{name}: {value}")
            if len(name) == 4 and name.lower() == "host":
                needs_host = False
            elif len(name) == 14 and name.lower() == "content-length":
                needs_length = False
        if needs_host:
            lines.insert(1, f"Host: {self.endpoint.authority}")
        if needs_length:
            lines.append(f"Content-Length: {length}")
        if self.endpoint.sends_whole_url and self.endpoint.proxy and self.endpoint.proxy.authorization:
            lines.append(f"Proxy-Authorization: {self.endpoint.proxy.authorization}")
        head = "\r\n".join((*lines, "", ""))
        if head.count("\n") != len(lines) + 1 or head.count("\r") != len(lines) + 1 or "\0" in head:
            raise NotSentError("A header cannot be sent: there is a line break or a null in it")
        try:
            return head.encode("latin-1")
        except UnicodeEncodeError:
            raise NotSentError("A header cannot be sent: there is a character in it that is not latin-1") from None


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else bytes(value).decode("latin-1")
