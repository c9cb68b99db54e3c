"""docs/troubleshooting.md has a section for each code, with an anchor and the exact message."""

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
from support import fault_server as fault
from support.fault_server import FaultServer
from support.processes import PROGRAM

from pip_services4_serverless._cli.failure import CODES
from pip_services4_serverless._rules.errors import SITUATIONS
from pip_services4_serverless.clients import AsyncAzureFunctionClient, AzureFunctionClient, LambdaClient
from pip_services4_serverless.connect._config_errors import CONFIG_ERRORS

PAGE = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text("utf-8")
# The anchor of a heading is its text in lower case, on GitHub and in the built pages.
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
SHOP = "https://shop.azurewebsites.net"
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:orders"
KEYS = {"credential.access_id": "AKIAEXAMPLE", "credential.access_key": "secret"}


def test_each_code_has_a_section() -> None:
    """There are codes of calls, of configurations and of the command line. No section has another code."""
    assert SECTIONS.keys() == {*SITUATIONS, *CONFIG_ERRORS, *CODES}
    assert PAGE.count("\n### ") == len(SECTIONS)


def azure_client(**settings: Any) -> Callable[[str], AzureFunctionClient]:
    """Returns a function that configures a client for the URL of a server, and does not open it."""

    def make(url: str) -> AzureFunctionClient:
        client = AzureFunctionClient()
        client.configure({"connection": {"uri": f"{url}/api/orders"}, "options": {"retries": 0, **settings}})
        return client

    return make


AZURE = azure_client()


def call_with(step: Any, make: Callable[[str], Any] = AZURE, params: Any = None, context: Any = None) -> Any:
    """A call of `orders.get`, to which the server responds with the step."""

    def cause(server: FaultServer) -> None:
        if step is not None:
            server.script(step)
        with make(server.url) as client:
            client.call("orders.get", context, params)

    return cause


def aws_client(url: str) -> LambdaClient:
    client = LambdaClient()
    client.configure({"connection.arn": ARN, "connection.uri": url, "options.retries": 0, **KEYS})
    return client


def wrong_invocation_type(server: FaultServer) -> None:
    with aws_client(server.url) as client:
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


def connect_to_a_closed_port(server: FaultServer) -> None:
    with fault.refused_port() as port:
        call_with(None, lambda _: azure_client()(f"http://127.0.0.1:{port}"))(server)


def configure_with(**settings: str) -> Callable[[FaultServer], None]:
    """Configures a client with these settings and opens it. `__` stands for the dot."""

    def cause(_: FaultServer) -> None:
        config = {key.replace("__", "."): value for key, value in settings.items()}
        client = AzureFunctionClient() if {"connection__uri", "options__timeout"} & settings.keys() else LambdaClient()
        client.configure(config)
        client.open()

    return cause


def call_without_response(server: FaultServer) -> None:
    call_with(fault.silent(), azure_client(timeout=300))(server)


