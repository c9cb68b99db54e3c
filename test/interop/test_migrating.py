"""A client that was written for the published packages runs when its imports are changed as documented."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ParamValidationError
from moto import mock_aws
from pip_services4_commons.errors import ConfigException
from pip_services4_components.config import ConfigParams
from pip_services4_components.context import Context
from support import fault_server as fault
from support.clients import every_provider
from support.fault_server import FaultServer

from pip_services4_serverless import clients

PAGE = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text("utf-8")
OLD_CLIENTS = Path(__file__).with_name("old_clients")
# The rows of the page's table of imports: `| before | now |`.
IMPORTS: dict[str, str] = dict(re.findall(r"^\| `from (\S+) import` \| `from (\S+) import` \|$", PAGE, re.MULTILINE))
FILES = {"azure": "azure_clients.py", "lambda": "aws_clients.py", "google": "google_clients.py"}


provider = every_provider


def load(file: str, migrate: bool) -> dict[str, Any]:
    """The names that a file defines, with its original imports or with changed ones."""
    source = (OLD_CLIENTS / file).read_text("utf-8")
    if migrate:
        for before, now in IMPORTS.items():
            source = re.sub(rf"^from {re.escape(before)} import", f"from {now} import", source, flags=re.MULTILINE)
        assert not re.search(r"^from pip_services4_(azure|aws|gcp)\b", source, re.MULTILINE)
    names: dict[str, Any] = {"__name__": "old_clients"}
    exec(compile(source, file, "exec"), names)  # noqa: S102 (test data of this repository)
    return names


@pytest.fixture(params=[False, True], ids=["original imports", "changed imports"])
def migrate(request: pytest.FixtureRequest) -> bool:
    before: bool = request.param
    return before


@pytest.mark.parametrize("client", ["DummyClient", "DummyCommandableClient"])
def test_an_old_client_runs_with_changed_imports(
    provider: str,
    client: str,
    migrate: bool,
    configs: Mapping[str, ConfigParams],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same calls return the same results. With the old imports, only boto3 can be given an endpoint, and
    commandable clients send no prefix over HTTP. With the new ones, the prefix is a line of the configuration."""
    way = "commandable_controller" if client == "DummyCommandableClient" else "controller"
    if provider != "lambda" and way == "commandable_controller":
        way = "commandable_function"
    config = configs[f"{provider}/{way}"].override(ConfigParams())
    if provider != "lambda" and migrate and way == "commandable_function":
        config.put("options.prefix_commands", "false")
    if provider == "google":  # the old resolver fails if the host has dots and no hyphen
        config.put("connection.uri", config.get_as_string("connection.uri").replace("127.0.0.1", "localhost"))
    if not migrate and provider == "lambda":
        monkeypatch.setenv("AWS_ENDPOINT_URL", config.get_as_string("connection.uri"))
    names = load(FILES[provider], migrate)
    dummy = {"id": "old", "key": "k", "content": "Größe"}
    assert names["use"](names[client](), config) == [True, dummy, dummy, None, "T1"]


CONNECTIONS = {
    "azure": ("connection.uri", "https://shop.azurewebsites.net/api/dummies", "credential.auth_code", "KEY"),
    "lambda": (
        *("connection.arn", "arn:aws:lambda:eu-west-1:123456789012:function:dummies"),
        *("credential.access_id", "ID", "credential.access_key", "KEY"),
    ),
    # The old resolver fails if the region has a hyphen, as all regions of Google have.
    "google": (
        *("connection.uri", "http://east-my_test_project.cloudfunctions.net/dummies", "connection.org_id", "o"),
        *("credential.auth_token", "KEY", "credential.account", "a"),
    ),
}


def test_the_connection_classes_resolve_the_same_configuration(provider: str) -> None:
    """They have the same getters."""
    config = ConfigParams.from_tuples(*CONNECTIONS[provider])
    before, now = (load(FILES[provider], migrate)["describe"](config) for migrate in (False, True))
    assert now == before


def test_a_missing_connection_has_one_code(provider: str) -> None:
    """The published packages had one code each. The page names all of them."""
    codes = []
    for migrate in (False, True):
        with pytest.raises(ConfigException) as caught:
            load(FILES[provider], migrate)["describe"](ConfigParams())
        codes.append(caught.value.code)
    assert codes == [{"lambda": "NO_AWS_CONNECTION"}.get(provider, "NO_CONNECTION_URI"), "NO_CONNECTION"]
    assert all(f"`{code}`" in PAGE for code in codes)


# What the server does, by the beginning of a row in the page's table of codes.
RESPONSES = {
    "status 404": fault.respond(404, b""),
    "status 429": fault.respond(429, b""),
    "status 500": fault.respond(500, b""),
    "the response is not valid JSON": fault.respond(200, b"{"),
    "the connection was lost": fault.reset_after_read(),
}


