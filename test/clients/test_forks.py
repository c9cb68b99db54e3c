"""A fork at whatever moment leaves the child a client that calls. `make soak` is the long form."""

from __future__ import annotations

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