bomb = gzip.compress(bytes(101 * 1024 * 1024), 1)
error = {"errorType": "KeyError", "errorMessage": "'tea'", "stackTrace": []}
CAUSES: dict[str, Callable[[FaultServer], None]] = {
    "NO_COMMAND": lambda server: azure_client()(server.url).call(""),
    "WRONG_CONTEXT": lambda server: azure_client()(server.url).call("orders.get", {"order_id": 1}),  # type: ignore[arg-type]
    "NOT_OPENED": lambda server: azure_client()(server.url).call("orders.get"),
    "SERIALIZATION_FAILED": call_with(None, params={"when": object}),
    "PAYLOAD_TOO_LARGE": call_with(None, aws_client, {"data": "x" * 7_000_000}),
    "WRONG_INVOCATION_TYPE": wrong_invocation_type,
    "WRONG_HEADER": wrong_header,
    "CANNOT_CONNECT": connect_to_a_closed_port,
    "CALL_TIMEOUT": call_without_response,
    "NO_RESPONSE": call_with(fault.reset_after_read()),
    "FUNCTION_ERROR": call_with(fault.respond(200, error, headers={"X-Amz-Function-Error": "Unhandled"}), aws_client),
    "BAD_REQUEST": call_with(fault.respond(400, b"No order_id", content_type="text/plain")),
    "UNAUTHORIZED": call_with(fault.respond(401, b"")),
    "NOT_FOUND": call_with(fault.respond(404, b"")),
    "CONFLICT": call_with(fault.respond(409, b"")),
    "TOO_MANY_REQUESTS": call_with(fault.respond(429, b"")),
    "CALL_FAILED": call_with(fault.respond(500, b"")),
    "UNEXPECTED_REDIRECT": call_with(fault.respond(302, b"", headers={"Location": "/login"})),
    "DESERIALIZATION_FAILED": call_with(fault.respond(200, b"<html>", content_type="text/html")),
    "RESPONSE_TOO_LARGE": call_with(fault.respond(200, bomb, headers={"Content-Encoding": "gzip"})),
    "WRONG_OPTION": configure_with(options__timeout="5s"),
    "NO_CONNECTION": configure_with(),
    "WRONG_PROTOCOL": configure_with(connection__uri="shop.azurewebsites.net/api/orders"),
    "WRONG_URI": configure_with(connection__uri="https:///api/orders"),
    "WRONG_AUTH_CODE": configure_with(connection__uri=SHOP, credential__auth_code="a key\n"),
    "WRONG_ARN": configure_with(connection__arn="arn:aws:s3:::orders"),
    "NO_REGION": configure_with(connection__arn="orders", connection__account="123456789012"),
    "NO_ACCESS_ID": configure_with(connection__arn=ARN, credential__access_key="secret"),
    "NO_ACCESS_KEY": configure_with(connection__arn=ARN, credential__access_id="AKIAEXAMPLE"),
    "WRONG_ACCESS_KEY": configure_with(connection__arn=ARN, credential__access_id="a", credential__access_key="b c"),
    "WRONG_IDENTITY": configure_with(connection__uri=SHOP, credential__identity="default"),
    "NO_CREDENTIALS": configure_with(connection__arn=ARN),
}


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture(autouse=True)
def no_aws_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither keys nor a region are found on this machine."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_each_code_of_a_call_or_configuration_has_a_cause() -> None:
    """`CAUSES` leaves none out."""
    assert CAUSES.keys() == {*SITUATIONS, *CONFIG_ERRORS}


@pytest.mark.parametrize("code", CAUSES)
def test_the_page_has_the_message_of_the_client(server: FaultServer, code: str) -> None:
    """The port is replaced, because it is different each time."""
    with pytest.raises(ApplicationException) as caught:
        CAUSES[code](server)

    message = re.sub(r"http://127\.0\.0\.1:\d+", SHOP, caught.value.message)
    assert caught.value.code == code
    assert f"```text\n{message}\n```" in SECTIONS[code]


@pytest.mark.parametrize("code", CONFIG_ERRORS)
def test_a_configuration_error_links_to_its_section(server: FaultServer, code: str) -> None:
    """Its message ends with the page and the anchor. Only the client that is opened may follow."""
    with pytest.raises(ApplicationException) as caught:
        CAUSES[code](server)

    link = rf" \(see docs/troubleshooting\.md#{code.lower()}\)( \(opening \w+\))?"
    assert re.search(f"{link}$", caught.value.message)


# For each code, the arguments and the files that they need.
WRONG_COMMANDS: dict[str, tuple[str, dict[str, str]]] = {
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


@pytest.mark.parametrize("code", WRONG_COMMANDS)
def test_the_page_has_the_output_of_the_command(tmp_path: Path, code: str) -> None:
    """The port is replaced, because it is different each time."""
    command, files = WRONG_COMMANDS[code]
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
