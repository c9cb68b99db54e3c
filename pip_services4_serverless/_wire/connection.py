"""A blocking connection."""

from __future__ import annotations

import socket
from time import monotonic
from typing import TypeVar

from .channel import READ, Channel, Steps, StepTimeoutError, connect_error, waiter
from .endpoint import Endpoint
from .response import Response

T = TypeVar("T")


class Connection(Channel):
    """A channel whose steps block the calling thread while they wait."""

    __slots__ = ()

    def open(self, endpoint: Endpoint, deadline: float) -> None:
        """Connects. Raises the exceptions of `opening`.

        The time to resolve the host name is limited only by the operating system.
        """
        try:
            addresses = socket.getaddrinfo(*endpoint.address, 0, socket.SOCK_STREAM)
        except (OSError, ValueError) as err:
            raise connect_error(endpoint, err) from err
        self._drive(self.opening(endpoint, addresses, deadline))

    def exchange(self, head: bytes, body: bytes, deadline: float, limit: int) -> Response:
        """Makes one exchange. The arguments and exceptions are those of `exchanging`."""
        return self._drive(self.exchanging(head, body, deadline, limit))

    def _drive(self, steps: Steps[T]) -> T:
        try:
            events, deadline = next(steps)
            while True:
                left = deadline - monotonic()
                is_ready = self._is_readable if events == READ else waiter(self._sock, events)
                is_timeout = left <= 0 or not is_ready(left)
                events, deadline = steps.throw(StepTimeoutError()) if is_timeout else next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
        except BaseException:
            self.close()
            raise
