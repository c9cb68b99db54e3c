"""Options of one call and of one command: which of them counts, and what is refused."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from pip_services4_commons.errors import (
    ApplicationException,
    BadRequestException,
    ConfigException,
    ConnectionException,
    InvocationException,
)
from pip_services4_components.config import ConfigParams
from pip_services4_components.refer import Descriptor
from pip_services4_observability.log import LogLevel
from support.clients import (
    ACCESS_ID,
    ACCESS_KEY,
    BARE_CLIENTS,
    CLIENTS,
    PROVIDERS,
    SESSION_TOKEN,
    AsyncKind,
    Kind,
    config_for,
    every_kind,
    open_client,
)
from support.fault_server import FaultServer, Request, close_after_read, echo, respond, silent
from support.recorders import RecordingLogger, references_to

from pip_services4_serverless._rules.options import CALL_OPTIONS, TENANT_OPTIONS
from pip_services4_serverless.build import DefaultServerlessFactory
from pip_services4_serverless.clients import (
    AsyncAzureFunctionClient,
    AsyncCloudFunctionClient,
    AsyncLambdaClient,
    AzureFunctionClient,
    CallOptions,
    CloudFunctionClient,
    LambdaCallOptions,
    LambdaClient,
)

provider = every_kind
Enter = Callable[..., Any]


def entries(provider: str, client: Any) -> dict[str, Enter]:
    """All methods that make a call, as `enter(**options)`."""
    found: dict[str, Enter] = {
        "call": lambda **options: client.call("get", "T", {}, **options),
        "_call": lambda **options: client._call("get", "T", {}, **options),
        "call_command": lambda **options: client.call_command("get", "T", {}, **options),
    }
    if provider != "lambda":
        return {**found, "_invoke": lambda **options: client._invoke("get", "T", {}, **options)}
    return {
        **found,
        "_invoke": lambda **options: client._invoke("RequestResponse", "get", "T", {}, **options),
        "call_one_way": lambda **options: client.call_one_way("get", "T", {}, **options),
        "_call_one_way": lambda **options: client._call_one_way("get", "T", {}, **options),
    }


def attempts_of(server: FaultServer, call: Callable[[], Any]) -> int:
    """How often a function whose response is lost was executed for one call."""
    before = server.executions
    server.default = close_after_read()
    with pytest.raises(ConnectionException):
        call()
    return server.executions - before


# --- Keywords of a call ---


def test_an_action_is_idempotent_by_keyword(provider: str) -> None:
    """Of every method; the next call without it is not."""
    with FaultServer() as server, open_client(provider, server.url, retries=2) as client:
        for name, enter in entries(provider, client).items():
            assert attempts_of(server, partial(enter, idempotent=True)) == 3, name
            assert attempts_of(server, enter) == 1, name


def test_retries_by_keyword(provider: str) -> None:
    """More or fewer than configured."""
    with FaultServer() as server, open_client(provider, server.url, retries=1) as client:
        server.default = respond(429)
        for retries in (0, 2):
            before = server.executions
            with pytest.raises(InvocationException) as caught:
                client.call("get", "T", retries=retries)
            assert server.executions - before == retries + 1
            assert caught.value.code == "TOO_MANY_REQUESTS"


@pytest.mark.timing
def test_a_shorter_timeout_by_keyword(provider: str) -> None:
    """It ends the attempt long before the configured one would."""
    with FaultServer() as server, open_client(provider, server.url, timeout=20_000) as client:
        server.default = silent()
        started = time.monotonic()
        shorter: list[CallOptions] = [{"timeout": 100}, {"total_timeout": 100}]
        for options in shorter:
            with pytest.raises(ConnectionException) as caught:
                client.call("get", "T", **options)
            assert caught.value.code == "CALL_TIMEOUT"
        assert time.monotonic() - started < 10


def test_a_longer_timeout_by_keyword(provider: str) -> None:
    """A report takes longer than a look-up."""
    gone_on = threading.Event()

    def late(_: Request) -> tuple[int, dict[str, str], bytes]:
        gone_on.wait(0.5)
        return 200, {}, b'"done"'

    with FaultServer() as server, open_client(provider, server.url, timeout=100, total_timeout=150) as client:
        server.default = echo(late)
        with pytest.raises(ConnectionException):
            client.call("report", "T")
        assert client.call("report", "T", timeout=20_000, total_timeout=0) == "done"
        gone_on.set()


WRONG: list[dict[str, Any]] = [
    {"timout": 5},
    {"connect_timeout": 5},
    {"timeout": 0},
    {"timeout": 2**31},
    {"timeout": 10**5000},
    {"timeout": True},
    {"timeout": 5.0},
    {"timeout": "5"},
    {"timeout": None},
    {"total_timeout": -1},
    {"total_timeout": False},
    {"retries": 1001},
    {"retries": [1]},
    {"idempotent": 1},
    {"idempotent": "true"},
    {"idempotent": None},
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: str(*wrong))
def test_a_wrong_one_is_refused_before_anything_is_sent(provider: str, wrong: dict[str, Any]) -> None:
    """By every method; with the call's trace id, the option's name and what is allowed."""
    with FaultServer() as server, open_client(provider, server.url) as client:
        for name, enter in entries(provider, client).items():
            with pytest.raises(BadRequestException) as caught:
                enter(**{"idempotent": True, **wrong})
            error, (option,) = caught.value, wrong
            assert (error.code, error.status, error.trace_id) == ("WRONG_OPTION", 400, "T"), name
            assert error.details["key"] == option
            assert error.message.startswith(f"{option}: ")
            assert ("timeout, total_timeout, retries, idempotent" in error.message) is (option not in CALL_OPTIONS)
            assert len(error.message) < 150
        assert server.connections == 0


def test_what_was_wrong_before_comes_first(provider: str) -> None:
    """A call of a client that is not open says so, whatever its options."""
    client = BARE_CLIENTS[provider]()
    with pytest.raises(ApplicationException) as caught:
        client.call("get", "T", timout=5)
    assert caught.value.code == "NOT_OPENED"


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_subclass_without_the_keywords_works(name: str) -> None:
    """As long as nobody passes any: it overrides `_call` or `_invoke` as it did before there were options."""
    base: Any = {"azure": AzureFunctionClient, "lambda": LambdaClient, "google": CloudFunctionClient}[name]
    seen = []

    class Older(base):
        def _call(self, cmd: str, context: Any, params: Any = None) -> Any:
            seen.append("_call")
            return super()._call(cmd, context, params)

        def _invoke(self, *args: Any) -> Any:
            seen.append("_invoke")
            return super()._invoke(*args)

    client = Older()
    with FaultServer() as server:
        client.configure(config_for(name, server.url))
        with client:
            assert client.call("get", "T", {"a": 1})["a"] == 1
            assert seen == ["_call", "_invoke"]
            with pytest.raises(TypeError, match="unexpected keyword"):
                client.call("get", "T", timeout=5)


@pytest.mark.parametrize("name", PROVIDERS)
def test_an_asynchronous_subclass_without_the_keywords_works(name: str) -> None:
    """The same of the twins."""
    base: Any = {"azure": AsyncAzureFunctionClient, "lambda": AsyncLambdaClient, "google": AsyncCloudFunctionClient}[
        name
    ]

    class Older(base):
        async def _call(self, cmd: str, context: Any, params: Any = None) -> Any:
            return await super()._call(cmd, context, params)

        async def _invoke(self, *args: Any) -> Any:
            return await super()._invoke(*args)

    async def main(url: str) -> Any:
        client = Older()
        client.configure(config_for(name, url))
        async with client:
            return await client.call("get", "T", {"a": 1})

    with FaultServer() as server:
        assert asyncio.run(main(server.url))["a"] == 1


def test_the_types_are_the_table() -> None:
    """What type checkers know is what is checked."""
    assert set(CallOptions.__annotations__) == set(CALL_OPTIONS)
    assert set(LambdaCallOptions.__annotations__) == {*CALL_OPTIONS, *TENANT_OPTIONS}
    assert not LambdaCallOptions.__required_keys__


# --- Options of a command ---


def test_a_commands_options_beat_the_clients(provider: str) -> None:
    """And a call's beat the command's; other commands have the client's."""
    options: dict[str, Any] = {"retries": 2, "commands.get.idempotent": True, "commands.get.retries": 1}
    with FaultServer() as server, open_client(provider, server.url, **options) as client:
        assert attempts_of(server, lambda: client.call_command("get", "T")) == 2
        assert attempts_of(server, lambda: client.call_command("get", "T", retries=0)) == 1
        assert attempts_of(server, lambda: client.call_command("get", "T", idempotent=False)) == 1
        assert attempts_of(server, lambda: client.call_command("put", "T")) == 1
        assert attempts_of(server, lambda: client.call_command("put", "T", idempotent=True)) == 3


