"""A scripted HTTP/1.1 server on raw sockets. Its responses can be invalid, partial, late or missing.

    with FaultServer() as server:
        server.script(reset_after_read(), respond(body={"ok": True}))
        ...  # call server.url
        assert server.executions == 2

Each request uses the next step of the script, or `server.default` (at first `echo()`) when the script is used up. A
request counts as executed when its head and body have been read, before the response. Steps that act before a request
are used when a connection is accepted, after its TLS handshake, or when the head of its next request has been read. The
server does not sleep: silence lasts until the client disconnects or the server stops.

Steps that respond have the keyword arguments of `response_bytes`: status, body, headers, content_type, close,
chunk_size, length. To write another step, use `Step(name, act, at)`, where `act` gets the `Connection`.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import http.client
import io
import json
import select
import socket
import ssl
import struct
import threading
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from . import certificates

NAME_NOT_FOUND = "nowhere.invalid"  # never resolves (RFC 6761)
STOP_TIMEOUT = 20.0  # seconds
TLS_FAULTS = ("broken", "reset", "silent", "drip")

Pairs = Mapping[str, str] | Iterable[tuple[str, str]]


class ConnectionEnded(Exception):  # noqa: N818 - it is not an error
    """The client closed the connection, or the server stops."""


@dataclass
class Request:
    """A request that was read. `connection` counts from 1. `time` is when it was complete, in monotonic seconds."""

    connection: int
    method: str
    path: str
    head: bytes = b""
    body: bytes = b""
    length: int = 0
    chunked: bool = False
    time: float = 0.0

    @functools.cached_property
    def headers(self) -> http.client.HTTPMessage:
        """Headers by name, in any case. A missing header is None, and `get_all` returns repeated ones."""
        return http.client.parse_headers(io.BytesIO(self.head.partition(b"\n")[2]))

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """The object that steps act on: an accepted connection, and the request that is read from it."""

    def __init__(self, sock: socket.socket, number: int, stopping: threading.Event) -> None:
        self.number, self.stopping = number, stopping
        self.request: Request | None = None
        self.open = True
        self._socket = sock
        self._reader = sock.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def drip(self, data: bytes, interval: float) -> None:
        """Send one byte every `interval` seconds."""
        for position in range(len(data)):
            self.send(data[position : position + 1])
            if self.stopping.wait(interval):
                raise ConnectionEnded

    def receive(self) -> bytes:
        """Wait for bytes and return them."""
        return self._some(self._reader.read1(65536))

    def await_request(self) -> None:
        """Wait until a request begins to arrive, without reading it."""
        if self.request is None:
            self._some(self._reader.peek(1))

    def hold(self) -> None:
        """Send nothing until the client disconnects or the server stops."""
        while True:
            self.receive()

    def linger(self) -> None:
        """Half-close, and wait for the client. Closing with unread bytes would be a reset."""
        self._shutdown(socket.SHUT_WR)
        self.hold()

    def close(self) -> None:
        self.open = False
        with contextlib.suppress(OSError):
            self._reader.close()
            self._socket.close()

    def reset(self) -> None:
        """Close with a RST instead of a FIN."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def abort(self) -> None:
        """Wake the thread that serves this connection, from another thread."""
        self._shutdown(socket.SHUT_RDWR)

    def handshake(self, fault: str | None) -> None:
        """Do the TLS handshake, if there is one. `fault` may be one of `TLS_FAULTS`."""
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.do_handshake()
        elif fault == "silent":
            self.hold()
        elif fault:
            hello = self.receive()
            if fault == "drip":
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                tls = certificates.server_context("good").wrap_bio(incoming, outgoing, server_side=True)
                incoming.write(hello)
                with contextlib.suppress(ssl.SSLWantReadError):
                    tls.do_handshake()
                self.drip(outgoing.read(), 0.02)
            elif fault == "broken":
                self.send(b"This is not TLS.\r\n" * 4)
            elif fault == "reset":
                self.reset()
                raise ConnectionEnded
            self.linger()

    def read_head(self) -> Request | None:
        """The next request without its body, or None if the client closed the connection between two requests."""
        lines = [self._reader.readline()]
        if not lines[0]:
            return None
        method, path, _ = lines[0].decode("latin-1").split(" ", 2)
        self.request = request = Request(self.number, method, path)
        while (line := self._line()).strip():
            name, _, value = line.partition(b":")
            if (name := name.lower()) == b"content-length":
                request.length = int(value)
            elif name == b"transfer-encoding":
                request.chunked = value.strip().lower() == b"chunked"
            lines.append(line)
        request.head = b"".join((*lines, line))
        return request

    def read_body(self, request: Request) -> None:
        if request.chunked:
            chunks = []
            while size := int(self._line().partition(b";")[0], 16):
                chunks.append(self._some(self._reader.read(size), size))
                self._line()
            while self._line().strip():
                pass  # trailers
            request.body = b"".join(chunks)
        elif request.length:
            request.body = self._some(self._reader.read(request.length), request.length)
        request.time = time.monotonic()

    def _shutdown(self, how: int) -> None:
        with contextlib.suppress(OSError):
            # SSLSocket.shutdown would remove the TLS layer while another thread reads.
            socket.socket.shutdown(self._socket, how)

    def _line(self) -> bytes:
        line = self._reader.readline()
        if not line.endswith(b"\n"):
            raise ConnectionEnded
        return line

    def _some(self, data: bytes, size: int = 1) -> bytes:
        if len(data) < size:
            raise ConnectionEnded
        return data


