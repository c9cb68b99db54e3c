"""A non-blocking socket and the steps of an exchange on it, for blocking and asynchronous connections.

Steps are generators. A step that has to wait for the socket yields `(events, deadline)`: what it waits for (`READ`,
`WRITE` or both), and until when. Its driver waits, blocking or awaited. Then the driver continues the step with
`next`, or throws `StepTimeoutError` into it. Deadlines are times of `time.monotonic`, in seconds.
"""

from __future__ import annotations

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
Address: TypeAlias = tuple[Any, ...]  # an item of the list that `socket.getaddrinfo` returns

_READ_SIZE = 64 * 1024  # bytes; not less than a TLS record, so that no data stays in the TLS layer
_MAX_COPIED_BODY = 64 * 1024  # bytes; a body up to this size is sent together with the head
_MAX_KEEPALIVE = 32767  # seconds, the maximum on Linux
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class StepTimeoutError(Exception):
    """The deadline of the current step is over. A driver throws it into the step."""


class Channel:
    """One connection. It makes one exchange at a time. It is closed when an exchange fails."""

    __slots__ = ("__weakref__", "_is_readable", "_is_tls", "_pid", "_sock", "idle_since", "reusable")

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._sock: Any = None
        self._is_tls = False
        self.idle_since = 0.0  # a time of `time.monotonic`, in seconds
        self.reusable = False  # whether another exchange may follow

    # --- Opening ---

    def opening(self, endpoint: Endpoint, addresses: Sequence[Address], deadline: float) -> Steps[None]:
        """Connects to one of the addresses. Starts TLS and opens a tunnel through the proxy if the endpoint needs them.

        Raises:
            NotSentError: the connection failed or timed out.
        """
        proxy, is_open = endpoint.proxy, False
        try:
            yield from self._connecting(addresses, deadline)
            _set_keepalive(self._sock, endpoint.keepalive)
            if proxy:
                if proxy.is_tls:
                    yield from self._starting_tls(endpoint.ca_bundle, proxy.host, deadline)
                if endpoint.is_tls:
                    yield from self._opening_tunnel(endpoint, proxy, deadline)
            if endpoint.is_tls:
                yield from self._starting_tls(endpoint.ca_bundle, endpoint.host, deadline)
            is_open = True
        except NotSentError:
            raise
        except (OSError, ValueError, StepTimeoutError) as err:
            raise connect_error(endpoint, err) from err
        finally:
            if not is_open:
                self.close()

    def _connecting(self, addresses: Sequence[Address], deadline: float) -> Steps[None]:
        """Tries the addresses in order. Each one may use an equal share of the time, so the last one has time left."""
        error: Exception = OSError("the host name has no address")
        for number, (family, kind, protocol, _, address) in enumerate(addresses):
            left = deadline - monotonic()
            if left <= 0:
                raise StepTimeoutError
            try:
                # Fails if this machine does not support the address family.
                self._sock = socket.socket(family, kind, protocol)
                self._sock.setblocking(False)
                self._is_readable = waiter(self._sock, READ)
                self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                code = 0
                try:
                    self._sock.connect(address)  # not `connect_ex`, which tools such as pytest-socket do not see
                except BlockingIOError:
                    yield WRITE, monotonic() + left / (len(addresses) - number)
                    code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code == 0:
                    return
                error = OSError(code, os.strerror(code))
            except (OSError, StepTimeoutError) as err:
                error = err
            self.close()
        raise error

    def _starting_tls(self, ca_bundle: str, host: str, deadline: float) -> Steps[None]:
        context = tls_context(ca_bundle)
        host = host.removesuffix(".")  # certificates do not contain the dot of an absolute name
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
                yield _blocked_for(err), deadline
            else:
                return

    def _opening_tunnel(self, endpoint: Endpoint, proxy: Proxy, deadline: float) -> Steps[None]:
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        lines = [f"CONNECT {host}:{endpoint.port} HTTP/1.1", f"Host: {host}:{endpoint.port}"]
        if proxy.authorization:
            lines.append(f"Proxy-Authorization: {proxy.authorization}")
        reader = ResponseReader(0, head_only=True)
        yield from self._sending("\r\n".join((*lines, "", "")).encode("latin-1"), reader, deadline)
        yield from self._receiving(reader, deadline)
        if not 200 <= reader.status < 300:
            raise NotSentError(
                f"The proxy could not connect to {endpoint.host}: its response has status {reader.status}"
            )
        if reader.has_excess:
            raise NotSentError("The proxy sent data after the head of its response to CONNECT")

    # --- An exchange ---

    def is_fresh(self, idle_timeout: float) -> bool:
        """Whether it may be reused: it was made by this process, was not idle for too long, and no data arrived."""
        return (
            self._sock is not None
            and monotonic() - self.idle_since <= idle_timeout
            and self._pid == os.getpid()
            and not self._is_readable(0.0)
            and not (self._is_tls and self._sock.pending())
        )

    def exchanging(self, head: bytes, body: bytes, deadline: float, limit: int) -> Steps[Response]:
        """Sends a request and reads the whole response. Closes the connection unless it is `reusable` afterwards.

        Args:
            head: the request line and the headers, with the empty line after them.
            body: the request body.
            deadline: when the whole response must have arrived.
            limit: the maximum size of the response body, in bytes.

        Raises:
            NotSentError: the deadline was over before anything was sent.
            ResponseTimeoutError: the whole response did not arrive in time.
            ConnectionLostError: the connection ended before that, or the response is not valid HTTP.
            ContentDecodingError, ResponseTooLargeError: the response arrived, but cannot be used.
        """
        self.reusable = False
        reader = ResponseReader(limit)
        try:
            if monotonic() >= deadline:
                raise NotSentError("The timeout ended before the request was sent")
            was_sent, send_error = False, None
            try:
                if len(body) <= _MAX_COPIED_BODY:
                    was_sent = yield from self._sending(head + body, reader, deadline)
                else:
                    was_sent = yield from self._sending(head, reader, deadline)
                    was_sent = was_sent and (yield from self._sending(body, reader, deadline))
            except WireError:
                raise
            except OSError as err:
                send_error = err  # a server may reject a long request before it has read all of it: read the response
            yield from self._receiving(reader, deadline, send_error)
            response = reader.response()
            self.idle_since = monotonic()
            self.reusable = was_sent and reader.keep_alive and not reader.has_excess
            return response
        except StepTimeoutError:
            raise ResponseTimeoutError("The response did not arrive in time") from None
        except ConnectionLostError:
            if reader.status < 300:
                raise
            return reader.response()  # the status of a non-2xx response is enough
        finally:
            if not self.reusable:
                self.close()

    def _sending(self, data: bytes, reader: ResponseReader, deadline: float) -> Steps[bool]:
        """Sends all data. Stops and returns False if the head of a response arrives before that."""
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
                if monotonic() >= deadline:
                    raise StepTimeoutError
            except _WOULD_BLOCK:
                yield READ | WRITE, deadline
                try:
                    received = self._sock.recv(_READ_SIZE)
                except _WOULD_BLOCK:
                    continue
                _feed(received, reader)
                if reader.status:
                    return False
        return True

    def _receiving(self, reader: ResponseReader, deadline: float, send_error: OSError | None = None) -> Steps[None]:
        """Reads the rest of the response. If sending the request failed, `send_error` is the exception."""
        try:
            while not reader.complete:
                if not self._is_tls:
                    yield READ, deadline
                # With TLS, data may have been read from the socket already: try to read before waiting.
                elif monotonic() >= deadline:
                    raise StepTimeoutError
                try:
                    received = self._sock.recv(_READ_SIZE)
                except _WOULD_BLOCK as err:
                    yield _blocked_for(err), deadline
                    continue
                _feed(received, reader)
        except OSError as err:
            if isinstance(err, WireError) and (send_error is None or not isinstance(err, ConnectionLostError)):
                raise
            when = "before the whole response arrived" if send_error is None else "while the request was sent"
            cause = send_error or err
            raise ConnectionLostError(f"The connection was lost {when}: {_reason(cause)}") from cause

    def close(self) -> None:
        """Closes the socket immediately. Closing twice does nothing."""
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()

    def __del__(self) -> None:
        # Only after an interrupt, or if the pool was not closed.
        if getattr(self, "_sock", None) is not None:
            self.close()


