"""`moto`'s mock of AWS answers the Lambda client, whether it is opened before or after the mock has started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws
from moto.core import patch_client  # type: ignore[attr-defined]  # as its documentation does
from pip_services4_commons.errors import NotFoundException
from pip_services4_components.config import ConfigParams
from support.clients import ARN, failure

from pip_services4_serverless.clients import CommandableLambdaClient

# moto's Lambda that needs no Docker: it answers each call with the payload, or with what it was told to.
NO_DOCKER: Any = {"lambda": {"use_docker": False}}
KEYS = ("credential.access_id", "made", "credential.access_key", "up")


def opened(*settings: str, arn: str = ARN) -> Any:
    client = CommandableLambdaClient("dummies")
    client.configure(ConfigParams.from_tuples("connection.arn", arn, "options.retries", "0", *settings))
    client.open("test")
    return client


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """A client opened after the mock goes to the network again: here to a port on which nothing listens."""
    yield
    client = opened("connection.uri", "http://127.0.0.1:9", *KEYS)
    assert failure(client).code == "CANNOT_CONNECT"
    client.close("test")


@pytest.mark.parametrize("keys", [KEYS, ()], ids=["configured keys", "keys from moto's environment"])
def test_a_client_opened_inside_the_mock(keys: tuple[str, ...]) -> None:
    """Its calls reach moto and not the network."""
    with mock_aws(config=NO_DOCKER):
        client = opened(*keys)
        answer = client.call_command("get", "T", {"id": "1"})
        client.close("test")
    assert answer == {"id": "1", "cmd": "dummies.get", "trace_id": "T"}


def test_a_client_opened_after_others() -> None:
    """Clients with configured keys share a session, but not with those opened before moto was imported."""
    script = f"""
from pip_services4_components.config import ConfigParams
from pip_services4_serverless.clients import LambdaClient

def opened():
    client = LambdaClient()
    client.configure(ConfigParams.from_tuples("connection.arn", {ARN!r}, *{KEYS!r}))
    client.open("test")
    return client

opened().close("test")
from moto import mock_aws
with mock_aws(config={NO_DOCKER!r}):
    print(opened()._call("get", "T")["cmd"])
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert run.stdout == "get\n", run.stderr


def test_a_client_opened_before_the_mock() -> None:
    """It is mocked once moto is told so, as with boto3's own clients."""
    client = opened(*KEYS)
    with mock_aws(config=NO_DOCKER):
        patch_client(client._lambda)
        assert client._call("get", "T")["cmd"] == "get"
    client.close("test")


def test_a_one_way_call() -> None:
    """moto takes an `Event` too."""
    with mock_aws(config=NO_DOCKER):
        client = opened(*KEYS)
        assert client.call_one_way("get", "T") is None
        client.close("test")


def test_an_error_of_moto() -> None:
    """A function that moto does not have is not found, as on AWS."""
    with mock_aws():
        client = opened(*KEYS)
        error = failure(client)
        client.close("test")
    assert type(error) is NotFoundException
    assert error.code == "NOT_FOUND"
