"""Opening, closing and forking a client while calls are made."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pip_services4_commons.errors import ApplicationException, InvalidStateException
from support import fault_server as fault
from support.clients import CLIENTS, config_for, every_base, open_client
from support.fault_server import FaultServer, Step
from support.load import Resources
from support.processes import wait_until

provider = every_base


class Gate:
    """A step that executes a request, and sends the response when `opened` is set."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.step = Step("gate", self._act)

    def _act(self, connection: fault.Connection) -> None:
        assert self.opened.wait(30)
        fault.respond(body=b"1").act(connection)


def outcome(call: Callable[[], Any]) -> object:
    """The result of a call, or the code of its `ApplicationException`. Other exceptions are not caught."""
    try:
        return call()
    except ApplicationException as error:
        return error.code


@pytest.mark.timing
def test_close_does_not_interrupt_calls_in_flight(provider: str) -> None:
    """`close` does not wait for them, and each returns its result."""
    gate = Gate()
    with FaultServer() as server, ThreadPoolExecutor(8) as threads:
        server.default = gate.step
        with open_client(provider, server.url) as client:
            calls = [threads.submit(client._call, "act", "test") for _ in range(8)]
            server.wait_for(executions=8)
            started = time.monotonic()
        assert time.monotonic() - started < 1
        gate.opened.set()
        assert [call.result(30) for call in calls] == [1] * 8
        server.wait_for(closed=8)  # because their pool is closed
        assert server.executions == 8


@pytest.mark.timing
@pytest.mark.parametrize("step", [fault.respond(429, headers={"Retry-After": "19"}), fault.reset_after_read()])
def test_close_ends_a_wait_for_the_next_attempt(provider: str, step: Step) -> None:
    """A call that waits for its next attempt raises `NOT_OPENED` immediately. There is no further attempt."""
    waits = step.name == "respond"
    with FaultServer() as server, ThreadPoolExecutor(1) as threads:
        server.default = step
        with open_client(provider, server.url, idempotent=True, retries=1000) as client:
            call: Future[Any] = threads.submit(client._call, "act", "test")
            server.wait_for(executions=1 if waits else 3)
            if waits:
                wait_until(lambda: is_waiting(threads))
            started = time.monotonic()
        error = call.exception(15)
        assert isinstance(error, InvalidStateException)
        assert (error.code, error.trace_id) == ("NOT_OPENED", "test")
        assert time.monotonic() - started < 2


def is_waiting(threads: ThreadPoolExecutor) -> bool:
    """Whether the pool's only thread is in `Event.wait`. A wait for the next attempt has no other visible sign."""
    (thread,) = threads._threads
    frame = sys._current_frames()[thread.ident or 0]
    return frame.f_code.co_name == "wait"


def test_calls_during_close_return_or_raise_not_opened(provider: str) -> None:
    """At whatever moment `close` runs, a call returns its result or raises `NOT_OPENED`."""
    before = Resources()
    with FaultServer() as server, ThreadPoolExecutor(4) as threads:
        client = CLIENTS[provider]("dummies")
        client.configure(config_for(provider, server.url))
        stop = threading.Event()
        seen: set[object] = set()

        def work() -> None:
            while not stop.is_set():
                seen.add(outcome(lambda: client._call("act", "test", {"a": 1})["a"]))

        workers = [threads.submit(work) for _ in range(4)]
        try:
            for rounds in range(1, 11):
                client.open("test")
                server.wait_for(executions=rounds * 5)
                client.close("test")
        finally:
            stop.set()
        for worker in workers:
            worker.result(30)
    assert seen == {1, "NOT_OPENED"}
    assert Resources().more_than(before) == {"threads": 0, "sockets": 0, "descriptors": 0}


def test_many_threads_can_open_and_close_a_client(provider: str) -> None:
    """Nothing raises or hangs. When the client is closed, it holds no threads, sockets or descriptors."""
    before = Resources()
    with FaultServer() as server, ThreadPoolExecutor(16) as threads:
        client = CLIENTS[provider]("dummies")
        client.configure(config_for(provider, server.url))
        start = threading.Barrier(16)

        def work(number: int) -> list[object]:
            start.wait(30)
            seen: list[object] = []
            for _ in range(10):
                (client.close if number % 4 == 0 else client.open)("test")
                seen.append(outcome(lambda: client._call("act", "test", {"a": 1})["a"]))
            return seen

        assert {value for seen in threads.map(work, range(16), timeout=60) for value in seen} <= {1, "NOT_OPENED"}
        client.open("test")
        assert client._call("act", "test", {"a": 1})["a"] == 1
        client.close("test")
        assert not client.is_open()
    assert Resources().more_than(before) == {"threads": 0, "sockets": 0, "descriptors": 0}


