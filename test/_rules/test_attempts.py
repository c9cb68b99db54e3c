"""How many attempts a call makes, and how long it waits between them."""

from __future__ import annotations

from time import monotonic
from typing import Any

import pytest

from pip_services4_serverless._rules.attempts import Attempts, CallPolicy
from pip_services4_serverless._rules.errors import Failure, Retry, call_error

SAMPLES = 200  # enough for a random wait close to its bound


def policy(**changes: Any) -> CallPolicy:
    """The default policy, with these changes."""
    defaults = CallPolicy(timeout=10.0, total_timeout=0.0, retries=3, idempotent=False)
    return defaults._replace(**changes)


def failure(retry: Retry, retry_after: float | None = None) -> Failure:
    """The failure of an attempt, with this retry rule."""
    return Failure(call_error("CALL_FAILED", "T", "It failed"), retry, retry_after)


def waits(after: int, failed: Failure, changed: CallPolicy | None = None) -> list[float | None]:
    """What `wait_after` returns after this many attempts, in many samples."""
    result = []
    for _ in range(SAMPLES):
        attempts = Attempts(changed or policy(retries=1000))
        for _ in range(after):
            attempts.next_timeout()
        result.append(attempts.wait_after(failed))
    return result


@pytest.mark.parametrize(
    ("retry", "idempotent", "is_retried"),
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
def test_the_failure_and_idempotent_decide_on_a_retry(retry: Retry, idempotent: bool, is_retried: bool) -> None:
    """A call that may have run is retried only if it is idempotent."""
    attempts = Attempts(policy(idempotent=idempotent))
    attempts.next_timeout()

    assert (attempts.wait_after(failure(retry)) is not None) is is_retried


@pytest.mark.defect(4)
@pytest.mark.parametrize("retries", [0, 1, 3])
def test_retries_counts_the_attempts_after_the_first(retries: int) -> None:
    """A call makes one attempt more than `retries`."""
    attempts = Attempts(policy(retries=retries))
    attempts.next_timeout()
    while attempts.wait_after(failure(Retry.ALWAYS)) is not None:
        attempts.next_timeout()

    assert attempts.made == retries + 1


@pytest.mark.defect(5)
@pytest.mark.parametrize(("made", "longest"), [(1, 0.1), (2, 0.2), (3, 0.4), (6, 3.2), (7, 5.0), (8, 5.0), (1000, 5.0)])
def test_the_wait_doubles_with_full_jitter_up_to_five_seconds(made: int, longest: float) -> None:
    """The wait is random. Its upper bound doubles with each attempt, and is never more than 5 s."""
    found = [wait for wait in waits(made, failure(Retry.ALWAYS)) if wait is not None]

    assert len(found) == SAMPLES
    assert 0 <= min(found) < longest * 0.2
    assert longest * 0.8 < max(found) <= longest


@pytest.mark.defect(6)
@pytest.mark.parametrize("asked", [6.0, 19.9, 20.0])
def test_a_retry_after_up_to_twenty_seconds_is_honoured(asked: float) -> None:
    """The wait is as long as `Retry-After` says."""
    assert set(waits(1, failure(Retry.ALWAYS, asked))) == {asked}


def test_a_short_retry_after_does_not_shorten_the_backoff() -> None:
    """The longer of the two waits is used, so `Retry-After: 0` does not cause immediate retries."""
    found = [wait for wait in waits(7, failure(Retry.ALWAYS, 0.0)) if wait is not None]

    assert max(found) > 4


@pytest.mark.parametrize("asked", [20.1, 3600.0, float("inf")])
def test_a_longer_retry_after_ends_the_call(asked: float) -> None:
    """The call fails immediately if `Retry-After` is more than 20 s."""
    assert set(waits(1, failure(Retry.ALWAYS, asked))) == {None}


def test_without_a_total_timeout_each_attempt_has_the_whole_timeout() -> None:
    """Earlier attempts do not shorten the timeout of later ones."""
    attempts = Attempts(policy(timeout=7.5))

    assert [attempts.next_timeout() for _ in range(3)] == [7.5, 7.5, 7.5]


def test_the_total_timeout_limits_an_attempt() -> None:
    """An attempt gets the rest of the total timeout, if that is less than its own timeout."""
    assert 1.9 < Attempts(policy(total_timeout=2.0)).next_timeout() <= 2.0
    assert Attempts(policy(timeout=1.0, total_timeout=2.0)).next_timeout() == 1.0


def test_no_time_is_left_after_the_total_timeout() -> None:
    """The remaining time is never negative."""
    attempts = Attempts(policy(total_timeout=1e-9))
    before = monotonic()
    while monotonic() == before:
        pass

    assert attempts.next_timeout() == 0.0


@pytest.mark.parametrize(("asked", "total", "wait"), [(3.0, 60.0, 3.0), (3.0, 2.0, None), (3.0, 3.0, None)])
def test_a_wait_longer_than_the_remaining_time_ends_the_call(asked: float, total: float, wait: float | None) -> None:
    """The call fails immediately, and does not wait for the total timeout."""
    attempts = Attempts(policy(total_timeout=total))
    attempts.next_timeout()

    assert attempts.wait_after(failure(Retry.ALWAYS, asked)) == wait


def test_options_of_a_command_or_call_override_the_policy() -> None:
    """Times are in ms. Options that do not belong to the policy are ignored."""
    default = policy()
    assert default.with_options({}) == default
    changed = default.with_options({"timeout": 500, "idempotent": True, "tenant_id": "blue"})
    assert changed == default._replace(timeout=0.5, idempotent=True)
    assert default.with_options({"total_timeout": 0, "retries": 0}) == default._replace(retries=0)


@pytest.mark.parametrize("idempotent", [False, True])
def test_a_call_is_retried_once_with_a_new_token(idempotent: bool) -> None:
    """The retry is immediate. There is only one, even if more retries are left."""
    attempts = Attempts(policy(retries=5, idempotent=idempotent))
    attempts.next_timeout()
    assert attempts.wait_after(failure(Retry.NEW_TOKEN)) == 0
    attempts.next_timeout()
    assert attempts.wait_after(failure(Retry.NEW_TOKEN)) is None


def test_a_retry_with_a_new_token_respects_retries_and_total_timeout() -> None:
    """The call fails if it has no retries left, or if the total timeout is over."""
    attempts = Attempts(policy(retries=0))
    attempts.next_timeout()
    assert attempts.wait_after(failure(Retry.NEW_TOKEN)) is None
    now = [0.0]
    attempts = Attempts(policy(total_timeout=1.0), clock=lambda: now[0])
    attempts.next_timeout()
    now[0] = 1.0
    assert attempts.wait_after(failure(Retry.NEW_TOKEN)) is None
