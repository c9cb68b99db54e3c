from __future__ import annotations

import asyncio
from contextlib import suppress


class AsyncClosing:
    """Like `Closing`, but `wait` is awaited, in any event loop. Any thread may call `close`."""

    __slots__ = ("_is_closed", "_waits")

    def __init__(self) -> None:
        self._waits: set[asyncio.Future[None]] = set()
        self._is_closed = False

    def close(self) -> None:
        """Ends all waits, also those that begin later. Closing twice does nothing."""
        self._is_closed = True
        for future in tuple(self._waits):
            with suppress(RuntimeError):  # the loop was closed
                future.get_loop().call_soon_threadsafe(_end, future)

    async def wait(self, seconds: float) -> bool:
        """Waits until the time is over or `close` is called. Returns whether `close` was called."""
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
