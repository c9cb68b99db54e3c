"""`DefaultServerlessFactory` creates the commandable clients, and so does a user's factory that is built on it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pip_services4_components.build import CompositeFactory, IFactory
from pip_services4_components.refer import Descriptor
from support.clients import CLIENTS, config_for, every_provider
from support.fault_server import FaultServer, respond

from pip_services4_serverless.build import DefaultServerlessFactory
from pip_services4_serverless.clients import (
    AsyncCommandableAzureFunctionClient,
    AsyncCommandableCloudFunctionClient,
    AsyncCommandableLambdaClient,
)

PAGE = Path(__file__).parents[2] / "docs" / "subclassing.md"
KINDS = {"azure": "commandable-azurefunc", "google": "commandable-cloudfunc", "lambda": "commandable-lambda"}


provider = every_provider


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    """A server that responds to each request with its body."""
    with FaultServer() as server:
        yield server


def sent_by(client: Any, provider: str, server: FaultServer) -> Any:
    """The payload that a call of `get` sends."""
    client.configure(config_for(provider, server.url))
    client.open("test")
    try:
        return client.call_command("get", "T", {"id": "1"})
    finally:
        client.close("test")


def test_the_name_comes_from_the_descriptor(provider: str, server: FaultServer) -> None:
    """The name is that of the service, and the prefix of all commands."""
    descriptor = Descriptor("pip-services", "client", KINDS[provider], "dummies", "1.0")
    client = DefaultServerlessFactory().create(descriptor)
    assert type(client) is CLIENTS[provider]
    assert sent_by(client, provider, server) == {"id": "1", "cmd": "dummies.get", "trace_id": "T"}


def test_a_descriptor_without_a_name_adds_no_prefix(provider: str, server: FaultServer) -> None:
    """The client sends the commands unchanged."""
    client = DefaultServerlessFactory().create(Descriptor("pip-services", "client", KINDS[provider], "*", "1.0"))
    assert sent_by(client, provider, server)["cmd"] == "get"


ASYNC_CLIENTS = {
    "azure": AsyncCommandableAzureFunctionClient,
    "google": AsyncCommandableCloudFunctionClient,
    "lambda": AsyncCommandableLambdaClient,
}


@pytest.mark.parametrize("name", KINDS)
def test_asynchronous_clients_have_their_own_descriptors(name: str, server: FaultServer) -> None:
    """These clients are configured, opened and closed like the blocking clients."""
    descriptor = Descriptor("pip-services", "client", f"async-{KINDS[name]}", "dummies", "1.0")
    factory: IFactory = CompositeFactory(DefaultServerlessFactory())
    client = factory.create(descriptor)
    assert type(client) is ASYNC_CLIENTS[name]
    assert str(factory.can_create(descriptor)) == f"pip-services:client:async-{KINDS[name]}:*:1.0"
    client.configure(config_for(name, server.url))
    client.open("test")
    result = asyncio.run(client.call_command("get", "T", {"id": "1"}))
    client.close("test")
    assert result == {"id": "1", "cmd": "dummies.get", "trace_id": "T"}


def test_an_asynchronous_descriptor_without_a_name_adds_no_prefix(server: FaultServer) -> None:
    """The client sends the commands unchanged."""
    client = DefaultServerlessFactory().create(
        Descriptor.from_string("pip-services:client:async-commandable-lambda:*:1.0")
    )
    client.configure(config_for("lambda", server.url))
    client.open("test")
    result = asyncio.run(client.call_command("get", "T"))
    client.close("test")
    assert result["cmd"] == "get"


def test_each_descriptor_creates_its_own_client(provider: str) -> None:
    """Two services of a container do not share a client."""
    factory = DefaultServerlessFactory()
    names = ("orders", "stock", "stock")
    clients = [factory.create(Descriptor("pip-services", "client", KINDS[provider], name, "1.0")) for name in names]
    assert [client._name for client in clients] == ["orders", "stock", "stock"]
    assert len({id(client) for client in clients}) == 3


@pytest.mark.parametrize(
    "text",
    [
        "shop:client:commandable-lambda:dummies:1.0",
        "pip-services:service:commandable-lambda:dummies:1.0",
        "pip-services:client:lambda:dummies:1.0",
        "pip-services:client:async-lambda:dummies:1.0",
        "pip-services:client:azurefunc:dummies:1.0",
        "pip-services:client:cloudfunc:dummies:1.0",
        "pip-services:client:commandable-lambda:dummies:2.0",
    ],
)
def test_other_descriptors_are_left_to_other_factories(text: str) -> None:
    """These descriptors have other groups, types, kinds or versions."""
    factory = DefaultServerlessFactory()
    assert factory.can_create(Descriptor.from_string(text)) is None
    assert factory.create(Descriptor.from_string(text)) is None


def test_the_factory_works_in_a_composite_factory(provider: str) -> None:
    """Containers use factories in this way."""
    factory: IFactory = CompositeFactory(DefaultServerlessFactory())
    descriptor = Descriptor("pip-services", "client", KINDS[provider], "dummies", "1.0")
    assert str(factory.can_create(descriptor)) == f"pip-services:client:{KINDS[provider]}:*:1.0"
    assert factory.create(descriptor)._name == "dummies"


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """The names that the documentation's program defines. Running it executes its assertions."""
    names: dict[str, Any] = {"__name__": "subclassing"}
    for source in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        exec(compile(source, str(PAGE), "exec"), names)  # noqa: S102 (our own documentation)
    return names


@pytest.mark.parametrize(("provider", "kind"), [("azure", "azurefunc"), ("google", "cloudfunc"), ("lambda", "lambda")])
def test_the_factory_in_the_documentation(page: dict[str, Any], provider: str, kind: str, server: FaultServer) -> None:
    """The factory creates a subclass for each provider, and the same calls work for all of them."""
    client = page["ShopFactory"]().create(Descriptor("shop", "client", kind, "stock", "1.0"))
    server.script(respond(body={"left": 3}))
    client.configure(config_for(provider, server.url))
    client.open("test")
    assert client.take("T", "tea", 2) == 3
    client.close("test")
    assert server.requests[-1].json() == {"article": "tea", "amount": 2, "cmd": "stock.take", "trace_id": "T"}


def test_the_defaults_in_the_documentation(page: dict[str, Any], server: FaultServer) -> None:
    """The client sends the header, and its default of `idempotent` allows a retry."""
    client = page["SlowStockClient"]()
    client.configure(config_for("azure", server.url))
    client.open("test")
    server.script(respond(500), respond(body={"left": 3}))
    assert client.take("T", "tea", 2) == 3
    client.close("test")
    assert server.requests[-1].headers["x-tenant"] == "north"


def test_the_explicit_action_in_the_documentation(page: dict[str, Any], server: FaultServer) -> None:
    """The action is sent under its own name."""
    client = page["StockReader"]()
    client.configure(config_for("azure", server.url))
    client.open("test")
    assert client.get_left("T", "tea")["cmd"] == "stock.get_left"
    client.close("test")


def test_the_tenants_client_in_the_documentation(page: dict[str, Any], server: FaultServer) -> None:
    """The name in the descriptor is the name of the service."""
    client = page["ShopFactory"]().create(Descriptor("shop", "client", "tenant-azurefunc", "north", "1.0"))
    assert sent_by(client, "azure", server)["cmd"] == "north.get"
