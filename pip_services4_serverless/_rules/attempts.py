"""Decides how many attempts a call makes, and how long it waits between them. It does not send or sleep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, NamedTuple

from .errors import Failure, Retry

FIRST_BACKOFF = 0.1  # seconds, the maximum wait before the first retry; it doubles with each retry
MAX_BACKOFF = 5.0  # seconds
MAX_RETRY_AFTER = 20.0  # seconds; a longer `Retry-After` ends the call immediately
_TIMES = frozenset({"timeout", "total_timeout"})


class CallPolicy(NamedTuple):
    """The timeouts and the retries of a call. Times are in seconds."""

    timeout: float  # of one attempt
    total_timeout: float  # of the call; 0 means no limit
    retries: int
    idempotent: bool

    def with_options(self, options: Mapping[str, Any]) -> CallPolicy:
        """This policy with the options of a command or of a call, whose times are in ms, in place of its own."""
        return self._replace(
            **{
                name: value / 1000 if name in _TIMES else value
                for name, value in options.items()
                if name in self._fields
            }
        )


class Attempts:
    """Counts the attempts of one call, and decides whether and when a failure is retried."""

    __slots__ = ("_clock", "_deadline", "_has_new_token", "_policy", "made")

    def __init__(self, policy: CallPolicy, clock: Callable[[], float] = monotonic) -> None:
        self._policy = policy
        self._clock = clock
        self._deadline = clock() + policy.total_timeout if policy.total_timeout else None
        self._has_new_token = False
        self.made = 0

    def next_timeout(self) -> float:
        """Begins an attempt. Returns its timeout in seconds."""
        self.made += 1
        if self._deadline is None:
            return self._policy.timeout
        return max(0.0, min(self._policy.timeout, self._deadline - self._clock()))

    def is_over(self) -> bool:
        """Whether `total_timeout` is over."""
        return self._deadline is not None and self._clock() >= self._deadline

    def wait_after(self, failure: Failure) -> float | None:
        """The seconds to wait before the next attempt, or None if the call ends with this failure."""
        policy = self._policy
        if failure.retry is Retry.NEW_TOKEN:
            if self._has_new_token or self.made > policy.retries or self.is_over():
                return None
            self._has_new_token = True
            return 0.0  # no backoff: the server is not overloaded
        allowed = failure.retry is Retry.ALWAYS or (policy.idempotent and failure.retry is Retry.IF_IDEMPOTENT)
        retry_after = failure.retry_after or 0.0
        if not allowed or self.made > policy.retries or retry_after > MAX_RETRY_AFTER:
            return None
        import random  # imported late: few calls wait, and the import would slow down every start

        # Full jitter, because clients that failed together must not retry together. A large exponent would overflow.
        backoff = random.uniform(0, min(MAX_BACKOFF, FIRST_BACKOFF * 2 ** min(self.made - 1, 30)))  # noqa: S311
        wait = max(retry_after, backoff)
        if self._deadline is not None and self._clock() + wait >= self._deadline:
            return None
        return wait
