"""One connection against a real server: cuts, excess, early responses, deadlines, keep-alive."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from support import fault_server as fault
from support.certificates import ca_bundle
from support.fault_server import FaultServer, Step
from support.proxy import Proxy
from support.responses import BODY, CLOSE_DELIMITED, ERRORS, FRAMED, Sample
from support.sockets import keepalive_settings, socket_to

from pip_services4_serverless._wire.connection import Connection
from pip_services4_serverless._wire.connection_pool import ConnectionPool
from pip_services4_serverless._wire.endpoint import Endpoint
from pip_services4_serverless._wire.errors import ConnectionLostError, NotSentError, ResponseTimeoutError
from pip_services4_serverless._wire.response import Response

LIMIT = 64 << 20  # bytes
PATIENCE = 10.0  # seconds: what must not be reached
PLAIN_AND_TLS = pytest.mark.parametrize("tls", [None, "good"], ids=["plain", "tls"])


@pytest.fixture(scope="module")
def bundle() -> Iterator[str]:
    with ca_bundle() as path:
        yield path


@contextmanager
def pool_of(url: str, bundle: str, proxy: str | None = None, **of: object) -> Iterator[ConnectionPool]:
    keepalive = float(of.pop("keepalive", 0))  # type: ignore[arg-type]
    settings = {"max_connections": 4, "connect_timeout": PATIENCE, "timeout": PATIENCE, "idle_timeout": 60} | of
    pool = ConnectionPool(Endpoint.of_url(url, bundle, proxy, keepalive), limit=LIMIT, **settings)  # type: ignore[arg-type]
    try:
        yield pool
    finally:
        pool.close()


def call(pool: ConnectionPool, body: bytes = b"{}", timeout: float | None = None) -> Response:
    return pool.request("POST", "/api", {}, body, timeout)


# --- Cut responses ---


@PLAIN_AND_TLS
@pytest.mark.parametrize("then", ["close", "reset"])
def test_a_response_that_is_cut_anywhere_is_lost(tls: str | None, then: str, bundle: str) -> None:
    """Each framing at every third byte, each time executed once; of an error the status counts from its head on."""
    samples = (FRAMED[0], FRAMED[1], FRAMED[2], FRAMED[6], ERRORS[0], ERRORS[1])
    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:
        for sample in samples:
            for end in {*range(0, len(sample.data), 9), sample.head - 1, sample.head, len(sample.data) - 1}:
                server.default = fault.raw(sample.data[:end], then=then)
                # A reset may overtake what was sent before it.
                if sample.status >= 300 and end >= sample.head and then == "close":
                    response = call(pool)
                    assert (response.status, response.body) == (sample.status, b"")
                elif sample.status >= 300 and end >= sample.head:
                    with contextlib.suppress(ConnectionLostError):
                        assert call(pool).status == sample.status
                else:
                    with pytest.raises(ConnectionLostError):
                        call(pool)


def test_over_tls_a_body_without_length_ends_with_tls_and_not_with_the_connection(bundle: str) -> None:
    """Anybody on the way can end a TCP connection: without TLS's own end the body may be cut."""

    def says_goodbye(connection: fault.Connection) -> None:
        connection.send(CLOSE_DELIMITED.data)
        with contextlib.suppress(OSError):
            connection._socket.unwrap()  # type: ignore[attr-defined]
        connection.close()

    with FaultServer("good") as server, pool_of(server.url, bundle) as pool:
        server.script(fault.raw(CLOSE_DELIMITED.data, then="close"), Step("says_goodbye", says_goodbye))
        with pytest.raises(ConnectionLostError):
            call(pool)
        assert call(pool).body == BODY
        server.wait_for(connections=2)


def test_in_plain_text_a_body_without_length_ends_with_the_connection(bundle: str) -> None:
    """There it is all that there is; a reset is no end."""
    with FaultServer() as server, pool_of(server.url, bundle) as pool:
        server.script(fault.raw(CLOSE_DELIMITED.data, then="close"), fault.raw(CLOSE_DELIMITED.data[:-3], then="reset"))
        assert call(pool).body == BODY
        with pytest.raises(ConnectionLostError):
            call(pool)


