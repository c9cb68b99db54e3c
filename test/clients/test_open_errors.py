"""A failed `open` says which component it was, and shows what a container's configuration was refused for."""

from __future__ import annotations

from typing import Any

import pytest
from pip_services4_commons.errors import ConfigException, InvalidStateException
from pip_services4_components.build import Factory
from pip_services4_components.config import ConfigParams
from pip_services4_components.refer import Descriptor, References
from support.clients import CLIENTS, config_for, every_kind
from support.fault_server import FaultServer
from support.recorders import references_to

from pip_services4_serverless.build import DefaultServerlessFactory
from pip_services4_serverless.clients import CommandableAzureFunctionClient, CommandableLambdaClient, LambdaClient

provider = every_kind

URL = "http://127.0.0.1:9"
ORDERS = Descriptor("shop", "client", "default", "orders", "1.0")


def class_of(provider: str, client: Any) -> str:
    return type(getattr(client, "client", client)).__name__


def error_of_open(client: Any) -> ConfigException:
    with pytest.raises(ConfigException) as caught:
        client.open("T")
    assert not client.is_open()
    return caught.value


def wrong(provider: str, **more: Any) -> ConfigParams:
    """A container's configuration with a wrong option."""
    config = config_for(provider, URL, timeout="5s")
    return config.override(ConfigParams.from_tuples(*(part for pair in more.items() for part in pair)))


def test_a_containers_wrong_option_is_told_by_open(provider: str) -> None:
    """A container says of what `configure` raises that it cannot locate a reference."""
    client = CLIENTS[provider]("orders")
    client.configure(wrong(provider, descriptor=str(ORDERS)))
    for _ in range(2):  # the same each time
        error = error_of_open(client)
        assert (error.code, error.trace_id) == ("WRONG_OPTION", "T")
        assert error.message == (
            "options.timeout: must be a whole number from 1 to 2147483647, not '5s' "
            f"(see docs/troubleshooting.md#wrong_option) (opening {class_of(provider, client)} {ORDERS})"
        )
        assert {**error.details} == {
            "key": "options.timeout",
            "client": class_of(provider, client),
            "descriptor": str(ORDERS),
        }


def test_a_containers_component_by_type(provider: str) -> None:
    """Instead of a descriptor it has a class."""
    client = CLIENTS[provider]("orders")
    client.configure(wrong(provider, type="shop.Orders"))
    assert error_of_open(client).details["descriptor"] == "shop.Orders"


def test_a_scripts_wrong_option_is_told_by_configure(provider: str) -> None:
    """Where its owner looks; what was configured before stays."""
    client = CLIENTS[provider]("orders")
    client.configure(config_for(provider, URL))
    with pytest.raises(ConfigException) as caught:
        client.configure(wrong(provider))
    assert caught.value.message == (
        "options.timeout: must be a whole number from 1 to 2147483647, not '5s' "
        "(see docs/troubleshooting.md#wrong_option)"
    )
    client.open("T")
    client.close("T")


def test_configuring_it_right_opens_it(provider: str) -> None:
    """The wrong configuration is forgotten, and nothing of it was taken."""
    client = CLIENTS[provider]("orders")
    with FaultServer() as server:
        config = wrong(provider, descriptor=str(ORDERS))
        config.put("options.prefix_commands", False)
        client.configure(config)
        error_of_open(client)
        client.configure(config_for(provider, server.url))
        client.open("T")
        assert client.call_command("get", "T")["cmd"] == "orders.get"
        client.close("T")


@pytest.mark.parametrize(
    ("name", "shown"), [("orders", " orders"), ("", ""), (None, "")], ids=["name", "empty", "none"]
)
def test_without_a_descriptor_the_name_is_shown(provider: str, name: str | None, shown: str) -> None:
    """Of the service, if there is one."""
    client = CLIENTS[provider](name)
    client.configure({"connection.discovery_key": "nowhere"})
    error = error_of_open(client)
    assert error.message.startswith("connection.discovery_key: 'nowhere' is not found")
    assert error.message.endswith(f" (opening {class_of(provider, client)}{shown})")
    assert error.details.get("name") == (name or None)
    assert "descriptor" not in error.details


