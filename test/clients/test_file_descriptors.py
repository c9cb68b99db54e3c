"""The clients in a process without free file descriptors."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from support.clients import BARE_CLIENTS, Kind, config_for, every_kind
from support.fault_server import FaultServer, respond

provider = every_kind

# A process of its own, so that `open` is the first one, which imports libraries and reads their files.
PROGRAM = """
import json, os, resource, sys
from pip_services4_serverless import clients

name, config = sys.argv[1], json.loads(sys.argv[2])
client = getattr(clients, name)()
client.configure(config)
run = lambda result: result
if name.startswith("Async"):
    import asyncio
    run = asyncio.new_event_loop().run_until_complete  # a loop needs descriptors, too
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

def attempt(action):
    try:
        print(action())
    except Exception as err:
        print(type(err).__name__, *(getattr(err, "code", ""), getattr(err, "trace_id", ""), str(err)))

def without_descriptors(action):
    held = []
    try:
        while True:
            held.append(os.dup(1))
    except OSError:
        attempt(action)
    finally:
        for descriptor in held:
            os.close(descriptor)

def enter():
    return run(client.__aenter__()) if name.startswith("Async") else client.__enter__()

def open():
    return client.open("T")

def call():
    return run(client.call("act", "T"))

without_descriptors(enter)
without_descriptors(open)
attempt(open)
without_descriptors(call)
attempt(call)
client.close("T")
"""


def test_a_process_without_free_descriptors(provider: Kind) -> None:
    """`open`, `with` and a call raise `CANNOT_CONNECT`. The client works as soon as a descriptor is free."""
    pytest.importorskip("resource", reason="only Unix limits the number of descriptors")
    client = BARE_CLIENTS[provider]()
    name = type(client.client if provider.is_async else client).__name__
    with FaultServer() as server:
        server.default = respond(body=[1])
        config = json.dumps(config_for(provider, server.url, retries=1))
        program = [sys.executable, "-c", PROGRAM, name, config]
        done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
        assert server.executions == 1
    entering, opening, opened, failed, result = done.stdout.splitlines()
    assert (done.stderr, opened, result) == ("", "None", "[1]")
    assert entering.startswith("ConnectionException CANNOT_CONNECT  No file descriptor is free: [Errno 24] Too many")
    assert opening.startswith("ConnectionException CANNOT_CONNECT T No file descriptor is free: [Errno 24] Too many")
    assert entering.endswith(f" (opening {name})")
    assert opening.endswith(f" (opening {name})")
    assert failed.startswith("ConnectionException CANNOT_CONNECT T Could not connect to 127.0.0.1: [Errno 24] Too many")
    assert "2 attempts" in failed
