"""The command line: what it sends and prints, its exit status, and that nothing is left when it ends."""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from _thread import start_new_thread
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import yaml
from pip_services4_commons.errors import ConfigException
from pip_services4_components.config import ConfigParams
from support import fault_server as fault
from support.clients import ACCESS_ID, ACCESS_KEY, ARN, AUTH_CODE, AUTH_TOKEN, CLIENTS, every_provider
from support.fault_server import FaultServer
from support.processes import END_OF_CONFIG, PROGRAM, Process, wait_until

from pip_services4_serverless import __version__
from pip_services4_serverless._cli import config_file, serve, standard_input
from pip_services4_serverless._cli.commands import main

DOCS = Path(__file__).parents[1] / "docs" / "command-line.md"
HELLO_AZURE = """
import json
import azure.functions as func

app = func.FunctionApp()

@app.route()
def hello(req):
    return json.dumps({"greeting": f"Hello, {req.get_json()['name']}!"})
"""
HELLO_LAMBDA = """
def handler(event, context):
    return {"greeting": f"Hello, {event['name']}!"}
"""


HELLO_GOOGLE = """
def hello(request):
    return {"greeting": f"Hello, {request.get_json()['name']}!"}
"""


provider = every_provider


class Result(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Result]


def is_config_there(path: Path) -> bool:
    """Whether `serve` has written its whole output to this file."""
    return END_OF_CONFIG.search(path.read_text()) is not None


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command in this process, with AWS keys in the environment and a file as standard input."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ACCESS_KEY)
    stdin = tmp_path / "stdin"

    def run(*arguments: str, stdin_bytes: bytes = b"") -> Result:
        stdin.write_bytes(stdin_bytes)
        with stdin.open() as file, monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", file)
            status = main(arguments)
        return Result(status, *capsys.readouterr())

    return run


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


def call_args(provider: str, url: str) -> tuple[str, ...]:
    """The arguments that call a function of the provider at the fault server."""
    own = {
        "azure": ("--uri", f"{url}/api/dummies"),
        "google": ("--uri", f"{url}/dummies", "--provider", "google"),
        "lambda": ("--endpoint", url, "--arn", ARN),
    }
    return ("call", "--cmd", "get", *own[provider])


def sent_payload(server: FaultServer) -> Any:
    return server.requests[-1].json()


# --- Parameters and responses ---


def test_parameters_are_text_or_json(run: Run, server: FaultServer, provider: str) -> None:
    """`key=text` sends a string, and `key:=json` a JSON value. They may be anywhere among the options."""
    call = (*call_args(provider, server.url)[:1], "a=1", *call_args(provider, server.url)[1:])
    assert run(*call, "b:=1", "--trace-id", "T", 'c:=[true, {"d": null}]', "url=http://x?e:=2", "f=").status == 0
    expected = {"a": "1", "b": 1, "c": [True, {"d": None}], "url": "http://x?e:=2", "f": ""}
    assert sent_payload(server) == {"cmd": "get", "trace_id": "T", **expected}


@pytest.mark.parametrize(
    ("arguments", "stdin", "params"),
    [
        ((), b'{"a": {"b": "\xc3\xbc"}}', {"a": {"b": "ü"}}),
        ((), b"", {}),
        (("-", "b=2"), b'{"a": 1, "b": 1}', {"a": 1, "b": "2"}),
        (("b=2",), b'{"a": 1, "b": 1}', {"a": 1, "b": "2"}),
        (("b=2",), b"", {"b": "2"}),
    ],
    ids=["piped", "empty", "with -", "merged", "nothing to merge"],
)
def test_standard_input_may_contain_parameters(
    run: Run, server: FaultServer, arguments: tuple[str, ...], stdin: bytes, params: Any
) -> None:
    """A JSON object is merged with the arguments, which take precedence."""
    assert run(*call_args("azure", server.url), *arguments, "--trace-id", "T", stdin_bytes=stdin).status == 0
    assert sent_payload(server) == {"cmd": "get", "trace_id": "T", **params}


@pytest.fixture
def open_pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Makes standard input a pipe that stays open. Yields the descriptor to write to. The time limit is short."""
    monkeypatch.setattr(standard_input, "TIMEOUT", 0.4)
    reader, writer = os.pipe()
    with open(reader) as file, open(writer, "wb", buffering=0), monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", file)
        yield writer


@pytest.mark.parametrize(("arguments", "written"), [((), b""), (("b=2",), b""), ((), b'{"a"'), (("b=2",), b'{"a": 1}')])
def test_standard_input_that_stays_open_is_rejected(
    capsys: pytest.CaptureFixture[str], server: FaultServer, open_pipe: int, arguments: tuple[str, ...], written: bytes
) -> None:
    """The command does not hang, and sends nothing, because more parameters may follow."""
    os.write(open_pipe, written)
    assert main((*call_args("azure", server.url), *arguments)) == 2
    assert server.connections == 0
    assert capsys.readouterr().err.startswith("pip-serverless: standard input: it did not end within 0.4 s; pass `-`")


def test_minus_waits_for_slow_standard_input(server: FaultServer, open_pipe: int) -> None:
    """`-` reads to the end, however long that takes."""

    def write() -> None:
        os.write(open_pipe, b'{"a": 1}')
        os.dup2(os.open(os.devnull, os.O_WRONLY), open_pipe)  # closes the pipe

    timer = threading.Timer(0.8, write)
    timer.start()
    assert main((*call_args("azure", server.url), "b=2", "-", "--trace-id", "T")) == 0
    timer.join()
    assert sent_payload(server) == {"cmd": "get", "trace_id": "T", "a": 1, "b": "2"}


def test_too_long_standard_input_is_rejected(run: Run, server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """No provider accepts more than the limit, so the rest is not read."""
    monkeypatch.setattr(standard_input, "_LARGEST", 10)
    ended = run(*call_args("azure", server.url), stdin_bytes=b" " * 11)
    assert (ended.status, server.connections) == (2, 0)
    assert ended.err == "pip-serverless: standard input: it is longer than 10 bytes\n"


@pytest.mark.parametrize(("arguments", "status"), [((), 0), (("-",), 2)])
def test_closed_standard_input_has_no_parameters(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], status: int
) -> None:
    """The child of a daemon has none. `-` is an error then."""
    monkeypatch.setattr(sys, "stdin", None)
    assert main((*call_args("azure", server.url), *arguments)) == status


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (("a",), b"", "'a' is not key=text or key:=json"),
        (("=1",), b"", "'=1' is not key=text or key:=json"),
        ((":=1",), b"", "':=1' is not key=text or key:=json"),
        (("a:=nul",), b"", "the parameter a is not valid JSON: Expecting value: line 1 column 1 (char 0). For text,"),
        (("a:=NaN",), b"", "the parameter a is not valid JSON: NaN is not a JSON number"),
        (("-",), b"[1]", "standard input must be a JSON object with the parameters"),
        (("-",), b"{", "standard input is not valid JSON: Expecting property name enclosed in double quotes"),
        (("-",), b"\xff\xff", "standard input is not valid JSON: 'utf-8' codec can't decode"),
        (("-",), b"[" * 100_000, "standard input is not valid JSON: "),
        (("cmd=x",), b"", "the parameter cmd is reserved: use --cmd"),
        ((), b'{"trace_id": "x"}', "the parameter trace_id is reserved: use --trace-id"),
    ],
)
def test_wrong_parameters_are_rejected(
    run: Run, server: FaultServer, arguments: tuple[str, ...], stdin: bytes, message: str
) -> None:
    """The exit status is 2, with a message of one line. Nothing is sent."""
    ended = run(*call_args("azure", server.url), *arguments, stdin_bytes=stdin)
    assert (ended.status, ended.out, server.connections) == (2, "", 0)
    assert ended.err.startswith(f"pip-serverless: {message}")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("body", "content_type", "printed"),
    [
        ('{"a": [1, null, "ü€"]}'.encode(), "application/json", '{"a": [1, null, "ü€"]}'),
        (b'"\\ud800"', "application/json", '"\\ud800"'),
        (b"plain", "text/plain", '"plain"'),
        (b"", "", "null"),
    ],
)
def test_result_is_printed_as_json(run: Run, server: FaultServer, body: bytes, content_type: str, printed: str) -> None:
    """Standard output has only this one line."""
    server.script(fault.respond(body=body, content_type=content_type))
    assert run(*call_args("azure", server.url)) == (0, printed + "\n", "")


def test_a_one_way_call_is_an_event(run: Run, server: FaultServer) -> None:
    """It sends the service's name, and prints nothing."""
    server.script(fault.respond(202, b""))
    assert run(*call_args("lambda", server.url), "--one-way", "--name", "dummies") == (0, "", "")
    assert server.requests[-1].headers["x-amz-invocation-type"] == "Event"
    assert sent_payload(server)["cmd"] == "dummies.get"