@dataclass(frozen=True)
class Step:
    """An action of the server, at a "connection", at a request's "head" before its body is read, or at a "request".

    Only the last kind executes the request. Only after that kind can the connection have more requests.
    """

    name: str
    act: Callable[[Connection], object]
    at: str = "request"


class _TlsSocket(ssl.SSLSocket):
    def getpeername(self) -> Any:
        # wrap_socket calls this, and would not close the socket if the client has disconnected already.
        try:
            return super().getpeername()
        except OSError:
            return None


class FaultServer:
    """The server on a free port of 127.0.0.1, as a context manager. Its end raises the errors of the steps.

    tls: a certificate of `certificates.KINDS` (all but "unknown_ca" are of the authority in `ca_bundle`), or one of
    `TLS_FAULTS`: an invalid handshake, a reset, silence, or one byte at a time.
    keep: how many of the latest requests `requests` holds. None means all of them.
    """

    def __init__(self, tls: str | None = None, keep: int | None = None) -> None:
        self.tls = tls
        self.default: Step | Callable[[Request], Step] = echo()
        """The step after the script, or a callable that chooses one when a request's head has been read."""
        self.requests: deque[Request] = deque(maxlen=keep)
        self.executions = self.connections = self.closed = 0
        self.steps: Counter[str] = Counter()
        """How often each step was used, by its name."""
        self.errors: list[Exception] = []
        self.ca_bundle: str | None = None
        self._context: ssl.SSLContext | None = None
        if tls and tls not in TLS_FAULTS:
            self._context = certificates.server_context(tls)
            self._context.sslsocket_class = _TlsSocket
        self._script: deque[Step] = deque()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._serving: list[tuple[Connection, threading.Thread]] = []

    def __enter__(self) -> Self:
        self._resources = contextlib.ExitStack()
        if self.tls:
            self.ca_bundle = self._resources.enter_context(certificates.ca_bundle())
        self._listener = self._resources.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"
        self._acceptor = threading.Thread(target=self._accept, name="fault-server", daemon=True)
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self.errors and kind is None:
            raise ExceptionGroup("steps of the fault server failed", self.errors)

    def script(self, *steps: Step) -> None:
        """Append steps to the script."""
        with self._changed:
            self._script.extend(steps)

    def wait_for(self, timeout: float = 30, **counts: int) -> None:
        """Wait until there are this many `executions`, `connections`, `closed` (connections) or `steps`.

        Raises a TimeoutError with the current counts after `timeout` seconds.
        """

        def now() -> dict[str, int]:
            return {name: self.steps.total() if name == "steps" else getattr(self, name) for name in counts}

        with self._changed:
            if not self._changed.wait_for(lambda: all(now()[name] >= counts[name] for name in counts), timeout):
                raise TimeoutError(f"{now()} after {timeout} s, not {counts}")

    def stop(self) -> None:
        """End all threads and close all sockets. Raises a RuntimeError if a step does not end within `STOP_TIMEOUT`."""
        if self._stopping.is_set():
            return
        deadline = time.monotonic() + STOP_TIMEOUT
        self._stopping.set()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), STOP_TIMEOUT).close()  # wakes the acceptor
        self._acceptor.join(STOP_TIMEOUT)
        self._resources.close()
        for connection, _ in self._serving:
            connection.abort()
        threads = [self._acceptor, *(thread for _, thread in self._serving)]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if stuck := sum(thread.is_alive() for thread in threads):
            raise RuntimeError(f"{stuck} threads of the fault server did not end")

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self._stopping.is_set():
                return sock.close()
            if self._context:
                sock = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            with self._changed:
                self.connections += 1
                self._changed.notify_all()
            connection = Connection(sock, self.connections, self._stopping)
            thread = threading.Thread(target=self._serve, args=(connection,), name="fault-server", daemon=True)
            thread.start()
            self._serving = [*(entry for entry in self._serving if entry[1].is_alive()), (connection, thread)]

    def _serve(self, connection: Connection) -> None:
        try:
            connection.handshake(self.tls)
            early = self._connection_step()
            while not early and connection.open and (request := connection.read_head()):
                step = self._request_step(request)
                if step.at == "request":
                    connection.read_body(request)
                    self._execute(request)
                    step.act(connection)
                else:
                    early = step
            if early:
                early.act(connection)
        except (ConnectionEnded, ConnectionError, ssl.SSLError):
            pass
        except Exception as error:
            self.errors.append(error)
        finally:
            connection.close()
            with self._changed:
                self.closed += 1
                self._changed.notify_all()

    def _connection_step(self) -> Step | None:
        with self._changed:
            step = self._script[0] if self._script else self.default
            if not isinstance(step, Step) or step.at != "connection":
                return None
            if self._script:
                self._script.popleft()
            self.steps[step.name] += 1
            self._changed.notify_all()
            return step

    def _request_step(self, request: Request) -> Step:
        with self._changed:
            step = self._script.popleft() if self._script else self.default
            if not isinstance(step, Step):
                step = step(request)
            self.steps[step.name] += 1
            self._changed.notify_all()
            return step

    def _execute(self, request: Request) -> None:
        with self._changed:
            self.executions += 1
            self.requests.append(request)
            self._changed.notify_all()


