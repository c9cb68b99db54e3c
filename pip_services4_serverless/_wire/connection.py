"""A blocking connection on plain sockets, which keeps to a deadline.

Its socket does not block: each step waits with what is left of the time, so that neither a handshake nor a response
that comes one byte at a time outlives it. `ends_at` is always a time of `time.monotonic`, in seconds.
"""

from __future__ import annotations

import math
import os
import select
import socket
import ssl
from collections.abc import Callable
from time import monotonic
from typing import Any

from .endpoint import Endpoint, Proxy, tls_context
from .errors import ConnectionLostError, NotSentError, ResponseTimeoutError, ResponseTooLargeError, WireError
from .response import Response, ResponseReader
from .tls_in_tls import TlsInTls

_READ_SIZE = 64 * 1024  # bytes; over TLS at least a record, so that nothing stays behind in the TLS layer
_ONE_PIECE = 64 * 1024  # bytes of body that are copied behind the head, to leave in one packet with it
_LONGEST_KEEPALIVE = 32767  # seconds; Linux takes no more
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class _OutOfTimeError(Exception):
    """There is no time left for what is under way."""


class Connection:
    """One connection. It belongs to one exchange at a time, and whatever breaks that off closes it."""

    __slots__ = ("_is_readable", "_is_tls", "_pid", "_sock", "idle_since", "reusable")

    def __init__(self, endpoint: Endpoint, ends_at: float) -> None:
        """Connects, with TLS and a proxy's tunnel where the endpoint has them.

        Raises:
            NotSentError: it could not connect, or not in time.
        """
        self._pid = os.getpid()
        self._sock: Any = None
        self._is_tls = False
        self.idle_since = 0.0
        self.reusable = False  # another exchange may follow
        try:
            self._connect(endpoint, ends_at)
        except BaseException as err:
            self.close()
            if isinstance(err, NotSentError):
                raise
            if isinstance(err, _OutOfTimeError | TimeoutError):
                raise NotSentError(f"Connecting to {endpoint.host} timed out") from None
            if isinstance(err, OSError | ValueError):  # a ValueError: a name that cannot be one of a host
                raise NotSentError(f"Connecting to {endpoint.host} failed: {_words(err)}") from err
            raise

    def _connect(self, endpoint: Endpoint, ends_at: float) -> None:
        proxy = endpoint.proxy
        host, port = (proxy.host, proxy.port) if proxy else (endpoint.host, endpoint.port)
        self._sock = _connected(host, port, ends_at)
        _set_keepalive(self._sock, endpoint.keepalive)
        self._sock.setblocking(False)
        self._is_readable = _waiter(self._sock)
        if proxy:
            if proxy.is_tls:
                self._start_tls(endpoint.ca_bundle, proxy.host, ends_at)
            if endpoint.is_tls:
                self._open_tunnel(endpoint, proxy, ends_at)
        if endpoint.is_tls:
            self._start_tls(endpoint.ca_bundle, endpoint.host, ends_at)

    def _start_tls(self, ca_bundle: str, host: str, ends_at: float) -> None:
        context = tls_context(ca_bundle)
        if self._is_tls:
            self._sock = TlsInTls(self._sock, context, host)
        else:
            self._sock = context.wrap_socket(
                self._sock, server_hostname=host, do_handshake_on_connect=False, suppress_ragged_eofs=False
            )
            self._is_tls = True
        while True:
            try:
                self._sock.do_handshake()
            except _WOULD_BLOCK as err:
                self._wait_for(err, ends_at)
            else:
                return

    def _open_tunnel(self, endpoint: Endpoint, proxy: Proxy, ends_at: float) -> None:
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        lines = [f"CONNECT {host}:{endpoint.port} HTTP/1.1", f"Host: {host}:{endpoint.port}"]
        if proxy.authorization:
            lines.append(f"Proxy-Authorization: {proxy.authorization}")
        reader = ResponseReader(0, head_only=True)
        self._send("\r\n".join((*lines, "", "")).encode("latin-1"), reader, ends_at)
        self._receive(reader, ends_at)
        if not 200 <= reader.status < 300:
            raise NotSentError(f"The proxy did not connect to {endpoint.host}: its status is {reader.status}")
        if reader.has_excess:
            raise NotSentError("The proxy sent more than the head of its response")

    def is_fresh(self, idle_timeout: float) -> bool:
        """Whether another exchange may begin: this process made it, it was used lately, nothing came on it since."""
        return (
            monotonic() - self.idle_since <= idle_timeout
            and self._pid == os.getpid()
            and not self._is_readable(0.0)
            and not (self._is_tls and self._sock.pending())
        )

    def exchange(self, head: bytes, body: bytes, ends_at: float, limit: int) -> Response:
        """Sends a request and reads its response whole. Closes the connection, unless it is `reusable` afterwards.

        Args:
            head: the request's line and headers, with the empty line.
            body: the request's body.
            ends_at: when the response must be there.
            limit: bytes that the response's body may have.

        Raises:
            NotSentError: there was no time left to begin.
            ResponseTimeoutError: the response did not arrive whole in time.
            ConnectionLostError: the connection ended before that, or what came is not HTTP.
            ContentDecodingError, ResponseTooLargeError: the response arrived and cannot be used.
        """
        self.reusable = False
        reader = ResponseReader(limit)
        try:
            if monotonic() >= ends_at:
                raise NotSentError("There was no time left to send the request")
            was_sent = self._exchange(head, body, ends_at, reader)
            response = reader.response()
            self.idle_since = monotonic()
            self.reusable = was_sent and reader.keep_alive and not reader.has_excess
        except _OutOfTimeError:
            raise ResponseTimeoutError("The response did not arrive in time") from None
        finally:
            if not self.reusable:
                self.close()
        return response

    def _exchange(self, head: bytes, body: bytes, ends_at: float, reader: ResponseReader) -> bool:
        """False where the response came, or the connection ended, before the whole request was sent."""
        was_sent, failure = False, None
        try:
            if len(body) <= _ONE_PIECE:
                was_sent = self._send(head + body, reader, ends_at)
            else:
                was_sent = self._send(head, reader, ends_at) and self._send(body, reader, ends_at)
        except ResponseTooLargeError:
            raise
        except OSError as err:
            failure = err  # a server that refuses a long request may respond and close: what it sent is still there
        try:
            self._receive(reader, ends_at)
        except ResponseTooLargeError:
            raise
        except OSError as err:
            if reader.status >= 300:
                return False  # of an error the status says enough
            if failure is not None:
                words = f"The connection was lost while the request was sent: {_words(failure)}"
                raise ConnectionLostError(words) from failure
            if isinstance(err, WireError):
                raise
            raise ConnectionLostError(f"The connection was lost: {_words(err)}") from err
        return was_sent

    def _send(self, data: bytes, reader: ResponseReader, ends_at: float) -> bool:
        """Sends all of it, unless a response begins before that: then False."""
        try:
            sent = self._sock.send(data)
        except _WOULD_BLOCK:
            sent = 0
        if sent == len(data):
            return True
        rest = memoryview(data)[sent:]
        is_ready = _waiter(self._sock, readable=True, writable=True)
        while rest:
            try:
                rest = rest[self._sock.send(rest) :]
            except _WOULD_BLOCK:
                _wait(is_ready, ends_at)
                if self._receive_once(reader):
                    return False
        return True

    def _receive(self, reader: ResponseReader, ends_at: float) -> None:
        """Reads on to the end of the response."""
        while not reader.complete:
            try:
                if not self._is_tls:  # data that TLS has read ahead is not seen by waiting
                    _wait(self._is_readable, ends_at)
                data = self._sock.recv(_READ_SIZE)
            except _WOULD_BLOCK as err:
                self._wait_for(err, ends_at)
                continue
            if data:
                reader.feed(data)
            else:
                reader.end()

    def _receive_once(self, reader: ResponseReader) -> bool:
        """Reads what there is; True when a response has begun."""
        try:
            data = self._sock.recv(_READ_SIZE)
        except _WOULD_BLOCK:
            return False
        if data:
            reader.feed(data)
        else:
            reader.end()
        return reader.status > 0

    def _wait_for(self, blocked: OSError, ends_at: float) -> None:
        is_write = isinstance(blocked, ssl.SSLWantWriteError)
        _wait(_waiter(self._sock, readable=False, writable=True) if is_write else self._is_readable, ends_at)

    def close(self) -> None:
        """Closes the socket at once. Twice is fine."""
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()

    def __del__(self) -> None:
        if getattr(self, "_sock", None) is not None:  # dropped by an interrupt, or by a pool that is not used any more
            self.close()