@pytest.mark.timing
def test_a_commands_times(provider: str) -> None:
    """In milliseconds, as the client's."""
    options: dict[str, Any] = {"timeout": 20_000, "commands.get.timeout": 100, "commands.put.total_timeout": 100}
    with FaultServer() as server, open_client(provider, server.url, **options) as client:
        server.default = silent()
        started = time.monotonic()
        for cmd in ("get", "put"):
            with pytest.raises(ConnectionException) as caught:
                client.call_command(cmd, "T")
            assert caught.value.code == "CALL_TIMEOUT"
        assert time.monotonic() - started < 10


@pytest.mark.parametrize("prefix_commands", [True, False])
@pytest.mark.parametrize("cmd", ["get_order", "orders.get_order", "v1.timeout"])
def test_a_command_is_named_without_the_service(provider: str, cmd: str, prefix_commands: bool) -> None:
    """Whatever is sent; it may have dots in it."""
    options = {f"commands.{cmd}.idempotent": True, "retries": 1, "prefix_commands": prefix_commands}
    with FaultServer() as server, open_client(provider, server.url, "orders", **options) as client:
        assert attempts_of(server, lambda: client.call_command(cmd, "T")) == 2
        assert attempts_of(server, lambda: client.call_command("other", "T")) == 1


def test_a_bare_call_of_a_command_with_dots(provider: str) -> None:
    """As a client without a name sends it."""
    client = BARE_CLIENTS[provider]()
    with FaultServer() as server:
        config = config_for(provider, server.url, retries=1)
        config.put("options.commands.orders.get_order.idempotent", True)
        client.configure(config)
        client.open()
        assert attempts_of(server, lambda: client.call("orders.get_order", "T")) == 2
        assert attempts_of(server, lambda: client.call("get_order", "T")) == 1
        client.close()