def response_bytes(
    status: int = 200,
    body: Any = b"{}",
    headers: Pairs = (),
    content_type: str = "application/json",
    close: bool = False,
    chunk_size: int = 0,
    length: object = None,
) -> tuple[bytes, bytes]:
    """The bytes of a response's head and body. A body that is not bytes is sent as JSON.

    close: send `Connection: close`. chunk_size: bytes in a chunk; 0: no chunks. length: the `Content-Length` to send.
    """
    content: bytes = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, 'Unknown')}"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    if chunk_size:
        lines.append("Transfer-Encoding: chunked")
        chunks = (content[start : start + chunk_size] for start in range(0, len(content), chunk_size))
        content = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    elif content or length is not None or status not in (204, 304):
        lines.append(f"Content-Length: {len(content) if length is None else length}")
    if close:
        lines.append("Connection: close")
    lines += [f"{name}: {value}" for name, value in (headers.items() if isinstance(headers, Mapping) else headers)]
    return "\r\n".join((*lines, "\r\n")).encode("latin-1"), content


_ENDS: dict[str, Callable[[Connection], None]] = {
    "keep": lambda _: None,
    "hold": Connection.hold,
    "linger": Connection.linger,
    "close": Connection.close,
    "reset": Connection.reset,
}


def raw(*chunks: bytes, then: str = "keep", at: str = "request", name: str = "raw") -> Step:
    """Send these bytes, each argument separately, then "keep", "hold", "linger", "close" or "reset" the connection."""
    end = _ENDS[then]

    def act(connection: Connection) -> None:
        for chunk in chunks:
            connection.send(chunk)
        end(connection)

    return Step(name, act, at)


