"""urllib3 connections that keep to the attempt's deadline, and pools of them. Imported when a client opens.

Stock urllib3 bounds each read, so that a byte now and then keeps a call alive for ever; it takes one timeout for each
address of a host; and it logs a warning for each connection beyond the pool. Outside an attempt (no current deadline)
everything but the reading of a head behaves as stock. `_new_conn`, `_tunnel`, `_read_status` and what `begin` looks up
are private to the libraries: should they go, what they add here is lost (the connect bound over several addresses and
through a proxy, answers after a 103, the speed of reading a head) and the tests say so; nothing else breaks.
"""

from __future__ import annotations

import http.client
import io
import os
import queue
import re
import socket
import ssl
from functools import lru_cache
from time import monotonic
from types import FunctionType
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError
from urllib3.util import parse_url
from urllib3.util.ssl_ import create_urllib3_context

from ._deadline import Deadline, current

_LONGEST_COPY = 64 * 1024  # bytes
_READ_SIZE = 8 * 1024  # bytes; each call in flight holds as much, and larger reads go past it


class _DeadlineReader(io.RawIOBase):
    """Reads a socket, each time with what is left of the deadline."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: Deadline) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._deadline.left())
        try:
            return self._raw.readinto(buffer)
        except TimeoutError:
            self._deadline.timed_out = True
            raise

    def close(self) -> None:
        self._raw.close()
        super().close()


_PLAIN_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([ -~]*)\r\n")
_MOST_PLAIN = 100  # headers, each of 64 KiB at most


def _parse_headers(head: Any) -> http.client.HTTPMessage:
    """What `http.client.parse_headers` makes of the usual head, without its parser of e-mails, which would take a sixth
    of a call's time. That one gets any head that has something else in it than `Name: value`."""
    message = http.client.HTTPMessage()
    message.set_payload("")
    lines: list[bytes] = []
    while (line := head.readline(64 * 1024)) != b"\r\n":
        lines.append(line)
        header = _PLAIN_HEADER.fullmatch(line)
        if header is None or len(lines) == _MOST_PLAIN:
            return http.client.parse_headers(_Replayed(b"".join(lines), head))  # type: ignore[call-overload, no-any-return]
        message.set_raw(header[1].decode("ascii"), header[2].decode("ascii"))
    return message


class _Replayed:
    """What was read already, and then the rest."""

    def __init__(self, begun: bytes, rest: Any) -> None:
        self._begun = io.BytesIO(begun)
        self._rest = rest

    def readline(self, limit: int, /) -> bytes:
        line: bytes = self._begun.readline(limit)
        return line if line.endswith(b"\n") else line + self._rest.readline(limit - len(line))


def _with_our_parser(begin: Any) -> Any:
    """`HTTPResponse.begin`, of which only a name that it looks up is another."""
    code = getattr(begin, "__code__", None)
    if code is None or code.co_freevars or code.co_argcount + code.co_kwonlyargcount != 1:  # a tool's, or not as known
        return begin
    return FunctionType(code, {**begin.__globals__, "parse_headers": _parse_headers}, "begin")


class _DeadlineResponse(http.client.HTTPResponse):
    begin = _with_our_parser(http.client.HTTPResponse.begin)

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        deadline = current()
        if deadline is not None:
            self.fp = io.BufferedReader(_DeadlineReader(self.fp.detach(), sock, deadline), _READ_SIZE)

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        while 102 <= status <= 199:  # http.client skips a 100 only, and would take a 103 for the answer
            http.client.parse_headers(self.fp)
            version, status, reason = super()._read_status()  # type: ignore[misc]
        return version, status, reason


if TYPE_CHECKING:
    _Connection = HTTPConnection
else:
    _Connection = object


