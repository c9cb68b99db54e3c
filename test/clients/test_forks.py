"""Forks at random moments: the client of the child still works. `make soak` runs the long form."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pip_services4_components.config import ConfigParams
from pip_services4_components.refer import Descriptor, References
from pip_services4_config.connect import ConnectionParams, MemoryDiscovery
from support.certificates import authority
from support.clients import CLIENTS, config_for, open_client
from support.fault_server import FaultServer
from support.forks import FIRST_CHILD, fork_under_load
from support.load import load_server

from pip_services4_serverless._wire.endpoint import tls_context
from pip_services4_serverless.clients import AsyncLambdaClient, LambdaClient

FORKS = 20


def test_calls_succeed_in_a_child_forked_during_calls(provider: str) -> None:
    """The call of each child is executed once. The calls in threads of the parent succeed too."""
    with load_server(failing=0) as server:
        seen = fork_under_load(provider, server.url, FORKS, 60)
        executed = server.executed()
    assert (seen.children, seen.failed, seen.hung, seen.wrong) == (FORKS, 0, 0, 0)
    assert [executed.get(FIRST_CHILD + number) for number in range(FORKS)] == [1] * FORKS
    assert set(executed.values()) == {1}
    assert len(executed) == FORKS + seen.calls + 1
    assert seen.calls > 0


def test_a_child_forked_during_open_can_open_a_client(provider: str) -> None:
    """A thread of the parent, which the child does not have, was just opening a client."""
    with load_server(failing=0) as server:
        seen = fork_under_load(provider, server.url, FORKS, 60, under="open")
    assert (seen.children, seen.failed, seen.hung, seen.wrong) == (FORKS, 0, 0, 0)


def fork_and_run(act: Callable[[], object]) -> int:
    """The exit status of a forked child that calls `act`. If the child hangs, SIGALRM ends it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, even if it waits for a lock
            signal.alarm(5)
            act()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class SlowDiscovery(MemoryDiscovery):
    """Its first lookup waits for `go`."""

    def __init__(self) -> None:
        super().__init__()
        self.started, self.go = threading.Event(), threading.Event()

    def resolve_one(self, context: object, key: str) -> ConnectionParams:
        if not self.started.is_set():
            self.started.set()
            assert self.go.wait(30)
        return ConnectionParams.from_tuples("uri", "http://127.0.0.1:9", "arn", "dummies", "region", "eu-west-1")


def test_a_forked_child_can_open_a_client_that_a_thread_was_opening(provider: str) -> None:
    """The child does not have that thread of the parent."""
    discovery = SlowDiscovery()
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
    assert discovery.started.wait(30)
    try:
        assert fork_and_run(reopen) == 0
    finally:
        discovery.go.set()
        opening.join(30)
    assert client.is_open()
    client.close("parent")


