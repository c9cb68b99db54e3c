"""A connection of one event loop."""

from __future__ import annotations

import asyncio
import os
import socket
from time import monotonic
from typing import Any, TypeVar

from .channel import WRITE, Address, Channel, Steps, StepTimeoutError, connect_error
from .endpoint import Endpoint, tls_context
from .response import Response

T = TypeVar("T")


class AsyncConnection(Channel):
    """A channel whose steps run in an event loop, when the socket is ready. Its result is awaited.

    Only its loop may use it. When the loop does not run, any thread may close it.
    """

    __slots__ = ("_descriptor", "_ends", "_loop", "_steps", "_timer", "_until", "_writes")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._descriptor = -1  # the descriptor that the loop watches
        self._writes = False  # whether the loop also watches for writing
        self._steps: Steps[Any] | None = None  # the steps under way
        self._ends: asyncio.Future[Any] | None = None  # gets the result of the steps
        self._until = 0.0  # when the current step times out
        self._timer: asyncio.TimerHandle | None = None  # ends the current step at `_until`

    async def open(self, endpoint: Endpoint, ends_at: float) -> None:
        """Connects. Raises what `opening` raises. A thread looks up names and reads the CA bundle."""
        try:
            async with asyncio.timeout(ends_at - monotonic()):
                addresses = await self._look_up(*endpoint.address)
                if endpoint.uses_tls:
                    await self._loop.run_in_executor(None, tls_context, endpoint.ca_bundle)
        except (OSError, ValueError) as err:  # a TimeoutError is an OSError
            raise connect_error(endpoint, err) from err
        await self._drive(self.opening(endpoint, addresses, ends_at))

    async def _look_up(self, host: str, port: int) -> list[Address]:
        try:
            return list(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST))
        except OSError:  # a host name, not an address
            return list(await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))

    async def exchange(self, head: bytes, body: bytes, ends_at: float, limit: int) -> Response:
        """Makes one exchange. Arguments and errors are those of `exchanging`."""
        return await self._drive(self.exchanging(head, body, ends_at, limit))

    async def _drive(self, steps: Steps[T]) -> T:
        self._steps, self._ends = steps, self._loop.create_future()
        try:
            self._advance()
            result: T = await self._ends
            return result
        except BaseException:  # often a cancellation: the connection may hold unread data
            self.close()
            raise
        finally:
            # The error refers to this frame, and the future to the error: kept, they would be a reference cycle.
            self._steps = self._ends = None
            self._set_timer(0.0)

    def _advance(self, is_timeout: bool = False) -> None:
        """Takes the next step, unless the call was cancelled."""
        if self._steps is None or self._ends is None or self._ends.done():
            return
        try:
            events, until = self._steps.throw(StepTimeoutError()) if is_timeout else next(self._steps)
            while until <= monotonic():
                events, until = self._steps.throw(StepTimeoutError())
            self._watch(bool(events & WRITE))
            if until != self._until:
                self._set_timer(until)
        except StopIteration as done:
            self._ends.set_result(done.value)
        except Exception as err:
            self._ends.set_exception(err)
        except BaseException:  # an interrupt: it ends the loop
            self._ends.cancel()
            raise

    def _set_timer(self, until: float) -> None:
        """Sets the timer, or cancels it with 0."""
        if self._timer is not None:
            self._timer.cancel()
        self._until = until
        self._timer = self._loop.call_later(until - monotonic(), self._advance, True) if until else None

    def _watch(self, writes: bool) -> None:
        """Makes the loop watch the socket, until it is closed."""
        descriptor = self._sock.fileno()
        if descriptor != self._descriptor:  # a second address
            self._unwatch()
            self._loop.add_reader(descriptor, self._on_readable)
            self._descriptor = descriptor
        if writes != self._writes:
            self._writes = writes
            if writes:
                self._loop.add_writer(descriptor, self._advance)
            else:
                self._loop.remove_writer(descriptor)

    def _unwatch(self) -> None:
        descriptor, self._descriptor, self._writes = self._descriptor, -1, False
        # A fork's child shares what its parent's loop watches: it would end that in the parent, too.
        if descriptor >= 0 and self._pid == os.getpid() and not self._loop.is_closed():
            self._loop.remove_reader(descriptor)
            self._loop.remove_writer(descriptor)

    def _on_readable(self) -> None:
        if self._steps is not None:
            self._advance()
        # The loop may report data that was read meanwhile: over TLS, an exchange may end without a wait.
        elif self._sock is not None and self._is_readable(0.0):
            self.close()  # idle, and the server closed it or sent unexpected data

    def close(self) -> None:
        """Closes the socket immediately. Closing twice does nothing."""
        self._unwatch()
        super().close()
