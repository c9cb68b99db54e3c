"""The Lambda client works with `moto`, whether it opens before or after the mock starts."""

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

# moto's Lambda without Docker returns the payload of each call, or a configured result.
NO_DOCKER: Any = {"lambda": {"use_docker": False}}
KEYS = ("credential.access_id", "test", "credential.access_key", "test")


def open_client(*settings: str, arn: str = ARN) -> Any:
    client = CommandableLambdaClient("dummies")
    client.configure(ConfigParams.from_tuples("connection.arn", arn, "options.retries", "0", *settings))
    client.open("test")
    return client


@pytest.fixture(autouse=True)
def _mock_is_removed() -> Iterator[None]:
    """A client that opens after the mock uses the network again. Here it calls a port on which nothing listens."""
    yield
    client = open_client("connection.uri", "http://127.0.0.1:9", *KEYS)
    assert failure(client).code == "CANNOT_CONNECT"
    client.close("test")


@pytest.mark.parametrize("keys", [KEYS, ()], ids=["configured keys", "keys from moto's environment"])
def test_a_client_that_opens_during_the_mock_calls_moto(keys: tuple[str, ...]) -> None:
    """Its calls do not reach the network."""
    with mock_aws(config=NO_DOCKER):
        client = open_client(*keys)
        result = client.call_command("get", "T", {"id": "1"})
        client.close("test")
    assert result == {"id": "1", "cmd": "dummies.get", "trace_id": "T"}


def test_a_client_from_before_importing_moto_does_not_disturb_others() -> None:
    """Clients with configured keys share a session, but not with clients from before the import of moto."""
    script = f"""
from pip_services4_components.config import ConfigParams
from pip_services4_serverless.clients import LambdaClient

def open_client():
    client = LambdaClient()
    client.configure(ConfigParams.from_tuples("connection.arn", {ARN!r}, *{KEYS!r}))
    client.open("test")
    return client

open_client().close("test")
from moto import mock_aws
with mock_aws(config={NO_DOCKER!r}):
    print(open_client()._call("get", "T")["cmd"])
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert run.stdout == "get\n", run.stderr


def test_a_client_that_opened_before_the_mock_can_be_patched() -> None:
    """`patch_client` works as with boto3's own clients."""
    client = open_client(*KEYS)
    with mock_aws(config=NO_DOCKER):
        patch_client(client._lambda)
        assert client._call("get", "T")["cmd"] == "get"
    client.close("test")


def test_a_one_way_call_works() -> None:
    """moto supports the invocation type `Event`."""
    with mock_aws(config=NO_DOCKER):
        client = open_client(*KEYS)
        assert client.call_one_way("get", "T") is None
        client.close("test")


def test_an_unknown_function_raises_not_found() -> None:
    """AWS has the same error."""
    with mock_aws():
        client = open_client(*KEYS)
        error = failure(client)
        client.close("test")
    assert type(error) is NotFoundException
    assert error.code == "NOT_FOUND"
