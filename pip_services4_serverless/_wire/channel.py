"""A non-blocking socket and the steps of an exchange on it, for blocking and asynchronous connections.

Steps are generators. A step that has to wait for the socket yields `(events, until)`: what it waits for (`READ`,
`WRITE` or both), and until when. Its driver waits, blocking or awaited, then continues it by `next`, or throws
`StepTimeoutError` into it. `until` and `ends_at` are times of `time.monotonic`, in seconds.
"""

from __future__ import annotations

import errno
import math
import os
import select
import socket
import ssl
from collections.abc import Callable, Generator, Sequence
from time import monotonic
from typing import Any, TypeAlias, TypeVar

from .endpoint import Endpoint, Proxy, tls_context
from .errors import ConnectionLostError, NotSentError, ResponseTimeoutError, WireError
from .response import Response, ResponseReader
from .tls_in_tls import TlsInTls

READ, WRITE = 1, 2
T = TypeVar("T")
Steps: TypeAlias = Generator[tuple[int, float], None, T]
Address: TypeAlias = tuple[Any, ...]  # as `socket.getaddrinfo` lists them

_READ_SIZE = 64 * 1024  # bytes; at least a TLS record, so that no data stays in the TLS layer
_MAX_COPIED_BODY = 64 * 1024  # bytes; a smaller body is sent together with the head, in one packet
_LONGEST_KEEPALIVE = 32767  # seconds; Linux takes no more
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class StepTimeoutError(Exception):
    """The current step has no time left."""


class Channel:
    """One connection. It serves one exchange at a time; an exchange that fails closes it."""

    __slots__ = ("__weakref__", "_is_readable", "_is_tls", "_pid", "_sock", "idle_since", "reusable")

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._sock: Any = None
        self._is_tls = False
        self.idle_since = 0.0
        self.reusable = False  # another exchange may follow

    # --- Opening ---

    def opening(self, endpoint: Endpoint, addresses: Sequence[Address], ends_at: float) -> Steps[None]:
        """Connects to one of the addresses, with TLS and a proxy's tunnel where the endpoint has them.

        Raises:
            NotSentError: it could not connect, or not in time.
        """
        proxy, is_open = endpoint.proxy, False
        try:
            yield from self._connecting(addresses, ends_at)
            _set_keepalive(self._sock, endpoint.keepalive)
            if proxy:
                if proxy.is_tls:
                    yield from self._starting_tls(endpoint.ca_bundle, proxy.host, ends_at)
                if endpoint.is_tls:
                    yield from self._opening_tunnel(endpoint, proxy, ends_at)
            if endpoint.is_tls:
                yield from self._starting_tls(endpoint.ca_bundle, endpoint.host, ends_at)
            is_open = True
        except NotSentError:
            raise
        except (OSError, ValueError, StepTimeoutError) as err:
            raise connect_error(endpoint, err) from err
        finally:
            if not is_open:
                self.close()

    def _connecting(self, addresses: Sequence[Address], ends_at: float) -> Steps[None]:
        """Tries the addresses one by one. One that hangs leaves time for the next."""
        failed: Exception = OSError("the name has no address")
        for number, (family, kind, protocol, _, address) in enumerate(addresses):
            left = ends_at - monotonic()
            if left <= 0:
                raise StepTimeoutError
            try:
                self._sock = socket.socket(
                    family, kind, protocol
                )  # fails for an address family that this machine does not support
                self._sock.setblocking(False)
                self._is_readable = waiter(self._sock, READ)
                self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                code = self._sock.connect_ex(address)
                if code in (errno.EINPROGRESS, errno.EWOULDBLOCK):
                    yield WRITE, monotonic() + left / (len(addresses) - number)
                    code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code == 0:
                    return
                failed = OSError(code, os.strerror(code))
            except (OSError, StepTimeoutError) as err:
                failed = err
            self.close()
        raise failed

    def _starting_tls(self, ca_bundle: str, host: str, ends_at: float) -> Steps[None]:
        context = tls_context(ca_bundle)
        if self._is_tls:
            self._sock = TlsInTls(self._sock, context, host)
        else:
            self._sock = context.wrap_socket(
                self._sock, server_hostname=host, do_handshake_on_connect=False, suppress_ragged_eofs=False
            )
            self._is_tls = True
        self._is_readable = waiter(self._sock, READ)
        while True:
            try:
                self._sock.do_handshake()
            except _WOULD_BLOCK as err:
                yield _blocked_for(err), ends_at
            else:
                return

    def _opening_tunnel(self, endpoint: Endpoint, proxy: Proxy, ends_at: float) -> Steps[None]:
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        lines = [f"CONNECT {host}:{endpoint.port} HTTP/1.1", f"Host: {host}:{endpoint.port}"]
        if proxy.authorization:
            lines.append(f"Proxy-Authorization: {proxy.authorization}")
        reader = ResponseReader(0, head_only=True)
        yield from self._sending("\r\n".join((*lines, "", "")).encode("latin-1"), reader, ends_at)
        yield from self._receiving(reader, ends_at)
        if not 200 <= reader.status < 300:
            raise NotSentError(
                f"The proxy could not connect to {endpoint.host}: its response has status {reader.status}"
            )
        if reader.has_excess:
            raise NotSentError("The proxy sent data after the head of its response")

    # --- An exchange ---

    def is_fresh(self, idle_timeout: float) -> bool:
        """Whether it may be reused: made by this process, not idle for too long, no unexpected data received."""
        return (
            self._sock is not None
            and monotonic() - self.idle_since <= idle_timeout
            and self._pid == os.getpid()
            and not self._is_readable(0.0)
            and not (self._is_tls and self._sock.pending())
        )

    def exchanging(self, head: bytes, body: bytes, ends_at: float, limit: int) -> Steps[Response]:
        """Sends a request and reads the whole response. Closes the connection, unless it is `reusable` afterwards.

        Args:
            head: the request's line and headers, with the empty line.
            body: the request's body.
            ends_at: when the whole response must have arrived.
            limit: the maximum size of the response's body, in bytes.

        Raises:
            NotSentError: the time was over before anything was sent.
            ResponseTimeoutError: the whole response did not arrive in time.
            ConnectionLostError: the connection ended before that, or the response is not valid HTTP.
            ContentDecodingError, ResponseTooLargeError: the response arrived, but cannot be used.
        """
        self.reusable = False
        reader = ResponseReader(limit)
        try:
            if monotonic() >= ends_at:
                raise NotSentError("The time was over before the request was sent")
            was_sent, failure = False, None
            try:
                if len(body) <= _MAX_COPIED_BODY:
                    was_sent = yield from self._sending(head + body, reader, ends_at)
                else:
                    was_sent = yield from self._sending(head, reader, ends_at)
                    was_sent = was_sent and (yield from self._sending(body, reader, ends_at))
            except WireError:
                raise
            except OSError as err:
                failure = err  # a server may reject a long request early: read its response
            yield from self._receiving(reader, ends_at, failure)
            response = reader.response()
            self.idle_since = monotonic()
            self.reusable = was_sent and reader.keep_alive and not reader.has_excess
            return response
        except StepTimeoutError:
            raise ResponseTimeoutError("The response did not arrive in time") from None
        except ConnectionLostError:
            if reader.status < 300:
                raise
            return reader.response()  # of an error the status is enough
        finally:
            if not self.reusable:
                self.close()

    def _sending(self, data: bytes, reader: ResponseReader, ends_at: float) -> Steps[bool]:
        """Sends all data. Stops and returns False if a response begins before that."""
        try:
            sent = self._sock.send(data)
        except _WOULD_BLOCK:
            sent = 0
        if sent == len(data):
            return True
        rest = memoryview(data)[sent:]
        while rest:
            try:
                rest = rest[self._sock.send(rest) :]
                if monotonic() >= ends_at:
                    raise StepTimeoutError
            except _WOULD_BLOCK:
                yield READ | WRITE, ends_at
                try:
                    received = self._sock.recv(_READ_SIZE)
                except _WOULD_BLOCK:
                    continue
                _take(received, reader)
                if reader.status:
                    return False
        return True

    def _receiving(self, reader: ResponseReader, ends_at: float, failure: OSError | None = None) -> Steps[None]:
        """Reads the rest of the response. `failure` is the exception of sending the request, if any."""
        try:
            while not reader.complete:
                if not self._is_tls:
                    yield READ, ends_at
                elif monotonic() >= ends_at:  # waiting does not see data that TLS has already read
                    raise StepTimeoutError
                try:
                    received = self._sock.recv(_READ_SIZE)
                except _WOULD_BLOCK as err:
                    yield _blocked_for(err), ends_at
                    continue
                _take(received, reader)
        except OSError as err:
            if (failure is not None and isinstance(err, ConnectionLostError)) or not isinstance(err, WireError):
                lost, when = (
                    (failure, "while the request was sent")
                    if failure is not None
                    else (err, "before the whole response arrived")
                )
                raise ConnectionLostError(f"The connection was lost {when}: {_reason(lost)}") from lost
            raise

    def close(self) -> None:
        """Closes the socket at once. Twice is fine."""
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()

    def __del__(self) -> None:
        if getattr(self, "_sock", None) is not None:  # after an interrupt, or with a pool that was not closed
            self.close()


