"""Many threads use one client, and the server fails one call in ten at random. `make soak` runs the long form."""

from __future__ import annotations

from support.clients import open_client
from support.load import TIMEOUT, Resources, Result, load_server, run

CALLS = 1000


def test_under_load_no_call_is_lost_repeated_or_mixed_up(provider: str) -> None:
    """The results of the calls agree with the server's counts. No thread, socket or descriptor is left."""
    before = Resources()
    with load_server() as server:
        with open_client(provider, server.url, timeout=TIMEOUT) as client:
            load = run(client, CALLS)
        executed = server.executed()
    leaked = Resources().more_than(before)
    assert (load.raw, load.calls) == ([], CALLS)
    assert (load.lost(executed), load.executed_twice(executed), load.count(Result.MIXED_UP)) == (0, 0, 0)
    known = load.count(Result.RETURNED) + load.count(Result.FAILED)
    assert known <= sum(executed.values()) <= known + load.count(Result.RESPONSE_LOST)
    assert leaked == {"threads": 0, "sockets": 0, "descriptors": 0}
    assert load.count(Result.RETURNED) > 0.8 * CALLS
    assert min(load.count(Result.FAILED), load.count(Result.RESPONSE_LOST)) > 0


def test_idempotent_calls_may_be_executed_twice_but_are_not_lost(provider: str) -> None:
    """This shows that the test above would notice repeated executions."""
    with load_server() as server:
        with open_client(provider, server.url, timeout=TIMEOUT, idempotent=True) as client:
            load = run(client, CALLS // 5)
        executed = server.executed()
    assert (load.lost(executed, idempotent=True), load.count(Result.MIXED_UP)) == (0, 0)
    assert load.executed_twice(executed) > 0
    assert load.count(Result.RESPONSE_LOST) < CALLS // 5 / 100
