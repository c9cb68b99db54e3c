"""An error of `open` names the component, and says which setting of the container's configuration is wrong."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from pip_services4_commons.errors import ConfigException, ConnectionException, InvalidStateException
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


def class_of(client: Any) -> str:
    return type(getattr(client, "client", client)).__name__


def open_error(client: Any) -> ConfigException:
    with pytest.raises(ConfigException) as caught:
        client.open("T")
    assert not client.is_open()
    return caught.value


def wrong_config(provider: str, **more: Any) -> ConfigParams:
    """A container's configuration with a wrong option."""
    config = config_for(provider, URL, timeout="5s")
    return config.override(ConfigParams.from_tuples(*(part for pair in more.items() for part in pair)))


def test_open_raises_for_a_wrong_option_in_a_containers_configuration(provider: str) -> None:
    """If `configure` raised, the container would say that it cannot locate a reference."""
    client = CLIENTS[provider]("orders")
    client.configure(wrong_config(provider, descriptor=str(ORDERS)))
    for _ in range(2):  # the same each time
        error = open_error(client)
        assert (error.code, error.trace_id) == ("WRONG_OPTION", "T")
        assert error.message == (
            "options.timeout: must be a whole number from 1 to 2147483647, not '5s' "
            f"(see docs/troubleshooting.md#wrong_option) (opening {class_of(client)} {ORDERS})"
        )
        assert {**error.details} == {
            "key": "options.timeout",
            "client": class_of(client),
            "descriptor": str(ORDERS),
        }


def test_the_error_shows_the_type_of_a_component(provider: str) -> None:
    """A component of a container has a class if it has no descriptor."""
    client = CLIENTS[provider]("orders")
    client.configure(wrong_config(provider, type="shop.Orders"))
    assert open_error(client).details["descriptor"] == "shop.Orders"


def test_configure_raises_for_a_wrong_option_in_a_script(provider: str) -> None:
    """A script sees the error where it configures. The previous configuration stays."""
    client = CLIENTS[provider]("orders")
    client.configure(config_for(provider, URL))
    with pytest.raises(ConfigException) as caught:
        client.configure(wrong_config(provider))
    assert caught.value.message == (
        "options.timeout: must be a whole number from 1 to 2147483647, not '5s' "
        "(see docs/troubleshooting.md#wrong_option)"
    )
    client.open("T")
    client.close("T")


def test_a_correct_configuration_replaces_the_wrong_one(provider: str) -> None:
    """The client opens, and has no option of the wrong configuration."""
    client = CLIENTS[provider]("orders")
    with FaultServer() as server:
        config = wrong_config(provider, descriptor=str(ORDERS))
        config.put("options.prefix_commands", False)
        client.configure(config)
        open_error(client)
        client.configure(config_for(provider, server.url))
        client.open("T")
        assert client.call_command("get", "T")["cmd"] == "orders.get"
        client.close("T")


@pytest.mark.parametrize(
    ("name", "shown"), [("orders", " orders"), ("", ""), (None, "")], ids=["name", "empty", "none"]
)
def test_the_error_shows_the_name_if_there_is_no_descriptor(provider: str, name: str | None, shown: str) -> None:
    """It is the name of the service, if the client has one."""
    client = CLIENTS[provider](name)
    client.configure({"connection.discovery_key": "nowhere"})
    error = open_error(client)
    assert error.message.startswith("connection.discovery_key: 'nowhere' is not found")
    assert error.message.endswith(f" (opening {class_of(client)}{shown})")
    assert error.details.get("name") == (name or None)
    assert "descriptor" not in error.details


def test_the_descriptor_is_found_in_the_references(provider: str) -> None:
    """The component itself is searched there if neither a factory nor the configuration has its descriptor."""
    client, other = CLIENTS[provider]("orders"), CLIENTS[provider]("orders")
    component = getattr(client, "client", client)
    references = References.from_tuples("logger", "log", "other", getattr(other, "client", other), ORDERS, component)
    client.set_references(references)
    client.configure({"connection.discovery_key": "nowhere"})
    assert open_error(client).details["descriptor"] == str(ORDERS)


def test_the_error_shows_the_name_if_the_references_lack_the_client(provider: str) -> None:
    """The name is the only thing that is known then."""
    client = CLIENTS[provider]("orders")
    client.set_references(references_to())
    client.configure({"connection.discovery_key": "nowhere"})
    assert open_error(client).details["name"] == "orders"