def test_the_name_is_sent_before_the_command(run: Run, server: FaultServer, provider: str) -> None:
    """Commandable clients send it in the same way."""
    assert run(*call_args(provider, server.url), "--name", "dummies").status == 0
    assert sent_payload(server)["cmd"] == "dummies.get"


# --- How a call ends ---

UNHANDLED = {"X-Amz-Function-Error": "Unhandled"}
ERROR = {"category": "NotFound", "code": "NO_X", "status": 404, "message": "X is not\nfound\x1b[1m", "trace_id": "R"}


@pytest.mark.parametrize(
    ("step", "status", "code"),
    [
        (fault.respond(404, b""), 1, "NOT_FOUND"),
        (fault.respond(401, b""), 1, "UNAUTHORIZED"),
        (fault.respond(200, b"{"), 1, "DESERIALIZATION_FAILED"),
        (fault.respond(200, {"errorMessage": "no"}, headers=UNHANDLED), 1, "FUNCTION_ERROR"),
        (fault.respond(413, b""), 2, "PAYLOAD_TOO_LARGE"),
        (fault.silent(), 3, "CALL_TIMEOUT"),
        (fault.reset_after_read(), 3, "NO_RESPONSE"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_failed_call_has_the_exit_status_of_its_code(
    run: Run, server: FaultServer, provider: str, step: Any, status: int, code: str
) -> None:
    """1: the function failed. 2: the caller made a mistake. 3: there was no response. The error can be JSON."""
    if code == "FUNCTION_ERROR" and provider != "lambda":
        step = fault.respond(500, {"category": "FailedInvocation", "code": code})
    server.script(step)
    ended = run(*call_args(provider, server.url), "--timeout", "300", "--trace-id", "T", "--json-errors")
    assert (ended.status, ended.out) == (status, "")
    assert json.loads(ended.err)["code"] == code
    assert ended.err.count("\n") == 1


def test_a_function_error_with_a_client_code_has_status_1(run: Run, server: FaultServer) -> None:
    """The function could not connect to another one. This client did connect."""
    server.script(fault.respond(503, {"category": "NoResponse", "code": "CANNOT_CONNECT"}))
    assert run(*call_args("azure", server.url)).status == 1


def test_a_refused_connection_has_status_3(run: Run, provider: str) -> None:
    """It is not an error of the function."""
    with fault.refused_port() as port:
        ended = run(*call_args(provider, f"http://127.0.0.1:{port}"), "--retries", "0", "--trace-id", "T")
    assert ended.status == 3
    assert ended.err.startswith("pip-serverless: ConnectionException CANNOT_CONNECT 503: Could not connect to ")
    assert ended.err.endswith(" (trace id T)\n")


def test_an_error_is_one_line(run: Run, server: FaultServer) -> None:
    """Line breaks and control characters of the function's message are not printed."""
    server.script(fault.respond(404, ERROR))
    expected = "pip-serverless: NotFoundException NO_X 404: X is not found [1m (trace id R)\n"
    assert run(*call_args("azure", server.url)).err == expected


def test_a_json_error_has_the_fields_of_pip_services(run: Run, server: FaultServer) -> None:
    """Another service could restore the error."""
    server.script(fault.respond(404, {**ERROR, "details": {"id": 7}}))
    ended = run(*call_args("azure", server.url), "--json-errors")
    assert json.loads(ended.err) == {**ERROR, "details": {"id": 7}}


def test_options_are_passed_to_the_client(run: Run, server: FaultServer, provider: str) -> None:
    """`--retries` and `--idempotent` decide how often a call with a lost response is made."""
    server.script(*[fault.reset_after_read()] * 4)
    assert run(*call_args(provider, server.url), "--retries", "1").status == 3
    assert server.executions == 1
    assert run(*call_args(provider, server.url), "--retries", "1", "--idempotent").status == 3
    assert server.executions == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: {call,serve,demo}"),
        (("call",), "the following arguments are required: --cmd"),
        (("call", "--cmd", "get"), "no function is given: set --config, --uri (Azure, Google) or --arn (Lambda)"),
        (("call", "--cmd", "", "--uri", "http://h/f"), "cmd must be a non-empty string"),
        (("call", "--cmd", "get", "--uri", "ftp://h/f"), "connection.uri: must begin with http:// or https://"),
        (("call", "--cmd", "get", "--uri", "http://[/"), "connection.uri: "),
        (("call", "--cmd", "get", "--uri", "http://h/f", "--timeout", "x"), "options.timeout: must be a whole number"),
        (("call", "--cmd", "get", "--arn", "a:b:c"), "connection.arn: 'a:b:c' is not the ARN"),
        (("call", "--cmd", "get", "--uri", "http://h/f", "--one-way"), "--one-way is for Lambda"),
        (("call", "--cmd", "get", "--arn", "f", "--provider", "azure"), "--arn is for Lambda"),
        (("call", "--cmd", "get", "--arn", "f", "--auth-code-file", "f"), "--auth-code-file is for Azure"),
        (("call", "--cmd", "get", "--arn", "f", "--auth-token-file", "f"), "--auth-token-file is for Google"),
        (
            ("call", "--cmd", "get", "--uri", "https://a-b.cloudfunctions.net/f", "--one-way"),
            "--one-way is for Lambda: G",
        ),
        (
            ("call", "--cmd", "get", "--uri", "https://f.a.run.app", "--auth-code-file", "f"),
            "--auth-code-file is for A",
        ),
        (("serve", "google", "f"), "expected NAME=PATH[:target]"),
        (("serve", "google", "f=a.py", "f=b.py"), "2 functions have the name 'f'"),
        (("serve", "google", "f=/no/folder"), "there is no /no/folder to deploy 'f' from"),
        (
            ("call", "--cmd", "get", "--uri", "http://h/f", "--descriptor", "*"),
            "--descriptor selects a client in a file",
        ),
        (("call", "--cmd", "get", "--uri", "http://h/f", "--config", "f"), "--uri cannot be used with --config"),
        (("call", "--cmd", "get", "--provider", "gcp"), "argument --provider: invalid choice: 'gcp'"),
        (("serve", "azure", "--port", "x", "."), "argument --port: invalid int value: 'x'"),
        (("serve", "azure", ".", "other"), "unexpected argument: other (see pip-serverless serve azure --help)"),
        (("serve", "azure", ".", "--prot", "1"), "unknown option --prot (see pip-serverless serve azure --help)"),
        (("call", "--cmd", "get", "--url", "http://h/f"), "unknown option --url (see pip-serverless call --help)"),
        (("serve", "aws"), "argument {azure,google,lambda}: invalid choice: 'aws' (choose from "),
        (("serve", "lambda", "f"), "expected NAME=[PATH:]module.handler"),
        (("serve", "lambda", "f=app.py"), "'app.py' is a file; give its handler too: f=app.py:app.handler"),
        (("serve", "lambda", "f=src/app.py"), "'src/app.py' is a file; give its handler too: f=src/app.py:app.handler"),
        (("serve", "lambda", "f=app.one", "g=app.one", "f=app.two"), "2 functions have the name 'f'"),
        (("serve", "lambda", "f=handler"), "handler: must be 'module.function', not 'handler'"),
        (("serve", "lambda", "f=/no/folder:app.handler"), "path: there is no /no/folder"),
        (("serve", "azure", "/no/folder"), "/no/folder is not the folder of a function app"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_has_status_2(run: Run, arguments: tuple[str, ...], message: str) -> None:
    """The message has one line, and gives the reason."""
    ended = run(*arguments)
    assert (ended.status, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert ended.err.startswith(f"pip-serverless: {message}")


# --- The output of -v ---


@pytest.mark.parametrize("option", ["-v", "--verbose"])
def test_verbose_writes_the_clients_log(run: Run, server: FaultServer, provider: str, option: str) -> None:
    """Each entry is one line on standard error. Standard output has only the result."""
    server.script(fault.respond(429, b"", headers={"Retry-After": "0"}), fault.respond(body={"a": 1}))
    ended = run(*call_args(provider, server.url), option, "--name", "dummies")
    client = CLIENTS[provider].__name__
    assert (ended.status, ended.out) == (0, '{"a": 1}\n')
    lines = ended.err.splitlines()
    assert lines[0].startswith(f"pip-serverless: debug: Opened {client} to call ")
    assert lines[1] == "pip-serverless: trace: Executing dummies.get method"
    retry = r"pip-serverless: debug: Retrying dummies\.get in \d+ ms after TOO_MANY_REQUESTS"
    assert re.fullmatch(retry, lines[2])
    assert lines[-1].startswith(f"pip-serverless: debug: Closed {client} to ")


def test_without_verbose_nothing_is_logged(run: Run, server: FaultServer) -> None:
    """Standard error is only for errors."""
    server.script(fault.respond(429, b"", headers={"Retry-After": "0"}), fault.respond())
    assert run(*call_args("azure", server.url)).err == ""


# --- Secrets ---


def test_verbose_shows_no_secret(
    run: Run, server: FaultServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, provider: str
) -> None:
    """It shows no key, no token and no query of the URL, even if the call fails."""
    monkeypatch.setenv("PIP_SERVERLESS_AUTH_CODE", AUTH_CODE)
    monkeypatch.setenv("PIP_SERVERLESS_AUTH_TOKEN", AUTH_TOKEN)
    server.script(
        fault.respond(429, f"{AUTH_CODE} {AUTH_TOKEN}".encode(), headers={"Retry-After": "0"}),
        fault.respond(500, b""),
    )
    arguments = call_args(provider, server.url)
    ended = run(*arguments, "-v", "--trace-id", "T")
    assert ended.status == 1
    assert ended.err.count("pip-serverless: ") >= 5
    for secret in (AUTH_CODE, AUTH_TOKEN, ACCESS_KEY, ACCESS_ID):
        assert secret not in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--uri", "http://127.0.0.1:9/f", "--auth-code", AUTH_CODE),
        ("--uri", "http://127.0.0.1:9/f", f"--auth_code={AUTH_CODE}"),
        ("--uri", f"http://127.0.0.1:9/f?code={AUTH_CODE}"),
        ("--uri", f"http://127.0.0.1:9/f?a=b&CODE={AUTH_CODE}"),
        ("--uri", f"http://user:{AUTH_CODE}@127.0.0.1:9/f"),
    ],
)
def test_secrets_in_arguments_are_rejected(run: Run, arguments: tuple[str, ...]) -> None:
    """Other users could see them in the list of processes. The message does not show them."""
    ended = run("call", "--cmd", "get", *arguments)
    assert ended.status == 2
    assert AUTH_CODE not in ended.out + ended.err


@pytest.mark.parametrize("source", ["environment", "file"])
def test_key_comes_from_the_environment_or_a_file(
    run: Run, server: FaultServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    """A file takes precedence over `PIP_SERVERLESS_AUTH_CODE`."""
    monkeypatch.setenv("PIP_SERVERLESS_AUTH_CODE", "from-environment")
    (tmp_path / "key").write_bytes(b"\xef\xbb\xbffrom-file\r\n")  # as an editor on Windows writes it
    option = ("--auth-code-file", str(tmp_path / "key")) if source == "file" else ()
    assert run(*call_args("azure", server.url), *option).status == 0
    assert server.requests[-1].headers["x-functions-key"] == f"from-{source}"


@pytest.mark.parametrize("source", ["environment", "file"])
def test_token_comes_from_the_environment_or_a_file(
    run: Run, server: FaultServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    """A file takes precedence over `PIP_SERVERLESS_AUTH_TOKEN`."""
    monkeypatch.setenv("PIP_SERVERLESS_AUTH_TOKEN", "from-environment")
    (tmp_path / "token").write_text("from-file\n")
    option = ("--auth-token-file", str(tmp_path / "token")) if source == "file" else ()
    assert run(*call_args("google", server.url), *option).status == 0
    assert server.requests[-1].headers["authorization"] == f"Bearer from-{source}"


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("connection: {uri: 'https://a-b.cloudfunctions.net/f'}", "google"),
        ("connection: {uri: 'https://f-x-ew.a.run.app'}", "google"),
        ("connection: {uri: 'https://f.azurewebsites.net/api/f?x=.run.app'}", "azure"),
        ("connection: {region: r, project_id: p, function: f}", "google"),
        ("connection: {uri: 'http://h/f'}\ncredential: {auth_token: t}", "google"),
        ("connection: {region: r, arn: a}", "lambda"),
        ("descriptor: 'a:client:my-cloudfunc:f:1.0'\nconnection: {uri: 'http://h/f'}", "google"),
    ],
)
def test_the_provider_of_a_section_is_detected(tmp_path: Path, section: str, expected: str) -> None:
    """Its descriptor decides, or else its keys, or else its URL."""
    (tmp_path / "config.yml").write_text("f:\n  " + section.replace("\n", "\n  "))
    assert config_file.find(str(tmp_path / "config.yml"), None, None, None).provider == expected


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file"), (b" \n", "is empty"), (b"\xff", "not UTF-8 text")]
)
def test_an_unreadable_key_file_is_an_error(run: Run, tmp_path: Path, content: bytes | None, reason: str) -> None:
    """It is not treated as a missing option."""
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    ended = run(*call_args("azure", "http://127.0.0.1:9"), "--auth-code-file", str(path))
    assert ended.status == 2
    assert str(path) in ended.err
    assert reason in ended.err


# --- A configuration of pip-services ---

CONTAINER = """
- descriptor: "pip-services:logger:console:default:1.0"
  level: info
- descriptor: "pip-services:counters:remote:default:1.0"
  connection:
    uri: http://counters
- descriptor: "pip-services:discovery:memory:default:1.0"
  dummies-on-azure:
    uri: "{{URL}}/api/dummies"
- descriptor: "pip-services:credential-store:memory:default:1.0"
  dummies-key:
    auth_code: "{{KEY}}"
- descriptor: "shop:client:azurefunc:dummies:1.0"
  connection:
    discovery_key: dummies-on-azure
  credential:
    store_key: dummies-key
- descriptor: "shop:client:lambda:dummies:1.0"
  connections:
    main:
      uri: "{{URL}}"
      arn: arn:aws:lambda:eu-west-1:123456789012:function:dummies
  credential: {access_id: "{{ID}}", access_key: "{{KEY}}"}
  options: {prefix_commands: false}
- descriptor: "shop:client:special:orders:1.0"
  connection:
    uri: "{{URL}}/api/orders"
"""


@pytest.fixture
def config(server: FaultServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], str]:
    """Writes a configuration file. Its parameters are the URL of the fault server and a key."""
    for name, value in (("URL", server.url), ("KEY", AUTH_CODE), ("ID", ACCESS_ID)):
        monkeypatch.setenv(name, value)

    def write(text: str) -> str:
        path = tmp_path / "config.yml"
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize(
    ("arguments", "path", "cmd"),
    [
        (("--descriptor", "shop:client:azurefunc:*:*"), "/api/dummies", "get"),
        (("--name", "dummies", "--provider", "azure"), "/api/dummies", "dummies.get"),
        (("--name", "dummies", "--provider", "lambda"), "/2015-03-31/functions/", "get"),
        (("--provider", "lambda"), "/2015-03-31/functions/", "get"),
        (("--name", "orders"), "/api/orders", "orders.get"),
    ],
)
def test_a_client_of_a_container_file_is_selected(
    run: Run, server: FaultServer, config: Callable[[str], str], arguments: tuple[str, ...], path: str, cmd: str
) -> None:
    """It is selected by name, descriptor or provider. Its connection and key are in the file."""
    ended = run("call", "--config", config(CONTAINER), "--cmd", "get", *arguments)
    assert (ended.status, ended.err) == (0, "")
    assert server.requests[-1].path.startswith(path)
    assert sent_payload(server)["cmd"] == cmd
    key = server.requests[-1].headers["x-functions-key"]
    assert key == (AUTH_CODE if path == "/api/dummies" else None)


@pytest.mark.parametrize(
    "text",
    [
        'connection:\n  uri: "{{URL}}/api/dummies"',
        'dummies:\n  connection:\n    uri: "{{URL}}/api/dummies"',
        '{"dummies": {"connection": {"uri": "{{URL}}/api/dummies"}}}',
        '- connections: [{uri: "{{URL}}/api/dummies"}]',
    ],
    ids=["one component", "by name", "JSON", "list"],
)
def test_the_only_client_of_a_file_needs_no_name(
    run: Run, server: FaultServer, config: Callable[[str], str], text: str
) -> None:
    """The file may be its configuration, or contain it under a name or in a list."""
    ended = run("call", "--config", config(text), "--cmd", "get", "--timeout", "2000")
    assert (ended.status, ended.err) == (0, "")
    assert (server.requests[-1].path, sent_payload(server)["cmd"]) == ("/api/dummies", "get")


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        (
            CONTAINER,
            (),
            "3 clients match: select one by --name or --descriptor; the clients are: shop:client:azurefunc:dummies:1",
        ),
        (CONTAINER, ("--name", "dummies"), "2 clients match: select one by --name or --descriptor; the clients are: "),
        (
            CONTAINER,
            ("--name", "unknown"),
            "no client matches; the clients are: shop:client:azurefunc:dummies:1.0, shop:client:l",
        ),
        ("- descriptor: a", (), "config.yml: the descriptor 'a' must have the form group:type:kind:name:version"),
        (CONTAINER, ("--descriptor", "a"), "--descriptor: 'a' must have the form group:type:kind:name:version"),
        (
            "- descriptor: a:client:b:c:1\n  options: {}",
            (),
            "no client matches; no component has a connection",
        ),
        (
            "connection: {discovery_key: k}",
            (),
            "cannot tell whether the unnamed client is for Azure, Google or Lambda: set --provider",
        ),
        ("connection: {discovery_key: k}", ("--provider", "azure"), "connection.discovery_key: 'k' is not found"),
        ("1: x", (), "no client matches; no component has a connection"),
        ("text", (), "the file must be a list or a map of components"),
        ("", (), "the file must be a list or a map of components"),
        ('a: "{{KEY}}', (), "line 1: not valid YAML: "),
        ("a: \x07", (), "not valid YAML: an invalid character"),
        ("a: " + "[" * 1000 + "]" * 1000, (), "config.yml: the file is nested too deeply"),
        ("a:\n  b: {{", (), "line 2: not a valid parameter: '{{'"),
        ('a: "{{{UNSET}}}"', (), "line 1: the environment variable UNSET is not set"),
    ],
)
def test_a_wrong_configuration_file_is_an_error(
    run: Run, config: Callable[[str], str], text: str, arguments: tuple[str, ...], message: str
) -> None:
    """The message has one line and the name of the file, and no value of the environment."""
    path = config(text)
    ended = run("call", "--config", path, "--cmd", "get", *arguments)
    assert ended.status == 2
    assert message in ended.err
    assert AUTH_CODE not in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file or directory"), (b"a: \xff", "it is not UTF-8 text")]
)
def test_an_unreadable_file_is_an_error(run: Run, tmp_path: Path, content: bytes | None, reason: str) -> None:
    """It is wrong usage."""
    path = tmp_path / "config.yml"
    if content is not None:
        path.write_bytes(content)
    ended = run("call", "--config", str(path), "--cmd", "get")
    assert ended == (2, "", f"pip-serverless: --config: cannot read {path}: {reason}\n")


