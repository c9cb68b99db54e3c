"""How often and for how long a call is tried."""

from __future__ import annotations

from time import monotonic
from typing import Any

import pytest

from pip_services4_serverless._rules.attempts import Attempts, CallPolicy
from pip_services4_serverless._rules.errors import Failure, Retry, call_error

SAMPLES = 200  # enough that a random wait comes near its bound


def policy(**changes: Any) -> CallPolicy:
    """The defaults, as the base takes them from the configuration."""
    defaults = CallPolicy(timeout=10.0, total_timeout=0.0, retries=3, idempotent=False)
    return defaults._replace(**changes)


def failed(resend: Retry, retry_after: float | None = None) -> Failure:
    """An attempt that failed so."""
    return Failure(call_error("CALL_FAILED", "T", "It failed"), resend, retry_after)


def waits(after: int, failure: Failure, changed: CallPolicy | None = None) -> list[float | None]:
    """What is decided after so many attempts, many times over."""
    result = []
    for _ in range(SAMPLES):
        attempts = Attempts(changed or policy(retries=1000))
        for _ in range(after):
            attempts.next_timeout()
        result.append(attempts.wait_after(failure))
    return result


@pytest.mark.parametrize(
    ("resend", "idempotent", "again"),
    [
        (Retry.ALWAYS, False, True),
        (Retry.ALWAYS, True, True),
        (Retry.IF_IDEMPOTENT, False, False),
        (Retry.IF_IDEMPOTENT, True, True),
        (Retry.NEVER, False, False),
        (Retry.NEVER, True, False),
    ],
)
@pytest.mark.defect(6)
@pytest.mark.defect(24)
def test_what_may_be_sent_again(resend: Retry, idempotent: bool, again: bool) -> None:
    """The contract's table: only what was not executed, unless the owner says that it may be."""
    attempts = Attempts(policy(idempotent=idempotent))
    attempts.next_timeout()

    assert (attempts.wait_after(failed(resend)) is not None) is again


@pytest.mark.defect(4)
@pytest.mark.parametrize("retries", [0, 1, 3])
def test_there_are_so_many_further_attempts(retries: int) -> None:
    """After the first."""
    attempts = Attempts(policy(retries=retries))
    attempts.next_timeout()
    while attempts.wait_after(failed(Retry.ALWAYS)) is not None:
        attempts.next_timeout()

    assert attempts.made == retries + 1


@pytest.mark.defect(5)
@pytest.mark.parametrize(("made", "longest"), [(1, 0.1), (2, 0.2), (3, 0.4), (6, 3.2), (7, 5.0), (8, 5.0), (1000, 5.0)])
def test_the_wait_doubles_with_full_jitter_up_to_five_seconds(made: int, longest: float) -> None:
    """Anything from nothing to the bound, whatever the timeout of an attempt."""
    found = [wait for wait in waits(made, failed(Retry.ALWAYS)) if wait is not None]

    assert len(found) == SAMPLES
    assert 0 <= min(found) < longest * 0.2
    assert longest * 0.8 < max(found) <= longest


@pytest.mark.defect(6)
@pytest.mark.parametrize("asked", [6.0, 19.9, 20.0])
def test_a_retry_after_up_to_twenty_seconds_is_honoured(asked: float) -> None:
    """The wait is never shorter than what the far side asked for."""
    assert set(waits(1, failed(Retry.ALWAYS, asked))) == {asked}


def test_a_short_retry_after_leaves_the_backoff() -> None:
    """The longer of the two counts: `Retry-After: 0` is no leave to hammer."""
    found = [wait for wait in waits(7, failed(Retry.ALWAYS, 0.0)) if wait is not None]

    assert max(found) > 4


@pytest.mark.parametrize("asked", [20.1, 3600.0, float("inf")])
def test_a_longer_retry_after_ends_the_call(asked: float) -> None:
    """At once: who called would rather know."""
    assert set(waits(1, failed(Retry.ALWAYS, asked))) == {None}


def test_without_a_total_each_attempt_has_the_whole_timeout() -> None:
    """However many were made."""
    attempts = Attempts(policy(timeout=7.5))

    assert [attempts.next_timeout() for _ in range(3)] == [7.5, 7.5, 7.5]


def test_a_total_bounds_an_attempt() -> None:
    """What is left of it, where that is less than the timeout."""
    assert 1.9 < Attempts(policy(total_timeout=2.0)).next_timeout() <= 2.0
    assert Attempts(policy(timeout=1.0, total_timeout=2.0)).next_timeout() == 1.0


def test_nothing_is_left_of_a_total_that_is_over() -> None:
    """Never a negative time."""
    attempts = Attempts(policy(total_timeout=1e-9))
    before = monotonic()
    while monotonic() == before:
        pass

    assert attempts.next_timeout() == 0.0


@pytest.mark.parametrize(("asked", "total", "wait"), [(3.0, 60.0, 3.0), (3.0, 2.0, None), (3.0, 3.0, None)])
def test_a_wait_that_the_total_has_no_room_for_ends_the_call(asked: float, total: float, wait: float | None) -> None:
    """At once, and not when the total is over."""
    attempts = Attempts(policy(total_timeout=total))
    attempts.next_timeout()

    assert attempts.wait_after(failed(Retry.ALWAYS, asked)) == wait


def test_options_of_a_command_or_call_change_a_policy() -> None:
    """Those that are given, times in ms; others of the call are not the policy's."""
    default = policy()
    assert default.with_options({}) == default
    changed = default.with_options({"timeout": 500, "idempotent": True, "tenant_id": "blue"})
    assert changed == default._replace(timeout=0.5, idempotent=True)
    assert default.with_options({"total_timeout": 0, "retries": 0}) == default._replace(retries=0)


@pytest.mark.parametrize("idempotent", [False, True])
def test_a_call_is_made_once_more_with_a_new_token(idempotent: bool) -> None:
    """At once, and not a second time, however many retries are left."""
    attempts = Attempts(policy(retries=5, idempotent=idempotent))
    attempts.next_timeout()
    assert attempts.wait_after(failed(Retry.NEW_TOKEN)) == 0
    attempts.next_timeout()
    assert attempts.wait_after(failed(Retry.NEW_TOKEN)) is None


def test_a_new_token_needs_a_retry_and_time() -> None:
    """Both of the owner's bounds hold."""
    attempts = Attempts(policy(retries=0))
    attempts.next_timeout()
    assert attempts.wait_after(failed(Retry.NEW_TOKEN)) is None
    now = [0.0]
    attempts = Attempts(policy(total_timeout=1.0), clock=lambda: now[0])
    attempts.next_timeout()
    now[0] = 1.0
    assert attempts.wait_after(failed(Retry.NEW_TOKEN)) is None
