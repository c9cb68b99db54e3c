"""A real container of pip-services reads a YAML file, and its clients call functions on the local hosts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pip_services4_commons.errors import (
    ConfigException,
    ConnectionException,
    FileException,
    InvalidStateException,
    NotFoundException,
)
from pip_services4_components.config import ConfigParams
from pip_services4_components.context import Context
from pip_services4_components.refer import Descriptor, IReferenceable, IReferences, ReferenceException, References
from pip_services4_config.auth import MemoryCredentialStore
from pip_services4_config.connect import MemoryDiscovery
from pip_services4_observability.count import LogCounters
from pip_services4_observability.log import CompositeLogger, ConsoleLogger
from pip_services4_observability.trace import LogTracer
from support.container import needs_container
from support.fault_server import FaultServer, close_after_read

from pip_services4_serverless.build import DefaultServerlessFactory
from pip_services4_serverless.local import AzureFunctionHost, LambdaHost

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "docs" / "examples" / "container"
KINDS = {"azure": "commandable-azurefunc", "lambda": "commandable-lambda"}
KEY = "Function-Key/hunter2+=="
ACCESS_KEY = "Aws/Secret+Key=hunter2"
Open = Callable[[], AbstractContextManager[References]]


@pytest.fixture(scope="module")
def settings() -> Iterator[dict[str, str]]:
    """The environment of a process that uses the function `stock`, on both local hosts."""
    with AzureFunctionHost(EXAMPLE, keys={"stock": KEY}) as azure, LambdaHost() as aws:
        yield {
            "STOCK_URL": azure.function_url("stock"),
            "STOCK_KEY": KEY,
            "STOCK_ARN": aws.deploy("stock", EXAMPLE, "function_app.handler"),
            "STOCK_ENDPOINT": aws.endpoint,
            "STOCK_ACCESS_ID": "local",
            "STOCK_ACCESS_KEY": ACCESS_KEY,
        }


def client_descriptor(provider: str) -> Descriptor:
    return Descriptor("pip-services", "client", KINDS[provider], "stock", "1.0")


@contextmanager
def container(settings: dict[str, str]) -> Iterator[References]:
    """The references of an open container."""
    from pip_services4_container import Container

    context = Context.from_trace_id("C1")
    container = Container("test")
    container.add_factory(DefaultServerlessFactory())
    container.read_config_from_file(context, str(HERE / "both.yml"), ConfigParams.from_value(settings))
    container.open(context)
    try:
        yield container._references
    finally:
        container.close(context)


@contextmanager
def created_without_container(settings: dict[str, str]) -> Iterator[References]:
    """The components of the YAML file, for Python versions on which containers cannot be imported."""
    connections = {
        "azure_stock.uri": settings["STOCK_URL"],
        "lambda_stock.arn": settings["STOCK_ARN"],
        "lambda_stock.uri": settings["STOCK_ENDPOINT"],
    }
    credentials = {
        "azure_stock.auth_code": settings["STOCK_KEY"],
        "lambda_stock.access_id": settings["STOCK_ACCESS_ID"],
        "lambda_stock.access_key": settings["STOCK_ACCESS_KEY"],
    }
    references = References()
    for kind, component, config in (
        ("logger:console", ConsoleLogger(), {"level": "trace"}),
        ("counters:log", LogCounters(), {}),
        ("tracer:log", LogTracer(), {}),
        ("discovery:memory", MemoryDiscovery(), connections),
        ("credential-store:memory", MemoryCredentialStore(), credentials),
    ):
        component.configure(ConfigParams(config))
        references.put(Descriptor.from_string(f"pip-services:{kind}:default:1.0"), component)
    for kind in ("counters", "tracer"):
        references.get_one_required(Descriptor("*", kind, "*", "*", "1.0")).set_references(references)
    clients = {provider: DefaultServerlessFactory().create(client_descriptor(provider)) for provider in KINDS}
    for provider, client in clients.items():
        key = f"{provider}_stock"
        client.configure(ConfigParams.from_tuples("connection.discovery_key", key, "credential.store_key", key))
        client.set_references(references)
        client.open("C1")
        references.put(client_descriptor(provider), client)
    try:
        yield references
    finally:
        for client in clients.values():
            client.close("C1")


@pytest.fixture(params=[pytest.param(container, marks=needs_container), created_without_container])
def open_components(request: pytest.FixtureRequest, settings: dict[str, str]) -> Open:
    """Opens the components, with a container and without."""
    return lambda: request.param(settings)


@pytest.fixture
def client(open_components: Open, provider: str) -> Iterator[Any]:
    with open_components() as references:
        yield references.get_one_required(client_descriptor(provider))


def test_a_client_calls_its_function(client: Any) -> None:
    """The discovery service has its connection, the credential store its key, and the descriptor its name."""
    assert client.call_command("take", "T", {"article": "coffee", "amount": 0})["article"] == "coffee"


def test_an_error_is_restored(client: Any) -> None:
    """It has its class and the caller's trace id."""
    with pytest.raises(NotFoundException, match="There is no gold") as caught:
        client.call_command("take", "T", {"article": "gold", "amount": 1})
    assert caught.value.trace_id == "T"