def test_opening_or_closing_twice_does_nothing_more(provider: str) -> None:
    """There is one session and one connection."""
    with FaultServer() as server, open_client(provider, server.url) as client:
        client._call("act", "test")
        client.open("test")
        client._call("act", "test")
        assert server.connections == 1
        client.close("test")
        client.close("test")
        server.wait_for(closed=1)


def test_close_closes_the_connections_without_the_garbage_collector(provider: str) -> None:
    """This is also true after failed calls."""
    before = Resources()
    gc.disable()
    try:
        with FaultServer() as server:
            with open_client(provider, server.url, retries=0, timeout=500) as client:
                server.script(fault.respond(500), fault.truncated(), fault.silent(), fault.reset_after_read())
                codes = [outcome(lambda: client._call("act", "test")) for _ in range(4)]
                assert codes == ["CALL_FAILED", "NO_RESPONSE", "CALL_TIMEOUT", "NO_RESPONSE"]
                client._call("act", "test")
            server.wait_for(closed=server.connections)
    finally:
        gc.enable()
    assert Resources().more_than(before) == {"threads": 0, "sockets": 0, "descriptors": 0}


def test_a_failed_call_leaves_no_reference_cycle(provider: str) -> None:
    """Without the garbage collector, the call's frames and payload are freed as soon as its error is."""
    with FaultServer() as server, open_client(provider, server.url, retries=0) as client:
        server.default = fault.respond(400)
        outcome(lambda: client._call("act", "test"))
        gc.collect()
        gc.disable()
        try:
            error = None
            try:
                client._call("act", "test", {"marker": Marker()})
            except ApplicationException as err:
                error = err
            assert error
            assert Marker.alive == 1  # the traceback refers to it
            del error
            wait_until(lambda: Marker.alive == 0)  # the loop of an asynchronous client runs in another thread
        finally:
            gc.enable()


class Marker:
    """A serializable object that counts its instances."""

    alive = 0

    def __init__(self) -> None:
        Marker.alive += 1
        self.value = 1

    def __del__(self) -> None:
        Marker.alive -= 1


FORK = """
import os, sys
from support.clients import open_client

with open_client(sys.argv[1], sys.argv[2]) as client:
    assert client._call("parent", "test", {"who": "parent"})["who"] == "parent"
    child = os.fork()
    if child == 0:
        try:
            for _ in range(2):
                assert client._call("child", "test", {"who": "child"})["who"] == "child"
            client.close("test")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client._call("parent", "test", {"who": "parent afterwards"})["who"] == "parent afterwards"
"""


def test_a_forked_child_uses_its_own_connection(provider: str) -> None:
    """The child opens and closes its own connection. The connection of the parent still works."""
    with FaultServer() as server:
        subprocess.run(
            [sys.executable, "-W", "error", "-c", FORK, provider, server.url],
            check=True,
            timeout=60,
            env={"PYTHONPATH": str(Path(__file__).parents[1]), "AWS_EC2_METADATA_DISABLED": "true"},
        )
        seen = [(request.json()["who"], request.connection) for request in server.requests]
    assert seen == [("parent", 1), ("child", 2), ("child", 2), ("parent afterwards", 1)]


def test_open_never_mixes_two_configurations(provider: str) -> None:
    """Another thread configures the client, and `open` takes address, key and timeout of one configuration."""
    configs = []
    for number in range(2):
        config = config_for(provider, f"http://127.0.0.{number + 1}:9", timeout=1000 + number)
        config.put("credential.auth_code", f"auth_code{number}")
        config.put("credential.access_key", f"access_key{number}")
        configs.append(config)
    client = CLIENTS[provider]("dummies")
    client.configure(configs[0])
    stopped = threading.Event()

    def configure() -> None:
        while not stopped.is_set():
            for config in configs:
                client.configure(config)

    mixed, opened, ends_at = 0, 0, time.monotonic() + 30
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    with ThreadPoolExecutor(1) as threads:
        configuring = threads.submit(configure)
        try:
            while opened < 60 and time.monotonic() < ends_at:
                client.open("T")
                state = client._state
                number = state.transport.url.partition(":9")[0][-1]
                mixed += (state.transport.secrets[0][-1], f"{state.policy.timeout:.3f}"[-1]) != (
                    str(int(number) - 1),
                    str(int(number) - 1),
                )
                opened += 1
                client.close("T")
        finally:
            sys.setswitchinterval(switching)
            stopped.set()
        configuring.result(30)
    assert opened > 20
    assert mixed == 0
