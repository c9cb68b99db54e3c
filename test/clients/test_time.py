"""No call takes longer than its owner allowed, whatever the far side does."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from pip_services4_commons.errors import ApplicationException, ConnectionException
from support import fault_server as server
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


def test_the_faults_are_there() -> None:
    """None was renamed."""
    assert {fault.name for fault in ENDLESS} == set(NAMES)


def best_of(run: Callable[[], float], bound: float) -> float:
    """The least of up to three times: a busy machine may be late, a bound that does not hold is late always."""
    seconds = [run()]
    while seconds[-1] > bound and len(seconds) < 3:
        seconds.append(run())
    return min(seconds)


@pytest.mark.timing
@pytest.mark.parametrize("fault", ENDLESS, ids=lambda fault: fault.name)
def test_total_timeout_is_not_overrun(provider: str, fault: Any) -> None:
    """With all the attempts that it asks for, a call ends within `total_timeout` plus 10 % and 50 ms."""
    options = {"total_timeout": TOTAL, "retries": 20, "timeout": 150, "connect_timeout": 150}
    patient = type(fault)(**{**vars(fault), "options": options, "ends": "total_timeout"})

    def run() -> float:
        with stage(patient, provider, idempotent=True) as staged:
            if patient.variants:
                staged.respond_with(patient.variants[0])
            started = time.monotonic()
            with pytest.raises(ApplicationException):
                staged.client._call("act", "test", patient.params)
            seconds = time.monotonic() - started
            # A busy machine may need most of the time to serialise and sign 5.9 MB.
            assert len(staged.attempts) > (0 if "MB" in fault.name else 1)
            return seconds

    assert best_of(run, ALLOWED) <= ALLOWED


@pytest.mark.timing
def test_total_timeout_bounds_a_single_attempt_too(provider: str) -> None:
    """An attempt gets no more than what is left of the call's time."""
    with FaultServer() as far_side, open_client(provider, far_side.url, timeout=10_000, total_timeout=200) as client:
        far_side.default = server.silent()
        started = time.monotonic()
        with pytest.raises(ConnectionException) as caught:
            client._call("act", "test")
        assert 0.19 <= time.monotonic() - started < 1
        assert caught.value.code == "CALL_TIMEOUT"


@pytest.mark.timing
@pytest.mark.parametrize("seconds", ["10", "19"])
def test_a_wait_that_does_not_fit_is_not_begun(provider: str, seconds: str) -> None:
    """A `Retry-After` that `total_timeout` leaves no room for ends the call at once, with the error it came with."""
    with FaultServer() as far_side, open_client(provider, far_side.url, total_timeout=5000) as client:
        far_side.default = server.respond(429, headers={"Retry-After": seconds})
        started = time.monotonic()
        with pytest.raises(ApplicationException) as caught:
            client._call("act", "test")
        assert time.monotonic() - started < 2
        assert (caught.value.code, far_side.executions) == ("TOO_MANY_REQUESTS", 1)


@contextmanager
def name_with(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> Iterator[str]:
    """The URL of a host name that has these addresses."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    yield "http://many.invalid"


@pytest.mark.timing
def test_one_bound_holds_over_all_addresses_of_a_name(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three addresses that hang take `connect_timeout` together, not each."""
    with ExitStack() as resources:
        ports = [resources.enter_context(server.full_backlog()) for _ in range(3)]
        url = resources.enter_context(name_with(monkeypatch, *(("127.0.0.1", port) for port in ports)))
        client = resources.enter_context(open_client(provider, url, connect_timeout=300, retries=0))
        started = time.monotonic()
        with pytest.raises(ConnectionException) as caught:
            client._call("act", "test")
        assert 0.29 <= time.monotonic() - started < 0.6
        assert (caught.value.code, caught.value.status) == ("CANNOT_CONNECT", 503)


@pytest.mark.timing
@pytest.mark.parametrize("bad", ["hanging", "refusing"])
def test_an_address_that_fails_leaves_time_for_the_next(
    provider: str, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    """A name whose first two addresses hang or refuse is reached at its third."""
    make = {"hanging": server.full_backlog, "refusing": server.refused_port}[bad]
    with ExitStack() as resources:
        far_side = resources.enter_context(FaultServer())
        ports = [*(resources.enter_context(make()) for _ in range(2)), far_side.port]
        url = resources.enter_context(name_with(monkeypatch, *(("127.0.0.1", port) for port in ports)))
        client = resources.enter_context(open_client(provider, url, connect_timeout=600, retries=0))
        assert client._call("act", "test", {"a": 1})["a"] == 1


def reads_slowly(interval: float) -> Step:
    """Reads a TLS record now and then, with a small window."""

    def act(connection: Connection) -> None:
        connection._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        while True:
            connection._socket.recv(16384)
            if connection.stopping.wait(interval):
                return

    return Step("reads_slowly", act, at="connection")


@pytest.mark.timing
@pytest.mark.parametrize("tls", [None, "good"])
def test_timeout_bounds_sending_to_a_peer_that_reads_slowly(
    provider: str, tls: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write makes some progress, and the attempt ends at `options.timeout` all the same."""
    with FaultServer(tls) as far_side:
        if far_side.ca_bundle:
            monkeypatch.setitem(os.environ, "REQUESTS_CA_BUNDLE", far_side.ca_bundle)
        far_side.default = reads_slowly(0.1)
        with open_client(provider, far_side.url, timeout=300, retries=0) as client:
            started = time.monotonic()
            with pytest.raises(ConnectionException) as caught:
                client._call("act", "test", {"text": "x" * 5_900_000})
            assert 0.29 <= time.monotonic() - started < 0.6
            assert caught.value.code == "CALL_TIMEOUT"


@pytest.mark.timing
def test_a_young_connection_is_used_again_and_an_old_one_is_not(provider: str) -> None:
    """`idle_timeout` decides: within it the connection is kept, after it another is made, and no call fails."""
    with FaultServer() as far_side, open_client(provider, far_side.url, idle_timeout=300) as client:
        client._call("act", "test")
        client._call("act", "test")
        assert far_side.connections == 1
        threading.Event().wait(0.35)  # nothing tells that time has passed
        client._call("act", "test")
        assert (far_side.connections, far_side.executions) == (2, 3)


@pytest.mark.timing
def test_a_connection_that_the_network_dropped_costs_no_timeout(provider: str) -> None:
    """After `idle_timeout` the black hole is not even tried: the answer comes at once, executed once."""
    with FaultServer() as far_side, open_client(provider, far_side.url, idle_timeout=100, timeout=10_000) as client:
        far_side.script(server.black_hole_idle())
        client._call("act", "test")
        threading.Event().wait(0.15)  # nothing tells that time has passed
        started = time.monotonic()
        client._call("act", "test")
        assert time.monotonic() - started < 2
        assert far_side.executions == 2
