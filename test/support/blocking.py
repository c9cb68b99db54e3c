"""Asynchronous clients, driven as if they were blocking, so that one table of tests holds for both kinds."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any

_AWAITED = frozenset({"call", "_call", "_invoke", "call_command", "call_one_way", "_call_one_way", "_execute"})
_LONGEST = 60  # seconds


@cache
def background_loop() -> asyncio.AbstractEventLoop:
    """A loop that runs in a thread of its own until the tests end."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="test loop", daemon=True).start()
    return loop


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that is run in that loop."""
    return asyncio.run_coroutine_threadsafe(coroutine, background_loop()).result(_LONGEST)


class BlockingFacade:
    """An asynchronous client whose calls wait. Everything else is the client's."""

    def __init__(self, client: Any) -> None:
        vars(self)["client"] = client

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.client, name)
        if name in _AWAITED:
            return lambda *args, **kwargs: run(value(*args, **kwargs))
        return self._close if name == "close" else value

    def _close(self, *args: Any) -> None:
        """Returns when the loop has closed the connections, as it is told to from this thread."""
        self.client.close(*args)
        run(asyncio.sleep(0))

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.client, name, value)

    def __repr__(self) -> str:
        return repr(self.client)