def get_keys_from(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes AWS's chain run this shell script to get keys."""
    program, settings = folder / "keys.sh", folder / "config"
    program.write_text(script)
    settings.write_text(f"[default]\ncredential_process = sh {program}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(settings))


def test_a_fork_waits_until_a_lambda_client_is_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """botocore uses a lock of OpenSSL to create a client. Without waiting, it could stay locked in the child."""
    started, finished = tmp_path / "started", tmp_path / "finished"
    keys = '{"Version": 1, "AccessKeyId": "id", "SecretAccessKey": "key"}'
    get_keys_from(f"touch {started}; sleep 0.3; touch {finished}; echo '{keys}'", tmp_path, monkeypatch)

    def reopen() -> None:
        assert finished.exists()
        client.open("child")

    client = LambdaClient.from_arn("dummies", "eu-west-1", "http://127.0.0.1:9")
    opening = threading.Thread(target=client.open)
    opening.start()
    while not started.exists():
        time.sleep(0.01)
    assert fork_and_run(reopen) == 0
    opening.join(30)
    client.close()


def test_a_fork_waits_until_a_tls_context_is_created(tmp_path: Path) -> None:
    """OpenSSL has locks, too. The bundle is a pipe, so reading it takes until the test writes it."""
    slow, other, finished = tmp_path / "slow.pem", tmp_path / "other.pem", threading.Event()
    os.mkfifo(slow)
    other.write_bytes(authority().cert_pem.bytes())

    def finish() -> None:
        time.sleep(0.2)
        finished.set()
        pipe.write(other.read_bytes())
        pipe.close()

    def check() -> None:
        assert finished.is_set()
        tls_context(str(other))

    creating = threading.Thread(target=tls_context, args=(str(slow),))
    creating.start()
    pipe = slow.open("wb")  # waits until the thread reads
    finishing = threading.Thread(target=finish)
    finishing.start()
    assert fork_and_run(check) == 0
    finishing.join(30)
    creating.join(30)


def call_async(client: AsyncLambdaClient) -> object:
    return asyncio.run(client.call("act"))


@pytest.mark.parametrize("kind", [LambdaClient, AsyncLambdaClient])
def test_a_child_forked_during_a_renewal_of_keys_makes_its_own(
    kind: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """botocore holds a lock meanwhile, which stays locked in the child. The keys expire so soon that calls need it."""
    slow, started = tmp_path / "slow", tmp_path / "started"
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    keys = json.dumps({"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "K", "Expiration": soon})
    script = f"if [ -e {slow} ]; then rm {slow}; touch {started}; sleep 1; fi; echo '{keys}'"
    get_keys_from(script, tmp_path, monkeypatch)
    with FaultServer() as server:
        client = kind.from_arn("dummies", "eu-west-1", server.url, timeout=4000)
        client.open()
        slow.touch()
        call = partial(call_async, client) if kind is AsyncLambdaClient else partial(client.call, "act")
        calling = threading.Thread(target=call)
        calling.start()
        while not started.exists():
            time.sleep(0.01)
        assert fork_and_run(call) == 0
        calling.join(30)
        client.close()
        assert server.executions == 2


def test_fork_in_a_thread_of_a_child() -> None:
    """It does not wait for a lock that the child inherited."""

    def fork_in_a_thread() -> None:
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(fork_and_run, lambda: None).result() == 0

    with open_client("lambda", "http://127.0.0.1:9"):
        assert fork_and_run(fork_in_a_thread) == 0


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

def call(number):
    coroutine = client._call("ask", "test", {"number": number})
    if runs == "runs":
        result = asyncio.run_coroutine_threadsafe(coroutine, loop).result(10)
    else:
        result = loop.run_until_complete(coroutine)
    assert result["number"] == number

if runs == "runs":
    threading.Thread(target=loop.run_forever, daemon=True).start()
call(1)
child = os.fork()
if child == 0:
    signal.alarm(60)
    client.close("test") if how == "close" else globals().pop("client")
    os.write(1, b"child\\n")
    sys.stdin.read()  # until the process ends, its descriptors stay open
    os._exit(0)
call(2)
os.write(1, b"parent\\n")
client.close("test")
os.waitpid(child, 0)
"""


@pytest.mark.parametrize(("how", "runs"), [("close", "runs"), ("close", "does not run"), ("forget", "does not run")])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_closing_an_async_client_in_a_child_leaves_the_parents_connections_open(loop: str, how: str, runs: str) -> None:
    """The child closes its copies of the connections. The parent's loop still watches its own."""
    with FaultServer() as server:
        with subprocess.Popen(
            [sys.executable, "-c", CLOSE_IN_THE_CHILD, "azure", server.url, loop, how, runs],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as program:
            assert program.stdout
            assert {program.stdout.readline() for _ in range(2)} == {"child\n", "parent\n"}
            server.wait_for(closed=1)  # while the child still runs
            program.communicate("", 20)
        assert program.returncode == 0
        assert (server.executions, server.connections) == (2, 1)
