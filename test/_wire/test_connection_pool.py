"""Which connections a pool keeps, and when it closes the others. A socket that is not closed fails a test."""

from __future__ import annotations

import gc
import os
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from types import SimpleNamespace

import pytest
from support import fault_server as fault
from support.fault_server import FaultServer, Step

from pip_services4_serverless._wire.connection_pool import ConnectionPool
from pip_services4_serverless._wire.endpoint import Endpoint, PoolLimits
from pip_services4_serverless._wire.errors import NotSentError, PoolClosedError, ResponseTimeoutError, WireError


@contextmanager
def pool_of(url: str, **of: float) -> Iterator[ConnectionPool]:
    limits = PoolLimits(2, 5.0, 5.0, 60.0, 1 << 20)._replace(**of)  # type: ignore[arg-type]
    pool = ConnectionPool(Endpoint.from_url(url, ""), limits)
    try:
        yield pool
    finally:
        pool.close()


def call(pool: ConnectionPool, timeout: float | None = None) -> bytes:
    return pool.request("POST", "/api", {"X-A": "1"}, b"[1]", timeout).body


class RequestBarrier:
    """Makes requests wait for each other on the server."""

    def __init__(self, parties: int) -> None:
        self._barrier = threading.Barrier(parties)

    def act(self, connection: fault.Connection) -> None:
        self._barrier.wait(30)
        connection.send(b"".join(fault.response_bytes(body=b"[1]")))


def test_connections_beyond_max_connections_are_closed() -> None:
    """Six concurrent calls succeed with a pool of two. Two connections stay open."""
    with FaultServer() as server, pool_of(server.url) as pool, ThreadPoolExecutor(6) as threads:
        server.default = Step("barrier", RequestBarrier(6).act)
        assert list(threads.map(lambda _: call(pool), range(6))) == [b"[1]"] * 6
        server.wait_for(closed=4)
        assert (server.connections, server.closed, len(pool._idle)) == (6, 4, 2)
        server.default = fault.echo()
        assert [call(pool) for _ in range(5)] == [b"[1]"] * 5
        assert server.connections == 6
    gc.collect()


def test_the_most_recently_used_connection_is_used_first() -> None:
    """The other connections then reach their idle timeout."""
    with FaultServer() as server, pool_of(server.url) as pool, ThreadPoolExecutor(2) as threads:
        server.default = Step("barrier", RequestBarrier(2).act)
        list(threads.map(lambda _: call(pool), range(2)))
        server.default = fault.echo()
        for _ in range(3):
            call(pool)
        assert len({request.connection for request in list(server.requests)[2:]}) == 1


def test_a_connection_that_was_idle_for_too_long_is_closed_and_not_used() -> None:
    """The time counts from its last response."""
    with FaultServer() as server, pool_of(server.url, idle_timeout=0) as pool:
        call(pool)
        threading.Event().wait(0.01)  # no event says that time has passed
        call(pool)
        server.wait_for(closed=1)
        assert (server.connections, server.executions) == (2, 2)


