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
    """A channel whose steps wait in the calling thread."""

    __slots__ = ()

    def open(self, endpoint: Endpoint, ends_at: float) -> None:
        """Connects. Raises what `opening` raises. Only the system limits the time to look up the host's name."""
        try:
            addresses = socket.getaddrinfo(*endpoint.address, 0, socket.SOCK_STREAM)
        except (OSError, ValueError) as err:
            raise connect_error(endpoint, err) from err
        self._drive(self.opening(endpoint, addresses, ends_at))

    def exchange(self, head: bytes, body: bytes, ends_at: float, limit: int) -> Response:
        """Makes one exchange. Arguments and errors are those of `exchanging`."""
        return self._drive(self.exchanging(head, body, ends_at, limit))

    def _drive(self, steps: Steps[T]) -> T:
        try:
            events, until = next(steps)
            while True:
                left = until - monotonic()
                is_ready = self._is_readable if events == READ else waiter(self._sock, events)
                is_timeout = left <= 0 or not is_ready(left)
                events, until = steps.throw(StepTimeoutError()) if is_timeout else next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
        except BaseException:
            self.close()
            raise