# --- Bytes behind a response ---

SECOND = b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"stolen"'


@PLAIN_AND_TLS
@pytest.mark.parametrize("size", [16 * 1024, 64 * 1024, 3 * 64 * 1024])
def test_bytes_behind_a_response_reach_no_other_call(tls: str | None, size: int, bundle: str) -> None:
    """Wherever the response ends in the reader's buffer or in TLS's records; the connection is not used again."""
    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:
        for offset in (-len(SECOND) - 1, -len(SECOND), -len(SECOND) + 1, -2, -1, 0, 1, 2):
            for behind in (SECOND, b"\r\n", b"x"):
                head = fault.response_bytes(body=b"", length=size)[0]
                first = fault.response_bytes(body=b'"%b"' % (b"x" * (size + offset - len(head) - 2)))
                before = server.connections
                step, is_sent = fault.send_and_signal(b"".join(first) + behind)
                server.script(step, fault.respond(body=b"1"))
                assert len(call(pool).body) == len(first[1])
                assert is_sent.wait(30)
                assert call(pool).body == b"1"
                server.wait_for(connections=before + 1)
                pool._idle.clear()
                assert server.connections <= before + 2


@PLAIN_AND_TLS
@pytest.mark.parametrize("behind", [SECOND, b"\r\n", b"0\r\n\r\n"])
def test_bytes_that_come_after_a_response_reach_no_other_call(tls: str | None, behind: bytes, bundle: str) -> None:
    """Sent once the first call has returned, before the next one begins."""
    returned, sent = threading.Event(), threading.Event()

    def act(connection: fault.Connection) -> None:
        connection.send(b"".join(fault.response_bytes(body=b"0")))
        returned.wait(30)
        connection.send(behind)
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
def test_a_body_that_must_not_be_there_reaches_no_other_call(tls: str | None, status: int, bundle: str) -> None:
    """Of a 204 or a 304, in the same write and in another."""
    head = b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n" % (status, len(SECOND))
    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:
        for chunks in ((head + SECOND,), (head, SECOND)):
            server.script(fault.raw(*chunks), fault.respond(body=b"1"))
            assert (call(pool).status, call(pool).body) == (status, b"1")


@PLAIN_AND_TLS
@pytest.mark.parametrize("sample", FRAMED, ids=lambda sample: sample.name)
def test_a_connection_is_used_again_after_an_exact_response(tls: str | None, sample: Sample, bundle: str) -> None:
    """The other way round."""
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
def test_an_early_refusal_of_a_long_request_is_seen(tls: str | None, then: str, bundle: str) -> None:
    """Eight of eight: the server answers after the head, and closes, half-closes, or stays without reading."""
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
def test_an_early_response_that_is_not_http_is_lost_at_once(tls: str | None, bundle: str) -> None:
    """It is not read on until the time is over."""
    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:
        step = fault.raw(b"220 smtp.example ESMTP\r\n", at="head")
        server.default = Step("no http", lambda c: (step.act(c), c.stopping.wait()), at="head")
        started = time.monotonic()
        with pytest.raises(ConnectionLostError):
            call(pool, BIG)
        assert time.monotonic() - started < 5


@PLAIN_AND_TLS
def test_an_interim_response_does_not_end_the_request(tls: str | None, bundle: str) -> None:
    """A 100 while a long request is being sent."""
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
def test_a_peer_that_says_that_nothing_will_come_is_lost_at_once(tls: str | None, bundle: str) -> None:
    """It half-closes before it answers, and stays, while the request is being sent or after it."""
    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:
        server.default = fault.raw(then="linger", at="head")
        for body in (b"{}", BIG):
            started = time.monotonic()
            with pytest.raises(ConnectionLostError):
                call(pool, body)
            assert time.monotonic() - started < 5


# --- Deadlines ---


