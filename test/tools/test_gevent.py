"""Calls in greenlets end at their own timeouts, if gevent's `patch_all` runs before or after the import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import fault_server as fault
from support.fault_server import FaultServer

TIMEOUTS = (400, 1600, 1000)  # ms
SLACK = 550  # ms that a busy machine may add; less than the difference of two timeouts

# boto3 cannot create a client if gevent patches `ssl` after boto3 was imported. There, clients open before the patch.
SCRIPT = """
import json, sys, time, warnings
from contextlib import ExitStack

provider, url, when, *timeouts = sys.argv[1:]
warnings.simplefilter("ignore")  # gevent warns about modules that it patches late


def patch():
    from gevent import monkey

    monkey.patch_all()


if when == "before":
    patch()
from pip_services4_commons.errors import ApplicationException
from support.clients import open_client

with ExitStack() as opened:
    clients = {timeout: opened.enter_context(open_client(provider, url, timeout=timeout)) for timeout in timeouts}
    echo_client = opened.enter_context(open_client(provider, url))
    if when == "after a call":
        with open_client(provider, url) as client:
            client._call("echo", "test")
    if when != "before":
        patch()
    import gevent

    def timed(timeout):
        started = time.monotonic()
        try:
            clients[timeout]._call("slow", f"trace-{timeout}")
        except ApplicationException as error:
            return error.code, error.trace_id, time.monotonic() - started

    def echo(number):
        return echo_client._call("echo", "test", {"number": number})["number"]

    started = time.monotonic()
    slow = [gevent.spawn(timed, timeout) for timeout in timeouts]
    echoed = [gevent.spawn(echo, number) for number in range(5)]
    gevent.joinall(slow + echoed, timeout=60)
    took = time.monotonic() - started
print(json.dumps({"slow": [call.value for call in slow], "echoed": [call.value for call in echoed], "took": took}))
"""


def respond(connection: fault.Connection) -> None:
    """Sends the response of a slow call byte by byte, so that each byte wakes the call."""
    assert connection.request
    step = fault.drip("body") if connection.request.json()["cmd"] == "slow" else fault.echo()
    step.act(connection)


@pytest.mark.timing
@pytest.mark.parametrize("when", ["before", "after", "after a call"])
def test_calls_in_greenlets_end_at_their_own_timeouts(provider: str, when: str) -> None:
    """They run at the same time as each other, and as calls that succeed."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with FaultServer() as server:
        server.default = fault.Step("slow or echo", respond)
        command = [sys.executable, "-c", SCRIPT, provider, server.url, when, *map(str, TIMEOUTS)]
        run = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=120, env=environment)
        seen = json.loads(run.stdout)
    for timeout, (code, trace_id, took) in zip(TIMEOUTS, seen["slow"], strict=True):
        assert (code, trace_id) == ("CALL_TIMEOUT", f"trace-{timeout}")
        assert timeout <= took * 1000 < timeout + SLACK
    assert seen["echoed"] == [0, 1, 2, 3, 4]
    assert seen["took"] * 1000 < sum(TIMEOUTS)
    assert server.executions >= len(TIMEOUTS) + 5