PARAMETERS = {"X": "1", "Empty": "", "Quoted": 'a"b\n/\\', "lower": "low", "twice": "first", "TWICE": "second"}
TEMPLATES = [
    ("a: {{X}} {{ x }} {{UNSET}}{{Empty}}.", "a: 1 1 ."),
    ("{{{X}}} {{{Quoted}}} {{{Empty}}}", '1 a\\"b\\n\\/\\\\ '),
    ("{{#X}}yes{{/X}}{{^X}}no{{/X}}", "yes"),
    ("{{#UNSET}}{{{UNSET}}}{{/UNSET}}{{^UNSET}}default{{/UNSET}}", "default"),
    ("{{#Empty}}yes{{/Empty}}{{^Empty}}no{{/Empty}}", "no"),
    ("{{#if X}}a{{/if}}{{#unless X}}b{{/unless}}{{#unless UNSET}}c{{/UNSET}}", "ac"),
    ("{{#X}}a{{#UNSET}}b{{#X}}c{{/X}}{{/UNSET}}d{{/X}}", "ad"),
    ("{{Twice}}", "first"),
    ("{{LOWER}} ${X} {a: {b: 1}} }} {", "low ${X} {a: {b: 1}} }} {"),
    ("  \n a: {{Quoted}}\n ", 'a: a"b\n/\\'),
    ("", ""),
    ("{{X}", None),
    ("{{X}}}", None),
    ("{{{X}}", None),
    ("{{{{X}}}}", None),
    ("{{}}", None),
    ("{{X Y}}", None),
    ("{{! comment }}", None),
    ("{{>X}}", None),
    ("{{^if X}}a{{/if}}", None),
    ("{{if X}}a{{/if}}", None),
    ("{{#X}}a", None),
    ("a{{/X}}", None),
    ("{{#X}}a{{/UNSET}}", None),
    ("{{#X}}a{{/x}}", None),
    ("{{{UNSET}}}", None),
]


