from __future__ import annotations

import asyncio
from contextlib import suppress


class AsyncClosing:
    """As `Closing`, for calls in event loops. `close` may be called from any thread."""

    __slots__ = ("_is_closed", "_waits")

    def __init__(self) -> None:
        self._waits: set[asyncio.Future[None]] = set()
        self._is_closed = False

    def close(self) -> None:
        """Ends all waits, those to come as well."""
        self._is_closed = True
        for future in tuple(self._waits):
            with suppress(RuntimeError):  # its loop is closed, and nobody waits any more
                future.get_loop().call_soon_threadsafe(_end, future)

    async def wait(self, seconds: float) -> bool:
        """Waits; True, perhaps before the time is over, when the client closed."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waits.add(future)
        timer = loop.call_later(seconds, _end, future)
        try:
            if not self._is_closed:
                await future
        finally:
            timer.cancel()
            self._waits.discard(future)
        return self._is_closed


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
