"""The sockets of this process, found by their descriptors."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def socket_to(port: int) -> Iterator[socket.socket]:
    """A duplicate of the first socket of this process that is connected to this port."""
    for descriptor in range(3, 1024):
        try:
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            sock = socket.socket(fileno=os.dup(descriptor))
        except OSError:
            continue
        with sock:
            if sock.family in (socket.AF_INET, socket.AF_INET6) and _peer(sock) == port:
                yield sock
                return
    raise LookupError(f"no socket is connected to port {port}")


def _peer(sock: socket.socket) -> int:
    try:
        return int(sock.getpeername()[1])
    except OSError:
        return 0


def keepalive_settings(sock: socket.socket) -> tuple[bool, int, int]:
    """Whether the kernel sends probes, the seconds until the first one, and the seconds between them."""
    idle = getattr(socket, "TCP_KEEPIDLE", None) or socket.TCP_KEEPALIVE  # type: ignore[attr-defined] # macOS
    return (
        bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)),
        sock.getsockopt(socket.IPPROTO_TCP, idle),
        sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
    )