@pytest.mark.parametrize(("template", "expected"), TEMPLATES)
def test_template_parameters_are_replaced(template: str, expected: str | None) -> None:
    """Parameters, sections and escapes are those of pip-services. Templates that fail there are rejected."""
    if expected is None:
        with pytest.raises(ValueError, match=r"line 1: |is not closed"):
            config_file.parameterize(template, PARAMETERS)
    else:
        assert config_file.parameterize(template, PARAMETERS) == expected


# On 3.12, the code of pip-services causes this warning; on 3.13, it fails.
PUBLISHED = pytest.mark.filterwarnings("ignore:In 3.13 the default:DeprecationWarning")


@PUBLISHED
@pytest.mark.parametrize(("template", "expected"), TEMPLATES)
def test_pip_services_replaces_template_parameters_in_the_same_way(template: str, expected: str | None) -> None:
    """Its templates can only be imported before Python 3.13."""
    if sys.version_info >= (3, 13):
        with pytest.raises(TypeError):
            importlib.import_module("pip_services4_expressions.mustache")
        return
    from pip_services4_expressions.mustache import MustacheTemplate

    def evaluate() -> str:
        made = MustacheTemplate()
        made.template = template
        return str(made.evaluate_with_variables(ConfigParams(PARAMETERS)))

    if expected is None:
        with pytest.raises(Exception, match=r"."):
            evaluate()
    else:
        assert evaluate() == expected


