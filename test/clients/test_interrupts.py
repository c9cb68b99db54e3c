"""An exception that a signal raises, at whatever moment of a call, leaves a client that works as before.

`make soak` is the long form.
"""

from __future__ import annotations

import gc
from typing import Any

import pytest
from support.clients import open_client
from support.interrupts import Interrupted, TimeIsUp, interrupt_calls
from support.load import Resources, load_server

from pip_services4_serverless._wire.errors import ConnectionLostError
from pip_services4_serverless.clients._failures import botocore_errors, classify, requests_errors

INTERRUPTS = 200
SECONDS = 30  # at most


@pytest.mark.parametrize("kind", [Interrupted, TimeIsUp])
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # a socket whose making was interrupted
def test_interrupts_at_random_moments(provider: str, kind: type[BaseException]) -> None:
    """The exception ends the call as itself; no later call hangs, no answer reaches another call, nothing is executed
    twice, nothing stays open."""
    before = Resources()
    with load_server(failing=0) as server:
        with open_client(provider, server.url, timeout=5000) as client:
            seen = interrupt_calls(client, INTERRUPTS, SECONDS, kind)
        executed = server.executed()
    gc.collect()
    assert (seen.hung, seen.mixed_up, seen.others) == (0, 0, [])
    assert (seen.lost(executed), seen.executed_twice(executed)) == (0, 0)
    assert 0 <= seen.suppressed < 0.02 * seen.raised
    assert Resources().more_than(before) == {"threads": 0, "sockets": 0, "descriptors": 0}
    assert seen.raised > 100


@pytest.mark.parametrize("failures", [requests_errors, botocore_errors])
def test_an_interrupt_while_a_failure_is_handled(failures: Any) -> None:
    """It is not taken for that failure."""
    interrupt = TimeIsUp()
    interrupt.__context__ = ConnectionLostError("reset")  # as it is for what is raised in an `except` clause
    assert classify(interrupt, failures()) is None