@pytest.mark.parametrize("step", [fault.idle_close(), fault.raw(b"".join(fault.response_bytes()), then="reset")])
def test_a_connection_that_the_server_has_closed_is_not_used(step: Step) -> None:
    """The server may have closed or reset it. The next call opens a new one."""
    with FaultServer() as server, pool_of(server.url) as pool:
        server.script(step)
        call(pool)
        server.wait_for(closed=1)
        call(pool)
        assert (server.connections, server.executions) == (2, 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_opens_its_own_connection() -> None:
    """The parent's next call uses the connection that the parent had."""
    with FaultServer() as server, pool_of(server.url) as pool:
        call(pool)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # about the threads of the server
            child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if call(pool) == b"[1]" else 2
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        call(pool)
        assert [request.connection for request in server.requests] == [1, 2, 1]


def test_a_pool_that_is_closed_during_a_call_keeps_no_connection() -> None:
    """The call succeeds, and its connection is closed afterwards."""
    with FaultServer() as server, pool_of(server.url) as pool:

        def act(connection: fault.Connection) -> None:
            pool.close()
            connection.send(b"".join(fault.response_bytes(body=b"[1]")))

        server.script(Step("closes", act))
        assert call(pool) == b"[1]"
        server.wait_for(closed=1)
        with pytest.raises(PoolClosedError):
            call(pool)
        pool.close()
        assert (server.connections, len(pool._idle)) == (1, 0)


def test_closing_a_pool_closes_its_idle_connections() -> None:
    """The server sees it immediately."""
    with FaultServer() as server, pool_of(server.url) as pool:
        call(pool)
        pool.close()
        server.wait_for(closed=1)


def test_a_pool_that_was_never_closed_causes_no_warning() -> None:
    """Its connections close when it is deleted."""
    with FaultServer() as server:
        pool = ConnectionPool(Endpoint.from_url(server.url, ""), PoolLimits(2, 5, 5, 60, 99))
        call(pool)
        del pool
        server.wait_for(closed=1)


@pytest.mark.parametrize(
    "step",
    [
        fault.reset_after_read(),
        fault.close_after_read(),
        fault.truncated(),
        fault.bad_status_line(),
        fault.silent(),
        fault.broken_gzip(),
        fault.respond(close=True),
        fault.large(2 << 20),
    ],
    ids=lambda step: step.name,
)
def test_a_connection_that_cannot_be_used_again_is_closed(step: Step) -> None:
    """It is not in the pool, and is closed without a garbage collection."""
    gc.disable()
    try:
        with FaultServer() as server, pool_of(server.url) as pool:
            server.script(step)
            with suppress(WireError):
                call(pool, 0.2)
            kept = len(pool._idle)
            if step.name == "broken_gzip":  # its response was complete
                assert kept <= 1
            else:
                assert kept == 0
                server.wait_for(closed=1)
            assert call(pool) == b"[1]"
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("headers", "target"),
    [
        ({"X-A": "1\r\nX-B: 2"}, "/"),
        ({"X-A\n": "1"}, "/"),
        ({"X-A": "1\r"}, "/"),
        ({"X-A": "1\0"}, "/"),
        ({"X-A": "1"}, "/ HTTP/1.1\r\nX-B: 2"),
        ({"X-A": "\u20ac"}, "/"),
    ],
)
def test_a_header_that_http_does_not_allow_is_rejected(headers: dict[str, str], target: str) -> None:
    """A line break could begin another header. Nothing is sent."""
    with FaultServer() as server, pool_of(server.url) as pool:
        with pytest.raises(NotSentError, match=r"header cannot be sent"):
            pool.request("POST", target, headers, b"")
        assert (server.connections, server.executions) == (0, 0)


def test_a_request_has_host_and_length_once() -> None:
    """They are added only if they are missing. The case of names does not matter, and values may be bytes."""
    with FaultServer() as server, pool_of(server.url) as pool:
        pool.urlopen("POST", "/api?a=b", "{}", {})
        pool.urlopen("POST", "/api", b"{}", {"HOST": "other", "content-length": "2", b"X-B": b"\xe9"})  # type: ignore[dict-item]
        first, second = server.requests
        assert (first.path, first.headers.get_all("Host")) == ("/api?a=b", [server.url.removeprefix("http://")])
        assert (first.headers.get_all("Content-Length"), first.body) == (["2"], b"{}")
        assert (second.headers.get_all("Host"), second.headers.get_all("Content-Length")) == (["other"], ["2"])
        assert b"X-B: \xe9\r\n" in second.head


def test_urlopen_accepts_the_timeouts_of_requests() -> None:
    """The read timeout limits the whole exchange, and the connect timeout limits connecting."""
    with FaultServer() as server, pool_of(server.url) as pool:
        server.script(fault.silent())
        with pytest.raises(ResponseTimeoutError):
            pool.urlopen("POST", "/", timeout=SimpleNamespace(connect_timeout=5, read_timeout=0.1))
    with fault.full_backlog() as port, pool_of(f"http://127.0.0.1:{port}") as pool, pytest.raises(NotSentError):
        pool.urlopen("POST", "/", timeout=SimpleNamespace(connect_timeout=0.1, read_timeout=5))
