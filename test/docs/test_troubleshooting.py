"""docs/troubleshooting.md: each code has its place, under an anchor, with the message that a person sees."""

from __future__ import annotations

import asyncio
import gzip
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pip_services4_commons.errors import ApplicationException
from support import fault_server as far_side
from support.fault_server import FaultServer
from support.processes import PROGRAM

from pip_services4_serverless._cli.failure import CODES
from pip_services4_serverless._rules.errors import SITUATIONS
from pip_services4_serverless.clients import AsyncAzureFunctionClient, AzureFunctionClient, LambdaClient
from pip_services4_serverless.connect._config_errors import CONFIG_ERRORS

PAGE = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text("utf-8")
# A heading's anchor is its text in lower case, on forges and in the built pages.
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
SHOP = "https://shop.azurewebsites.net"
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:orders"
KEYS = {"credential.access_id": "AKIAEXAMPLE", "credential.access_key": "made-up"}


def test_each_code_has_its_anchor() -> None:
    """Those of calls, of configurations and of the command line; and there is no other."""
    assert SECTIONS.keys() == {*SITUATIONS, *CONFIG_ERRORS, *CODES}
    assert PAGE.count("\n### ") == len(SECTIONS)


def azure(**settings: Any) -> Callable[[str], AzureFunctionClient]:
    """A client that is configured, and not yet open, for the address of a server."""

    def make(url: str) -> AzureFunctionClient:
        client = AzureFunctionClient()
        client.configure({"connection": {"uri": f"{url}/api/orders"}, "options": {"retries": 0, **settings}})
        return client

    return make


AZURE = azure()


def called(step: Any, make: Callable[[str], Any] = AZURE, params: Any = None, context: Any = None) -> Any:
    """An `orders.get` that the server answers by that step."""

    def provoke(server: FaultServer) -> None:
        if step is not None:
            server.script(step)
        with make(server.url) as client:
            client.call("orders.get", context, params)

    return provoke


def on_lambda(url: str) -> LambdaClient:
    client = LambdaClient()
    client.configure({"connection.arn": ARN, "connection.uri": url, "options.retries": 0, **KEYS})
    return client


def wrong_invocation_type(server: FaultServer) -> None:
    with on_lambda(server.url) as client:
        client._invoke("DryRun", "orders.get", None, None)


def wrong_header(server: FaultServer) -> None:
    class Client(AsyncAzureFunctionClient):
        def _attempt_headers(self, *_: Any) -> dict[str, str]:
            return {"Content-Length": "1"}

    async def call() -> None:
        client = Client()
        client.configure({"connection.uri": f"{server.url}/api/orders"})
        async with client:
            await client.call("orders.get")

    asyncio.run(call())


def refused_connection(server: FaultServer) -> None:
    with far_side.refused_port() as port:
        called(None, lambda _: azure()(f"http://127.0.0.1:{port}"))(server)


def configured(**settings: str) -> Callable[[FaultServer], None]:
    """A client of either provider, configured and opened with these settings; `__` stands for the dot."""

    def provoke(_: FaultServer) -> None:
        config = {key.replace("__", "."): value for key, value in settings.items()}
        client = AzureFunctionClient() if {"connection__uri", "options__timeout"} & settings.keys() else LambdaClient()
        client.configure(config)
        client.open()

    return provoke


def unanswered(server: FaultServer) -> None:
    called(far_side.silent(), azure(timeout=300))(server)


