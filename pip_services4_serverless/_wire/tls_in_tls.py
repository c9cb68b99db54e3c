"""TLS to a function inside the TLS to a proxy. `ssl.SSLSocket` cannot do this, because it wraps only plain sockets."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
_READ_SIZE = 64 * 1024  # bytes
_RECORD_SIZE = 16 * 1024  # bytes


class TlsInTls:
    """Implements those methods of a non-blocking `ssl.SSLSocket` that a connection uses."""

    def __init__(self, outer: ssl.SSLSocket, context: ssl.SSLContext, host: str) -> None:
        self._outer = outer
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._inner = context.wrap_bio(self._received, self._to_send, server_hostname=host)
        self._unsent = b""

    def do_handshake(self) -> None:
        """Continues the handshake. Raises `SSLWantReadError` or `SSLWantWriteError` if it must be called again."""
        self._run(self._inner.do_handshake)
        if not self._flush():
            raise ssl.SSLWantWriteError

    def send(self, data: Any) -> int:
        """Sends some of the data. Returns the number of bytes. Raises the same exceptions as `do_handshake`."""
        if not self._flush():
            raise ssl.SSLWantWriteError
        sent = self._run(lambda: self._inner.write(memoryview(data)[:_RECORD_SIZE]))
        self._flush()  # the rest is sent before other data
        return sent

    def recv(self, size: int) -> bytes:
        """Received data, or empty bytes at the end of the connection. Raises the same exceptions as `do_handshake`."""
        try:
            return self._run(lambda: self._inner.read(size))
        except ssl.SSLZeroReturnError:
            return b""

    def pending(self) -> int:
        """The number of bytes that were read from the network but not yet returned."""
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
                is_flushed = self._flush()
                try:
                    data = self._outer.recv(_READ_SIZE)
                except ssl.SSLWantReadError:
                    if is_flushed:
                        raise
                    raise ssl.SSLWantWriteError from None
                if data:
                    self._received.write(data)
                else:
                    self._received.write_eof()

    def _flush(self) -> bool:
        """Sends the encrypted data. Returns False if the socket did not accept all of it."""
        self._unsent += self._to_send.read()
        while self._unsent:
            try:
                self._unsent = self._unsent[self._outer.send(self._unsent) :]
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
        return True