def send_and_signal(data: bytes) -> tuple[Step, threading.Event]:
    """Send these bytes and keep the connection. The event is set when all of them have been sent."""
    done = threading.Event()

    def act(connection: Connection) -> None:
        connection.send(data)
        done.set()

    return Step("raw", act), done


def respond(status: int = 200, body: Any = b"{}", **of: Any) -> Step:
    """Respond. The arguments are those of `response_bytes`."""
    data = b"".join(response_bytes(status, body, **of))
    return raw(data, then="close" if of.get("close") else "keep", name="respond")


def echo(transform: Callable[[Request], tuple[int, Pairs, Any]] | None = None) -> Step:
    """Respond with the request's body, or with the status, headers and body that `transform` returns."""

    def act(connection: Connection) -> None:
        request = connection.request
        assert request
        status, headers, body = transform(request) if transform else (200, (), request.body)
        connection.send(b"".join(response_bytes(status, body, headers)))

    return Step("echo", act)


def respond_early(status: int = 413, **of: Any) -> Step:
    """Respond before the request's body is read, like a front end that rejects it. Nothing is executed."""
    return raw(b"".join(response_bytes(status, **of)), then="linger", at="head", name="respond_early")


def silent() -> Step:
    """Send no response."""
    return raw(then="hold", name="silent")


def never_reads() -> Step:
    """Read nothing until the server stops. A request of more than about 5 MB cannot be sent completely."""
    return Step("never_reads", lambda connection: connection.stopping.wait(), at="connection")


