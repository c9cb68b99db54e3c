"""VCR.py replaces the connections of urllib3 and botocore. Calls are not made on those, so no cassette sees them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.fault_server import FaultServer

# In a process of its own: there the first client of all opens under the cassette.
SCRIPT = """
import sys

import vcr
from support.clients import open_client

provider, url, cassette = sys.argv[1:]


def call(client, cmd):
    assert client._call(cmd, "test", {"asked": cmd})["asked"] == cmd


recorder = vcr.VCR(record_mode="none")  # which refuses what it sees and does not know
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
    """Runs it with the tests' support at hand."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, timeout=60, env=environment)


def test_calls_under_a_cassette_and_after_it(provider: str, tmp_path: Path) -> None:
    """They reach the function, whether the client opened under the cassette or later."""
    with FaultServer() as server:
        run_script(SCRIPT, provider, server.url, str(tmp_path / "cassette.yaml"))
        asked = [request.json()["asked"] for request in server.requests]
    assert asked == ["during", "after", "another after", "during the next"]


@pytest.mark.parametrize("record_mode", ["all", "new_episodes"])
def test_nothing_is_recorded(provider: str, tmp_path: Path, record_mode: str) -> None:
    """A cassette that records stays empty, so that none plays an old answer."""
    cassette = tmp_path / "cassette.yaml"
    script = SCRIPT.replace('"none"', f'"{record_mode}"')
    with FaultServer() as server:
        run_script(script, provider, server.url, str(cassette))
        assert server.executions == 4
    assert not cassette.exists()
