"""One connection to a real server: truncated responses, extra bytes, early responses, timeouts, keep-alive."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from support import fault_server as fault
from support.certificates import ca_bundle
from support.fault_server import FaultServer, Step
from support.interrupts import interrupting
from support.proxy import Proxy
from support.responses import BODY, CLOSE_DELIMITED, ERRORS, FRAMED, Sample
from support.sockets import keepalive_settings, socket_to

from pip_services4_serverless._wire.connection import Connection
from pip_services4_serverless._wire.connection_pool import ConnectionPool
from pip_services4_serverless._wire.endpoint import Endpoint, PoolLimits
from pip_services4_serverless._wire.errors import ConnectionLostError, NotSentError, ResponseTimeoutError
from pip_services4_serverless._wire.response import Response

LIMIT = 64 << 20  # bytes
LONG_TIMEOUT = 10.0  # seconds; no test may reach it
PLAIN_AND_TLS = pytest.mark.parametrize("tls", [None, "good"], ids=["plain", "tls"])


@pytest.fixture(scope="module")
def bundle() -> Iterator[str]:
    with ca_bundle() as path:
        yield path


@contextmanager
def pool_of(url: str, bundle: str, proxy: str | None = None, **of: object) -> Iterator[ConnectionPool]:
    keepalive = float(of.pop("keepalive", 0))  # type: ignore[arg-type]
    limits = PoolLimits(4, LONG_TIMEOUT, LONG_TIMEOUT, 60, LIMIT)._replace(**of)  # type: ignore[arg-type]
    pool = ConnectionPool(Endpoint.from_url(url, bundle, proxy, keepalive), limits)
    try:
        yield pool
    finally:
        pool.close()


def call(pool: ConnectionPool, body: bytes = b"{}", timeout: float | None = None) -> Response:
    return pool.request("POST", "/api", {}, body, timeout)


# --- Truncated responses ---


@PLAIN_AND_TLS
@pytest.mark.parametrize("then", ["close", "reset"])
def test_a_truncated_response_is_lost(tls: str | None, then: str, bundle: str) -> None:
    """Each framing is cut at many places. An error keeps its status if its head is complete."""
    samples = (FRAMED[0], FRAMED[1], FRAMED[2], FRAMED[6], ERRORS[0], ERRORS[1])
    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:
        for sample in samples:
            for end in {*range(0, len(sample.data), 9), sample.head - 1, sample.head, len(sample.data) - 1}:
                server.default = fault.raw(sample.data[:end], then=then)
                # A reset may arrive before bytes that were sent earlier.
                if sample.status >= 300 and end >= sample.head and then == "close":
                    response = call(pool)
                    assert (response.status, response.body) == (sample.status, b"")
                elif sample.status >= 300 and end >= sample.head:
                    with contextlib.suppress(ConnectionLostError):
                        assert call(pool).status == sample.status
                else:
                    with pytest.raises(ConnectionLostError):
                        call(pool)


def test_over_tls_a_body_without_length_needs_the_end_of_tls(bundle: str) -> None:
    """Anyone between client and server can end a TCP connection, so the body may be truncated."""

    def ends_tls(connection: fault.Connection) -> None:
        connection.send(CLOSE_DELIMITED.data)
        with contextlib.suppress(OSError):
            connection._socket.unwrap()  # type: ignore[attr-defined]
        connection.close()

    with FaultServer("good") as server, pool_of(server.url, bundle) as pool:
        server.script(fault.raw(CLOSE_DELIMITED.data, then="close"), Step("ends_tls", ends_tls))
        with pytest.raises(ConnectionLostError):
            call(pool)
        assert call(pool).body == BODY
        server.wait_for(connections=2)


def test_without_tls_a_body_without_length_ends_with_the_connection(bundle: str) -> None:
    """Nothing else marks its end. A reset is an error."""
    with FaultServer() as server, pool_of(server.url, bundle) as pool:
        server.script(fault.raw(CLOSE_DELIMITED.data, then="close"), fault.raw(CLOSE_DELIMITED.data[:-3], then="reset"))
        assert call(pool).body == BODY
        with pytest.raises(ConnectionLostError):
            call(pool)


# --- Bytes after a response ---

SECOND = b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"stolen"'


@PLAIN_AND_TLS
@pytest.mark.parametrize("size", [16 * 1024, 64 * 1024, 3 * 64 * 1024])
def test_bytes_after_a_response_do_not_reach_another_call(tls: str | None, size: int, bundle: str) -> None:
    """The response may end anywhere in the buffers. The connection is not used again."""
    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:
        for offset in (-len(SECOND) - 1, -len(SECOND), -len(SECOND) + 1, -2, -1, 0, 1, 2):
            for extra in (SECOND, b"\r\n", b"x"):
                head = fault.response_bytes(body=b"", length=size)[0]
                first = fault.response_bytes(body=b'"%b"' % (b"x" * (size + offset - len(head) - 2)))
                before = server.connections
                step, is_sent = fault.send_and_signal(b"".join(first) + extra)
                server.script(step, fault.respond(body=b"1"))
                assert len(call(pool).body) == len(first[1])
                assert is_sent.wait(30)
                assert call(pool).body == b"1"
                server.wait_for(connections=before + 1)
                pool._idle.clear()
                assert server.connections <= before + 2


@PLAIN_AND_TLS
@pytest.mark.parametrize("extra", [SECOND, b"\r\n", b"0\r\n\r\n"])
def test_bytes_between_two_calls_do_not_reach_the_second_call(tls: str | None, extra: bytes, bundle: str) -> None:
    """The server sends them after the first call has returned."""
    returned, sent = threading.Event(), threading.Event()

    def act(connection: fault.Connection) -> None:
        connection.send(b"".join(fault.response_bytes(body=b"0")))
        returned.wait(30)
        connection.send(extra)
        sent.set()

    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:
        server.script(Step("late excess", act), fault.respond(body=b"1"))
        assert call(pool).body == b"0"
        returned.set()
        assert sent.wait(30)
        assert call(pool).body == b"1"
        assert (server.connections, server.executions) == (2, 2)


@PLAIN_AND_TLS
@pytest.mark.parametrize("status", [204, 304])
def test_a_body_that_is_not_allowed_does_not_reach_another_call(tls: str | None, status: int, bundle: str) -> None:
    """The body of a 204 or a 304 may arrive with the head or after it."""
    head = b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n" % (status, len(SECOND))
    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:
        for chunks in ((head + SECOND,), (head, SECOND)):
            server.script(fault.raw(*chunks), fault.respond(body=b"1"))
            assert (call(pool).status, call(pool).body) == (status, b"1")


@PLAIN_AND_TLS
@pytest.mark.parametrize("sample", FRAMED, ids=lambda sample: sample.name)
def test_a_connection_is_used_again_after_a_complete_response(tls: str | None, sample: Sample, bundle: str) -> None:
    """Three calls in each framing use one connection."""
    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:
        server.default = fault.raw(sample.data)
        for _ in range(3):
            assert call(pool).body == sample.body
        assert (server.connections, server.executions) == (1, 3)


# --- Responses before the request is sent ---

BIG = b"x" * 50_000_000


@pytest.mark.timing
@PLAIN_AND_TLS
@pytest.mark.parametrize("then", ["close", "linger", "hold"])
def test_an_early_error_response_to_a_long_request_is_read(tls: str | None, then: str, bundle: str) -> None:
    """The server responds after the head, and then closes, half-closes or stops reading."""
    response = b"".join(fault.response_bytes(413))

    def act(connection: fault.Connection) -> None:
        connection.send(response)
        if then == "hold":
            connection.stopping.wait()
        elif then == "linger":
            connection.linger()
        else:
            connection.close()

    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:
        server.default = Step("early", act, at="head")
        for number in range(1, 9 if then == "close" else 3):
            started = time.monotonic()
            assert call(pool, BIG).status == 413
            assert time.monotonic() - started < 5
            assert (server.connections, server.executions) == (number, 0)


@pytest.mark.timing
@PLAIN_AND_TLS
def test_an_early_response_that_is_not_http_fails_immediately(tls: str | None, bundle: str) -> None:
    """The call does not wait for its timeout."""
    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:
        step = fault.raw(b"220 smtp.example ESMTP\r\n", at="head")
        server.default = Step("no http", lambda c: (step.act(c), c.stopping.wait()), at="head")
        started = time.monotonic()
        with pytest.raises(ConnectionLostError):
            call(pool, BIG)
        assert time.monotonic() - started < 5


@PLAIN_AND_TLS
def test_an_interim_response_does_not_end_the_request(tls: str | None, bundle: str) -> None:
    """The server sends a 100 while a long request is being sent."""
    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:

        def act(connection: fault.Connection) -> None:
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            assert connection.request
            connection.read_body(connection.request)
            connection.send(b"".join(fault.response_bytes(body=b"%d" % len(connection.request.body))))
            connection.linger()

        server.default = Step("continue", act, at="head")
        assert call(pool, BIG).body == b"50000000"


@pytest.mark.timing
@PLAIN_AND_TLS
def test_a_server_that_half_closes_without_a_response_fails_the_call_immediately(tls: str | None, bundle: str) -> None:
    """It half-closes while the request is being sent, or after it."""
    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:
        server.default = fault.raw(then="linger", at="head")
        for body in (b"{}", BIG):
            started = time.monotonic()
            with pytest.raises(ConnectionLostError):
                call(pool, body)
            assert time.monotonic() - started < 5


# --- Timeouts ---


@pytest.mark.timing
@pytest.mark.parametrize("bound", ["connect_timeout", "timeout"])
@pytest.mark.parametrize("where", ["handshake", "silent handshake", "tunnel", "addresses"])
def test_connecting_ends_at_the_shorter_timeout(
    bound: str, where: str, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either the timeout of connecting or that of the whole exchange is shorter. Nothing was sent."""
    with ExitStack() as resources:
        proxy = None
        if where == "tunnel":
            proxy = resources.enter_context(Proxy(interval=0.05)).url
        if where == "addresses":
            ports = [resources.enter_context(fault.full_backlog()) for _ in range(3)]
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *args: found)
            url = "http://many.invalid"
        else:
            tls = {"handshake": "drip", "silent handshake": "silent", "tunnel": "good"}[where]
            url = resources.enter_context(FaultServer(tls)).url
        pool = resources.enter_context(pool_of(url, bundle, proxy, **{bound: 0.3}))
        started = time.monotonic()
        with pytest.raises(NotSentError, match="timed out"):
            call(pool)
        assert 0.29 <= time.monotonic() - started < 0.7


