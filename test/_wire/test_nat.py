"""A call that takes longer than a NAT remembers its connection: real network namespaces, if the machine allows them.

The client reaches the server through a third namespace, which translates addresses and forgets a connection after
`NAT_TIMEOUT` seconds without a packet.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

NAT_TIMEOUT = 2  # seconds
FUNCTION_TIME = 4  # seconds
TIMEOUT = 5  # seconds of a call, unless a test gives another one
HERE = Path(__file__)


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout


NAT = """
table ip nat {
  chain post { type nat hook postrouting priority 100; oifname "far" masquerade; }
}
table ip filter {
  chain forward {
    type filter hook forward priority 0; policy accept;
    ct state invalid drop
    iifname "far" ct state new drop
  }
}
"""


@pytest.fixture
def nat(tmp_path: Path) -> Iterator[str]:
    """The prefix of the names of three namespaces: `-client`, `-nat` and `-server`. Each run of a test gets new ones,
    because a test takes a link down."""
    name = f"nat{os.getpid()}"
    client, middle, server = f"{name}-client", f"{name}-nat", f"{name}-server"
    rules = tmp_path / "rules"
    rules.write_text(NAT)

    def within(namespace: str, *command: str) -> str:
        return run("ip", "netns", "exec", namespace, *command)

    try:
        try:
            for namespace in (client, middle, server):
                run("ip", "netns", "add", namespace)
                within(namespace, "ip", "link", "set", "lo", "up")
            links = (
                (client, "out", "10.99.1.2/24", "near", "10.99.1.1/24"),
                (server, "in", "10.99.2.2/24", "far", "10.99.2.1/24"),
            )
            for namespace, theirs, address, ours, gateway in links:
                run(*f"ip link add {theirs} netns {namespace} type veth peer name {ours} netns {middle}".split())
                within(namespace, "ip", "address", "add", address, "dev", theirs)
                within(middle, "ip", "address", "add", gateway, "dev", ours)
                within(namespace, "ip", "link", "set", theirs, "up")
                within(middle, "ip", "link", "set", ours, "up")
            within(client, "ip", "route", "add", "default", "via", "10.99.1.1")
            within(client, "sysctl", "-w", "net.ipv4.tcp_keepalive_probes=1")
            within(middle, "sysctl", "-w", "net.ipv4.ip_forward=1")
            within(middle, "nft", "-f", str(rules))
            for setting in ("loose=0", f"timeout_established={NAT_TIMEOUT}", f"timeout_unacknowledged={NAT_TIMEOUT}"):
                within(middle, "sysctl", "-w", f"net.netfilter.nf_conntrack_tcp_{setting}")
        except (OSError, subprocess.SubprocessError) as err:
            reason = getattr(err, "stderr", "") or str(err)
            pytest.skip(f"this machine does not allow network namespaces with a NAT: {reason.strip()[:200]}")
        yield name
    finally:
        for namespace in (client, middle, server):
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, timeout=20)  # noqa: S607


def within(namespace: str, role: str, *arguments: str) -> subprocess.Popen[str]:
    command = ["ip", "netns", "exec", namespace, sys.executable, str(HERE), role, *arguments]
    path = os.pathsep.join((str(HERE.parents[1]), str(HERE.parents[2])))
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line that the process prints, or an empty string after 20 s."""
    assert process.stdout
    ready, _, _ = select.select([process.stdout], [], [], 20)
    return process.stdout.readline().strip() if ready else ""


def call(nat: str, keepalive: float, timeout: float = TIMEOUT, then: str = "") -> str:
    """Makes a call, and returns how it ended. The NAT runs the command `then` while the function runs."""
    with within(f"{nat}-server", "serve") as server:
        try:
            port = line_of(server)
            with within(f"{nat}-client", "call", f"http://10.99.2.2:{port}", str(keepalive), str(timeout)) as client:
                assert line_of(server) == "executed"
                if then:
                    run("ip", "netns", "exec", f"{nat}-nat", *then.split())
                output, _ = client.communicate(timeout=30)
        finally:
            server.kill()
        return output.strip()


def test_keepalive_keeps_the_connection_of_a_long_call(nat: str) -> None:
    """Without it, the NAT forgets the connection before the response comes, and the call times out."""
    with ThreadPoolExecutor(2) as threads:
        without, with_ = threads.map(lambda keepalive: call(nat, keepalive), (0, 0.4))
    assert (without, with_) == ("ResponseTimeoutError", "done")


@pytest.mark.timing
def test_unanswered_keepalive_probes_end_the_call(nat: str) -> None:
    """They end the connection with ETIMEDOUT, long before the timeout of the call."""
    started = time.monotonic()
    assert call(nat, 0.4, timeout=25, then="ip link set far down") == "ConnectionLostError"
    assert time.monotonic() - started < 15  # with the start of both processes


def serve() -> None:
    """Responds to one call after `FUNCTION_TIME` seconds, when the NAT may have forgotten the connection."""
    import socket

    with socket.create_server(("0.0.0.0", 0)) as listener:  # noqa: S104 - in a namespace of its own
        print(listener.getsockname()[1], flush=True)  # noqa: T201
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            print("executed", flush=True)  # noqa: T201
            time.sleep(FUNCTION_TIME)
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"done"')
            sys.stdin.read()


def call_once(url: str, keepalive: float, timeout: float) -> None:
    from pip_services4_serverless._wire.connection_pool import ConnectionPool
    from pip_services4_serverless._wire.endpoint import Endpoint, PoolLimits
    from pip_services4_serverless._wire.errors import WireError

    endpoint = Endpoint.from_url(url, "", keepalive=keepalive)
    pool = ConnectionPool(endpoint, PoolLimits(1, timeout, timeout, 60, 99))
    try:
        print(json.loads(pool.request("POST", "/", {}, b"{}").body))  # noqa: T201
    except WireError as err:
        print(type(err).__name__)  # noqa: T201


if __name__ == "__main__":
    serve() if sys.argv[1] == "serve" else call_once(sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
