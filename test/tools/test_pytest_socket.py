"""`pytest-socket` and similar guards replace `socket.socket.connect`, to keep tests away from the network."""

from __future__ import annotations

import socket

import pytest
from support.clients import every_base, open_client
from support.fault_server import FaultServer

provider = every_base


class ConnectBlockedError(RuntimeError):
    """Stands for pytest-socket's `SocketConnectBlockedError`."""


def test_a_blocked_connection_fails_the_call(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call raises the exception of the guard. Nothing is sent."""

    def guarded(_: socket.socket, address: object) -> None:
        raise ConnectBlockedError(f"A test tried to connect to {address}")

    with FaultServer() as server, open_client(provider, server.url) as client:
        with monkeypatch.context() as guard:
            guard.setattr(socket.socket, "connect", guarded)
            with pytest.raises(ConnectBlockedError):
                client._call("get", "test")
        assert server.connections == 0
        client._call("get", "test")
        assert server.executions == 1