def connect_error(endpoint: Endpoint, err: Exception) -> NotSentError:
    """The `NotSentError` for an exception that was raised while connecting. An invalid host name is a `ValueError`."""
    where = endpoint.host
    if endpoint.proxy:
        where += f" through the proxy {endpoint.proxy.host}:{endpoint.proxy.port}"
    if isinstance(err, StepTimeoutError | TimeoutError):
        return NotSentError(f"Connecting to {where} timed out")
    return NotSentError(f"Could not connect to {where}: {_reason(err)}")


def _feed(received: bytes, reader: ResponseReader) -> None:
    if received:
        reader.feed(received)
    else:
        reader.end()


def _blocked_for(err: OSError) -> int:
    # A server that does not read the request may still respond, so always wait for reading.
    return READ | WRITE if isinstance(err, ssl.SSLWantWriteError) else READ


def _set_keepalive(sock: socket.socket, seconds: float) -> None:
    """Makes the kernel send probes while there is no traffic, so that a NAT keeps the connection."""
    if not seconds:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    interval = min(max(1, math.ceil(seconds)), _MAX_KEEPALIVE)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPALIVE", "TCP_KEEPINTVL"):  # the second is macOS's name of the first
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), interval)


def waiter(sock: Any, events: int) -> Callable[[float], bool]:
    """A function that waits at most the given number of seconds, and returns whether the socket is ready."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(
            sock.fileno(), (select.POLLIN if events & READ else 0) | (select.POLLOUT if events & WRITE else 0)
        )
        return lambda seconds: bool(poll.poll(math.ceil(seconds * 1000)))
    descriptor = [sock.fileno()]
    sets = descriptor if events & READ else [], descriptor if events & WRITE else [], descriptor
    # Unlike `poll`, `select` raises ValueError for descriptors from 1024 on: let it do so before anything is sent.
    select.select(*sets, 0)
    return lambda seconds: any(select.select(*sets, seconds))


def _reason(err: BaseException) -> str:
    return str(err) or type(err).__name__
