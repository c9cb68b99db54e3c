"""Opening, closing and forking while calls are made."""

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
from support import fault_server as server
from support.clients import CLIENTS, config_for, every_base, open_client
from support.fault_server import FaultServer, Step
from support.load import Resources

provider = every_base


class Gate:
    """A step that reads and executes a request, and answers when it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.step = Step("gate", self._act)

    def _act(self, connection: server.Connection) -> None:
        assert self.opened.wait(30)
        server.respond(body=b"1").act(connection)


def outcome(call: Callable[[], Any]) -> object:
    """What a call returned, or its error's code; anything but an `ApplicationException` goes through."""
    try:
        return call()
    except ApplicationException as error:
        return error.code


@pytest.mark.timing
def test_calls_in_flight_end_with_their_result(provider: str) -> None:
    """`close` does not take away an answer that is on its way, and does not wait for it."""
    gate = Gate()
    with FaultServer() as far_side, ThreadPoolExecutor(8) as threads:
        far_side.default = gate.step
        with open_client(provider, far_side.url) as client:
            calls = [threads.submit(client._call, "act", "test") for _ in range(8)]
            far_side.wait_for(executions=8)
            started = time.monotonic()
        assert time.monotonic() - started < 1
        gate.opened.set()
        assert [call.result(30) for call in calls] == [1] * 8
        far_side.wait_for(closed=8)  # given back to a closed pool
        assert far_side.executions == 8


@pytest.mark.timing
@pytest.mark.parametrize("answer", [server.respond(429, headers={"Retry-After": "19"}), server.reset_after_read()])
def test_close_ends_a_wait_for_the_next_attempt(provider: str, answer: Step) -> None:
    """A call that waits to be sent again is told `NOT_OPENED`, at once, and is not sent again."""
    waits = answer.name == "respond"
    with FaultServer() as far_side, ThreadPoolExecutor(1) as threads:
        far_side.default = answer
        with open_client(provider, far_side.url, idempotent=True, retries=1000) as client:
            call: Future[Any] = threads.submit(client._call, "act", "test")
            far_side.wait_for(executions=1 if waits else 3)
            if waits:
                wait_until(lambda: is_waiting(threads))
            started = time.monotonic()
        error = call.exception(15)
        assert isinstance(error, InvalidStateException)
        assert (error.code, error.trace_id) == ("NOT_OPENED", "test")
        assert time.monotonic() - started < 2


def is_waiting(threads: ThreadPoolExecutor) -> bool:
    """Whether the pool's one thread is in an `Event.wait`: nothing else tells of a wait for the next attempt."""
    (thread,) = threads._threads
    frame = sys._current_frames()[thread.ident or 0]
    return frame.f_code.co_name == "wait"


def wait_until(condition: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0)  # lets the other thread run


def test_calls_beside_close_end_with_their_result_or_not_opened(provider: str) -> None:
    """Whenever `close` comes, a call has its answer or is told that the client is closed, and nothing else."""
    before = Resources()
    with FaultServer() as far_side, ThreadPoolExecutor(4) as threads:
        client = CLIENTS[provider]("dummies")
        client.configure(config_for(provider, far_side.url))
        stop = threading.Event()
        seen: set[object] = set()

        def work() -> None:
            while not stop.is_set():
                seen.add(outcome(lambda: client._call("act", "test", {"a": 1})["a"]))

        workers = [threads.submit(work) for _ in range(4)]
        try:
            for rounds in range(1, 11):
                client.open("test")
                far_side.wait_for(executions=rounds * 5)
                client.close("test")
        finally:
            stop.set()
        for worker in workers:
            worker.result(30)
    assert seen == {1, "NOT_OPENED"}
    assert Resources().more_than(before) == {"threads": 0, "sockets": 0, "descriptors": 0}


def test_open_and_close_from_many_threads(provider: str) -> None:
    """No error, no hang, and no more open than one client's worth; closed, it holds nothing."""
    before = Resources()
    with FaultServer() as far_side, ThreadPoolExecutor(16) as threads:
        client = CLIENTS[provider]("dummies")
        client.configure(config_for(provider, far_side.url))
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


def test_open_twice_and_close_twice_are_fine(provider: str) -> None:
    """The second does nothing: one session, one connection."""
    with FaultServer() as far_side, open_client(provider, far_side.url) as client:
        client._call("act", "test")
        client.open("test")
        client._call("act", "test")
        assert far_side.connections == 1
        client.close("test")
        client.close("test")
        far_side.wait_for(closed=1)


def test_close_frees_connections_at_once(provider: str) -> None:
    """Without the help of the garbage collector, also after calls that failed."""
    before = Resources()
    gc.disable()
    try:
        with FaultServer() as far_side:
            with open_client(provider, far_side.url, retries=0, timeout=500) as client:
                far_side.script(server.respond(500), server.truncated(), server.silent(), server.reset_after_read())
                codes = [outcome(lambda: client._call("act", "test")) for _ in range(4)]
                assert codes == ["CALL_FAILED", "NO_RESPONSE", "CALL_TIMEOUT", "NO_RESPONSE"]
                client._call("act", "test")
            far_side.wait_for(closed=far_side.connections)
    finally:
        gc.enable()
    assert Resources().more_than(before) == {"threads": 0, "sockets": 0, "descriptors": 0}


def test_a_failed_call_leaves_no_cycle(provider: str) -> None:
    """An error that its caller is done with frees the call's frames and payload: nothing waits for the collector."""
    with FaultServer() as far_side, open_client(provider, far_side.url, retries=0) as client:
        far_side.default = server.respond(400)
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
            assert Marker.alive == 1  # the traceback shows it
            del error
            assert Marker.alive == 0
        finally:
            gc.enable()


class Marker:
    """Serialises, and counts how many of it there are."""

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
    assert client._call("parent", "test", {"who": "parent again"})["who"] == "parent again"
"""


def test_a_client_opened_before_fork_works_in_the_child_on_its_own_connection(provider: str) -> None:
    """The child makes a connection of its own and closes it; the parent's is as it was."""
    with FaultServer() as far_side:
        subprocess.run(
            [sys.executable, "-W", "error", "-c", FORK, provider, far_side.url],
            check=True,
            timeout=60,
            env={"PYTHONPATH": str(Path(__file__).parents[1]), "AWS_EC2_METADATA_DISABLED": "true"},
        )
        seen = [(request.json()["who"], request.connection) for request in far_side.requests]
    assert seen == [("parent", 1), ("child", 2), ("child", 2), ("parent again", 1)]


def test_a_client_opens_with_one_configuration(provider: str) -> None:
    """Never with one's address and another's key, or timeout, while another thread configures it."""
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
