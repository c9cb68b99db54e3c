"""Clients in a script: imported from the package, created in one line, opened and closed by `with`."""

from __future__ import annotations

import subprocess
import sys
from collections import ChainMap, UserDict
from types import MappingProxyType
from typing import Any

import pytest
from pip_services4_commons.errors import BadRequestException, ConfigException
from pip_services4_components.context import Context
from support.blocking import BlockingFacade
from support.clients import ACCESS_ID, ACCESS_KEY, ARN, AUTH_CODE, CLIENTS, config_for, every_kind, open_client
from support.fault_server import FaultServer

import pip_services4_serverless as package
from pip_services4_serverless import AzureFunctionClient, CommandableAzureFunctionClient, LambdaClient
from pip_services4_serverless.clients import AsyncLambdaClient

provider = every_kind


def test_clients_can_be_imported_from_the_package() -> None:
    """Importing the package alone imports none of them."""
    from pip_services4_serverless import clients

    assert package.__all__ == clients.__all__
    assert set(package.__all__) <= set(dir(package))
    assert all(getattr(package, name) is getattr(clients, name) for name in clients.__all__)
    with pytest.raises(AttributeError, match="no attribute 'NoClient'"):
        _ = package.NoClient  # type: ignore[attr-defined]
    code = "import sys, pip_services4_serverless; print('pip_services4_serverless.clients' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"


def test_a_script_calls_an_azure_function() -> None:
    """The key of its URL is sent in the header."""
    with FaultServer() as server:
        with AzureFunctionClient.from_uri(f"{server.url}/api/f?code={AUTH_CODE}", timeout=5000) as client:
            assert client.call("greet", params={"name": "Ada"})["name"] == "Ada"
        assert not client.is_open()
        (request,) = server.requests
        assert (request.path, request.headers["x-functions-key"]) == ("/api/f", AUTH_CODE)


def test_a_script_calls_a_lambda_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS's credential chain finds the keys."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ACCESS_KEY)
    with FaultServer() as server, LambdaClient.from_arn(ARN, endpoint=server.url) as client:
        assert client.call("greet", "trace-1", {"name": "Ada"})["trace_id"] == "trace-1"
    client = AsyncLambdaClient.from_arn("greeter", "eu-west-1", server.url, retries=0)
    assert (client._retries, client.is_open()) == (0, False)


def test_a_commandable_client_is_created_with_a_name() -> None:
    """The name is a keyword argument, because the connection comes first."""
    with FaultServer() as server:
        with CommandableAzureFunctionClient.from_uri(f"{server.url}/api/f", AUTH_CODE, name="orders") as client:
            client.call_command("get", None)
        assert server.requests[0].json()["cmd"] == "orders.get"


def test_an_unknown_option_is_rejected() -> None:
    """The error names the option, and lists those that exist."""
    with pytest.raises(ConfigException) as caught:
        AzureFunctionClient.from_uri("http://localhost/f", timout=5000)
    assert caught.value.code == "WRONG_OPTION"
    assert "options.timout" in caught.value.message
    assert "total_timeout" in caught.value.message


def test_a_subclass_is_configured_with_config_params() -> None:
    """Its own `configure` can use the methods of `ConfigParams`."""

    class CustomClient(AzureFunctionClient):
        def configure(self, config: Any) -> None:
            self.page = config.get_as_integer("options.timeout")
            super().configure(config)

    client = CustomClient.from_uri("http://localhost:9/f", timeout=5000, commands={"get": {"retries": 0}})
    assert client.page == 5000


@pytest.mark.parametrize("nested", [True, False])
def test_a_dict_configures_a_client(provider: str, nested: bool) -> None:
    """It may be flat, or nested as in YAML."""
    with FaultServer() as server:
        flat = dict(config_for(provider, server.url, retries=0))
        tree: dict[str, Any] = {}
        for key, value in flat.items():
            section, _, name = key.partition(".")
            tree.setdefault(section, {})[name] = value
        client = CLIENTS[provider]("dummies")
        client.configure(tree if nested else flat)
        client.open()
        try:
            assert client.call("get", params={"a": 1})["a"] == 1
        finally:
            client.close()


@pytest.mark.parametrize("kind", [MappingProxyType, UserDict, ChainMap])
def test_any_mapping_configures_a_client(provider: str, kind: Any) -> None:
    """It need not be a `dict`, and its keys need not be strings, as in YAML."""
    client = CLIENTS[provider]("dummies")
    client.configure(kind({**config_for(provider, "http://localhost:9", retries=7), 1: "x", None: 2}))
    client.open()
    client.close()
    assert client._retries == 7


NO_CONTEXTS: list[Any] = [{"a": 1}, {}, 5, ["x"], b"trace", object()]


@pytest.mark.parametrize("wrong", NO_CONTEXTS, ids=lambda wrong: type(wrong).__name__)
def test_a_wrong_context_is_rejected_before_the_request(provider: str, wrong: Any) -> None:
    """Above all a dict: the context was forgotten, and the parameters are in its place."""
    with FaultServer() as server, open_client(provider, server.url) as client:
        calls: list[Any] = [
            lambda: client.call("get", wrong),
            lambda: client._call("get", wrong),
            lambda: client.call_command("get", wrong),
            lambda: client._instrument(wrong, "x"),
            lambda: client.open(wrong),
            lambda: client.close(wrong),
        ]
        if provider == "lambda":
            calls.append(lambda: client.call_one_way("get", wrong))
            calls.append(lambda: client._invoke("Event", "get", wrong, None))
        else:
            calls.append(lambda: client._invoke("get", wrong, None))
        for call in calls:
            with pytest.raises(BadRequestException) as caught:
                call()
            assert (caught.value.code, caught.value.status) == ("WRONG_CONTEXT", 400)
            assert type(wrong).__name__ in caught.value.message
            assert ("before the parameters" in caught.value.message) is isinstance(wrong, dict)
        assert client.is_open()
        assert server.executions == 0


@pytest.mark.parametrize("context", [None, "", "trace", Context.from_trace_id("trace")])
def test_a_context_may_be_an_object_a_trace_id_or_none(provider: str, context: Any) -> None:
    """An `IContext` is the object."""
    with FaultServer() as server, open_client(provider, server.url) as client:
        assert isinstance(client, BlockingFacade) or client.is_open()
        client.call("get", context)
        assert server.requests[0].json()["trace_id"] or not context
