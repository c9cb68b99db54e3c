"""VCR.py replaces the connections of urllib3 and botocore. The clients do not use those, so VCR.py records no call."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.fault_server import FaultServer

# It runs in a new process, so that its first client opens while the cassette is in use.
SCRIPT = """
import sys

import vcr
from support.clients import open_client

provider, url, cassette = sys.argv[1:]


def call(client, cmd):
    assert client._call(cmd, "test", {"cmd_sent": cmd})["cmd_sent"] == cmd


recorder = vcr.VCR(record_mode="none")  # raises for each unknown request that it sees
with recorder.use_cassette(cassette) as tape:
    first = open_client(provider, url)
    client = first.__enter__()
    call(client, "during")
    assert len(tape) == tape.play_count == 0
call(client, "after")
with open_client(provider, url) as another:
    call(another, "another after")
with recorder.use_cassette(cassette):
    call(client, "during the next")
first.__exit__(None, None, None)
"""


def run_script(script: str, *arguments: str) -> None:
    """Runs the script with `support` on its path."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, timeout=60, env=environment)


def test_calls_during_and_after_a_cassette_reach_the_function(provider: str, tmp_path: Path) -> None:
    """It does not matter whether the client opened before or after the cassette was in use."""
    with FaultServer() as server:
        run_script(SCRIPT, provider, server.url, str(tmp_path / "cassette.yaml"))
        cmd_sent = [request.json()["cmd_sent"] for request in server.requests]
    assert cmd_sent == ["during", "after", "another after", "during the next"]


@pytest.mark.parametrize("record_mode", ["all", "new_episodes"])
def test_nothing_is_recorded(provider: str, tmp_path: Path, record_mode: str) -> None:
    """A cassette that records stays empty, so it cannot replay an old response."""
    cassette = tmp_path / "cassette.yaml"
    script = SCRIPT.replace('"none"', f'"{record_mode}"')
    with FaultServer() as server:
        run_script(script, provider, server.url, str(cassette))
        assert server.executions == 4
    assert not cassette.exists()