PUBLISHED = {
    "azure": ("pip_services4_azure", "AzureFunctionClient"),
    "google": ("pip_services4_gcp", "CloudFunctionClient"),
    "lambda": ("pip_services4_aws", "LambdaClient"),
}


@pytest.mark.parametrize("what", RESPONSES)
def test_the_page_lists_the_codes_that_changed(provider: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table has the code of the published client and of this package's client."""
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| {what}")]
    _, _, http, aws, now, _ = (cell.strip() for cell in row.split("|"))
    package, name = PUBLISHED[provider]
    old = importlib.import_module(f"{package}.clients")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    codes = []
    with FaultServer() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        port = server.url.rpartition(":")[2]
        for module in (old, clients):
            client = getattr(module, name)()
            config = ConfigParams.from_tuples(*CONNECTIONS[provider], "options.retries", 0)
            # The old resolver of Google fails if the host is an IP address.
            config.put("connection.uri", server.url if provider == "lambda" else f"http://localhost:{port}/api/dummies")
            client.configure(config)
            client.open(Context.from_trace_id("T"))
            server.script(RESPONSES[what])
            with pytest.raises(Exception) as caught:  # noqa: PT011 - also exceptions of requests
                client._call("get", Context.from_trace_id("T"), {})
            codes.append(getattr(caught.value, "code", None) or f"of {type(caught.value).__module__.split('.')[0]}")
            client.close(None)
    before = {"of requests": "an exception of requests"}.get(str(codes[0]), f"`{codes[0]}`")
    assert (aws if provider == "lambda" else http).removeprefix("the number ") == before
    assert now == f"`{codes[1]}`"


def test_the_published_test_clients_are_not_needed(
    configs: Mapping[str, ConfigParams], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clients of this package return the same results."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old = importlib.import_module("pip_services4_aws.test")
    config = configs["lambda/controller"]
    monkeypatch.setenv("AWS_ENDPOINT_URL", config.get_as_string("connection.uri"))
    results = []
    for client in (old.TestLambdaClient(), clients.LambdaClient()):
        client.configure(config)
        client.open(None)
        results.append(client.call("dummies.get_dummies", Context.from_trace_id("T"), {}))
        client.close(None)
    assert results[0] == results[1]
    for name, arguments in {"LambdaClient": "", "CommandableLambdaClient": '"dummies"'}.items():
        assert f"| `Test{name}({arguments})` | `{name}({arguments})` |" in PAGE
        assert hasattr(old, f"Test{name}")


AWS = ("connection.region", "eu-west-1", "credential.access_id", "ID", "credential.access_key", "KEY")


def test_the_cloudwatch_logger_does_not_work() -> None:
    """With a new stream it writes and raises nothing. With an existing stream, a trace id raises."""
    from pip_services4_aws.log import CloudWatchLogger

    def opened() -> CloudWatchLogger:
        logger = CloudWatchLogger()
        logger.configure(ConfigParams.from_tuples("group", "shop", "stream", "new", "interval", "60000", *AWS))
        logger.open(None)
        return logger

    with mock_aws():
        logs = boto3.client("logs", "eu-west-1", aws_access_key_id="ID", aws_secret_access_key="KEY")
        logger = opened()
        logger.info(None, "hello")
        logger.dump()
        assert not logger.is_open()
        assert logs.get_log_events(logGroupName="shop", logStreamName="new")["events"] == []

        logger = opened()  # now the stream exists
        assert logger.is_open()
        logger.info(Context.from_trace_id("T"), "hello")
        message = "'str' object has no attribute 'get'"
        with pytest.raises(AttributeError, match=message):
            logger.dump()
        logger.close(None)
        logs.close()
    assert "`CloudWatchLogger` does not open if its log stream is new" in PAGE
    assert f"`dump` raises `AttributeError: {message}`" in " ".join(PAGE.split())


@pytest.mark.parametrize("value", ["shop", "7"])
def test_the_cloudwatch_counters_do_not_work(value: str) -> None:
    """They ignore text, and boto3 rejects numbers."""
    from pip_services4_aws.count import CloudWatchCounters

    with mock_aws():
        counters = CloudWatchCounters()
        counters.configure(ConfigParams.from_tuples("source", value, "instance", value, *AWS))
        counters.open(None)
        counters.increment_one("calls")
        with pytest.raises(ParamValidationError, match=f"value: {'7' if value == '7' else None}, type: "):
            counters.dump()
        counters.close(None)
    assert "`CloudWatchCounters` reads `source` (its namespace) and `instance` (its dimension) as integers" in PAGE
