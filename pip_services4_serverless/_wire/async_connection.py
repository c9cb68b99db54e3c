"""An asynchronous connection. It belongs to one event loop."""

from __future__ import annotations

import asyncio
import os
import socket
from contextvars import Context
from time import monotonic
from typing import Any, TypeVar

from .channel import WRITE, Address, Channel, Steps, StepTimeoutError, connect_error
from .endpoint import Endpoint, tls_context
from .response import Response

T = TypeVar("T")


class AsyncConnection(Channel):
    """A channel whose steps run in an event loop, each when the socket is ready.

    Only code in this loop may use the connection. While the loop is not running, any thread may close the connection.
    """

    __slots__ = ("_descriptor", "_loop", "_result", "_step_deadline", "_steps", "_timer", "_watches_writing")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._descriptor = -1  # the descriptor that the loop watches
        self._watches_writing = False  # whether the loop also watches until the socket is writable
        self._steps: Steps[Any] | None = None  # those that are running now
        self._result: asyncio.Future[Any] | None = None  # receives the result of the steps
        self._step_deadline = 0.0  # of the current step
        self._timer: asyncio.TimerHandle | None = None  # ends the current step at its deadline

    async def open(self, endpoint: Endpoint, deadline: float) -> None:
        """Connects. Raises the exceptions of `opening`. Threads resolve the host name and read the CA bundle."""
        try:
            async with asyncio.timeout(deadline - monotonic()):
                addresses = await self._resolve(*endpoint.address)
                if endpoint.uses_tls:
                    await self._loop.run_in_executor(None, tls_context, endpoint.ca_bundle)
        # A TimeoutError is an OSError. asyncio raises a RuntimeError if the system cannot start a thread.
        except (OSError, ValueError, RuntimeError) as err:
            raise connect_error(endpoint, err) from err
        await self._drive(self.opening(endpoint, addresses, deadline))

    async def _resolve(self, host: str, port: int) -> list[Address]:
        try:
            return list(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST))
        except OSError:  # a host name, not an address
            return list(await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))

    async def exchange(self, head: bytes, body: bytes, deadline: float, limit: int) -> Response:
        """Makes one exchange. The arguments and exceptions are those of `exchanging`."""
        return await self._drive(self.exchanging(head, body, deadline, limit))

    async def _drive(self, steps: Steps[T]) -> T:
        self._steps, self._result = steps, self._loop.create_future()
        try:
            self._advance()
            result: T = await self._result
            return result
        except BaseException:  # often a cancellation: the connection may hold unread data
            self.close()
            raise
        finally:
            # An exception refers to this frame, and the future to the exception: this would be a reference cycle.
            self._steps = self._result = None
            self._set_timer(0.0)

    def _advance(self, is_timeout: bool = False) -> None:
        """Runs the next step, unless the steps have ended or the call was cancelled."""
        if self._steps is None or self._result is None or self._result.done():
            return
        try:
            events, deadline = self._steps.throw(StepTimeoutError()) if is_timeout else next(self._steps)
            while deadline <= monotonic():
                events, deadline = self._steps.throw(StepTimeoutError())
            self._watch(bool(events & WRITE))
            if deadline != self._step_deadline:
                self._set_timer(deadline)
        except StopIteration as done:
            self._result.set_result(done.value)
        except Exception as err:
            self._result.set_exception(err)
        except BaseException:  # for example KeyboardInterrupt, which ends the loop
            self._result.cancel()
            raise

    def _set_timer(self, deadline: float) -> None:
        """Sets the timer to a deadline. 0 cancels it."""
        if self._timer is not None:
            self._timer.cancel()
        self._step_deadline = deadline
        self._timer = self._loop.call_later(deadline - monotonic(), self._advance, True) if deadline else None

    def _watch(self, for_writing: bool) -> None:
        """Makes the loop watch the socket for reading, and if needed for writing, until the socket is closed."""
        descriptor = self._sock.fileno()
        if descriptor != self._descriptor:  # a new socket, perhaps for the host's next address
            self._unwatch()
            # In an empty context, because the loop keeps a copy of it as long as the connection is open.
            Context().run(self._loop.add_reader, descriptor, self._on_readable)
            self._descriptor = descriptor
        if for_writing != self._watches_writing:
            self._watches_writing = for_writing
            if for_writing:
                self._loop.add_writer(descriptor, self._advance)
            else:
                self._loop.remove_writer(descriptor)

    def _unwatch(self) -> None:
        descriptor, self._descriptor, self._watches_writing = self._descriptor, -1, False
        # After a fork, parent and child share the loop's selector: the parent would stop watching the socket, too.
        if descriptor >= 0 and self._pid == os.getpid() and not self._loop.is_closed():
            self._loop.remove_reader(descriptor)
            self._loop.remove_writer(descriptor)

    def _on_readable(self) -> None:
        if self._steps is not None:
            self._advance()
        # Checked again, because the loop may report data that has been read already: with TLS, an exchange can end
        # without waiting for the loop.
        elif self._sock is not None and self._is_readable(0.0):
            self.close()  # the connection is idle, and the server closed it or sent unexpected data

    def close(self) -> None:
        """Closes the socket immediately. Closing twice does nothing."""
        self._unwatch()
        super().close()