def test_dicts_nested_and_flat(provider: str) -> None:
    """As YAML gives them, or as a key each; an empty value is the client's."""
    with FaultServer() as server:
        flat = dict(config_for(provider, server.url))
        for options in (
            {"options": {"retries": 1, "commands": {"orders.get": {"idempotent": True, "retries": None}}}},
            {"options": {"retries": 1, "commands.orders.get.idempotent": "yes"}},
            {"options.retries": 1, "options.commands.orders.get.idempotent": True},
            {"options.retries": 1, "options.commands": {"orders": {"get": {"idempotent": 1}}}},
        ):
            client = CLIENTS[provider]("dummies")
            client.configure({**flat, **options})
            client.open()
            assert attempts_of(server, partial(client.call_command, "orders.get", "T")) == 2, options
            client.close()


def test_configuring_again_replaces_them(provider: str) -> None:
    """All of them, from the next opening on."""
    with FaultServer() as server:
        client = CLIENTS[provider]("dummies")
        options = {"retries": 1, "commands.get.idempotent": True}
        client.configure(config_for(provider, server.url, **options))
        client.open()
        client.configure(config_for(provider, server.url, retries=1))
        assert attempts_of(server, lambda: client.call_command("get", "T")) == 2
        client.close()
        client.open()
        assert attempts_of(server, lambda: client.call_command("get", "T")) == 1
        client.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [("timeout", "5s"), ("timeout", 0), ("total_timeout", -1), ("retries", "many"), ("idempotent", "perhaps")],
)
def test_a_commands_wrong_option_is_refused_by_name(provider: str, name: str, value: Any) -> None:
    """When it is configured, with its whole key."""
    key = f"commands.orders.get.{name}"
    with pytest.raises(ConfigException) as caught:
        CLIENTS[provider]("dummies").configure(config_for(provider, "http://127.0.0.1:9", **{key: value}))
    assert (caught.value.code, caught.value.details["key"]) == ("WRONG_OPTION", f"options.{key}")


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_factorys_clients(name: str) -> None:
    """By a container's YAML file as by hand."""
    kind = {"azure": "commandable-azurefunc", "lambda": "commandable-lambda", "google": "commandable-cloudfunc"}[name]
    descriptor = Descriptor("pip-services", "client", kind, "orders", "1.0")
    with FaultServer() as server:
        client = DefaultServerlessFactory().create(descriptor)
        config = config_for(name, server.url, **{"retries": 1, "commands.get.idempotent": "true"})
        client.configure(config.override(ConfigParams.from_tuples("descriptor", str(descriptor))))
        client.open("T")
        assert attempts_of(server, lambda: client.call_command("get", "T")) == 2
        assert attempts_of(server, lambda: client.call_command("put", "T")) == 1
        client.close("T")


def test_a_scripts_client() -> None:
    """`from_uri` takes them as `commands`."""
    commands = {"get": {"idempotent": True}}
    with (
        FaultServer() as server,
        AzureFunctionClient.from_uri(f"{server.url}/api/f", retries=1, commands=commands) as client,
    ):
        assert attempts_of(server, lambda: client.call("get", "T")) == 2


def test_a_commands_timeout_beyond_the_front_ends_is_warned_of() -> None:
    """As the client's own is."""
    logger = RecordingLogger()
    client = AzureFunctionClient()
    client.set_references(references_to(logger=logger))
    client.configure(config_for("azure", "http://127.0.0.1:9", **{"commands.report.timeout": 300_000}))
    with client:
        (warning,) = [line for line in logger.messages(LogLevel.Warn) if "timeout" in line]
    assert warning.startswith("options.commands.report.timeout of AzureFunctionClient is 300000 ms")