def test_the_logger_counters_and_tracer_of_the_container_are_used(
    open_components: Open,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They see each call once, and see no secret."""
    # The tracer of pip-services keeps its logger on the class, so it would log once for each earlier container.
    monkeypatch.setattr(LogTracer, "_LogTracer__LOGGER", CompositeLogger())
    with open_components() as references:
        for provider in KINDS:
            client = references.get_one_required(client_descriptor(provider))
            client.call_command("take", "T", {"article": "coffee", "amount": 0})
        counters = references.get_one_required(Descriptor("*", "counters", "*", "*", "1.0")).get_all()
        assert {c.name: c.count for c in counters} == {"stock.take.exec_count": 2, "stock.take.exec_time": 2}
    output = "".join(capsys.readouterr())
    assert output.count("[T:TRACE:") == 2
    assert output.count("Executed stock.take") == 2
    assert KEY not in output
    assert ACCESS_KEY not in output


def test_closing_the_container_closes_the_clients(open_components: Open, provider: str) -> None:
    """They are open as long as the container."""
    with open_components() as references:
        client = references.get_one_required(client_descriptor(provider))
        assert client.is_open()
    assert not client.is_open()


@needs_container
@pytest.mark.parametrize("name", ["STOCK_URL", "STOCK_KEY", "STOCK_ACCESS_KEY"])
def test_a_missing_parameter_prevents_the_start(settings: dict[str, str], name: str) -> None:
    """The YAML file needs it, because it has `{{{NAME}}}`."""
    incomplete = {key: value for key, value in settings.items() if key != name}
    with pytest.raises(FileException), container(incomplete):
        pass


@needs_container
def test_a_wrong_option_prevents_the_start(settings: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """The container prints the error, which names the key and the component."""
    with pytest.raises(ConfigException) as caught, container({**settings, "TIMEOUT": "soon"}):
        pass
    descriptor = str(client_descriptor("azure"))
    assert caught.value.message == (
        "options.timeout: must be a whole number from 1 to 2147483647, not 'soon' "
        f"(see docs/troubleshooting.md#wrong_option) (opening CommandableAzureFunctionClient {descriptor})"
    )
    assert (caught.value.trace_id, caught.value.details["descriptor"]) == ("C1", descriptor)
    printed = capsys.readouterr().err.strip().splitlines()
    assert printed[-1].endswith(caught.value.message)


@needs_container
def test_an_unknown_discovery_key_prevents_the_start(
    settings: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """`open` raises, not the first call."""
    with pytest.raises(ConfigException, match="unknown"), container({**settings, "DISCOVERY_KEY": "unknown"}):
        pass


COMMANDS = """
- descriptor: "pip-services:logger:null:default:1.0"
- descriptor: "pip-services:client:{kind}:orders:1.0"
  connection: {{ uri: "{url}", arn: "orders", region: "eu-west-1" }}
  credential: {{ access_id: "ID", access_key: "KEY" }}
  options:
    retries: 1
    commands:
      get_order: {{ idempotent: true }}
      stock.get_left:
        idempotent: yes
        retries: 2
"""


@needs_container
def test_commands_can_have_options(tmp_path: Path, provider: str) -> None:
    """YAML nests them. One of the commands has a dot in its name."""
    from pip_services4_container import Container

    file = tmp_path / "orders.yml"
    container = Container("test")
    container.add_factory(DefaultServerlessFactory())
    with FaultServer() as server:
        server.default = close_after_read()
        file.write_text(COMMANDS.format(kind=KINDS[provider], url=server.url), "utf-8")
        container.read_config_from_file(None, str(file), ConfigParams())
        container.open(Context.from_trace_id("C1"))
        client = container._references.get_one_required(Descriptor("*", "client", "*", "orders", "1.0"))
        executions = []
        for cmd in ("get_order", "stock.get_left", "put_order"):
            before = server.executions
            with pytest.raises(ConnectionException):
                client.call_command(cmd, "T")
            executions.append(server.executions - before)
        container.close(None)
    assert executions == [2, 3, 1]


class Shop(IReferenceable):
    """A component that looks for its client under a name that is not in the YAML file."""

    def set_references(self, references: IReferences) -> None:
        self.client = references.get_one_required(Descriptor("*", "client", KINDS["azure"], "stok", "1.0"))


@needs_container
def test_open_reports_a_component_that_was_never_configured(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The container creates it for a descriptor that is not in its YAML file."""
    from pip_services4_container import Container

    class ShopContainer(Container):
        def set_references(self, references: IReferences) -> None:
            references.put(Descriptor("shop", "service", "default", "default", "1.0"), Shop())

    shop = ShopContainer("test")
    shop.add_factory(DefaultServerlessFactory())
    shop.read_config_from_file(None, str(HERE / "both.yml"), ConfigParams.from_value(settings))
    with pytest.raises(ConfigException) as caught:
        shop.open(Context.from_trace_id("C1"))
    assert caught.value.code == "NO_CONNECTION"
    descriptor = f"*:client:{KINDS['azure']}:stok:1.0"
    where = f"(opening CommandableAzureFunctionClient {descriptor}, which was never configured)"
    assert caught.value.message.endswith(where)


@needs_container
def test_a_call_reports_a_component_that_was_never_configured(settings: dict[str, str]) -> None:
    """An open container creates it, and hides once that it cannot be opened. The first call raises."""
    with container(settings) as references:
        with pytest.raises(ReferenceException):
            references.get_one_required(Descriptor("*", "client", KINDS["lambda"], "stok", "1.0"))
        client = references.get_one_required(Descriptor("*", "client", KINDS["lambda"], "stok", "1.0"))
        with pytest.raises(InvalidStateException) as caught:
            client.call_command("take", "T")
    descriptor = f"pip-services:client:{KINDS['lambda']}:stok:1.0"
    message = f"CommandableLambdaClient {descriptor} is not open and was never configured"
    assert (caught.value.message, caught.value.details["descriptor"]) == (message, descriptor)


@pytest.mark.parametrize("module", ["pip_services4_container", "pip_services4_config.config"])
def test_containers_cannot_be_imported_on_python_3_13(module: str) -> None:
    """If this test fails on 3.13 or later, the tests above can run there too."""
    if sys.version_info < (3, 13):
        import_module(module)
        return
    with pytest.raises(TypeError, match=r"unable to increment \(0,\)"):
        import_module(module)