class _DeadlineConnection(_Connection):
    """In front of one of urllib3's connection classes."""

    response_class: Any = _DeadlineResponse

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._used_at = 0.0
        self._held: list[bytes] | None = None
        self._pid = os.getpid()

    def connect(self) -> None:
        self._pid = os.getpid()  # urllib3 connects a dropped connection's object anew
        deadline = current()
        if deadline is None:
            super().connect()
            return
        deadline.connect()
        try:
            super().connect()
        except TimeoutError:
            deadline.timed_out = True
            raise
        deadline.connecting = False

    def _new_conn(self) -> socket.socket:
        deadline = current()
        if deadline is None:
            stock: socket.socket = super()._new_conn()
            return stock
        sock = _connect(self, deadline.connect_ends_at)
        # For the TLS handshake, which comes next.
        sock.settimeout(max(0.001, deadline.connect_ends_at - monotonic()))
        return sock

    def _tunnel(self) -> None:
        """Asks a proxy; the TLS handshake comes after that."""
        super()._tunnel()
        deadline = current()
        if deadline is not None:
            self.sock.settimeout(deadline.left())

    @property
    def is_connected(self) -> bool:
        """False for a connection that a front end may have dropped silently, and for one of the process forked from."""
        deadline = current()
        if deadline is not None and monotonic() - self._used_at > deadline.idle_timeout:
            return False
        return self._pid == os.getpid() and super().is_connected

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Sends head and body in one piece, unless they are long: http.client would make two packets of them."""
        if current() is None:
            super().request(*args, **kwargs)
            return
        self._held = []
        try:
            super().request(*args, **kwargs)
            held = self._held
        finally:
            self._held = None
        for piece in [b"".join(held)] if len(held[-1]) <= _LONGEST_COPY else held:
            self.send(piece)

    def send(self, data: Any) -> None:
        deadline = current()
        if deadline is None or not isinstance(data, bytes):
            super().send(data)
            return
        if self.sock is None:
            self.connect()
        if self._held is not None:
            self._held.append(data)
            return
        deadline.touched = True
        # Not `sendall`: over TLS each of its writes has the whole timeout to itself.
        unsent = memoryview(data)
        while unsent:
            self.sock.settimeout(deadline.left())
            unsent = unsent[self.sock.send(unsent) :]

    def getresponse(self) -> Any:
        response = super().getresponse()
        self._used_at = monotonic()
        return response


def _connect(connection: Any, ends_at: float) -> socket.socket:
    """Tries the host's addresses within one bound. The look-up of the name itself has none but the system's own."""
    host, port = connection._dns_host, connection.port
    try:
        addresses = socket.getaddrinfo(host.strip("[]"), port, 0, socket.SOCK_STREAM)
    except socket.gaierror as err:
        raise NameResolutionError(connection.host, connection, err) from err
    except UnicodeError as err:
        raise NewConnectionError(connection, f"{host!r} is no host name") from err
    failed: OSError = OSError("the name has no address")
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        left = ends_at - monotonic()
        if left <= 0:
            failed = TimeoutError("timed out")
            break
        sock = socket.socket(family, kind, protocol)
        try:
            for option in connection.socket_options or ():
                sock.setsockopt(*option)
            sock.settimeout(left / (len(addresses) - number))  # one that hangs leaves time for the next
            if connection.source_address:
                sock.bind(connection.source_address)
            sock.connect(address)
        except OSError as err:
            sock.close()
            failed = err
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    if isinstance(failed, TimeoutError):
        raise ConnectTimeoutError(connection, f"Connecting to {connection.host} timed out") from failed
    raise NewConnectionError(connection, f"Connecting failed: {failed}") from failed


class _HTTPConnection(_DeadlineConnection, HTTPConnection):
    pass


class _HTTPSConnection(_DeadlineConnection, HTTPSConnection):
    def connect(self) -> None:
        """Takes a shared TLS context: reading the CA bundle anew takes longer than all the rest of connecting."""
        bundle = self.ca_certs or self.ca_cert_dir
        if self.ssl_context is None and self.cert_file is None and bundle and self.cert_reqs != "CERT_NONE":
            self.ssl_context = _tls_context(self.ca_certs, self.ca_cert_dir, os.stat(bundle).st_mtime_ns)
            self.ca_certs = self.ca_cert_dir = None
        super().connect()


@lru_cache(maxsize=16)
def _tls_context(ca_certs: str | None, ca_cert_dir: str | None, changed_at: int) -> ssl.SSLContext:  # noqa: ARG001 (a key of the cache)
    context = create_urllib3_context()
    context.load_verify_locations(ca_certs, ca_cert_dir)
    return context


class _QuietQueue(queue.LifoQueue[Any]):
    """Closes a connection for which there is no room; stock urllib3 logs a warning for each. Begins empty, where
    stock fills it with a None for each that there may be: a pool that does not block makes a connection either way."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item is None:
            return
        try:
            super().put(item, block, timeout)
        except queue.Full:
            item.close()


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection
    QueueCls = _QuietQueue


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection
    QueueCls = _QuietQueue


def is_proxy(url: str) -> bool:
    """Asked before urllib3 is, whose exceptions show the whole URL, and a password in it."""
    try:
        return bool(parse_url(url).host)
    except LocationParseError:
        return False


POOL_CLASSES = {"http": _HTTPPool, "https": _HTTPSPool}
