"""The server of the benchmark. It responds to every POST immediately, like both providers, on its own core.

It has one thread, and parses only the length of the body, so that no client has to wait for it.
"""

from __future__ import annotations

import os
import re
import selectors
import socket
import sys
from collections import deque
from contextlib import suppress
from time import monotonic

RESPONSE = {"id": "1", "name": "Dummy 1", "price": 19.95, "active": True}
_BODY = b'{"id": "1", "name": "Dummy 1", "price": 19.95, "active": true}'
_COMMON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Sat, 21 Nov 2026 01:00:00 GMT\r\n"
_LENGTH_AND_BODY = b"Content-Length: %d\r\n\r\n" % len(_BODY) + _BODY
_AZURE = _COMMON + b"Server: Kestrel\r\n" + _LENGTH_AND_BODY
_LAMBDA_HEADERS = (
    b"Connection: keep-alive\r\nx-amzn-RequestId: 7f1d3a52-0a5c-4a43-9d5e-5a1c2b7e1f00\r\n"
    b"x-amzn-Remapped-Content-Length: 0\r\nX-Amz-Executed-Version: $LATEST\r\n"
    b"X-Amzn-Trace-Id: root=1-65a0b1c2-0123456789abcdef01234567;sampled=0\r\n"
)
_LAMBDA = _COMMON + _LAMBDA_HEADERS + _LENGTH_AND_BODY
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class _Peer:
    """One connection: the part of the head that was received, and the number of bytes of the body that are missing."""

    __slots__ = ("head", "missing", "response", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.head = b""
        self.missing = 0
        self.response = b""

    def read(self, buffer: memoryview) -> bool:
        """Reads the available bytes. Returns False at the end of the connection."""
        try:
            count = self.sock.recv_into(buffer)
        except OSError:
            return False
        if not count:
            return False
        if not self.response:
            self.head += buffer[:count]
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return True
            length = _CONTENT_LENGTH.search(self.head, 0, end + 2)
            self.missing = (int(length[1]) if length else 0) + end + 4 - len(self.head)
            self.response = _AZURE if self.head.startswith(b"POST /api/") else _LAMBDA
            self.head = b""
        else:
            self.missing -= count
        return True

    def respond(self) -> None:
        """Sends the response, if the connection is still open."""
        with suppress(OSError):
            self.sock.send(self.response)
        self.response = b""


def serve(core: int, delay: float) -> None:
    """Prints its port, and responds to each request after `delay` seconds until the process is killed.

    Pins itself to `core`, if that is not negative.
    """
    if core >= 0:
        os.sched_setaffinity(0, {core})
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ, None)
    buffer = memoryview(bytearray(1 << 20))
    delayed: deque[tuple[float, _Peer]] = deque()
    while True:
        while delayed and delayed[0][0] <= monotonic():
            delayed.popleft()[1].respond()
        for key, _ in selector.select(max(0.0, delayed[0][0] - monotonic()) if delayed else None):
            peer = key.data
            if peer is None:
                sock, _ = listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(sock, selectors.EVENT_READ, _Peer(sock))
            elif not peer.read(buffer):
                selector.unregister(peer.sock)
                peer.sock.close()
            elif peer.response and peer.missing <= 0:
                if delay:
                    delayed.append((monotonic() + delay, peer))
                else:
                    peer.respond()


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0)
