"""If a signal handler raises an exception during a call, at whatever moment, the client still works.

`make soak` runs the long form.
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
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # a socket whose creation was interrupted
def test_a_client_works_after_interrupts_at_random_moments(provider: str, kind: type[BaseException]) -> None:
    """The exception ends its call. Later calls do not hang, get the right responses, and are executed once."""
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
def test_an_interrupt_during_the_handling_of_a_failure_is_not_that_failure(failures: Any) -> None:
    """It must not become an error of the call."""
    interrupt = TimeIsUp()
    interrupt.__context__ = ConnectionLostError("reset")  # as for an exception that is raised in an `except` block
    assert classify(interrupt, failures()) is None
