"""A fork at whatever moment leaves the child a client that calls. `make soak` is the long form."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.fault_server import FaultServer
from support.forks import CHILDREN, fork_under_load
from support.load import load_server

FORKS = 20


def test_forks_under_load(provider: str) -> None:
    """Each child's call is answered, once, while threads of the parent call on; theirs are, too."""
    with load_server(failing=0) as server:
        seen = fork_under_load(provider, server.url, FORKS, 60)
        executed = server.executed()
    assert (seen.children, seen.failed, seen.hung, seen.wrong) == (FORKS, 0, 0, 0)
    assert [executed.get(CHILDREN + number) for number in range(FORKS)] == [1] * FORKS
    assert set(executed.values()) == {1}
    assert len(executed) == FORKS + seen.calls + 1
    assert seen.calls > 0


def test_forks_while_clients_open(provider: str) -> None:
    """A child opens a client of its own, although a thread that it does not have was opening one."""
    with load_server(failing=0) as server:
        seen = fork_under_load(provider, server.url, FORKS, 60, under="open")
    assert (seen.children, seen.failed, seen.hung, seen.wrong) == (FORKS, 0, 0, 0)


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