def stall_head(**of: Any) -> Step:
    """Send half of the head, then nothing."""
    head, _ = response_bytes(**of)
    return raw(head[: len(head) // 2], then="hold", name="stall_head")


def stall_body(**of: Any) -> Step:
    """Send the head and half of the body, then nothing."""
    return raw(_half(**of), then="hold", name="stall_body")


def truncated(**of: Any) -> Step:
    """Send the head and half of the body, then close the connection."""
    return raw(_half(**of), then="close", name="truncated")


def drip(what: str, interval: float = 0.02, **of: Any) -> Step:
    """Send a complete response whose "head", "body" or one-byte "chunks" are sent one byte every `interval` seconds.

    By default it is so long that it takes more than 20 seconds.
    """
    filler: Pairs = {"head": {"x-filler": "x" * 1000}, "body": {}, "chunks": {}}[what]
    parts: dict[str, Any] = {"body": "x" * 1000, "headers": filler, "chunk_size": int(what == "chunks")}
    head, body = response_bytes(**parts | of)

    def act(connection: Connection) -> None:
        if what == "head":
            connection.drip(head, interval)
            connection.send(body)
        else:
            connection.send(head)
            connection.drip(body, interval)

    return Step(f"drip_{what}", act)


def reset_on_accept() -> Step:
    """Reset immediately. A client may notice it when it connects, sends or reads."""
    return raw(then="reset", at="connection", name="reset_on_accept")


def reset_before_read() -> Step:
    """Reset when a request begins to arrive. The client has connected, and has sent what the kernel accepted."""

    def act(connection: Connection) -> None:
        connection.await_request()
        connection.reset()

    return Step("reset_before_read", act, at="connection")


def reset_while_reading() -> Step:
    """Reset when the head has been read, but not the body."""
    return raw(then="reset", at="head", name="reset_while_reading")


def reset_after_read() -> Step:
    """Execute the request, and reset instead of responding."""
    return raw(then="reset", name="reset_after_read")


def close_after_read() -> Step:
    """Execute the request, and close the connection instead of responding."""
    return raw(then="close", name="close_after_read")


def idle_close(**of: Any) -> Step:
    """Respond as if the connection stayed open, and then close it."""
    return raw(b"".join(response_bytes(**of)), then="close", name="idle_close")


def black_hole_idle(**of: Any) -> Step:
    """Respond, and ignore everything that arrives later on this connection. It is not read or executed."""
    return raw(b"".join(response_bytes(**of)), then="hold", name="black_hole_idle")


def bad_status_line(line: bytes = b"HTTP/one.one OK 200") -> Step:
    """Send a response that begins with this line."""
    return raw(line + b"\r\nContent-Length: 2\r\n\r\n{}", then="close", name="bad_status_line")


def garbage_headers(lines: bytes = b"\x00\xff no colon here\r\n: no name\r\n\xfe\xfd: \x01") -> Step:
    """Send a valid status line, and then these lines as headers."""
    return raw(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n\r\n{}", then="close", name="garbage_headers")


def transfer_encoding(coding: str) -> Step:
    """Send a chunked body with this `Transfer-Encoding`, then nothing."""
    head = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n"
    return raw(head.encode() + b"2\r\n{}\r\n0\r\n\r\n", then="hold", name="transfer_encoding")


def informational(*codes: int, **of: Any) -> Step:
    """Send interim responses, such as 100 and 103, before the response."""
    interim = [b"HTTP/1.1 %03d Interim\r\n\r\n" % code for code in codes]
    return raw(*interim, b"".join(response_bytes(**of)), name="informational")


def wrong_length(by: int, **of: Any) -> Step:
    """Send a `Content-Length` that is too large, and close, or one that is too small, and keep the connection."""
    head, body = response_bytes(**of)
    head = head.replace(b"Content-Length: %d" % len(body), b"Content-Length: %d" % (len(body) + by))
    return raw(head + body, then="close" if by > 0 else "keep", name="wrong_length")


def gzip_response(status: int = 200, body: bytes = b"{}", **of: Any) -> Step:
    """Send a compressed response."""
    return raw(b"".join(_zipped(gzip.compress(body), status, **of)), name="gzip_response")


def broken_gzip(**of: Any) -> Step:
    """Send a response with `Content-Encoding: gzip` of which only the first bytes are gzip."""
    return raw(b"".join(_zipped(gzip.compress(b"{}")[:10] + b"\xff" * 20, **of)), name="broken_gzip")


def gzip_bomb(size: int = 101 << 20, **of: Any) -> Step:
    """Send a small gzip response that expands to `size` bytes of valid JSON."""
    return raw(b"".join(_zipped(_bomb(size), **of)), name="gzip_bomb")


def large(size: int, **of: Any) -> Step:
    """Send a response of `size` bytes, which is a JSON string."""
    return raw(b"".join(response_bytes(body=b'"%b"' % (b"x" * (size - 2)), **of)), name="large")


def _half(**of: Any) -> bytes:
    head, body = response_bytes(**of)
    return head + body[: len(body) // 2]


def _zipped(body: bytes, status: int = 200, headers: Pairs = (), **of: Any) -> tuple[bytes, bytes]:
    return response_bytes(status, body, {"Content-Encoding": "gzip", **dict(headers)}, **of)


@functools.cache
def _bomb(size: int) -> bytes:
    packer = zlib.compressobj(level=1, wbits=31)
    block = b" " * (1 << 20)
    blocks = [packer.compress(block[: min(len(block), size - start)]) for start in range(2, size, len(block))]
    return b"".join((*blocks, packer.compress(b"{}"), packer.flush()))


@contextlib.contextmanager
def refused_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections. No other program can use it during the test."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """A port of 127.0.0.1 on which a server of the test can listen, if it sets `SO_REUSEADDR`. The system assigns it to
    no other socket during the test (Linux). A port that was merely free could be in use when the server starts."""
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """A port of 127.0.0.1 whose backlog is full, so that connecting to it times out (Linux)."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, socket.socket() as only:
        # A backlog of 0 holds one connection. When it is readable, the kernel drops all further SYNs.
        only.connect(listener.getsockname())
        select.select([listener], [], [])
        yield listener.getsockname()[1]