@pytest.mark.timing
@PLAIN_AND_TLS
@pytest.mark.parametrize(
    "step",
    [
        fault.silent(),
        fault.never_reads(),
        fault.drip("head"),
        fault.drip("body"),
        fault.drip("chunks"),
        Step("100s", lambda c: flood(c, b"HTTP/1.1 100 Continue\r\n\r\n", 0.01)),
        Step("line breaks", lambda c: flood(c, b"\r\n", 0.01)),
    ],
    ids=lambda step: step.name,
)
def test_an_exchange_ends_at_its_timeout(tls: str | None, step: Step, bundle: str) -> None:
    """Progress does not extend the timeout."""
    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:
        server.default = step
        started = time.monotonic()
        with pytest.raises(ResponseTimeoutError):
            call(pool, BIG[:10_000_000] if step.name == "never_reads" else b"{}", timeout=0.3)
        assert 0.29 <= time.monotonic() - started < 0.7


def flood(connection: fault.Connection, data: bytes, interval: float = 0) -> None:
    while not connection.stopping.wait(interval):
        connection.send(data)


@pytest.mark.timing
@PLAIN_AND_TLS
@pytest.mark.parametrize("data", [b"HTTP/1.1 100 Continue\r\n\r\n" * 500, b"\r\n" * 5000])
def test_endless_data_before_the_response_fails_the_call(tls: str | None, data: bytes, bundle: str) -> None:
    """It fails long before its timeout."""
    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:
        server.default = Step("flood", lambda connection: flood(connection, data))
        started = time.monotonic()
        with pytest.raises(ConnectionLostError):
            call(pool)
        assert time.monotonic() - started < 5


