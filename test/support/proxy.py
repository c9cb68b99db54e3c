"""A proxy that forwards http and tunnels https, and records the requests that it gets."""

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
    """A proxy on a free port of 127.0.0.1, as a context manager. It connects to 127.0.0.1, whatever the host is.

    credentials: the `Proxy-Authorization` that it requires, if any.
    tls: a certificate of `certificates.KINDS`, for a proxy that clients connect to over TLS.
    connect_response: its response to `CONNECT`. With an `interval`, it sends one byte every `interval` seconds.
    """

    def __init__(
        self,
        credentials: str | None = None,
        tls: str | None = None,
        connect_response: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n",
        interval: float = 0,
    ) -> None:
        self._credentials = credentials
        self._tls = tls
        self._connect_response = connect_response
        self._interval = interval
        self._stopping = threading.Event()
        self.request_lines: list[str] = []
        """The first lines of the requests, without the protocol: `CONNECT host:port` or `POST url`."""
        self.received = b""
        """The bytes that it could read. It cannot read what is sent through a tunnel."""

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
                # SSLSocket.shutdown would remove the TLS layer while another thread reads.
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
        server = socket.create_connection(("127.0.0.1", int(host.rpartition(b":")[2])))
        self._sockets.append(server)
        if method == b"CONNECT":
            for position in range(len(self._connect_response)) if self._interval else ():
                client.sendall(self._connect_response[position : position + 1])
                if self._stopping.wait(self._interval):
                    return
            client.sendall(b"" if self._interval else self._connect_response)
        else:
            server.sendall(head)
        _relay(client, server)


def _relay(client: socket.socket, server: socket.socket) -> None:
    """Copies in both directions until both have ended, in one thread because two must not share a TLS socket."""
    pairs = [(client, server), (server, client)]
    left = {client: b"", server: b""}  # the bytes that are left to send to each socket
    for sock in left:
        sock.setblocking(False)
    while pairs or any(left.values()):
        for source, target in list(pairs):
            if left[target]:
                continue
            try:
                left[target] = source.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            if not left[target]:
                pairs.remove((source, target))
                socket.socket.shutdown(target, socket.SHUT_WR)  # SSLSocket.shutdown would end the other direction, too
        for target, data in left.items():
            with contextlib.suppress(BlockingIOError, ssl.SSLWantWriteError):
                left[target] = data[target.send(data) :] if data else b""
        if any(isinstance(source, ssl.SSLSocket) and source.pending() and not left[target] for source, target in pairs):
            continue
        readable = [source for source, target in pairs if not left[target]]
        writable = [target for target, data in left.items() if data]
        if readable or writable:
            select.select(readable, writable, [])
