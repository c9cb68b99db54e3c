"""What is kept, and what becomes of what is not. Warnings are errors: an unclosed socket fails a test."""

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
from pip_services4_serverless._wire.endpoint import Endpoint
from pip_services4_serverless._wire.errors import NotSentError, PoolClosedError, ResponseTimeoutError, WireError


@contextmanager
def pool_of(url: str, **of: float) -> Iterator[ConnectionPool]:
    settings = {"max_connections": 2, "connect_timeout": 5.0, "timeout": 5.0, "idle_timeout": 60.0} | of
    pool = ConnectionPool(Endpoint.of_url(url, ""), limit=1 << 20, **settings)  # type: ignore[arg-type]
    try:
        yield pool
    finally:
        pool.close()


def call(pool: ConnectionPool, timeout: float | None = None) -> bytes:
    return pool.request("POST", "/api", {"X-A": "1"}, b"[1]", timeout).body


class Meeting:
    """Lets requests wait for one another on the far side."""

    def __init__(self, parties: int) -> None:
        self._barrier = threading.Barrier(parties)

    def act(self, connection: fault.Connection) -> None:
        self._barrier.wait(30)
        connection.send(b"".join(fault.response_bytes(body=b"[1]")))


def test_connections_beyond_what_is_kept_are_closed_quietly() -> None:
    """Six calls at once on a pool of two: all are answered, two connections stay, no warning."""
    with FaultServer() as server, pool_of(server.url) as pool, ThreadPoolExecutor(6) as threads:
        server.default = Step("meet", Meeting(6).act)
        assert list(threads.map(lambda _: call(pool), range(6))) == [b"[1]"] * 6
        server.wait_for(closed=4)
        assert (server.connections, server.closed, len(pool._idle)) == (6, 4, 2)
        server.default = fault.echo()
        assert [call(pool) for _ in range(5)] == [b"[1]"] * 5
        assert server.connections == 6
    gc.collect()


def test_the_last_used_connection_is_used_first() -> None:
    """So that those that are not needed age."""
    with FaultServer() as server, pool_of(server.url) as pool, ThreadPoolExecutor(2) as threads:
        server.default = Step("meet", Meeting(2).act)
        list(threads.map(lambda _: call(pool), range(2)))
        server.default = fault.echo()
        for _ in range(3):
            call(pool)
        assert len({request.connection for request in list(server.requests)[2:]}) == 1


def test_an_idle_connection_that_is_too_old_is_closed_and_not_used() -> None:
    """Its age is counted from its last response."""
    with FaultServer() as server, pool_of(server.url, idle_timeout=0) as pool:
        call(pool)
        threading.Event().wait(0.01)  # nothing tells that time has passed
        call(pool)
        server.wait_for(closed=1)
        assert (server.connections, server.executions) == (2, 2)


@pytest.mark.parametrize("step", [fault.idle_close(), fault.raw(b"".join(fault.response_bytes()), then="reset")])
def test_a_connection_that_was_closed_meanwhile_is_not_used(step: Step) -> None:
    """By a FIN or by a reset; all of them are passed over until there is one that is good, or a new one is made."""
    with FaultServer() as server, pool_of(server.url) as pool:
        server.script(step)
        call(pool)
        server.wait_for(closed=1)
        call(pool)
        assert (server.connections, server.executions) == (2, 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_uses_connections_of_its_own() -> None:
    """And leaves its parent's alone: the parent's next call goes over the one that it had."""
    with FaultServer() as server, pool_of(server.url) as pool:
        call(pool)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that the server's threads are there
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


def test_a_pool_that_is_closed_during_a_call_keeps_nothing() -> None:
    """The call ends as it would have; its connection is closed after it, and no other is made."""
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


def test_closing_closes_idle_connections_at_once() -> None:
    """The server sees it."""
    with FaultServer() as server, pool_of(server.url) as pool:
        call(pool)
        pool.close()
        server.wait_for(closed=1)


def test_a_pool_that_nobody_closed_leaves_no_warning() -> None:
    """Dropped, its connections close."""
    with FaultServer() as server:
        pool = ConnectionPool(
            Endpoint.of_url(server.url, ""), max_connections=2, connect_timeout=5, timeout=5, idle_timeout=60, limit=99
        )
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
def test_whatever_ends_an_exchange_leaves_no_connection_behind(step: Step) -> None:
    """Neither in the pool, unless it is good, nor open; without a garbage collection."""
    gc.disable()
    try:
        with FaultServer() as server, pool_of(server.url) as pool:
            server.script(step)
            with suppress(WireError):
                call(pool, 0.2)
            kept = len(pool._idle)
            if step.name == "broken_gzip":  # its response was whole
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
def test_a_header_that_would_be_another_is_not_sent(headers: dict[str, str], target: str) -> None:
    """Nothing is."""
    with FaultServer() as server, pool_of(server.url) as pool:
        with pytest.raises(NotSentError, match=r"header cannot be sent"):
            pool.request("POST", target, headers, b"")
        assert (server.connections, server.executions) == (0, 0)


def test_a_request_has_host_and_length_once() -> None:
    """Added where they are missing, and left where they are not, in whatever case; bytes are taken as text."""
    with FaultServer() as server, pool_of(server.url) as pool:
        pool.urlopen("POST", "/api?a=b", "{}", {})
        pool.urlopen("POST", "/api", b"{}", {"HOST": "other", "content-length": "2", b"X-B": b"\xe9"})  # type: ignore[dict-item]
        first, second = server.requests
        assert (first.path, first.headers.get_all("Host")) == ("/api?a=b", [server.url.removeprefix("http://")])
        assert (first.headers.get_all("Content-Length"), first.body) == (["2"], b"{}")
        assert (second.headers.get_all("Host"), second.headers.get_all("Content-Length")) == (["other"], ["2"])
        assert b"X-B: \xe9\r\n" in second.head


def test_urlopen_takes_timeouts_as_requests_hands_them_over() -> None:
    """The second for the whole exchange, the first for connecting."""
    with FaultServer() as server, pool_of(server.url) as pool:
        server.script(fault.silent())
        with pytest.raises(ResponseTimeoutError):
            pool.urlopen("POST", "/", timeout=SimpleNamespace(connect_timeout=5, read_timeout=0.1))
    with fault.full_backlog() as port, pool_of(f"http://127.0.0.1:{port}") as pool, pytest.raises(NotSentError):
        pool.urlopen("POST", "/", timeout=SimpleNamespace(connect_timeout=0.1, read_timeout=5))
