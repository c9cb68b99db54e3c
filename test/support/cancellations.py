"""Many calls of one event loop at once, most of them cancelled at random moments, and the comparing of what each side
counted.

Short in test_async.py, long in test/soak.py.
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
    """What the callers were told, where they were told anything."""

    def __init__(self, calls: int) -> None:
        super().__init__(calls)
        self.usual = 0.001  # seconds of a call lately

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
    """Makes so many calls from so many tasks, or as many as `seconds` allow. `progress` is called now and then."""
    result = Cancellations(calls)
    asyncio.run(_run(client, result, itertools.takewhile(_before(calls, seconds), itertools.count()), tasks, progress))
    return result


def _before(calls: int, seconds: float) -> Callable[[int], bool]:
    ends_at = monotonic() + seconds
    return lambda question: question < calls and monotonic() < ends_at


async def _run(
    client: AsyncFunctionClient,
    result: Cancellations,
    questions: Iterator[int],
    tasks: int,
    progress: Callable[[int], Any],
) -> None:
    async def work() -> None:
        for question in questions:
            begun = monotonic()
            call = asyncio.create_task(result.make_async_call(client, question))
            if random.random() < 0.75:  # noqa: S311
                for _ in range(random.randint(1, 4)):  # noqa: S311 (rounds of the loop: the first begins the call)
                    await asyncio.sleep(0)
                if random.random() < 0.25:  # noqa: S311
                    await asyncio.sleep(random.uniform(0, result.usual))  # noqa: S311
                call.cancel()
                await asyncio.wait([call])
            else:
                await call
                result.usual += 0.01 * (min(monotonic() - begun, 0.1) - result.usual)

    workers = {asyncio.create_task(work()) for _ in range(tasks)}
    while workers:
        _, workers = await asyncio.wait(workers, timeout=0.25)
        progress(result.calls)
