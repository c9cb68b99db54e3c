"""A proxy that forwards http and tunnels https, and notes what it was asked for."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class Proxy:
    """On a free port of 127.0.0.1, as a context manager. Every name leads to 127.0.0.1.

    credentials: the `Proxy-Authorization` that it asks for, if any.
    """

    def __init__(self, credentials: str | None = None) -> None:
        self._credentials = credentials
        self.asked: list[str] = []
        """The first lines of the requests, without the protocol: `CONNECT host:port` or `POST url`."""
        self.seen = b""
        """What it could read, which is everything but what goes through a tunnel."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets = [self._listener]
        self._threads = [self._start(self._accept)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(2)
        for sock in self._sockets:
            sock.close()

    def _start(self, target: object, *args: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            self._threads.append(self._start(self._serve, client))

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (data := client.recv(65536)):
                return
            head += data
        self.seen += head
        method, target, _ = head.split(b" ", 2)
        self.asked.append(f"{method.decode()} {target.decode()}")
        if self._credentials and f"Proxy-Authorization: {self._credentials}".encode() not in head:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        host = target if method == b"CONNECT" else target.split(b"/")[2]
        far = socket.create_connection(("127.0.0.1", int(host.rpartition(b":")[2])))
        self._sockets.append(far)
        if method == b"CONNECT":
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            far.sendall(head)
        self._threads.append(self._start(self._pump, far, client))
        self._pump(client, far)

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
