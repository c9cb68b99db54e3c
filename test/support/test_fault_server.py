"""The fault server does what its steps say, counts correctly and leaves nothing open. All other tests rely on it."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import os
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import fault_server as fault
from support.fault_server import FaultServer, Request, Step
from support.processes import new_threads

REQUEST = b"POST /api/f HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n"
BODY = b'{"a":1}'
SILENCE = 0.05  # seconds without a byte


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@contextlib.contextmanager
def connect(server: FaultServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), 30) as sock:
        yield sock


def listen(sock: socket.socket, size: int | None = None) -> tuple[bytes, str]:
    """Reads all bytes, and returns how they end: "closed", "reset", or "silence" after at least `size` bytes."""
    data = b""
    try:
        while True:
            sock.settimeout(5 if size is None or len(data) < size else SILENCE)
            if not (chunk := sock.recv(65536)):
                return data, "closed"
            data += chunk
    except TimeoutError:
        return data, "silence"
    except ConnectionResetError:
        return data, "reset"


def post(client: http.client.HTTPConnection, body: bytes = BODY) -> tuple[int, bytes]:
    client.request("POST", "/api/f", body, {"X-Key": "k"})
    with client.getresponse() as response:
        return response.status, response.read()


@contextlib.contextmanager
def http_client(server: FaultServer) -> Iterator[http.client.HTTPConnection]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as client:
        yield client


def test_echo_is_the_default_and_requests_are_kept(server: FaultServer) -> None:
    """Without a script, the server responds with the request's body, on one connection, and keeps the requests."""
    with http_client(server) as client:
        before = time.monotonic()
        assert [post(client), post(client, b"[]")] == [(200, BODY), (200, b"[]")]
    first, second = server.requests
    assert (first.method, first.path, first.body, first.json(), first.chunked) == (
        "POST",
        "/api/f",
        BODY,
        {"a": 1},
        False,
    )
    assert (first.headers["x-KEY"], first.headers["absent"]) == ("k", None)
    assert (first.connection, second.connection) == (1, 1)
    assert before <= first.time <= second.time <= time.monotonic()
    assert (server.executions, server.connections) == (2, 1)


def test_a_chunked_request_is_read(server: FaultServer) -> None:
    """The chunks are joined, and the next request on the connection is read correctly."""
    with connect(server) as sock:
        chunked = (
            b'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4;x=y\r\n":1}\r\n0\r\nX-T: 1\r\n\r\n'
        )
        sock.sendall(chunked + REQUEST + BODY)
        server.wait_for(executions=2)
    assert [(request.body, request.chunked) for request in server.requests] == [(BODY, True), (BODY, False)]


@pytest.mark.parametrize("sent", [b"POST / HT", REQUEST[:-2], REQUEST, REQUEST + BODY[:-1]])
def test_an_incomplete_request_is_not_executed(server: FaultServer, sent: bytes) -> None:
    """The client disconnects during its request, which is not an error of the server."""
    with connect(server) as sock:
        sock.sendall(sent)
    server.wait_for(closed=1)
    assert (server.executions, len(server.requests), server.errors) == (0, 0, [])


def test_a_request_is_counted_before_the_response(server: FaultServer) -> None:
    """When a client gets its response or its error, the execution is already counted."""
    seen: list[int] = []
    server.script(Step("look", lambda connection: (seen.append(server.executions), connection.send(b"x"))))
    with connect(server) as sock:
        sock.sendall(REQUEST + BODY)
        assert sock.recv(1) == b"x"
    assert seen == [1]


@pytest.mark.parametrize("status", [200, 204, 299, 304, 413, 429, 503, 599])
def test_a_response_has_the_given_status_headers_and_body(server: FaultServer, status: int) -> None:
    """The status may be any number, headers may be repeated, and the body may be a JSON value."""
    server.script(fault.respond(status, {"b": 2}, headers=[("Retry-After", "1"), ("Retry-After", "x")], close=True))
    with connect(server) as sock:
        sock.sendall(REQUEST + BODY)
        data, end = listen(sock)
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert (head.count(b"Retry-After: "), body, end) == (2, b'{"b": 2}', "closed")


