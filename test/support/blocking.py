"""Makes asynchronous clients blocking, so that one test can run with both kinds."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any

_COROUTINES = frozenset({"call", "_call", "_invoke", "call_command", "call_one_way", "_call_one_way", "_execute"})
_TIMEOUT = 60  # seconds


@cache
def background_loop() -> asyncio.AbstractEventLoop:
    """An event loop that runs in its own thread until the tests end."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="test loop", daemon=True).start()
    return loop


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Runs a coroutine in that loop, and returns its result. After an interrupt, a coroutine that runs is cancelled."""
    loop = background_loop()
    tasks: list[asyncio.Task[Any] | None] = []

    async def main() -> Any:
        tasks.append(asyncio.current_task())
        return await coroutine

    try:
        # The interrupt may come before this function has the future, so the task is cancelled instead.
        return asyncio.run_coroutine_threadsafe(main(), loop).result(_TIMEOUT)
    except BaseException:
        for task in tasks:
            if task and not task.done():
                loop.call_soon_threadsafe(task.cancel)
        raise
    finally:
        # An exception refers to this frame, and the task to the exception: this would be a reference cycle.
        task = None
        tasks.clear()


class BlockingFacade:
    """An asynchronous client whose calls block. Everything else is done by the client itself."""

    def __init__(self, client: Any) -> None:
        vars(self)["client"] = client

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.client, name)
        if name in _COROUTINES:
            return lambda *args, **kwargs: run(value(*args, **kwargs))
        return self._close if name == "close" else value

    def _close(self, *args: Any) -> None:
        """Closes the client, and returns when the loop has closed its connections."""
        self.client.close(*args)
        run(asyncio.sleep(0))

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.client, name, value)

    def __repr__(self) -> str:
        return repr(self.client)