bomb = gzip.compress(bytes(101 * 1024 * 1024), 1)
error = {"errorType": "KeyError", "errorMessage": "'tea'", "stackTrace": []}
PROVOKED: dict[str, Callable[[FaultServer], None]] = {
    "NO_COMMAND": lambda server: azure()(server.url).call(""),
    "WRONG_CONTEXT": lambda server: azure()(server.url).call("orders.get", {"order_id": 1}),  # type: ignore[arg-type]
    "NOT_OPENED": lambda server: azure()(server.url).call("orders.get"),
    "SERIALIZATION_FAILED": called(None, params={"when": object}),
    "PAYLOAD_TOO_LARGE": called(None, on_lambda, {"data": "x" * 7_000_000}),
    "WRONG_INVOCATION_TYPE": wrong_invocation_type,
    "WRONG_HEADER": wrong_header,
    "CANNOT_CONNECT": refused_connection,
    "CALL_TIMEOUT": unanswered,
    "NO_RESPONSE": called(far_side.reset_after_read()),
    "FUNCTION_ERROR": called(far_side.respond(200, error, headers={"X-Amz-Function-Error": "Unhandled"}), on_lambda),
    "BAD_REQUEST": called(far_side.respond(400, b"No order_id", content_type="text/plain")),
    "UNAUTHORIZED": called(far_side.respond(401, b"")),
    "NOT_FOUND": called(far_side.respond(404, b"")),
    "CONFLICT": called(far_side.respond(409, b"")),
    "TOO_MANY_REQUESTS": called(far_side.respond(429, b"")),
    "CALL_FAILED": called(far_side.respond(500, b"")),
    "UNEXPECTED_REDIRECT": called(far_side.respond(302, b"", headers={"Location": "/login"})),
    "DESERIALIZATION_FAILED": called(far_side.respond(200, b"<html>", content_type="text/html")),
    "RESPONSE_TOO_LARGE": called(far_side.respond(200, bomb, headers={"Content-Encoding": "gzip"})),
    "WRONG_OPTION": configured(options__timeout="5s"),
    "NO_CONNECTION": configured(),
    "WRONG_PROTOCOL": configured(connection__uri="shop.azurewebsites.net/api/orders"),
    "WRONG_URI": configured(connection__uri="https:///api/orders"),
    "WRONG_AUTH_CODE": configured(connection__uri=SHOP, credential__auth_code="a key\n"),
    "WRONG_ARN": configured(connection__arn="arn:aws:s3:::orders"),
    "NO_REGION": configured(connection__arn="orders", connection__account="123456789012"),
    "NO_ACCESS_ID": configured(connection__arn=ARN, credential__access_key="made-up"),
    "NO_ACCESS_KEY": configured(connection__arn=ARN, credential__access_id="AKIAEXAMPLE"),
    "WRONG_ACCESS_KEY": configured(connection__arn=ARN, credential__access_id="a", credential__access_key="b c"),
    "WRONG_IDENTITY": configured(connection__uri=SHOP, credential__identity="default"),
    "NO_CREDENTIALS": configured(connection__arn=ARN),
}


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_of_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither keys nor a region are found on this machine."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_each_code_of_a_call_or_a_configuration_is_provoked() -> None:
    """None is left out below."""
    assert PROVOKED.keys() == {*SITUATIONS, *CONFIG_ERRORS}


@pytest.mark.parametrize("code", PROVOKED)
def test_the_message_is_the_real_one(server: FaultServer, code: str) -> None:
    """What the page says that a person sees is what the clients say; a port is no part of it."""
    with pytest.raises(ApplicationException) as caught:
        PROVOKED[code](server)

    message = re.sub(r"http://127\.0\.0\.1:\d+", SHOP, caught.value.message)
    assert caught.value.code == code
    assert f"```text\n{message}\n```" in SECTIONS[code]


@pytest.mark.parametrize("code", CONFIG_ERRORS)
def test_a_configuration_error_names_its_place(server: FaultServer, code: str) -> None:
    """Its message ends with the page and the anchor, but for the client that is opened."""
    with pytest.raises(ApplicationException) as caught:
        PROVOKED[code](server)

    place = rf" \(see docs/troubleshooting\.md#{code.lower()}\)( \(opening \w+\))?"
    assert re.search(f"{place}$", caught.value.message)


# By code, the arguments and the files that they need.
MISUSED: dict[str, tuple[str, dict[str, str]]] = {
    "WRONG_USAGE": ("call --cmd get", {}),
    "WRONG_CONFIG": ("call --cmd get --config config.yml", {}),
    "NO_CLIENT": (
        "call --cmd get --config config.yml --provider azure",
        {"config.yml": '- {descriptor: "shop:client:commandable-lambda:greeter:1.0", connection: {arn: greeter}}'},
    ),
    "NO_PROVIDER": ("call --cmd get --config config.yml", {"config.yml": "connection: {discovery_key: greeter}"}),
    "NO_AUTH_CODE": ("call --cmd get --uri http://127.0.0.1:9/f --auth-code-file key.txt", {}),
    "NO_AUTH_TOKEN": (
        "call --cmd get --provider google --uri http://127.0.0.1:9/f --auth-token-file token.txt",
        {},
    ),
    "CANNOT_SERVE": (
        "serve azure . --port {port}",
        {
            "function_app.py": "import azure.functions as func\napp = func.FunctionApp()\n\n"
            "@app.route()\ndef greeter(req):\n    return ''\n"
        },
    ),
}


@pytest.mark.parametrize("code", MISUSED)
def test_the_line_of_a_command_is_the_real_one(tmp_path: Path, code: str) -> None:
    """But for a port."""
    command, files = MISUSED[code]
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with FaultServer() as server:
        port = server.url.rpartition(":")[2]
        run = subprocess.run(
            [*PROGRAM, *command.format(port=port).split()],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert f"```text\n{run.stderr.replace(port, '7071')}```" in SECTIONS[code]
