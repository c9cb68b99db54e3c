"""gevent's `patch_all`, before the package is imported or after: calls in greenlets end at their own timeouts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import fault_server as server
from support.fault_server import FaultServer

TIMEOUTS = (400, 1600, 1000)  # ms
SLACK = 550  # ms that a busy machine may add: less than what lies between two timeouts

# boto3 cannot make a client any more when gevent has patched `ssl` behind it: there clients open before the patch.
SCRIPT = """
import json, sys, time, warnings
from contextlib import ExitStack

provider, url, when, *timeouts = sys.argv[1:]
warnings.simplefilter("ignore")  # gevent's, about what it patches late


def patch():
    from gevent import monkey

    monkey.patch_all()


if when == "before":
    patch()
from pip_services4_commons.errors import ApplicationException
from support.clients import open_client

with ExitStack() as opened:
    clients = {timeout: opened.enter_context(open_client(provider, url, timeout=timeout)) for timeout in timeouts}
    patient = opened.enter_context(open_client(provider, url))
    if when == "after a call":
        with open_client(provider, url) as client:
            client._call("echo", "test")
    if when != "before":
        patch()
    import gevent

    def timed(timeout):
        started = time.monotonic()
        try:
            clients[timeout]._call("late", f"trace-{timeout}")
        except ApplicationException as error:
            return error.code, error.trace_id, time.monotonic() - started

    def answered(number):
        return patient._call("echo", "test", {"number": number})["number"]

    started = time.monotonic()
    late = [gevent.spawn(timed, timeout) for timeout in timeouts]
    echoed = [gevent.spawn(answered, number) for number in range(5)]
    gevent.joinall(late + echoed, timeout=60)
    took = time.monotonic() - started
print(json.dumps({"late": [one.value for one in late], "echoed": [one.value for one in echoed], "took": took}))
"""


def act(connection: server.Connection) -> None:
    """Drips an answer to those whose timeouts are measured, so that each byte wakes the call."""
    assert connection.request
    step = server.drip("body") if connection.request.json()["cmd"] == "late" else server.echo()
    step.act(connection)


@pytest.mark.timing
@pytest.mark.parametrize("when", ["before", "after", "after a call"])
def test_calls_in_greenlets_end_at_their_own_timeouts(provider: str, when: str) -> None:
    """Beside each other, whichever ends first, and beside calls that are answered."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with FaultServer() as far_side:
        far_side.default = server.Step("late or echo", act)
        command = [sys.executable, "-c", SCRIPT, provider, far_side.url, when, *map(str, TIMEOUTS)]
        run = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=120, env=environment)
        seen = json.loads(run.stdout)
    for timeout, (code, trace_id, took) in zip(TIMEOUTS, seen["late"], strict=True):
        assert (code, trace_id) == ("CALL_TIMEOUT", f"trace-{timeout}")
        assert timeout <= took * 1000 < timeout + SLACK
    assert seen["echoed"] == [0, 1, 2, 3, 4]
    assert seen["took"] * 1000 < sum(TIMEOUTS)
    assert far_side.executions >= len(TIMEOUTS) + 5