# --- Tenants ---

LAMBDAS = [pytest.param(Kind("lambda"), id="blocking"), pytest.param(AsyncKind("lambda"), id="asynchronous")]


# A client whose calls have keywords of its provider.
open_own: Callable[..., AbstractContextManager[Any]] = open_client


@pytest.mark.parametrize("kind", LAMBDAS)
def test_a_tenant_is_sent(kind: Kind) -> None:
    """By every method, in the header of the service's model, and with each attempt; of this call alone."""
    with FaultServer() as server, open_own(kind, server.url) as client:
        for enter in entries(kind, client).values():
            server.script(respond(429))
            enter(tenant_id="blue/1")
            enter()
            sent = [request.headers["x-amz-tenant-id"] for request in server.requests]
            assert sent[-3:] == ["blue/1", "blue/1", None]


@pytest.mark.parametrize("kind", LAMBDAS)
def test_a_tenant_is_signed_as_botocore_signs(kind: Kind) -> None:
    """The signature that arrived is the one that botocore makes of the headers that arrived."""
    with FaultServer() as server, open_own(kind, server.url) as client:
        client.call("get", "T", {"a": 1}, tenant_id="blue: 1@x.org")
        (request,) = server.requests
        authorization = request.headers["Authorization"]
        names = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        assert "x-amz-tenant-id" in names
        headers = {name: request.headers[name] for name in names if name not in ("host", "x-amz-date")}
        again = AWSRequest("POST", server.url + request.path, headers=headers, data=request.body)
        again.context["timestamp"] = request.headers["x-amz-date"]
        auth = SigV4Auth(Credentials(ACCESS_ID, ACCESS_KEY, SESSION_TOKEN), "lambda", "eu-west-1")
        again.headers["X-Amz-Date"] = request.headers["x-amz-date"]
        to_sign = auth.string_to_sign(again, auth.canonical_request(again))
        assert authorization.endswith(f"Signature={auth.signature(to_sign, again)}")


def test_both_kinds_send_the_same_of_a_tenant() -> None:
    """Headers that are signed, but for what depends on the time."""
    seen = []
    for kind in (Kind("lambda"), AsyncKind("lambda")):
        with FaultServer() as server, open_own(kind, server.url) as client:
            client.call("get", "T", {"a": 1}, tenant_id="blue")
            (request,) = server.requests
            names = ("X-Amz-Tenant-Id", "X-Amz-Invocation-Type", "X-Amz-Security-Token")
            signed = request.headers["Authorization"].partition("SignedHeaders=")[2].partition(",")[0]
            seen.append((request.path, request.body, signed, [request.headers.get_all(name) for name in names]))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("kind", LAMBDAS)
@pytest.mark.parametrize("wrong", ["", "x" * 257, "a\r\nX-Other: 1", "ü", 5, None, True, b"blue"], ids=repr)
def test_a_wrong_tenant_is_refused(kind: Kind, wrong: Any) -> None:
    """What the service's model does not allow, a second header above all."""
    with FaultServer() as server, open_own(kind, server.url) as client:
        with pytest.raises(BadRequestException) as caught:
            client.call("get", "T", tenant_id=wrong)
        assert (caught.value.code, caught.value.details["key"]) == ("WRONG_OPTION", "tenant_id")
        assert server.connections == 0


@pytest.mark.parametrize("kind", [Kind("azure"), AsyncKind("azure")], ids=["blocking", "asynchronous"])
def test_azure_knows_no_tenants(kind: Kind) -> None:
    """The option does not exist there."""
    with FaultServer() as server, open_own(kind, server.url) as client:
        with pytest.raises(BadRequestException, match="tenant_id: does not exist"):
            client.call("get", "T", tenant_id="blue")
        assert server.connections == 0


def test_a_botocore_that_knows_no_tenants() -> None:
    """Its client would fail with a `KeyError`; the call says what is missing."""
    with FaultServer() as server, open_own("lambda", server.url) as client:
        members = client._lambda.meta.service_model.operation_model("Invoke").input_shape.members
        del members["TenantId"]
        with pytest.raises(BadRequestException, match="botocore does not support tenants") as caught:
            client.call("get", "T", tenant_id="blue")
        assert (caught.value.code, caught.value.trace_id) == ("WRONG_OPTION", "T")
        assert client.call("get", "T", {"a": 1})["a"] == 1


def test_the_pattern_is_the_service_models() -> None:
    """What botocore's model says of a tenant."""
    with open_own("lambda", "http://127.0.0.1:9") as client:
        shape = client._lambda.meta.service_model.operation_model("Invoke").input_shape.members["TenantId"]
    assert shape.serialization == {"location": "header", "name": "X-Amz-Tenant-Id"}
    assert (shape.metadata["min"], shape.metadata["max"]) == (1, 256)