@pytest.mark.timing
@pytest.mark.parametrize("bound", ["connect_timeout", "timeout"])
@pytest.mark.parametrize("where", ["handshake", "silent handshake", "tunnel", "addresses"])
def test_connecting_ends_at_the_first_bound(
    bound: str, where: str, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever is shorter: that of connecting, or that of the whole exchange. Nothing was sent."""
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
def test_an_exchange_ends_at_its_bound(tls: str | None, step: Step, bundle: str) -> None:
    """However it makes progress."""
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
def test_an_endless_flood_before_the_response_is_lost(tls: str | None, data: bytes, bundle: str) -> None:
    """Long before the time is over."""
    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:
        server.default = Step("flood", lambda connection: flood(connection, data))
        started = time.monotonic()
        with pytest.raises(ConnectionLostError):
            call(pool)
        assert time.monotonic() - started < 5


@pytest.mark.timing
@PLAIN_AND_TLS
def test_a_response_that_never_pauses_ends_at_its_bound_too(tls: str | None, bundle: str) -> None:
    """Even where there is always something to read."""
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 50_000
    with FaultServer(tls) as server, pool_of(server.url, bundle) as pool:
        server.default = Step("stream", lambda c: (c.send(chunks[0]), flood(c, chunks[1])))
        started = time.monotonic()
        with pytest.raises(ResponseTimeoutError):
            call(pool, timeout=0.3)
        assert time.monotonic() - started < 0.7


def test_no_time_left_sends_nothing(bundle: str) -> None:
    """Not even on a connection that is there."""
    with FaultServer() as server, pool_of(server.url, bundle) as pool:
        call(pool)
        with pytest.raises(NotSentError):
            call(pool, timeout=0)
        assert server.executions == 1


# --- Connecting ---


def test_an_address_of_a_family_that_is_not_there_leaves_the_others(
    bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As IPv6 where the kernel has none: no socket of it can be made."""
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
def test_a_name_that_cannot_be_one_sends_nothing(host: str, bundle: str) -> None:
    """Whatever the resolver says of it."""
    with pool_of(f"http://{host}", bundle) as pool, pytest.raises(NotSentError):
        call(pool)


@pytest.mark.parametrize("has_poll", [True, False])
def test_descriptors_over_1024_work(has_poll: bool, bundle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process with many connections has them; without poll, nothing is sent."""
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
    """As eventlet leaves the module: kept connections, long requests and bounds as with it."""
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
    """In whole seconds, rounded up, for the first probe and between them; 0 sends none."""
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


# --- What belongs to whom ---


@pytest.mark.parametrize("tls", [None, "good", "broken", "reset", "unknown_ca"])
def test_a_connection_that_is_dropped_closes_without_a_warning(tls: str | None, bundle: str) -> None:
    """As an interrupt between two instructions leaves it; also where it was never made."""
    with FaultServer(tls) as server:
        endpoint = Endpoint.of_url(server.url, bundle)
        connection = Connection()
        try:
            connection.open(endpoint, time.monotonic() + 5)
        except NotSentError:
            assert tls not in (None, "good")
        del connection
        server.wait_for(closed=1)


def test_an_interrupt_in_an_exchange_closes_its_connection(bundle: str) -> None:
    """Raised by a signal while it waits: the next call has one of its own, and the response reaches nobody."""
    import signal

    class Stop(BaseException):
        pass

    def stop(*_: object) -> None:
        raise Stop

    waiting: Callable[[fault.Connection], object] = lambda c: (os.kill(os.getpid(), signal.SIGUSR1), c.hold())  # noqa: E731
    before = signal.signal(signal.SIGUSR1, stop)
    try:
        with FaultServer() as server, pool_of(server.url, bundle) as pool:
            server.script(fault.respond(), Step("interrupts", waiting), fault.respond(body=b"1"))
            call(pool)
            with pytest.raises(Stop):
                call(pool)
            assert call(pool).body == b"1"
            assert (server.connections, server.executions) == (2, 3)
    finally:
        signal.signal(signal.SIGUSR1, before)
