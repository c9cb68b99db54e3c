"""Many threads on one client, and a server that fails one call in ten at random. `make soak` is the long form."""

from __future__ import annotations

from support.clients import open_client
from support.load import TIMEOUT, Resources, Result, load_server, run

CALLS = 1000


def test_nothing_is_lost_doubled_mixed_up_or_leaked(provider: str) -> None:
    """What the callers were told and what the server counted agree, question by question; nothing stays open."""
    before = Resources()
    with load_server() as server:
        with open_client(provider, server.url, timeout=TIMEOUT) as client:
            load = run(client, CALLS)
        executed = server.executed()
    leaked = Resources().more_than(before)
    assert (load.raw, load.calls) == ([], CALLS)
    assert (load.lost(executed), load.executed_twice(executed), load.count(Result.MIXED_UP)) == (0, 0, 0)
    said = load.count(Result.RETURNED) + load.count(Result.FAILED)
    assert said <= sum(executed.values()) <= said + load.count(Result.RESPONSE_LOST)
    assert leaked == {"threads": 0, "sockets": 0, "descriptors": 0}
    assert load.count(Result.RETURNED) > 0.8 * CALLS
    assert min(load.count(Result.FAILED), load.count(Result.RESPONSE_LOST)) > 0


def test_an_idempotent_load_executes_more_and_loses_less(provider: str) -> None:
    """The load can tell: with `options.idempotent` some questions are executed twice, and still nothing is lost."""
    with load_server() as server:
        with open_client(provider, server.url, timeout=TIMEOUT, idempotent=True) as client:
            load = run(client, CALLS // 5)
        executed = server.executed()
    assert (load.lost(executed, idempotent=True), load.count(Result.MIXED_UP)) == (0, 0)
    assert load.executed_twice(executed) > 0
    assert load.count(Result.RESPONSE_LOST) < CALLS // 5 / 100
