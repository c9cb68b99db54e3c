"""TLS to a function inside the TLS to a proxy, which `ssl.SSLSocket` cannot do: it wraps sockets only."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
_READ_SIZE = 64 * 1024  # bytes


class TlsInTls:
    """As much of an `ssl.SSLSocket` that does not block as a connection needs."""

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext, host: str) -> None:
        self._outer = outer
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._inner = context.wrap_bio(self._received, self._to_send, server_hostname=host)
        self._unsent = b""

    def do_handshake(self) -> None:
        """Goes on with the handshake; raises `SSLWantReadError` or `SSLWantWriteError` to be called again."""
        self._run(self._inner.do_handshake)
        self._flush()

    def send(self, data: Any) -> int:
        """Sends some of the data; how much."""
        self._flush()
        sent = self._run(lambda: self._inner.write(memoryview(data)[: 16 * 1024]))
        # What cannot leave now leaves before anything else is sent or received.
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self._flush()
        return sent

    def recv(self, size: int) -> bytes:
        """What was received; nothing at the end."""
        self._flush()
        try:
            return self._run(lambda: self._inner.read(size))
        except ssl.SSLZeroReturnError:
            return b""

    def pending(self) -> int:
        """Bytes that were read from the network and not yet received."""
        return self._inner.pending() + self._received.pending + self._outer.pending()

    def fileno(self) -> int:
        """The socket's descriptor, to wait on."""
        return self._outer.fileno()

    def close(self) -> None:
        """Closes the socket."""
        self._outer.close()

    def _run(self, step: Callable[[], T]) -> T:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._outer.recv(_READ_SIZE)
                if data:
                    self._received.write(data)
                else:
                    self._received.write_eof()

    def _flush(self) -> None:
        self._unsent += self._to_send.read()
        while self._unsent:
            self._unsent = self._unsent[self._outer.send(self._unsent) :]