def connect_error(endpoint: Endpoint, err: Exception) -> NotSentError:
    """The wire's exception for one that was raised while connecting."""
    where = endpoint.host
    if endpoint.proxy:
        where += f" through the proxy {endpoint.proxy.host}:{endpoint.proxy.port}"
    if isinstance(err, StepTimeoutError | TimeoutError):
        return NotSentError(f"Connecting to {where} timed out")
    return NotSentError(f"Could not connect to {where}: {_reason(err)}")  # also a ValueError: an invalid host name


def _take(received: bytes, reader: ResponseReader) -> None:
    if received:
        reader.feed(received)
    else:
        reader.end()


def _blocked_for(err: OSError) -> int:
    # Also readable: a server that does not read the request may still respond.
    return READ | WRITE if isinstance(err, ssl.SSLWantWriteError) else READ


def _set_keepalive(sock: socket.socket, seconds: float) -> None:
    """Makes the kernel probe a silent connection, so that a NAT keeps it while a function runs."""
    if not seconds:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    whole = min(max(1, math.ceil(seconds)), _LONGEST_KEEPALIVE)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL"):  # macOS has the second in place of the first
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), whole)


def waiter(sock: Any, events: int) -> Callable[[float], bool]:
    """A function that waits for a socket, for the given seconds at most, and returns whether it is ready."""
    if hasattr(select, "poll"):  # also for descriptors over 1024
        poll = select.poll()
        poll.register(
            sock.fileno(), (select.POLLIN if events & READ else 0) | (select.POLLOUT if events & WRITE else 0)
        )
        return lambda seconds: bool(poll.poll(math.ceil(seconds * 1000)))
    descriptor = [sock.fileno()]
    sets = descriptor if events & READ else [], descriptor if events & WRITE else [], descriptor
    select.select(*sets, 0)  # raises ValueError for a descriptor over 1024, before anything is sent
    return lambda seconds: any(select.select(*sets, seconds))


def _reason(err: BaseException) -> str:
    return str(err) or type(err).__name__