def test_custom_references_need_no_lists(provider: str) -> None:
    """A custom class of references need not implement the lists, which nothing else uses."""

    class CustomReferences(References):
        def get_all_locators(self) -> list[Any]:
            raise NotImplementedError

    client = CLIENTS[provider]("orders")
    client.set_references(CustomReferences())
    assert open_error(client).code == "NO_CONNECTION"


def test_the_error_says_that_the_client_was_never_configured(provider: str) -> None:
    """A container makes a client for a descriptor that is not in its configuration."""
    client = CLIENTS[provider]("orders")
    error = open_error(client)
    component = f"{class_of(client)} orders"
    assert error.code == "NO_CONNECTION"
    assert error.message.endswith(f" (opening {component}, which was never configured)")
    with pytest.raises(InvalidStateException) as caught:
        client.call_command("get", "T")
    assert caught.value.message == f"{component} is not open and was never configured"
    assert (caught.value.details["client"], caught.value.details["name"]) == tuple(component.split())


KINDS = ("commandable-azurefunc", "commandable-lambda", "async-commandable-azurefunc", "async-commandable-lambda")


@pytest.mark.parametrize("kind", KINDS)
def test_the_factorys_clients_know_their_descriptor(kind: str) -> None:
    """It is the descriptor that the factory was asked for."""
    descriptor = Descriptor("pip-services", "client", kind, "orders", "1.0")
    error = open_error(DefaultServerlessFactory().create(descriptor))
    assert error.details["descriptor"] == str(descriptor)


def test_a_custom_factory_adds_the_descriptor() -> None:
    """Its clients know their descriptor if it extends this package's factory. Its other components are not changed."""

    class CustomFactory(DefaultServerlessFactory):
        def __init__(self) -> None:
            super().__init__()
            self.register_as_type(ORDERS, CommandableLambdaClient)
            self.register_as_type("references", References)

    factory = CustomFactory()
    assert open_error(factory.create(ORDERS)).details["descriptor"] == str(ORDERS)
    assert type(factory.create("references")) is References


def test_the_descriptor_of_the_configuration_is_preferred(provider: str) -> None:
    """The factory may have been asked for a pattern."""
    factory = Factory()
    factory.register(ORDERS, lambda _: CLIENTS[provider]("orders"))
    client = factory.create(Descriptor("*", "client", "*", "orders", "1.0"))
    client.configure(wrong_config(provider, descriptor=str(ORDERS)))
    assert open_error(client).details["descriptor"] == str(ORDERS)


class FailingResolver:
    """A custom resolver that raises its own exception."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def configure(self, config: ConfigParams) -> None:
        pass

    def resolve(self, context: Any) -> Any:
        raise self.error


def client_with_failing_resolver(error: Exception) -> LambdaClient:
    client = LambdaClient("orders")
    client._connection_resolver = FailingResolver(error)
    client.configure({})
    return client


@pytest.mark.parametrize("error_type", [LookupError, FileNotFoundError])
def test_another_exception_gets_a_note(error_type: type[Exception]) -> None:
    """Its type and message do not change."""
    with pytest.raises(error_type, match="no such tenant") as caught:
        client_with_failing_resolver(error_type("no such tenant")).open("T")
    assert caught.value.__notes__ == ["While opening LambdaClient orders"]


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_open_without_free_file_descriptors_raises_a_connection_error(number: int) -> None:
    """The limit of the process or that of the machine may be reached. The error names the component."""
    error = OSError(number, "Too many open files")
    with pytest.raises(ConnectionException, match=r"Too many open files.*opening LambdaClient orders") as caught:
        client_with_failing_resolver(error).open("T")
    assert (caught.value.code, caught.value.status, caught.value.trace_id) == ("CANNOT_CONNECT", 503, "T")
    assert caught.value.__cause__ is error


def test_an_error_of_the_connection_names_the_component() -> None:
    """It does so like all errors of `open`."""
    client = CommandableAzureFunctionClient("orders")
    client.configure({"connection.uri": "ftp://127.0.0.1/api"})
    error = open_error(client)
    assert error.message.startswith("connection.uri: ")
    assert error.message.endswith(" (opening CommandableAzureFunctionClient orders)")
