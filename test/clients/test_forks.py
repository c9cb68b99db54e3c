"""A fork at whatever moment leaves the child a client that calls. `make soak` is the long form."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from pip_services4_components.config import ConfigParams
from pip_services4_components.refer import Descriptor, References
from pip_services4_config.connect import ConnectionParams, MemoryDiscovery
from support.clients import CLIENTS, config_for
from support.fault_server import FaultServer
from support.forks import FIRST_CHILD, fork_under_load
from support.load import load_server

from pip_services4_serverless.clients import LambdaClient

FORKS = 20


def test_forks_under_load(provider: str) -> None:
    """Each child's call is answered, once, while threads of the parent call on; theirs are, too."""
    with load_server(failing=0) as server:
        seen = fork_under_load(provider, server.url, FORKS, 60)
        executed = server.executed()
    assert (seen.children, seen.failed, seen.hung, seen.wrong) == (FORKS, 0, 0, 0)
    assert [executed.get(FIRST_CHILD + number) for number in range(FORKS)] == [1] * FORKS
    assert set(executed.values()) == {1}
    assert len(executed) == FORKS + seen.calls + 1
    assert seen.calls > 0


def test_forks_while_clients_open(provider: str) -> None:
    """A child opens a client of its own, although a thread that it does not have was opening one."""
    with load_server(failing=0) as server:
        seen = fork_under_load(provider, server.url, FORKS, 60, under="open")
    assert (seen.children, seen.failed, seen.hung, seen.wrong) == (FORKS, 0, 0, 0)


def child_of_fork(act: Callable[[], object]) -> int:
    """The exit status of a child that does this; minus the number of `SIGALRM` if it hangs."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends the process, whatever it waits for
            signal.alarm(5)
            act()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class SlowOnce(MemoryDiscovery):
    """Its first lookup takes until `go`."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go = threading.Event(), threading.Event()

    def resolve_one(self, context: object, key: str) -> ConnectionParams:
        if not self.asked.is_set():
            self.asked.set()
            assert self.go.wait(30)
        return ConnectionParams.from_tuples("uri", "http://127.0.0.1:9", "arn", "dummies", "region", "eu-west-1")


def test_fork_while_a_thread_opens_the_same_client(provider: str) -> None:
    """The child opens and closes the client, although a thread that it does not have was opening it."""
    discovery = SlowOnce()
    client = CLIENTS[provider]("dummies")
    config = config_for(provider, "http://127.0.0.1:9")
    for key in ("connection.uri", "connection.arn"):
        config.remove(key)
    client.configure(config.override(ConfigParams.from_tuples("connection.discovery_key", "slow")))
    client.set_references(
        References.from_tuples(Descriptor("pip-services", "discovery", "memory", "*", "1.0"), discovery)
    )

    def reopen() -> None:
        client.open("child")
        assert client.is_open()
        client.close("child")

    opening = threading.Thread(target=client.open, args=("parent",))
    opening.start()
    assert discovery.asked.wait(30)
    try:
        assert child_of_fork(reopen) == 0
    finally:
        discovery.go.set()
        opening.join(30)
    assert client.is_open()
    client.close("parent")


def test_fork_waits_for_a_thread_that_opens_a_lambda_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Otherwise a lock of OpenSSL, which botocore uses to make a client, may stay locked in the child for ever."""
    asked, given = tmp_path / "asked", tmp_path / "given"
    keys = '{"Version": 1, "AccessKeyId": "id", "SecretAccessKey": "key"}'
    program, settings = tmp_path / "keys.sh", tmp_path / "config"
    program.write_text(f"touch {asked}; sleep 0.3; touch {given}; echo '{keys}'")
    settings.write_text(f"[default]\ncredential_process = sh {program}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(settings))

    def reopen() -> None:
        assert given.exists()
        client.open("child")

    client = LambdaClient.from_arn("dummies", "eu-west-1", "http://127.0.0.1:9")
    opening = threading.Thread(target=client.open)
    opening.start()
    while not asked.exists():
        time.sleep(0.01)
    assert child_of_fork(reopen) == 0
    opening.join(30)
    client.close()


CLOSE_IN_THE_CHILD = """
import asyncio, os, signal, sys, threading, warnings
import uvloop
from support.clients import AsyncKind, CLIENTS, config_for
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
provider, url, kind, how, runs = sys.argv[1:]
loop = (uvloop if kind == "uvloop" else asyncio).new_event_loop()
client = CLIENTS[AsyncKind(provider)]("dummies").client
client.configure(config_for(provider, url, timeout=3000))
client.open("test")

def ask(number):
    call = client._call("ask", "test", {"number": number})
    if runs == "runs":
        answer = asyncio.run_coroutine_threadsafe(call, loop).result(10)
    else:
        answer = loop.run_until_complete(call)
    assert answer["number"] == number

if runs == "runs":
    threading.Thread(target=loop.run_forever, daemon=True).start()
ask(1)
child = os.fork()
if child == 0:
    signal.alarm(60)
    client.close("test") if how == "close" else globals().pop("client")
    os.write(1, b"child\\n")
    sys.stdin.read()  # its descriptors are open as long as it lives
    os._exit(0)
ask(2)
os.write(1, b"parent\\n")
client.close("test")
os.waitpid(child, 0)
"""


@pytest.mark.parametrize(("how", "runs"), [("close", "runs"), ("close", "does not run"), ("forget", "does not run")])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_closing_an_asynchronous_client_in_a_child(loop: str, how: str, runs: str) -> None:
    """It closes the child's copies of the connections. The parent's loop watches its own as before."""
    with FaultServer() as far_side:
        with subprocess.Popen(
            [sys.executable, "-c", CLOSE_IN_THE_CHILD, "azure", far_side.url, loop, how, runs],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as program:
            assert program.stdout
            assert {program.stdout.readline() for _ in range(2)} == {"child\n", "parent\n"}
            far_side.wait_for(closed=1)  # though the child lives on
            program.communicate("", 20)
        assert program.returncode == 0
        assert (far_side.executions, far_side.connections) == (2, 1)