def test_an_empty_204_has_no_content_length(server: FaultServer) -> None:
    """Real servers send a 204 in this form."""
    server.script(fault.respond(204, b"", content_type=""))
    with connect(server) as sock:
        sock.sendall(REQUEST + BODY)
        response = b"HTTP/1.1 204 No Content\r\n\r\n"
        assert listen(sock, len(response)) == (response, "silence")


def test_echo_can_transform_the_request(server: FaultServer) -> None:
    """A callable makes the response from the request."""
    server.default = fault.echo(lambda request: (201, {"x-path": request.path}, [request.json()["a"]]))
    with http_client(server) as client:
        assert post(client) == (201, b"[1]")


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
GOOD = OK + b"Content-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    ("step", "data", "end", "executed"),
    [
        (fault.raw(b"a", b"b"), b"ab", "silence", 1),
        (fault.raw(b"ab", then="close"), b"ab", "closed", 1),
        (fault.raw(b"SSH-2.0\r\n", then="linger", at="connection"), b"SSH-2.0\r\n", "closed", 0),
        (fault.silent(), b"", "silence", 1),
        (fault.stall_head(), GOOD[: len(GOOD) // 2 - 1], "silence", 1),
        (fault.stall_body(), GOOD[:-1], "silence", 1),
        (fault.truncated(), GOOD[:-1], "closed", 1),
        (fault.truncated(chunk_size=1), OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r", "closed", 1),
        (fault.reset_before_read(), b"", "reset", 0),
        (fault.reset_while_reading(), b"", "reset", 0),
        (fault.reset_after_read(), b"", "reset", 1),
        (fault.close_after_read(), b"", "closed", 1),
        (fault.bad_status_line(b"huh"), b"huh\r\nContent-Length: 2\r\n\r\n{}", "closed", 1),
        (fault.garbage_headers(b"\0\xff"), b"HTTP/1.1 200 OK\r\n\0\xff\r\n\r\n{}", "closed", 1),
        (fault.wrong_length(3), GOOD.replace(b": 2", b": 5"), "closed", 1),
        (fault.wrong_length(-1), GOOD.replace(b": 2", b": 1"), "silence", 1),
        (fault.respond(length="two"), GOOD.replace(b": 2", b": two"), "silence", 1),
        (
            fault.transfer_encoding("gzip"),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            "silence",
            1,
        ),
        (
            fault.informational(100, 103),
            b"HTTP/1.1 100 Interim\r\n\r\nHTTP/1.1 103 Interim\r\n\r\n" + GOOD,
            "silence",
            1,
        ),
        (fault.idle_close(), GOOD, "closed", 1),
        (fault.black_hole_idle(), GOOD, "silence", 1),
        (fault.never_reads(), b"", "silence", 0),
        (
            fault.respond(chunk_size=1),
            OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
            "silence",
            1,
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Step) else "",
)
def test_each_step_sends_ends_and_counts_correctly(
    server: FaultServer, step: Step, data: bytes, end: str, executed: int
) -> None:
    """The bytes, the end of the connection and the number of executions are exact."""
    server.script(step)
    with connect(server) as sock:
        sock.sendall(REQUEST + BODY)
        assert listen(sock, len(data) if end == "silence" else None) == (data, end)
    assert (server.executions, server.steps) == (executed, {step.name: 1})


def test_a_reset_on_accept_executes_nothing(server: FaultServer) -> None:
    """The client may notice the reset when it connects, sends or reads. The next connection works."""
    server.script(fault.reset_on_accept())
    with pytest.raises(ConnectionError), http_client(server) as client:
        post(client)
    server.wait_for(closed=1)
    with http_client(server) as client:
        assert post(client) == (200, BODY)
    assert server.executions == 1


def test_a_reset_before_read_waits_for_the_request(server: FaultServer) -> None:
    """The client can always connect and send, so it always loses the response."""
    server.script(fault.reset_before_read())
    with connect(server) as sock:
        server.wait_for(steps=1)
        assert listen(sock, 0) == (b"", "silence")
        sock.sendall(REQUEST + BODY)
        assert listen(sock) == (b"", "reset")


@pytest.mark.parametrize("tls", [None, "good"])
def test_clients_that_reset_immediately_are_not_an_error(tls: str | None) -> None:
    """A client may disconnect before the TLS handshake."""
    with FaultServer(tls) as server:
        for _ in range(50):
            with connect(server) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        server.stop()
        assert (server.executions, server.errors) == (0, [])


def test_an_early_response_arrives_before_the_request_is_complete(server: FaultServer) -> None:
    """Nothing is executed, and the connection ends."""
    server.script(fault.respond_early(413))
    with connect(server) as sock:
        sock.sendall(REQUEST)
        data, end = listen(sock)
        sock.sendall(BODY)
    assert data.startswith(b"HTTP/1.1 413 ")
    assert (end, server.executions) == ("closed", 0)


@pytest.mark.parametrize(("what", "start"), [("head", 0), ("body", 73), ("chunks", 79)])
def test_a_drip_begins_at_the_given_part(server: FaultServer, what: str, start: int) -> None:
    """The earlier bytes come together with one byte of the part. The next byte comes after the interval."""
    server.script(fault.drip(what, 60))
    with connect(server) as sock:
        sock.sendall(REQUEST + BODY)
        data, end = listen(sock, start + 1)
    assert (len(data), end) == (start + 1, "silence")
    assert data[:start].endswith(b"\r\n\r\n") or start == 0


def test_a_drip_is_a_complete_response(server: FaultServer) -> None:
    """A client that waits long enough gets the response, and the connection stays open."""
    server.script(*(fault.drip(what, 0.0001, body=b"[1]", headers={}) for what in ("head", "body", "chunks")))
    with http_client(server) as client:
        assert [post(client) for _ in range(4)] == [(200, b"[1]")] * 3 + [(200, BODY)]


def test_gzip_responses(server: FaultServer) -> None:
    """The valid one can be decompressed, and the broken one cannot."""
    server.script(fault.gzip_response(500, b"[1]"), fault.broken_gzip())
    with http_client(server) as client:
        status, packed = post(client)
        assert (status, gzip.decompress(packed)) == (500, b"[1]")
        with pytest.raises((zlib.error, gzip.BadGzipFile, EOFError)):
            gzip.decompress(post(client)[1])


def test_a_gzip_bomb_is_small_and_expands_to_its_size(server: FaultServer) -> None:
    """The server sends less than 1 MiB, which expands to more than 100 MiB of valid JSON."""
    server.script(fault.gzip_bomb(), fault.gzip_bomb(3_000_001))
    with http_client(server) as client:
        _, packed = post(client)
        assert len(packed) < 1 << 20
        unpacker, size = zlib.decompressobj(wbits=31), 0
        while piece := unpacker.decompress(packed, 1 << 20):
            packed, size, last = unpacker.unconsumed_tail, size + len(piece), piece
        assert (size, last[-2:], unpacker.eof) == (101 << 20, b"{}", True)
        assert len(gzip.decompress(post(client)[1])) == 3_000_001


def test_a_large_response_has_the_given_size(server: FaultServer) -> None:
    """The size is exact, and the body is JSON."""
    server.script(fault.large(5_000_000))
    with http_client(server) as client:
        _, body = post(client)
    assert (len(body), body[:2], body[-2:]) == (5_000_000, b'"x', b'x"')


def test_a_request_after_a_black_hole_is_not_executed(server: FaultServer) -> None:
    """There is no second response on that connection. A new connection takes the next step."""
    server.script(fault.black_hole_idle(), fault.respond(201))
    with http_client(server) as client:
        assert post(client)[0] == 200
        assert client.sock is not None
        client.sock.settimeout(SILENCE)
        with pytest.raises(TimeoutError):
            post(client)
    with http_client(server) as client:
        assert post(client)[0] == 201
    assert [request.connection for request in server.requests] == [1, 2]


def test_a_large_request_to_a_server_that_never_reads_cannot_be_sent(server: FaultServer) -> None:
    """The kernel's buffers cannot hold the request."""
    server.script(fault.never_reads())
    with connect(server) as sock:
        server.wait_for(connections=1)
        sock.settimeout(SILENCE)
        with pytest.raises(TimeoutError):
            sock.sendall(bytes(16 << 20))
    assert server.executions == 0


def test_steps_are_taken_in_order_across_connections(server: FaultServer) -> None:
    """Each request or connection takes one step. After the script, it takes the default."""
    server.script(fault.respond(201, close=True), fault.reset_before_read(), fault.respond(202))
    with http_client(server) as client:
        assert post(client)[0] == 201
        with pytest.raises(ConnectionError):
            post(client)
        client.close()
        assert [post(client)[0], post(client)[0]] == [202, 200]
    assert (server.connections, server.executions) == (3, 3)
    assert server.steps == {"respond": 2, "reset_before_read": 1, "echo": 1}


def test_a_connection_step_acts_also_on_a_kept_alive_connection(server: FaultServer) -> None:
    """The server reads only the head of the request."""
    server.script(fault.respond(), fault.reset_before_read())
    with http_client(server) as client:
        assert post(client)[0] == 200
        with pytest.raises(ConnectionError):
            post(client)
    assert (server.connections, server.executions) == (1, 1)


def test_the_default_may_depend_on_the_request(server: FaultServer) -> None:
    """A callable chooses the step when the head has been read."""

    def choose(request: Request) -> Step:
        return fault.respond(404) if request.path == "/none" else fault.echo()

    server.default = choose
    with http_client(server) as client:
        assert post(client)[0] == 200
        client.request("POST", "/none", BODY)
        assert client.getresponse().status == 404
    assert server.executions == 2


def test_keep_limits_the_requests_that_are_kept() -> None:
    """All requests are still counted."""
    with FaultServer(keep=2) as server:
        with http_client(server) as client:
            for number in range(5):
                post(client, b"%d" % number)
        assert (server.executions, [request.body for request in server.requests]) == (5, [b"3", b"4"])


def test_many_concurrent_clients_are_counted_correctly(server: FaultServer) -> None:
    """Each response belongs to its request, and no request is missing in the counts."""

    def run(worker: int) -> bool:
        with http_client(server) as client:
            return all(post(client, b"[%d,%d]" % (worker, n)) == (200, b"[%d,%d]" % (worker, n)) for n in range(20))

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(run, range(16)))
    server.wait_for(closed=16)
    assert (server.executions, server.connections, len({request.body for request in server.requests})) == (320, 16, 320)


@pytest.mark.parametrize(
    ("tls", "error", "message"),
    [
        ("expired", ssl.SSLCertVerificationError, "certificate has expired"),
        ("wrong_host", ssl.SSLCertVerificationError, "IP address mismatch"),
        ("unknown_ca", ssl.SSLCertVerificationError, "unable to get local issuer|self.signed"),
        ("broken", ssl.SSLError, "(?i)wrong.version.number"),
        ("reset", ConnectionResetError, None),
        ("silent", TimeoutError, None),
        ("drip", TimeoutError, None),
    ],
)
def test_a_tls_fault_fails_the_handshake_without_a_step(tls: str, error: type[Exception], message: str | None) -> None:
    """The client gets the error of that fault, and the script is unchanged."""
    with FaultServer(tls) as server:
        server.script(fault.reset_before_read())
        context = ssl.create_default_context(cafile=server.ca_bundle)
        with connect(server) as sock:
            sock.settimeout(SILENCE if error is TimeoutError else 5)
            with pytest.raises(error, match=message):
                context.wrap_socket(sock, server_hostname="127.0.0.1")
        server.wait_for(closed=1)
        assert (server.executions, server.steps) == (0, {})


def test_a_tls_drip_sends_bytes() -> None:
    """These bytes are the beginning of a real handshake."""
    with FaultServer("drip") as server, connect(server) as sock:
        outgoing = ssl.MemoryBIO()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="x")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        sock.sendall(outgoing.read())
        data = sock.recv(1) + sock.recv(65536)
    assert data.startswith(b"\x16\x03")
    assert len(data) < 100  # one byte every 20 ms; the complete handshake has more than 1000 bytes


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_steps_work_over_tls(host: str) -> None:
    """A client that trusts `ca_bundle` gets its responses, also after a fault."""
    with FaultServer("good") as server:
        assert server.url == f"https://127.0.0.1:{server.port}"
        server.script(fault.reset_after_read())
        context = ssl.create_default_context(cafile=server.ca_bundle)
        with contextlib.closing(http.client.HTTPSConnection(host, server.port, timeout=30, context=context)) as client:
            with pytest.raises(ConnectionError):
                post(client)
            client.close()
            assert post(client) == (200, BODY)
        assert server.executions == 2
    assert server.ca_bundle is not None
    assert not os.path.exists(server.ca_bundle)


def test_an_unknown_kind_of_tls_is_rejected() -> None:
    """A spelling mistake in a test raises an error immediately."""
    with pytest.raises(ValueError, match="godo"):
        FaultServer("godo")


def test_a_refused_port_refuses_connections() -> None:
    """No server listens there."""
    with fault.refused_port() as port, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)