@PUBLISHED
def test_a_file_is_read_in_the_same_way_as_by_a_container(config: Callable[[str], str]) -> None:
    """Each value becomes the same text: numbers, booleans, dates, null."""
    path = config(CONTAINER + "- {a: 1, b: 1.50, c: true, d: ~, e: 2026-01-02, f: 'x', g: [1, y], h: {i: 0x10}}\n")
    if sys.version_info >= (3, 13):
        with pytest.raises(TypeError):
            importlib.import_module("pip_services4_config.config")
        return
    from pip_services4_config.config import YamlConfigReader

    assert config_file.read(path) == YamlConfigReader.read_config(None, path, ConfigParams(dict(os.environ)))


def test_an_unreadable_file_raises_a_config_exception() -> None:
    """All wrong settings raise it."""
    with pytest.raises(ConfigException, match="cannot read"):
        config_file.read("/no/file")


# --- Help ---


def test_version_prints_the_version_of_the_package(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` ends the command."""
    with pytest.raises(SystemExit, match="0"):
        run("--version")
    assert capsys.readouterr().out == f"pip-serverless {__version__}\n"


@pytest.mark.parametrize(
    ("command", "defaults"),
    [("", 0), ("call", 7), ("serve", 0), ("serve azure", 5), ("serve google", 3), ("serve lambda", 5), ("demo", 0)],
)
def test_help_shows_an_example_and_the_defaults(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str, defaults: int
) -> None:
    """The example of each `--help` is a valid command."""
    monkeypatch.setenv("COLUMNS", "250")
    with pytest.raises(SystemExit, match="0"):
        run(*command.split(), "--help")
    text = capsys.readouterr().out
    (example,) = re.findall(r"^example:\n  pip-serverless (.*?)(?: > .*)?$", text, re.MULTILINE)
    assert example.startswith(command)
    calls = []

    def note_call(*_: object) -> int:
        calls.append(1)
        return 0

    for name in ("call.call", "serve.serve", "serve.demo"):
        monkeypatch.setattr(f"pip_services4_serverless._cli.{name}", note_call)
    assert main(shlex.split(example)) == 0
    assert calls == [1]
    assert text.count("(default: ") == defaults


# --- Completion in a shell ---


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {"call", "serve", "demo", "--version"}),
        ("call --conf", {"--config"}),
        ("call --cmd x --verb", {"--verbose"}),
        ("serve lambda --re", {"--region", "--reload"}),
        ("call --provider ", {"azure", "google", "lambda"}),
    ],
)
def test_shell_completion_prints_the_matching_short_message(tmp_path: Path, line: str, expected: set[str]) -> None:
    """argcomplete's shell function runs the program, with the line so far in the environment."""
    line = f"pip-serverless {line}"
    out = tmp_path / "out"
    environment = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    environment["_ARGCOMPLETE_STDOUT_FILENAME"] = str(out)
    ended = subprocess.run(PROGRAM, env=os.environ | environment, timeout=60, capture_output=True, check=True)
    assert (ended.stdout, ended.stderr) == (b"", b"")
    assert expected <= {word.strip() for word in out.read_text().splitlines()}


def test_argcomplete_is_imported_only_for_completion() -> None:
    """If it is not installed, completion prints nothing."""
    code = "import sys; from pip_services4_serverless.__main__ import main; main(['call']); print(sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "argcomplete" not in run.stdout
    code = "import sys; sys.modules['argcomplete'] = None; from pip_services4_serverless.__main__ import main; main()"
    environment = os.environ | {"_ARGCOMPLETE": "1"}
    completion = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=60, check=True, env=environment
    )
    assert (completion.stdout, completion.stderr) == (b"", b"")


# --- Processes ---


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts commands in a folder with an Azure app, a Lambda handler and a Google function."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "function_app.py").write_text(HELLO_AZURE)
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "hello.py").write_text(HELLO_LAMBDA)
    (tmp_path / "google").mkdir()
    (tmp_path / "google" / "main.py").write_text(HELLO_GOOGLE)
    started = []

    def start(*arguments: str, **options: Any) -> Process:
        process = Process(tmp_path, *arguments, **options)
        started.append(process.process)
        return process

    watchdog = threading.Timer(60, lambda: [process.kill() for process in started])
    watchdog.start()
    yield start
    watchdog.cancel()
    for process in started:
        process.kill()
        process.wait()


DESCRIPTORS = {
    "azure": "pip-services:client:commandable-azurefunc:hello:1.0",
    "google": "pip-services:client:commandable-cloudfunc:hello:1.0",
    "lambda": "pip-services:client:commandable-lambda:hello:1.0",
}
SERVE = {
    "azure": ("serve", "azure", "app"),
    "google": ("serve", "google", "hello=google"),
    "lambda": ("serve", "lambda", "hello=functions/hello.py:hello.handler"),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_served_function_can_be_called_until_a_signal(
    start: Callable[..., Process], run: Run, tmp_path: Path, provider: str, number: int
) -> None:
    """`call` uses the configuration that `serve` prints. After the signal, nothing is left."""
    served = start(*SERVE[provider])
    config = tmp_path / "config.yml"
    config.write_text(served.read_config())
    assert [component["descriptor"] for component in yaml.safe_load(config.read_text())] == [DESCRIPTORS[provider]]
    ended = run("call", "--config", str(config), "--cmd", "greet", "name=Ada")
    assert ended == (0, '{"greeting": "Hello, Ada!"}\n', "")
    status, errors = served.end(number)
    assert status == 128 + number
    assert "Traceback" not in errors
    assert served.left() == ([], [])


PRINTING_APP = HELLO_AZURE.replace("import json", "import json, os, pathlib, time\nprint('- at import:')").replace(
    "    return",
    """    print("- in the function:", end="")
    os.system("echo '- in a child:'")
    while not pathlib.Path("go on").exists():
        time.sleep(0.01)
    return""",
)


def test_prints_go_to_standard_error_immediately(start: Callable[..., Process], run: Run, tmp_path: Path) -> None:
    """Incomplete lines do, too. Standard output contains only the YAML file."""
    (tmp_path / "app" / "function_app.py").write_text(PRINTING_APP)
    served = start("serve", "azure", "app")
    config = tmp_path / "config.yml"
    config.write_text(served.read_config())
    ended: list[Result] = []
    calling = threading.Thread(
        target=lambda: ended.append(run("call", "--config", str(config), "--cmd", "c", "name=Ada"))
    )
    calling.start()
    try:
        wait_until(lambda: "- in the function:- in a child:\n" in served.errors.read_text())
    finally:
        (tmp_path / "go on").touch()
        calling.join()
    assert ended == [(0, '{"greeting": "Hello, Ada!"}\n', "")]
    assert served.errors.read_text().startswith("- at import:\n")
    served.process.send_signal(signal.SIGTERM)
    assert served.process.stdout
    assert served.process.stdout.read() == ""
    assert served.wait()[0] == 143


def test_an_app_without_functions_is_an_error(run: Run, tmp_path: Path) -> None:
    """The message names the files that were searched."""
    ended = run("serve", "azure", str(tmp_path))
    assert (ended.status, ended.out) == (2, "")
    assert f"nothing to serve in {tmp_path}: no function_app.py, no folder with function.json" in ended.err
    assert "(looked at: function_app.py, */function.json)" in ended.err


@pytest.mark.parametrize("provider", ["azure", "google"])
def test_serve_reports_code_that_ends_its_process(run: Run, tmp_path: Path, provider: str) -> None:
    """It is loaded in this process, and calls `sys.exit`, for example because a setting is missing."""
    file = tmp_path / ("function_app.py" if provider == "azure" else "main.py")
    file.write_text("import sys\nsys.exit('STORAGE_URL is not set')\n")
    ended = run("serve", provider, str(tmp_path) if provider == "azure" else f"f={tmp_path}")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.endswith(f"pip-serverless: {file}:2 called sys.exit('STORAGE_URL is not set')\n")


SERVICES = Path(__file__).parent / "local" / "lambda_services"


class Service(NamedTuple):
    """A Lambda function as users write it, calls with their results, and the lines that it logs."""

    handler: str
    calls: list[tuple[tuple[str, ...], Any]]
    logged: list[str]


# The result of a failed call is the type of its error.
LAMBDA_SERVICES = {
    "orders": Service(
        "orders.api.handler", [(('lines:={"tea": 3, "milk": 1}',), {"total": 4, "six": "0.9 of the package"})], []
    ),
    "report": Service(
        "lambda_function.lambda_handler",
        [(("steps:=3",), 3), (("steps:=1",), 1)],
        ["loading...", "counting ...", "3 steps", "done", "counting .", "1 steps", "done"],
    ),
    "thumbnails": Service(
        "main.handler",
        [(('images:=["a", "b"]',), ["small-a", "small-b"])],
        ["converting with sh", "no colours", "2 imagesshrinking a", "shrinking b"],
    ),
    "watchdog": Service(
        "app.get",
        [((), {"hit": True}), (("break:=true",), "Runtime.ExitError"), ((), {"hit": True})],
        ["cache is broken, restarting"],
    ),
    "stock": Service(
        "handler.reserve",
        [
            (("product=tea", "count:=1"), 1),
            (("product=tea", "count:=3"), "OutOfStockError"),
            (("product=milk", "count:=1"), "ShopError"),
        ],
        ["OutOfStockError: only 2 of tea are left", "ShopError"],
    ),
}


@pytest.mark.parametrize("name", LAMBDA_SERVICES)
def test_lambda_function_of_a_user_is_served(
    start: Callable[..., Process], run: Run, tmp_path: Path, name: str
) -> None:
    """Each failed call returns the type of its error, and the whole output is logged."""
    handler, calls, logged = LAMBDA_SERVICES[name]
    served = start("serve", "lambda", f"{name}={SERVICES / name}:{handler}")
    config = tmp_path / "config.yml"
    config.write_text(served.read_config())
    for arguments, expected in calls:
        ended = run("call", "--config", str(config), "--cmd", "run", "--json-errors", *arguments)
        if ended.status:
            error = json.loads(ended.err)
            assert (ended.status, error["code"], error["details"]["error_type"]) == (1, "FUNCTION_ERROR", expected)
        else:
            assert json.loads(ended.out) == expected
    status, errors = served.end(signal.SIGTERM)
    assert status == 143
    lines = re.findall(rf"^\S+ \S+ [A-Z]+ pip_services4_serverless\.local\.lambda\.{name}: (.*)$", errors, re.MULTILINE)
    assert lines == logged


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_package", "Runtime.ImportModuleError: Unable to import module 'hello': No module named 'no_"),
        ("def handler(", "Runtime.UserCodeSyntaxError: Syntax error in module 'hello': '(' was never closed"),
        ("def other(event, context): pass", "Runtime.HandlerNotFound: Handler 'handler' missing on module 'hello'"),
    ],
)
def test_a_handler_that_cannot_be_imported_is_not_served(
    run: Run, start: object, tmp_path: Path, source: str, message: str
) -> None:
    """`serve lambda` gives the reason and ends with status 2. It prints no configuration."""
    (tmp_path / "functions" / "hello.py").write_text(source)
    ended = run("serve", "lambda", f"hello={tmp_path / 'functions'}:hello.handler")
    assert (ended.status, ended.out) == (2, "")
    *_, last = ended.err.splitlines()
    assert last.startswith(f"pip-serverless: 'hello.handler' of 'hello' cannot be imported: {message}")


def test_a_handler_without_a_path_is_in_the_working_folder(
    start: Callable[..., Process], run: Run, tmp_path: Path
) -> None:
    """It may be in a subfolder."""
    (tmp_path / "here.py").write_text(HELLO_LAMBDA)
    served = start("serve", "lambda", "here=here.handler", "hello=functions.hello.handler")
    served.read_config()
    config = tmp_path / "config.yml"
    config.write_text(served.read_config())
    assert run("call", "--config", str(config), "--cmd", "greet", "name=Ada").out == '{"greeting": "Hello, Ada!"}\n'
    assert served.end(signal.SIGTERM)[0] == 143


class HostInTest:
    """Runs `serve` in this thread, where its coverage is measured, and a function that uses it in another thread."""

    def __init__(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.config = folder / "config.yml"
        self._logged = threading.Condition()
        self._handler = logging.Handler()
        self._handler.emit = self._add_message  # type: ignore[method-assign]
        self._messages: list[str] = []
        caplog.set_level(logging.INFO, "pip_services4_serverless")
        caplog.set_level(logging.WARNING, "uvicorn")  # caplog restores both levels

    def serve(self, arguments: tuple[str, ...], use: Callable[[], None], ready: str | None = None) -> int:
        """Runs `serve` and returns its exit status. Calls `use` when `ready` is printed, and then stops `serve`."""
        failures: list[BaseException] = []

        def use_and_stop() -> None:
            try:
                printed = re.compile(ready) if ready else END_OF_CONFIG
                wait_until(lambda: self.config.exists() and printed.search(self.config.read_text()))
                use()
            except BaseException as error:
                failures.append(error)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        guard = signal.signal(signal.SIGTERM, lambda *_: None)  # for a signal after `serve` has ended
        logging.getLogger("pip_services4_serverless").addHandler(self._handler)
        thread = threading.Thread(target=use_and_stop)
        try:
            with self.config.open("w") as output, pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "stdout", output)
                thread.start()
                status = main(arguments)
        finally:
            thread.join(20)
            logging.getLogger("pip_services4_serverless").removeHandler(self._handler)
            signal.signal(signal.SIGTERM, guard)
        for failure in failures:
            raise failure
        return status

    def _add_message(self, record: logging.LogRecord) -> None:
        with self._logged:
            self._messages.append(record.getMessage())
            self._logged.notify_all()

    def wait_for_log(self, start: str) -> None:
        """Waits for a message with this beginning, and removes all messages."""
        with self._logged:
            assert self._logged.wait_for(lambda: any(line.startswith(start) for line in self._messages), 10), start
            self._messages.clear()


@pytest.fixture
def host(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, start: object
) -> HostInTest:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "")  # `--reload` must set it
    return HostInTest(tmp_path, caplog)


def greet(config: Path) -> Any:
    """The result of the served function, called with the printed configuration."""
    found = config_file.find(str(config), None, "hello", None)
    client = CLIENTS[found.provider]("")
    client.configure(found.config)
    client.open("T")
    try:
        return client.call_command("greet", "T", {"name": "Ada"})["greeting"]
    finally:
        client.close("T")


def test_reload_loads_a_changed_file(host: HostInTest, tmp_path: Path, provider: str) -> None:
    """The file may have the same size and time as before. The configuration does not change."""
    sources = {"azure": "app/function_app.py", "google": "google/main.py", "lambda": "functions/hello.py"}
    source = tmp_path / sources[provider]
    second = 10**18  # ns
    os.utime(source, ns=(second, second))

    def use() -> None:
        assert greet(host.config) == "Hello, Ada!"
        changed = tmp_path / "changed"
        changed.write_text(source.read_text().replace("Hello", "Howdy"))
        os.utime(changed, ns=(second, second + 1))
        changed.replace(source)
        host.wait_for_log("Reloaded")
        assert greet(host.config) == "Howdy, Ada!"

    path = {"azure": source.parent, "google": f"hello={source}:hello", "lambda": f"hello={source}:hello.handler"}
    assert host.serve(("serve", provider, str(path[provider]), "--reload"), use) == 143


def test_reload_continues_after_an_app_that_cannot_be_loaded(host: HostInTest, tmp_path: Path) -> None:
    """When the app is corrected, it is served again. The configuration of new functions is printed."""
    source = tmp_path / "app" / "function_app.py"

    def use() -> None:
        source.write_text("app =")
        host.wait_for_log("Not reloaded: there is nothing to serve")
        source.write_text(HELLO_AZURE.replace("def hello", "def other"))
        # Writing is not atomic: an incomplete file may be loaded first.
        wait_until(lambda: ":other:" in host.config.read_text())
        names = [component["descriptor"].split(":")[3] for component in yaml.safe_load(host.config.read_text())]
        assert names == ["hello", "other"]
        source.write_text(HELLO_AZURE)
        host.wait_for_log("Reloaded")

    with fault.reserved_port() as port:  # a reload of an Azure app closes the port, and opens it again
        assert host.serve(("serve", "azure", str(tmp_path / "app"), "--reload", "--port", str(port)), use) == 143


def test_a_function_with_route_parameters_has_no_configuration(host: HostInTest, tmp_path: Path) -> None:
    """Its URL depends on the call. A comment shows it."""
    source = tmp_path / "app" / "function_app.py"
    source.write_text(HELLO_AZURE + "\n@app.route(route='items/{id}')\ndef item(req):\n    return 'x'\n")
    assert host.serve(("serve", "azure", str(tmp_path / "app")), lambda: None) == 143
    assert "# item: no configuration: the route 'items/{id}' needs a value for id" in host.config.read_text()


def test_a_table_of_functions_is_printed(host: HostInTest, tmp_path: Path) -> None:
    """It has the methods and the URL of each function, in comments of the YAML file."""
    source = tmp_path / "app" / "function_app.py"
    routes = {"item": "items/{id:int}/{part?}", "files": "files/{*path}"}
    source.write_text(
        HELLO_AZURE
        + "".join(
            f"\n@app.route(route={route!r}, methods=['PUT', 'GET'])\ndef {name}(req):\n    return 'x'\n"
            for name, route in routes.items()
        )
    )
    assert host.serve(("serve", "azure", str(tmp_path / "app")), lambda: None) == 143
    text = host.config.read_text()
    url = re.findall("host: (http.*)", text)[0]
    assert text.split("\n#\n")[1].split("\n\n")[0].splitlines() == [
        "# function  methods   URL",
        f"# hello     any       {url}/api/hello",
        f"# item      GET, PUT  {url}/api/items/{{id}}/{{part}}",
        f"# files     GET, PUT  {url}/api/files/{{path}}",
    ]
    yaml.safe_load(text)


def test_no_keys_option_disables_keys(host: HostInTest, tmp_path: Path) -> None:
    """No key is printed or needed. The URL is the whole configuration."""
    greetings = []
    arguments = ("serve", "azure", str(tmp_path / "app"), "--no-keys")
    assert host.serve(arguments, lambda: greetings.append(greet(host.config)), ready='/api/hello"') == 143
    assert greetings == ["Hello, Ada!"]
    (component,) = yaml.safe_load(host.config.read_text())
    assert (component.keys(), component["connection"].keys()) == ({"descriptor", "connection"}, {"uri"})
    assert "key:" not in host.config.read_text()


def test_keys_can_be_configured(host: HostInTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options take precedence over a file, and a file over the environment."""
    monkeypatch.setenv("PIP_SERVERLESS_KEYS", "hello=a default=b _master=c=d")
    (tmp_path / "keys").write_bytes(b"\xef\xbb\xbfhello=e\r\ndefault=f\r\n\r\n")  # as an editor on Windows writes it
    options = ("--key-file", str(tmp_path / "keys"), "--key", "hello=own")
    assert host.serve(("serve", "azure", str(tmp_path / "app"), *options), lambda: None) == 143
    text = host.config.read_text()
    assert re.findall(r"# (\w+) key: (.*)", text) == [("host", "f"), ("master", "c=d")]
    assert yaml.safe_load(text)[0]["credential"] == {"auth_code": "own"}


def test_reload_keeps_the_keys_of_the_other_functions(host: HostInTest, tmp_path: Path) -> None:
    """Only the key of the removed function is removed."""
    source = tmp_path / "app" / "function_app.py"
    source.write_text(HELLO_AZURE + "\n@app.route()\ndef other(req):\n    return 'x'\n")

    def use() -> None:
        changed = tmp_path / "changed"
        changed.write_text(HELLO_AZURE.replace("Hello", "Howdy"))
        changed.replace(source)
        host.wait_for_log("Reloaded")
        assert greet(host.config) == "Howdy, Ada!"

    with fault.reserved_port() as port:  # a reload of an Azure app closes the port, and opens it again
        assert host.serve(("serve", "azure", str(tmp_path / "app"), "--reload", "--port", str(port)), use) == 143


@pytest.mark.parametrize(
    ("options", "environment", "text"),
    [
        (("--key", AUTH_CODE), "", "--key needs NAME=VALUE"),
        (("--key", f"={AUTH_CODE}"), "", "--key needs NAME=VALUE"),
        (("--key-file", "keys"), "", "--key-file keys needs NAME=VALUE"),
        (("--key-file", "missing"), "", "--key-file: cannot read missing: No such file or directory"),
        ((), AUTH_CODE, "PIP_SERVERLESS_KEYS needs NAME=VALUE"),
        (("--key", f"opne={AUTH_CODE}"), "", "keys: there is no function opne; the names are _master, default, hello"),
    ],
)
def test_wrong_keys_are_rejected(
    run: Run, start: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Any, environment: str, text: str
) -> None:
    """A key needs the name of a function. The message does not show its value."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIP_SERVERLESS_KEYS", environment)
    (tmp_path / "keys").write_text(AUTH_CODE)
    ended = run("serve", "azure", "app", *options)
    assert (ended.status, ended.out) == (2, "")
    assert text in ended.err
    assert AUTH_CODE not in ended.err


def test_each_request_is_logged(start: Callable[..., Process]) -> None:
    """Its line has method, path, status and time, but no query. Rejected requests are logged too."""
    served = start("serve", "azure", "app")
    component = yaml.safe_load(served.read_config())[0]
    url, key = component["connection"]["uri"], component["credential"]["auth_code"]
    body = {"name": "Ada"}
    for method, path in (("POST", f"?code={key}"), ("PUT", "/unknown"), ("GET", f"?code={AUTH_CODE}")):
        requests.request(method, url + path, json=body, timeout=10)
    wait_until(lambda: "GET /api/hello: 401" in served.errors.read_text())
    lines = re.findall(r"^.* INFO .*: ([A-Z]+ /.*)$", served.errors.read_text(), re.MULTILINE)
    assert [re.sub(r"\d+ ms$", "N ms", line) for line in lines] == [
        "POST /api/hello: 200 in N ms",
        "PUT /api/hello/unknown: 404 in N ms",
        "GET /api/hello: 401 in N ms",
    ]
    assert key not in served.errors.read_text()
    assert AUTH_CODE not in served.errors.read_text()
    assert served.end(signal.SIGTERM)[0] == 143


@pytest.mark.parametrize("arguments", [("--reload",), ("--port", "0"), ()])
def test_the_default_folder_of_an_app_is_the_working_folder(
    host: HostInTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """A path may also come after the options."""
    assert host.serve(("serve", "azure", *arguments, str(tmp_path / "app")), lambda: None) == 143
    monkeypatch.chdir(tmp_path / "app")
    host.config.unlink()
    assert host.serve(("serve", "azure", *arguments), lambda: None) == 143


def test_a_used_port_is_an_error(run: Run, start: object, tmp_path: Path, provider: str) -> None:
    """The message gives the reason. The exit status is 2."""
    with fault.refused_port() as port:
        path = {
            "azure": str(tmp_path / "app"),
            "google": f"hello={tmp_path / 'google'}",
            "lambda": f"hello={tmp_path / 'functions'}:hello.handler",
        }
        ended = run("serve", provider, path[provider], "--port", str(port))
    assert (ended.status, ended.out) == (2, "")
    host = {"azure": "AzureFunctionHost", "google": "GoogleFunctionHost", "lambda": "LambdaHost"}[provider]
    assert ended.err == f"pip-serverless: {host} cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_a_call_interrupted_by_ctrl_c_has_status_130(start: Callable[..., Process], server: FaultServer) -> None:
    """It ends immediately, and prints no traceback."""
    server.script(fault.silent())
    process = start(*call_args("azure", server.url))
    server.wait_for(executions=1)
    assert process.end(signal.SIGINT) == (130, "")


def test_a_closed_standard_output_prints_no_traceback(start: Callable[..., Process], server: FaultServer) -> None:
    """`pip-serverless call | head -c0` prints nothing on standard error."""
    server.script(fault.large(1 << 20))
    process = start(*call_args("azure", server.url))
    assert process.process.stdout
    process.process.stdout.close()
    assert process.process.wait(30) == 1
    assert process.errors.read_text() == ""


@pytest.mark.parametrize(
    ("port", "redirection", "status", "error"),
    [
        (None, ">&-", 0, ""),
        (None, "2>&-", 0, ""),
        (None, ">/dev/full", 1, "pip-serverless: [Errno 28] No space left on device\n"),
        (9, ">&-", 3, None),
        (9, ">&- 2>&-", 3, ""),
    ],
)
def test_output_that_cannot_be_written_prints_no_traceback(
    server: FaultServer, port: int | None, redirection: str, status: int, error: str | None
) -> None:
    """The output is discarded if a stream is closed. The exit status is that of the call, or 1 if the disk is full."""
    url = f"http://127.0.0.1:{port}" if port else server.url
    command = shlex.join([sys.executable, "-m", "pip_services4_serverless", *call_args("azure", url), "--retries", "0"])
    ended = subprocess.run(
        ["/bin/sh", "-c", f"exec {command} </dev/null {redirection}"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == status
    assert ended.stderr == error if error is not None else ended.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [None, signal.SIGINT, signal.SIGTERM], ids=["no signal", "SIGINT", "SIGTERM"])
def test_the_demo_succeeds_and_leaves_nothing(start: Callable[..., Process], number: int | None) -> None:
    """Its exit status is 0 if all responses were as expected. It may also be ended by a signal."""
    demo = start("demo", program=(str(Path(sys.executable).with_name("pip-serverless")),))
    if number is not None:
        demo.read_until("127.0.0.1|arn:")
        assert demo.end(number) == (128 + number, "")
    else:
        assert "All responses were as expected." in demo.read_until("as expected")
        assert demo.wait() == (0, "")
    assert demo.left() == ([], [])


def test_the_library_does_not_import_the_command_line() -> None:
    """Users of the library do not need it."""
    code = (
        "import sys, pip_services4_serverless.clients, pip_services4_serverless.connect\n"
        "from pip_services4_serverless.local import AzureFunctionHost, LambdaHost\n"
        "print([name for name in sys.modules if name.startswith('pip_services4_serverless._cli')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_documented_session_has_its_output(
    run: Run, start: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each `serve` runs in its own process."""
    monkeypatch.chdir(tmp_path)
    text = DOCS.read_text("utf-8")
    with fault.refused_port() as port:
        text = text.replace("7071", str(port))
    for name, source in re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        (tmp_path / name).write_text(source, "utf-8")
    session = "".join(re.findall(r"^```console\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
    typed = re.findall(
        r"^\$ (?:echo '(.*)' \| )?pip-serverless (.*?)(?: > (.*))?\n((?:[^$].*\n)*)", session, re.MULTILINE
    )
    assert len(typed) == session.count("$ ")
    served = []
    try:
        for stdin, command, file, expected in typed:
            arguments = shlex.split(command)
            if file:
                with open(file, "w") as output:
                    served.append(subprocess.Popen([*PROGRAM, *arguments], stdout=output, stderr=subprocess.DEVNULL))
                wait_until(partial(is_config_there, Path(file)))
            else:
                ended = run(*arguments, stdin_bytes=stdin.encode())
                assert ended.out + ended.err == expected, command
    finally:
        for process in served:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 143


@pytest.mark.parametrize("comes_at_once", [False, True])
def test_a_signal_during_a_destructor_ends_the_command(
    run: Run, monkeypatch: pytest.MonkeyPatch, comes_at_once: bool
) -> None:
    """Python ignores an exception that is raised there, so the signal is repeated. On a busy machine, the repeated one
    may come while Python still handles the first one."""

    class Interrupted:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def start_after_signal(*arguments: Any) -> None:
        monkeypatch.setattr(serve, "start_new_thread", start_new_thread)
        signal.raise_signal(signal.SIGINT)
        start_new_thread(*arguments)

    def demo() -> int:
        Interrupted()
        threading.Event().wait(10)
        return 0

    monkeypatch.setattr("pip_services4_serverless.local._demo.__main__.main", demo)
    if comes_at_once:
        monkeypatch.setattr(serve, "start_new_thread", start_after_signal)
    assert run("demo").status == 130


def test_the_demo_has_the_status_of_the_signal_if_clean_up_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of the clean-up does not change it."""

    def interrupted() -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            raise RuntimeError("a host cannot stop")

    monkeypatch.setattr("pip_services4_serverless.local._demo.__main__.main", interrupted)
    assert run("demo").status == 143


def test_a_failed_demo_has_status_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the client, the response and the trace id."""
    from pip_services4_serverless.local._demo.__main__ import check_response

    client = CLIENTS["azure"]("dummies")
    monkeypatch.setattr(
        "pip_services4_serverless.local._demo.__main__.main", lambda: check_response(client, "create", False)
    )
    assert run("demo") == (
        1,
        "",
        "pip-serverless: InvocationException DEMO_FAILED 500: "
        f"{type(client).__name__}: the response to 'create' is not as expected (trace id demo)\n",
    )