@pytest.mark.timing
@PLAIN_AND_TLS
def test_an_endless_response_ends_at_the_timeout(tls: str | None, bundle: str) -> None:
    """The timeout works even if there are always bytes to read."""
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 50_000
    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:
        server.default = Step("stream", lambda c: (c.send(chunks[0]), flood(c, chunks[1])))
        started = time.monotonic()
        with pytest.raises(ResponseTimeoutError):
            call(pool, timeout=0.3)
        assert time.monotonic() - started < 0.7


def test_nothing_is_sent_if_no_time_is_left(bundle: str) -> None:
    """An open connection makes no difference."""
    with FaultServer() as server, pool_of(server.url, bundle) as pool:
        call(pool)
        with pytest.raises(NotSentError):
            call(pool, timeout=0)
        assert server.executions == 1


# --- Connecting ---


def test_an_address_of_an_unsupported_family_is_skipped(bundle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel, for example, may not support IPv6."""
    with FaultServer() as server:
        none = (255, socket.SOCK_STREAM, 6, "", ("::1", server.port))
        good = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))
        for found in ([none, good], [good, none]):
            with monkeypatch.context() as patch, pool_of("http://two.invalid", bundle) as pool:
                patch.setattr(socket, "getaddrinfo", lambda *args, found=found: found)
                assert call(pool).body == b"{}"
        with monkeypatch.context() as patch, pool_of("http://none.invalid", bundle) as pool:
            patch.setattr(socket, "getaddrinfo", lambda *args: [none])
            with pytest.raises(NotSentError):
                call(pool)


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".invalid", "nowhere.invalid"])
def test_an_invalid_host_name_sends_nothing(host: str, bundle: str) -> None:
    """The error is the same, whatever the resolver raises."""
    with pool_of(f"http://{host}", bundle) as pool, pytest.raises(NotSentError):
        call(pool)


@pytest.mark.parametrize("has_poll", [True, False])
def test_descriptors_over_1024_work(has_poll: bool, bundle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process with many connections has them. Without `poll`, nothing is sent."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1200:
        pytest.skip("this machine allows no more than 1200 descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    taken: list[int] = []
    try:
        while not taken or taken[-1] < 1050:
            taken.append(os.open(os.devnull, os.O_RDONLY))
        with FaultServer() as server, pool_of(server.url, bundle) as pool:
            if has_poll:
                for _ in range(2):
                    assert call(pool, BIG[:10_000_000]).body == BIG[:10_000_000]
                assert server.connections == 1
            else:
                monkeypatch.delattr(select, "poll")
                with pytest.raises(NotSentError):
                    call(pool)
                assert server.executions == 0
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@PLAIN_AND_TLS
def test_calls_work_without_poll(tls: str | None, bundle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """eventlet removes `poll`. Kept connections, long requests and timeouts work without it."""
    monkeypatch.delattr(select, "poll")
    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:
        for body in (b"{}", BIG[:5_000_000], b"[]"):
            assert call(pool, body).body == body
        assert server.connections == 1
        server.script(fault.silent())
        with pytest.raises(ResponseTimeoutError):
            call(pool, timeout=0.1)


# --- TCP keep-alive ---


@pytest.mark.parametrize(("keepalive", "idle"), [(0, None), (45, 45), (0.2, 1), (1.5, 2), (2_000_000, 32767)])
@pytest.mark.parametrize("through", ["directly", "proxy"])
def test_keepalive_is_set_on_the_socket(keepalive: float, idle: int | None, through: str, bundle: str) -> None:
    """The time to the first probe and between probes is in whole seconds, rounded up. 0 disables the probes."""
    with ExitStack() as resources:
        server = resources.enter_context(FaultServer("good"))
        proxy = resources.enter_context(Proxy()) if through == "proxy" else None
        pool = resources.enter_context(pool_of(server.url, bundle, proxy.url if proxy else None, keepalive=keepalive))
        call(pool)
        with socket_to(proxy.port if proxy else server.port) as sock:
            probes, first, between = keepalive_settings(sock)
        assert probes == (idle is not None)
        if idle is not None:
            assert (first, between) == (idle, idle)


# --- Dropped and interrupted connections ---


@pytest.mark.parametrize("tls", [None, "good", "broken", "reset", "unknown_ca"])
def test_a_dropped_connection_closes_without_a_warning(tls: str | None, bundle: str) -> None:
    """An interrupt can drop it at any time, even before it is open."""
    with FaultServer(tls) as server:
        endpoint = Endpoint.from_url(server.url, bundle)
        connection = Connection()
        try:
            connection.open(endpoint, time.monotonic() + 5)
        except NotSentError:
            assert tls not in (None, "good")
        del connection
        server.wait_for(closed=1)


def test_an_interrupt_in_an_exchange_closes_its_connection(bundle: str) -> None:
    """The next call uses another connection, and no call gets the response."""
    with interrupting() as interrupt, FaultServer() as server, pool_of(server.url, bundle) as pool:
        waiting = Step("interrupt", lambda _: interrupt())
        server.script(fault.respond(), waiting, fault.respond(body=b"1"))
        call(pool)
        with pytest.raises(KeyboardInterrupt):
            call(pool)
        assert call(pool).body == b"1"
        assert (server.connections, server.executions) == (2, 3)