def test_only_a_server_with_reuse_can_use_a_reserved_port() -> None:
    """It refuses connections until then."""
    with fault.reserved_port() as port:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)
        with socket.socket() as other, pytest.raises(OSError, match="Address already in use"):
            other.bind(("127.0.0.1", port))
        with socket.create_server(("127.0.0.1", port)):
            socket.create_connection(("127.0.0.1", port), 5).close()


def test_connecting_to_a_full_backlog_times_out() -> None:
    """Each of several connections ends at its own timeout."""
    with fault.full_backlog() as port:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                socket.create_connection(("127.0.0.1", port), 0.05)


def test_the_name_that_does_not_exist_is_not_found() -> None:
    """The resolver raises an error."""
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo(fault.NAME_NOT_FOUND, 443)


def test_wait_for_raises_an_error_with_the_counts_at_its_timeout(server: FaultServer) -> None:
    """The error has the counts at that time."""
    with pytest.raises(TimeoutError, match=r"'executions': 0, 'steps': 0. after 0.01 s"):
        server.wait_for(executions=1, steps=0, timeout=0.01)


@pytest.mark.timing
def test_stopping_ends_all_threads_and_closes_all_sockets() -> None:
    """Stopping takes less than a second, even if clients wait in each kind of silence."""
    hanging = [
        fault.silent(), fault.stall_head(), fault.stall_body(), fault.drip("head", 60), fault.drip("body", 60),
        fault.never_reads(), fault.black_hole_idle(), fault.respond(), fault.respond_early(), fault.large(30_000_000),
    ]  # fmt: skip
    threads, descriptors = set(threading.enumerate()), len(os.listdir("/proc/self/fd"))
    with contextlib.ExitStack() as clients:
        with FaultServer() as server:
            for count, step in enumerate(hanging, 1):
                server.script(step)
                clients.enter_context(connect(server)).sendall(REQUEST + BODY)
                server.wait_for(steps=count)
            clients.enter_context(connect(server)).sendall(REQUEST)
            started = time.monotonic()
        assert time.monotonic() - started < 1
        assert not new_threads(threads)
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_the_server_can_be_stopped_twice(server: FaultServer) -> None:
    """A test may stop the server to see what its client does."""
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), 30)


