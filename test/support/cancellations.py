"""Makes many concurrent calls in one event loop, cancels most of them, and compares the results with the server's
counts.

test_async.py runs it for a short time, and test/soak.py for a long time.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

from pip_services4_serverless.clients import AsyncFunctionClient

from .load import Load, Result


class Cancellations(Load):
    """The results of the calls."""

    def __init__(self, calls: int) -> None:
        super().__init__(calls)
        self.usual = 0.001  # seconds that a call takes at the moment

    @property
    def cancelled(self) -> int:
        return self.count(Result.CANCELLED)

    @property
    def mixed_up(self) -> int:
        return self.count(Result.MIXED_UP)


def cancel_calls(
    client: AsyncFunctionClient,
    calls: int,
    seconds: float,
    tasks: int = 64,
    progress: Callable[[int], Any] = lambda done: None,
) -> Cancellations:
    """Makes this many calls from several tasks, or as many as possible in `seconds`. `progress` is called regularly."""
    result = Cancellations(calls)
    asyncio.run(_run(client, result, itertools.takewhile(_before(calls, seconds), itertools.count()), tasks, progress))
    return result


def _before(calls: int, seconds: float) -> Callable[[int], bool]:
    ends_at = monotonic() + seconds
    return lambda number: number < calls and monotonic() < ends_at


async def _run(
    client: AsyncFunctionClient,
    result: Cancellations,
    numbers: Iterator[int],
    tasks: int,
    progress: Callable[[int], Any],
) -> None:
    async def work() -> None:
        for number in numbers:
            started = monotonic()
            call = asyncio.create_task(result.make_async_call(client, number))
            if random.random() < 0.75:  # noqa: S311
                for _ in range(random.randint(1, 4)):  # noqa: S311 (the call begins in the first round of the loop)
                    await asyncio.sleep(0)
                if random.random() < 0.25:  # noqa: S311
                    await asyncio.sleep(random.uniform(0, result.usual))  # noqa: S311
                call.cancel()
                await asyncio.wait([call])
            else:
                await call
                result.usual += 0.01 * (min(monotonic() - started, 0.1) - result.usual)

    workers = {asyncio.create_task(work()) for _ in range(tasks)}
    while workers:
        _, workers = await asyncio.wait(workers, timeout=0.25)
        progress(result.calls)