def _connected(host: str, port: int, ends_at: float) -> socket.socket:
    """Tries the host's addresses within one bound. The look-up of the name has none but the system's own."""
    addresses = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    failed: OSError = OSError("the name has no address")
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        left = ends_at - monotonic()
        if left <= 0:
            raise _OutOfTimeError
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(left / (len(addresses) - number))  # one that hangs leaves time for the next
            sock.connect(address)
        except OSError as err:
            sock.close()
            failed = err
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failed


def _set_keepalive(sock: socket.socket, seconds: float) -> None:
    """Has the kernel probe a silent connection, so that no NAT forgets it while a function works."""
    if not seconds:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    whole = min(max(1, math.ceil(seconds)), _LONGEST_KEEPALIVE)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL"):  # macOS has the second for the first
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), whole)


def _waiter(sock: Any, *, readable: bool = True, writable: bool = False) -> Callable[[float], bool]:
    """What waits for a socket, for so many seconds at most, and tells whether it is ready."""
    if hasattr(select, "poll"):  # for descriptors over 1024, too
        poll = select.poll()
        poll.register(sock.fileno(), (select.POLLIN if readable else 0) | (select.POLLOUT if writable else 0))
        return lambda seconds: bool(poll.poll(math.ceil(seconds * 1000)))
    descriptor = [sock.fileno()]
    sets = descriptor if readable else [], descriptor if writable else [], descriptor
    return lambda seconds: any(select.select(*sets, seconds))


def _wait(is_ready: Callable[[float], bool], ends_at: float) -> None:
    left = ends_at - monotonic()
    if left <= 0 or not is_ready(left):
        raise _OutOfTimeError


def _words(err: Exception) -> str:
    return str(err) or type(err).__name__
