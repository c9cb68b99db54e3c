"""No call takes longer than its options allow, whatever the server does."""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from pip_services4_commons.errors import ApplicationException, ConnectionException
from support import fault_server
from support.clients import every_base, open_client
from support.fault_server import Connection, FaultServer, Step
from support.faults import FAULTS, stage

provider = every_base

TOTAL = 400  # ms
ALLOWED = TOTAL / 1000 * 1.1 + 0.05  # seconds

NAMES = (
    "connection refused",
    "backlog full: connecting times out",
    "TLS: handshake sent one byte at a time",
    "request read, but no response",
    "server does not read the request (5.9 MB)",
    "head sent one byte at a time",
    "chunked body sent one byte at a time",
    "truncated body",
    "429",
)
ENDLESS = [fault for fault in FAULTS if fault.name in NAMES]


def test_every_fault_of_the_list_exists() -> None:
    """The faults have not been renamed."""
    assert {fault.name for fault in ENDLESS} == set(NAMES)


def best_of(run: Callable[[], float], bound: float) -> float:
    """The shortest of up to three times: a busy machine is late sometimes, a broken timeout is late always."""
    seconds = [run()]
    while seconds[-1] > bound and len(seconds) < 3:
        seconds.append(run())
    return min(seconds)


@pytest.mark.timing
@pytest.mark.parametrize("fault", ENDLESS, ids=lambda fault: fault.name)
def test_a_call_ends_within_the_total_timeout(provider: str, fault: Any) -> None:
    """With all its attempts, it takes at most `total_timeout` plus 10 % and 50 ms."""
    options = {"total_timeout": TOTAL, "retries": 20, "timeout": 150, "connect_timeout": 150}
    retried = type(fault)(**{**vars(fault), "options": options, "ends": "total_timeout"})

    def run() -> float:
        with stage(retried, provider, idempotent=True) as staged:
            if retried.variants:
                staged.respond_with(retried.variants[0])
            started = time.monotonic()
            with pytest.raises(ApplicationException):
                staged.client._call("act", "test", retried.params)
            seconds = time.monotonic() - started
            # A busy machine may need most of the time, or all of it, to serialise and sign 5.9 MB. A call without an
            # attempt ends in time whatever the server does, so it does not count.
            return seconds if len(staged.attempts) > (0 if "MB" in fault.name else 1) else math.inf

    assert best_of(run, ALLOWED) <= ALLOWED


@pytest.mark.timing
def test_total_timeout_limits_a_single_attempt(provider: str) -> None:
    """An attempt gets only the time that is left for the call."""
    with FaultServer() as server, open_client(provider, server.url, timeout=10_000, total_timeout=200) as client:
        server.default = fault_server.silent()
        started = time.monotonic()
        with pytest.raises(ConnectionException) as caught:
            client._call("act", "test")
        assert 0.19 <= time.monotonic() - started < 1
        assert caught.value.code == "CALL_TIMEOUT"


@pytest.mark.timing
@pytest.mark.parametrize("seconds", ["10", "19"])
def test_a_wait_beyond_the_total_timeout_fails_immediately(provider: str, seconds: str) -> None:
    """The call raises the error of the response whose `Retry-After` is too long."""
    with FaultServer() as server, open_client(provider, server.url, total_timeout=5000) as client:
        server.default = fault_server.respond(429, headers={"Retry-After": seconds})
        started = time.monotonic()
        with pytest.raises(ApplicationException) as caught:
            client._call("act", "test")
        assert time.monotonic() - started < 2
        assert (caught.value.code, server.executions) == ("TOO_MANY_REQUESTS", 1)


@contextmanager
def name_with(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> Iterator[str]:
    """The URL of a host name that has these addresses."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    yield "http://many.invalid"


@pytest.mark.timing
def test_the_addresses_of_a_name_share_the_connect_timeout(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three addresses that do not respond take `connect_timeout` together."""
    with ExitStack() as resources:
        ports = [resources.enter_context(fault_server.full_backlog()) for _ in range(3)]
        url = resources.enter_context(name_with(monkeypatch, *(("127.0.0.1", port) for port in ports)))
        client = resources.enter_context(open_client(provider, url, connect_timeout=300, retries=0))
        started = time.monotonic()
        with pytest.raises(ConnectionException) as caught:
            client._call("act", "test")
        assert 0.29 <= time.monotonic() - started < 0.6
        assert (caught.value.code, caught.value.status) == ("CANNOT_CONNECT", 503)


@pytest.mark.timing
@pytest.mark.parametrize("bad", ["hanging", "refusing"])
def test_the_next_address_is_tried_after_one_fails(provider: str, monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    """The first two addresses of a name fail. The client connects to the third."""
    make = {"hanging": fault_server.full_backlog, "refusing": fault_server.refused_port}[bad]
    with ExitStack() as resources:
        server = resources.enter_context(FaultServer())
        ports = [*(resources.enter_context(make()) for _ in range(2)), server.port]
        url = resources.enter_context(name_with(monkeypatch, *(("127.0.0.1", port) for port in ports)))
        client = resources.enter_context(open_client(provider, url, connect_timeout=600, retries=0))
        assert client._call("act", "test", {"a": 1})["a"] == 1


def reads_slowly(interval: float) -> Step:
    """Receives little at a time, with a small buffer."""

    def act(connection: Connection) -> None:
        connection._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        while True:
            connection._socket.recv(16384)
            if connection.stopping.wait(interval):
                return

    return Step("reads_slowly", act, at="connection")


@pytest.mark.timing
@pytest.mark.parametrize("tls", [None, "good"])
def test_timeout_limits_sending_to_a_server_that_reads_slowly(
    provider: str, tls: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write makes some progress, but the attempt ends at `options.timeout`."""
    with FaultServer(tls) as server:
        if server.ca_bundle:
            monkeypatch.setitem(os.environ, "REQUESTS_CA_BUNDLE", server.ca_bundle)
        server.default = reads_slowly(0.1)
        with open_client(provider, server.url, timeout=300, retries=0) as client:

            def run() -> float:
                started = time.monotonic()
                with pytest.raises(ConnectionException) as caught:
                    client._call("act", "test", {"text": "x" * 5_900_000})
                assert caught.value.code == "CALL_TIMEOUT"
                return time.monotonic() - started

            assert 0.29 <= best_of(run, 0.6) < 0.6


@pytest.mark.timing
def test_a_connection_is_reused_until_the_idle_timeout(provider: str) -> None:
    """After `idle_timeout` the client makes a new connection, and no call fails."""
    with FaultServer() as server, open_client(provider, server.url, idle_timeout=300) as client:
        client._call("act", "test")
        client._call("act", "test")
        assert server.connections == 1
        threading.Event().wait(0.35)  # there is no event to wait for
        client._call("act", "test")
        assert (server.connections, server.executions) == (2, 3)


@pytest.mark.timing
def test_a_dropped_connection_is_not_used_after_the_idle_timeout(provider: str) -> None:
    """The network drops the connection silently. The next call uses a new one and is executed once."""
    with FaultServer() as server, open_client(provider, server.url, idle_timeout=100, timeout=10_000) as client:
        server.script(fault_server.black_hole_idle())
        client._call("act", "test")
        threading.Event().wait(0.15)  # there is no event to wait for
        started = time.monotonic()
        client._call("act", "test")
        assert time.monotonic() - started < 2
        assert server.executions == 2
