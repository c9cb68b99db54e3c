"""A proxy that forwards http and tunnels https, and notes what it was asked for."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from types import TracebackType
from typing import Self

from . import certificates


class Proxy:
    """On a free port of 127.0.0.1, as a context manager. Every name leads to 127.0.0.1.

    credentials: the `Proxy-Authorization` that it asks for, if any.
    tls: a certificate of `certificates.KINDS`, for a proxy that is itself asked over TLS.
    established: what it answers to `CONNECT`, a byte every `interval` seconds where that is set.
    """

    def __init__(
        self,
        credentials: str | None = None,
        tls: str | None = None,
        established: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n",
        interval: float = 0,
    ) -> None:
        self._credentials = credentials
        self._tls = tls
        self._established = established
        self._interval = interval
        self._stopping = threading.Event()
        self.request_lines: list[str] = []
        """The first lines of the requests, without the protocol: `CONNECT host:port` or `POST url`."""
        self.received = b""
        """What it could read, which is everything but what goes through a tunnel."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"
        self._sockets = [self._listener]
        self._threads = [self._start(self._accept)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                # SSLSocket.shutdown would pull the TLS layer from under the thread that reads.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
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
        with contextlib.suppress(OSError):
            if self._tls:
                client = certificates.server_context(self._tls).wrap_socket(client, server_side=True)
                self._sockets.append(client)
            self._forward(client)

    def _forward(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (data := client.recv(65536)):
                return
            head += data
        self.received += head
        method, target, _ = head.split(b" ", 2)
        self.request_lines.append(f"{method.decode()} {target.decode()}")
        if self._credentials and f"Proxy-Authorization: {self._credentials}".encode() not in head:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        host = target if method == b"CONNECT" else target.split(b"/")[2]
        far = socket.create_connection(("127.0.0.1", int(host.rpartition(b":")[2])))
        self._sockets.append(far)
        if method == b"CONNECT":
            for position in range(len(self._established)) if self._interval else ():
                client.sendall(self._established[position : position + 1])
                if self._stopping.wait(self._interval):
                    return
            client.sendall(b"" if self._interval else self._established)
        else:
            far.sendall(head)
        _relay(client, far)


def _relay(client: socket.socket, far: socket.socket) -> None:
    """Copies both ways until both have ended. In one thread, as a TLS socket must not be read and written by two."""
    ways = [(client, far), (far, client)]
    held = {client: b"", far: b""}  # what is to be sent, by its target
    for sock in held:
        sock.setblocking(False)
    while ways or any(held.values()):
        for source, target in list(ways):
            if held[target]:
                continue
            try:
                held[target] = source.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            if not held[target]:
                ways.remove((source, target))
                socket.socket.shutdown(target, socket.SHUT_WR)  # SSLSocket's would end the other way, too
        for target, data in held.items():
            with contextlib.suppress(BlockingIOError, ssl.SSLWantWriteError):
                held[target] = data[target.send(data) :] if data else b""
        if any(isinstance(source, ssl.SSLSocket) and source.pending() and not held[target] for source, target in ways):
            continue
        readable = [source for source, target in ways if not held[target]]
        writable = [target for target, data in held.items() if data]
        if readable or writable:
            select.select(readable, writable, [])