def test_its_descriptor_comes_from_the_references(provider: str) -> None:
    """Where no factory and no configuration says it: by the component itself."""
    client, other = CLIENTS[provider]("orders"), CLIENTS[provider]("orders")
    component = getattr(client, "client", client)
    references = References.from_tuples("logger", "log", "other", getattr(other, "client", other), ORDERS, component)
    client.set_references(references)
    client.configure({"connection.discovery_key": "nowhere"})
    assert error_of_open(client).details["descriptor"] == str(ORDERS)


def test_references_without_the_client(provider: str) -> None:
    """Its name is shown."""
    client = CLIENTS[provider]("orders")
    client.set_references(references_to())
    client.configure({"connection.discovery_key": "nowhere"})
    assert error_of_open(client).details["name"] == "orders"


def test_references_of_ones_own(provider: str) -> None:
    """They may leave the lists out that nobody else asks for."""

    class Own(References):
        def get_all_locators(self) -> list[Any]:
            raise NotImplementedError

    client = CLIENTS[provider]("orders")
    client.set_references(Own())
    assert error_of_open(client).code == "NO_CONNECTION"


def test_never_configured(provider: str) -> None:
    """As a container makes a client for a descriptor that its configuration does not have."""
    client = CLIENTS[provider]("orders")
    error = error_of_open(client)
    component = f"{class_of(provider, client)} orders"
    assert error.code == "NO_CONNECTION"
    assert error.message.endswith(f" (opening {component}, which was never configured)")
    with pytest.raises(InvalidStateException) as caught:
        client.call_command("get", "T")
    assert caught.value.message == f"{component} is not open and was never configured"
    assert (caught.value.details["client"], caught.value.details["name"]) == tuple(component.split())


KINDS = ("commandable-azurefunc", "commandable-lambda", "async-commandable-azurefunc", "async-commandable-lambda")


@pytest.mark.parametrize("kind", KINDS)
def test_the_factorys_clients_know_their_descriptor(kind: str) -> None:
    """It is what they were asked for by."""
    descriptor = Descriptor("pip-services", "client", kind, "orders", "1.0")
    error = error_of_open(DefaultServerlessFactory().create(descriptor))
    assert error.details["descriptor"] == str(descriptor)


def test_a_factory_of_ones_own() -> None:
    """On ours, its clients know their descriptor, and its other components are left as they are."""

    class OwnFactory(DefaultServerlessFactory):
        def __init__(self) -> None:
            super().__init__()
            self.register_as_type(ORDERS, CommandableLambdaClient)
            self.register_as_type("references", References)

    factory = OwnFactory()
    assert error_of_open(factory.create(ORDERS)).details["descriptor"] == str(ORDERS)
    assert type(factory.create("references")) is References


def test_the_configurations_descriptor_is_the_more_exact(provider: str) -> None:
    """A factory may have been asked by a pattern."""
    factory = Factory()
    factory.register(ORDERS, lambda _: CLIENTS[provider]("orders"))
    client = factory.create(Descriptor("*", "client", "*", "orders", "1.0"))
    client.configure(wrong(provider, descriptor=str(ORDERS)))
    assert error_of_open(client).details["descriptor"] == str(ORDERS)


class FailingResolver:
    """A resolver of an owner's own, which raises what it likes."""

    def configure(self, config: ConfigParams) -> None:
        pass

    def resolve(self, context: Any) -> Any:
        raise LookupError("no such tenant")


@pytest.fixture
def failing() -> LambdaClient:
    client = LambdaClient("orders")
    client._connection_resolver = FailingResolver()
    client.configure({})
    return client


def test_another_exception_gets_a_note(failing: LambdaClient) -> None:
    """It stays what it is."""
    with pytest.raises(LookupError, match="no such tenant") as caught:
        failing.open("T")
    assert caught.value.__notes__ == ["While opening LambdaClient orders"]


def test_a_wrong_key_of_a_connection_names_the_component() -> None:
    """As all that `open` refuses."""
    client = CommandableAzureFunctionClient("orders")
    client.configure({"connection.uri": "ftp://127.0.0.1/api"})
    error = error_of_open(client)
    assert error.message.startswith("connection.uri: ")
    assert error.message.endswith(" (opening CommandableAzureFunctionClient orders)")
