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
    """Runs a coroutine in that loop, and returns its result."""
    return asyncio.run_coroutine_threadsafe(coroutine, background_loop()).result(_TIMEOUT)


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
