"""A connection of one event loop."""

from __future__ import annotations

import asyncio
import socket
from time import monotonic
from typing import TypeVar

from .channel import WRITE, Address, Channel, OutOfTimeError, Steps, not_connected
from .endpoint import Endpoint, tls_context
from .response import Response

T = TypeVar("T")


class AsyncConnection(Channel):
    """A channel whose steps are awaited. Used in its loop only; closed anywhere when that does not run."""

    __slots__ = ("_descriptor", "_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._descriptor = -1  # that the loop watches
        self._waiting: asyncio.Future[bool] | None = None  # for the socket

    async def open(self, endpoint: Endpoint, ends_at: float) -> None:
        """Connects. Raises as `opening`. Names are looked up, and a CA bundle is read, in a thread."""
        try:
            async with asyncio.timeout(ends_at - monotonic()):
                addresses = await self._look_up(*endpoint.address)
                if endpoint.uses_tls:
                    await self._loop.run_in_executor(None, tls_context, endpoint.ca_bundle)
        except (OSError, ValueError) as err:  # a TimeoutError is an OSError
            raise not_connected(endpoint, err) from err
        await self._drive(self.opening(endpoint, addresses, ends_at))

    async def _look_up(self, host: str, port: int) -> list[Address]:
        try:
            return list(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST))
        except OSError:  # a name
            return list(await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))

    async def exchange(self, head: bytes, body: bytes, ends_at: float, limit: int) -> Response:
        """Makes one exchange. Arguments and errors are those of `exchanging`."""
        return await self._drive(self.exchanging(head, body, ends_at, limit))

    async def _drive(self, steps: Steps[T]) -> T:
        try:
            events, until = next(steps)
            while True:
                is_ready = await self._ready(events, until)
                events, until = next(steps) if is_ready else steps.throw(OutOfTimeError())
        except StopIteration as done:
            result: T = done.value
            return result
        except BaseException:  # cancelled, in most cases: nobody may use what is left on this connection
            self.close()
            raise

    async def _ready(self, events: int, until: float) -> bool:
        left = until - monotonic()
        if left <= 0:
            return False
        self._watch()
        self._waiting = waiting = self._loop.create_future()
        timer = self._loop.call_later(left, _answer, waiting, False)
        if events & WRITE:
            self._loop.add_writer(self._descriptor, _answer, waiting, True)
        try:
            is_ready: bool = await waiting
            return is_ready
        finally:
            timer.cancel()
            self._waiting = None
            if events & WRITE and self._descriptor >= 0:
                self._loop.remove_writer(self._descriptor)

    def _watch(self) -> None:
        """Has the loop watch the socket, from the first wait until it is closed."""
        descriptor = self._sock.fileno()
        if descriptor != self._descriptor:  # a second address
            self._unwatch()
            self._loop.add_reader(descriptor, self._on_readable)
            self._descriptor = descriptor

    def _unwatch(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0 and not self._loop.is_closed():
            self._loop.remove_reader(descriptor)
            self._loop.remove_writer(descriptor)

    def _on_readable(self) -> None:
        if self._waiting is not None:
            _answer(self._waiting, True)
        # The loop may tell once more of what was read meanwhile.
        elif self._sock is not None and self._is_readable(0.0):
            self.close()  # idle: the far side closed it, or sent what nobody asked for

    def close(self) -> None:
        """Closes the socket at once. Twice is fine."""
        self._unwatch()
        super().close()


def _answer(future: asyncio.Future[bool], value: bool) -> None:
    if not future.done():
        future.set_result(value)