@pytest.mark.parametrize("sent", [REQUEST + BODY, b"nonsense\r\n\r\n"])
def test_an_error_in_a_step_or_an_invalid_request_is_raised_at_the_end(sent: bytes) -> None:
    """A mistake in a test does not look like a fault."""
    with pytest.raises(ExceptionGroup) as caught, FaultServer() as server:  # noqa: PT012 - the end raises
        server.script(fault.echo(lambda _: int("no")))  # type: ignore[arg-type,return-value]
        with connect(server) as sock:
            sock.sendall(sent)
            assert listen(sock)[0] == b""
    assert [type(error) for error in caught.value.exceptions] == [ValueError]


def test_an_error_in_a_step_does_not_hide_an_error_of_the_test() -> None:
    """The exception of the test is raised."""
    with pytest.raises(KeyError), FaultServer() as server:  # noqa: PT012 - the end must not raise
        server.errors.append(ValueError())
        raise KeyError


def test_a_step_that_does_not_end_is_reported() -> None:
    """Stopping takes a limited time, and raises an error if a step is still running."""
    release = threading.Event()
    server = FaultServer()
    server.script(Step("stubborn", lambda _: release.wait(5)))
    with pytest.raises(RuntimeError, match="1 threads"), pytest.MonkeyPatch.context() as patch, server:  # noqa: PT012
        patch.setattr(fault, "STOP_TIMEOUT", 0.05)
        with connect(server) as sock:
            sock.sendall(REQUEST + BODY)
            server.wait_for(executions=1)
            server.stop()
    release.set()
    server.wait_for(closed=1)
