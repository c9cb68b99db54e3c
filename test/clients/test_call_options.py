"""Options of one call and of one command: which of them takes effect, and what is rejected."""

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
Call = Callable[..., Any]


def ways_to_call(provider: str, client: Any) -> dict[str, Call]:
    """All methods that make a call, as functions of the options."""
    found: dict[str, Call] = {
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
    """How often one call executes a function whose response is lost."""
    before = server.executions
    server.default = close_after_read()
    with pytest.raises(ConnectionException):
        call()
    return server.executions - before


# --- Keywords of a call ---


def test_idempotent_can_be_set_for_a_call(provider: str) -> None:
    """Every method has the keyword. The next call without it is not idempotent."""
    with FaultServer() as server, open_client(provider, server.url, retries=2) as client:
        for name, call_with in ways_to_call(provider, client).items():
            assert attempts_of(server, partial(call_with, idempotent=True)) == 3, name
            assert attempts_of(server, call_with) == 1, name


def test_retries_can_be_set_for_a_call(provider: str) -> None:
    """They may be more or fewer than configured."""
    with FaultServer() as server, open_client(provider, server.url, retries=1) as client:
        server.default = respond(429)
        for retries in (0, 2):
            before = server.executions
            with pytest.raises(InvocationException) as caught:
                client.call("get", "T", retries=retries)
            assert server.executions - before == retries + 1
            assert caught.value.code == "TOO_MANY_REQUESTS"


@pytest.mark.timing
def test_a_shorter_timeout_can_be_set_for_a_call(provider: str) -> None:
    """The attempt ends long before the configured timeout."""
    with FaultServer() as server, open_client(provider, server.url, timeout=20_000) as client:
        server.default = silent()
        started = time.monotonic()
        shorter: list[CallOptions] = [{"timeout": 100}, {"total_timeout": 100}]
        for options in shorter:
            with pytest.raises(ConnectionException) as caught:
                client.call("get", "T", **options)
            assert caught.value.code == "CALL_TIMEOUT"
        assert time.monotonic() - started < 10


def test_a_longer_timeout_can_be_set_for_a_call(provider: str) -> None:
    """One command may take longer than the others."""
    ended = threading.Event()

    def respond_late(_: Request) -> tuple[int, dict[str, str], bytes]:
        ended.wait(0.5)
        return 200, {}, b'"done"'

    with FaultServer() as server, open_client(provider, server.url, timeout=100, total_timeout=150) as client:
        server.default = echo(respond_late)
        with pytest.raises(ConnectionException):
            client.call("report", "T")
        assert client.call("report", "T", timeout=20_000, total_timeout=0) == "done"
        ended.set()


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
def test_a_wrong_option_is_rejected_before_the_request(provider: str, wrong: dict[str, Any]) -> None:
    """The error has the call's trace id, the option's name and the valid values."""
    with FaultServer() as server, open_client(provider, server.url) as client:
        for name, call_with in ways_to_call(provider, client).items():
            with pytest.raises(BadRequestException) as caught:
                call_with(**{"idempotent": True, **wrong})
            error, (option,) = caught.value, wrong
            assert (error.code, error.status, error.trace_id) == ("WRONG_OPTION", 400, "T"), name
            assert error.details["key"] == option
            assert error.message.startswith(f"{option}: ")
            assert ("timeout, total_timeout, retries, idempotent" in error.message) is (option not in CALL_OPTIONS)
            assert len(error.message) < 150
        assert server.connections == 0


def test_a_closed_client_is_reported_before_wrong_options(provider: str) -> None:
    """A call of a closed client raises `NOT_OPENED`, whatever its options are."""
    client = BARE_CLIENTS[provider]()
    with pytest.raises(ApplicationException) as caught:
        client.call("get", "T", timout=5)
    assert caught.value.code == "NOT_OPENED"


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_subclass_without_the_keywords_works(name: str) -> None:
    """It overrides `_call` and `_invoke` without the options. Calls without options still work."""
    base: Any = {"azure": AzureFunctionClient, "lambda": LambdaClient, "google": CloudFunctionClient}[name]
    seen = []

    class OldSubclass(base):
        def _call(self, cmd: str, context: Any, params: Any = None) -> Any:
            seen.append("_call")
            return super()._call(cmd, context, params)

        def _invoke(self, *args: Any) -> Any:
            seen.append("_invoke")
            return super()._invoke(*args)

    client = OldSubclass()
    with FaultServer() as server:
        client.configure(config_for(name, server.url))
        with client:
            assert client.call("get", "T", {"a": 1})["a"] == 1
            assert seen == ["_call", "_invoke"]
            with pytest.raises(TypeError, match="unexpected keyword"):
                client.call("get", "T", timeout=5)


@pytest.mark.parametrize("name", PROVIDERS)
def test_an_asynchronous_subclass_without_the_keywords_works(name: str) -> None:
    """The same for asynchronous clients."""
    base: Any = {"azure": AsyncAzureFunctionClient, "lambda": AsyncLambdaClient, "google": AsyncCloudFunctionClient}[
        name
    ]

    class OldSubclass(base):
        async def _call(self, cmd: str, context: Any, params: Any = None) -> Any:
            return await super()._call(cmd, context, params)

        async def _invoke(self, *args: Any) -> Any:
            return await super()._invoke(*args)

    async def main(url: str) -> Any:
        client = OldSubclass()
        client.configure(config_for(name, url))
        async with client:
            return await client.call("get", "T", {"a": 1})

    with FaultServer() as server:
        assert asyncio.run(main(server.url))["a"] == 1


def test_the_types_have_the_options_of_the_table() -> None:
    """Type checkers and the client accept the same options."""
    assert set(CallOptions.__annotations__) == set(CALL_OPTIONS)
    assert set(LambdaCallOptions.__annotations__) == {*CALL_OPTIONS, *TENANT_OPTIONS}
    assert not LambdaCallOptions.__required_keys__


# --- Options of a command ---


def test_options_of_a_command_take_precedence_over_the_clients(provider: str) -> None:
    """Options of a call take precedence over both. Other commands use the client's options."""
    options: dict[str, Any] = {"retries": 2, "commands.get.idempotent": True, "commands.get.retries": 1}
    with FaultServer() as server, open_client(provider, server.url, **options) as client:
        assert attempts_of(server, lambda: client.call_command("get", "T")) == 2
        assert attempts_of(server, lambda: client.call_command("get", "T", retries=0)) == 1
        assert attempts_of(server, lambda: client.call_command("get", "T", idempotent=False)) == 1
        assert attempts_of(server, lambda: client.call_command("put", "T")) == 1
        assert attempts_of(server, lambda: client.call_command("put", "T", idempotent=True)) == 3


@pytest.mark.timing
def test_a_command_can_have_its_own_timeouts(provider: str) -> None:
    """They are in milliseconds, as those of the client."""
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
def test_a_command_is_configured_without_the_services_name(provider: str, cmd: str, prefix_commands: bool) -> None:
    """It does not matter which name is sent. The command's name may contain dots."""
    options = {f"commands.{cmd}.idempotent": True, "retries": 1, "prefix_commands": prefix_commands}
    with FaultServer() as server, open_client(provider, server.url, "orders", **options) as client:
        assert attempts_of(server, lambda: client.call_command(cmd, "T")) == 2
        assert attempts_of(server, lambda: client.call_command("other", "T")) == 1


def test_a_client_without_a_name_has_commands_with_dots(provider: str) -> None:
    """Its calls send the whole name."""
    client = BARE_CLIENTS[provider]()
    with FaultServer() as server:
        config = config_for(provider, server.url, retries=1)
        config.put("options.commands.orders.get_order.idempotent", True)
        client.configure(config)
        client.open()
        assert attempts_of(server, lambda: client.call("orders.get_order", "T")) == 2
        assert attempts_of(server, lambda: client.call("get_order", "T")) == 1
        client.close()


def test_options_of_commands_may_be_nested_or_flat(provider: str) -> None:
    """YAML gives nested ones. A command without a value for an option uses the client's."""
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


def test_a_new_configuration_replaces_the_options_of_commands(provider: str) -> None:
    """It replaces all of them when the client opens the next time."""
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
def test_configure_names_a_wrong_option_of_a_command(provider: str, name: str, value: Any) -> None:
    """The error has the whole key."""
    key = f"commands.orders.get.{name}"
    with pytest.raises(ConfigException) as caught:
        CLIENTS[provider]("dummies").configure(config_for(provider, "http://127.0.0.1:9", **{key: value}))
    assert (caught.value.code, caught.value.details["key"]) == ("WRONG_OPTION", f"options.{key}")


@pytest.mark.parametrize("name", PROVIDERS)
def test_clients_of_the_factory_have_options_of_commands(name: str) -> None:
    """They are configured as in a container."""
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


def test_from_uri_accepts_options_of_commands() -> None:
    """Their keyword is `commands`."""
    commands = {"get": {"idempotent": True}}
    with (
        FaultServer() as server,
        AzureFunctionClient.from_uri(f"{server.url}/api/f", retries=1, commands=commands) as client,
    ):
        assert attempts_of(server, lambda: client.call("get", "T")) == 2


def test_a_commands_timeout_over_the_limit_of_azure_logs_a_warning() -> None:
    """The same is true of the client's timeout."""
    logger = RecordingLogger()
    client = AzureFunctionClient()
    client.set_references(references_to(logger=logger))
    client.configure(config_for("azure", "http://127.0.0.1:9", **{"commands.report.timeout": 300_000}))
    with client:
        (warning,) = [line for line in logger.messages(LogLevel.Warn) if "timeout" in line]
    assert warning.startswith("options.commands.report.timeout of AzureFunctionClient is 300000 ms")


# --- Tenants ---

LAMBDAS = [pytest.param(Kind("lambda"), id="blocking"), pytest.param(AsyncKind("lambda"), id="asynchronous")]


# `open_client`, typed so that calls may have the keywords of a provider.
open_any: Callable[..., AbstractContextManager[Any]] = open_client


@pytest.mark.parametrize("kind", LAMBDAS)
def test_the_tenant_is_sent_in_its_header(kind: Kind) -> None:
    """Each method sends it, with each attempt of this call only."""
    with FaultServer() as server, open_any(kind, server.url) as client:
        for call_with in ways_to_call(kind, client).values():
            server.script(respond(429))
            call_with(tenant_id="blue/1")
            call_with()
            sent = [request.headers["x-amz-tenant-id"] for request in server.requests]
            assert sent[-3:] == ["blue/1", "blue/1", None]


@pytest.mark.parametrize("kind", LAMBDAS)
def test_the_tenant_is_part_of_the_signature(kind: Kind) -> None:
    """botocore makes the same signature of the headers that arrived."""
    with FaultServer() as server, open_any(kind, server.url) as client:
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


def test_both_kinds_of_clients_send_the_same_tenant() -> None:
    """They send the same signed headers, except for those that depend on the time."""
    seen = []
    for kind in (Kind("lambda"), AsyncKind("lambda")):
        with FaultServer() as server, open_any(kind, server.url) as client:
            client.call("get", "T", {"a": 1}, tenant_id="blue")
            (request,) = server.requests
            names = ("X-Amz-Tenant-Id", "X-Amz-Invocation-Type", "X-Amz-Security-Token")
            signed = request.headers["Authorization"].partition("SignedHeaders=")[2].partition(",")[0]
            seen.append((request.path, request.body, signed, [request.headers.get_all(name) for name in names]))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("kind", LAMBDAS)
@pytest.mark.parametrize("wrong", ["", "x" * 257, "a\r\nX-Other: 1", "ü", 5, None, True, b"blue"], ids=repr)
def test_a_wrong_tenant_is_rejected(kind: Kind, wrong: Any) -> None:
    """botocore's model of the service does not allow it. Above all, it must not add a header."""
    with FaultServer() as server, open_any(kind, server.url) as client:
        with pytest.raises(BadRequestException) as caught:
            client.call("get", "T", tenant_id=wrong)
        assert (caught.value.code, caught.value.details["key"]) == ("WRONG_OPTION", "tenant_id")
        assert server.connections == 0


@pytest.mark.parametrize("kind", [Kind("azure"), AsyncKind("azure")], ids=["blocking", "asynchronous"])
def test_azure_has_no_option_for_tenants(kind: Kind) -> None:
    """The option exists only for Lambda."""
    with FaultServer() as server, open_any(kind, server.url) as client:
        with pytest.raises(BadRequestException, match="tenant_id: does not exist"):
            client.call("get", "T", tenant_id="blue")
        assert server.connections == 0


def test_an_old_botocore_without_tenants_is_reported() -> None:
    """Otherwise botocore would raise a `KeyError`."""
    with FaultServer() as server, open_any("lambda", server.url) as client:
        members = client._lambda.meta.service_model.operation_model("Invoke").input_shape.members
        del members["TenantId"]
        with pytest.raises(BadRequestException, match="botocore does not support tenants") as caught:
            client.call("get", "T", tenant_id="blue")
        assert (caught.value.code, caught.value.trace_id) == ("WRONG_OPTION", "T")
        assert client.call("get", "T", {"a": 1})["a"] == 1


def test_the_limits_of_a_tenant_are_those_of_botocore() -> None:
    """They are in botocore's model of the service."""
    with open_any("lambda", "http://127.0.0.1:9") as client:
        shape = client._lambda.meta.service_model.operation_model("Invoke").input_shape.members["TenantId"]
    assert shape.serialization == {"location": "header", "name": "X-Amz-Tenant-Id"}
    assert (shape.metadata["min"], shape.metadata["max"]) == (1, 256)
