"""The command line: what it sends, prints and exits with, and that nothing is left when it ends."""

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
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import yaml
from pip_services4_commons.errors import ConfigException
from pip_services4_components.config import ConfigParams
from support import fault_server as far_side
from support.clients import ACCESS_ID, ACCESS_KEY, ARN, AUTH_CODE, AUTH_TOKEN, CLIENTS, PROVIDERS
from support.fault_server import FaultServer
from support.processes import END_OF_CONFIG, PROGRAM, Process, wait_until

from pip_services4_serverless import __version__
from pip_services4_serverless._cli import config_file, standard_input
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


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> str:
    """Each provider in turn."""
    name: str = request.param
    return name


class Ended(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Ended]


def is_config_there(path: Path) -> bool:
    """Whether `serve` has written all that it prints into this file."""
    return END_OF_CONFIG.search(path.read_text()) is not None


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command in this process, with AWS keys in the environment and a file as its standard input."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ACCESS_KEY)
    stdin = tmp_path / "stdin"

    def run(*arguments: str, stdin_bytes: bytes = b"") -> Ended:
        stdin.write_bytes(stdin_bytes)
        with stdin.open() as file, monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", file)
            status = main(arguments)
        return Ended(status, *capsys.readouterr())

    return run


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


def to(provider: str, url: str) -> tuple[str, ...]:
    """The arguments that call a function of that provider at the fault server."""
    own = {
        "azure": ("--uri", f"{url}/api/dummies"),
        "google": ("--uri", f"{url}/dummies", "--provider", "google"),
        "lambda": ("--endpoint", url, "--arn", ARN),
    }
    return ("call", "--cmd", "get", *own[provider])


def sent(server: FaultServer) -> Any:
    return server.requests[-1].json()


# --- Parameters and answers ---


def test_parameters_are_text_or_json(run: Run, server: FaultServer, provider: str) -> None:
    """`key=text` sends a string, `key:=json` what it says, wherever they stand among the options."""
    call = (*to(provider, server.url)[:1], "a=1", *to(provider, server.url)[1:])
    assert run(*call, "b:=1", "--trace-id", "T", 'c:=[true, {"d": null}]', "url=http://x?e:=2", "f=").status == 0
    expected = {"a": "1", "b": 1, "c": [True, {"d": None}], "url": "http://x?e:=2", "f": ""}
    assert sent(server) == {"cmd": "get", "trace_id": "T", **expected}


@pytest.mark.parametrize(
    ("arguments", "stdin", "params"),
    [
        ((), b'{"a": {"b": "\xc3\xbc"}}', {"a": {"b": "ü"}}),
        ((), b"", {}),
        (("-", "b=2"), b'{"a": 1, "b": 1}', {"a": 1, "b": "2"}),
        (("b=2",), b'{"a": 1, "b": 1}', {"a": 1, "b": "2"}),
        (("b=2",), b"", {"b": "2"}),
    ],
    ids=["piped", "empty", "asked for", "merged", "nothing to merge"],
)
def test_standard_input_holds_parameters(
    run: Run, server: FaultServer, arguments: tuple[str, ...], stdin: bytes, params: Any
) -> None:
    """A JSON object that is piped in or redirected is merged with the arguments, which win."""
    assert run(*to("azure", server.url), *arguments, "--trace-id", "T", stdin_bytes=stdin).status == 0
    assert sent(server) == {"cmd": "get", "trace_id": "T", **params}


@pytest.fixture
def open_pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Standard input is a pipe that another process has open; to write into it. Patience is short."""
    monkeypatch.setattr(standard_input, "TIMEOUT", 0.4)
    reader, writer = os.pipe()
    with open(reader) as file, open(writer, "wb", buffering=0), monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", file)
        yield writer


@pytest.mark.parametrize(("arguments", "written"), [((), b""), (("b=2",), b""), ((), b'{"a"'), (("b=2",), b'{"a": 1}')])
def test_pipe_that_does_not_end_is_refused(
    capsys: pytest.CaptureFixture[str], server: FaultServer, open_pipe: int, arguments: tuple[str, ...], written: bytes
) -> None:
    """Nothing is sent without parameters that may still come, or with a part of them; and nothing hangs."""
    os.write(open_pipe, written)
    assert main((*to("azure", server.url), *arguments)) == 2
    assert server.connections == 0
    assert capsys.readouterr().err.startswith("pip-serverless: standard input: it did not end within 0.4 s; pass `-`")


def test_slow_pipe_is_waited_for_if_asked(server: FaultServer, open_pipe: int) -> None:
    """`-` reads to the end, however long that takes."""

    def write() -> None:
        os.write(open_pipe, b'{"a": 1}')
        os.dup2(os.open(os.devnull, os.O_WRONLY), open_pipe)  # ends it

    timer = threading.Timer(0.8, write)
    timer.start()
    assert main((*to("azure", server.url), "b=2", "-", "--trace-id", "T")) == 0
    timer.join()
    assert sent(server) == {"cmd": "get", "trace_id": "T", "a": 1, "b": "2"}


def test_endless_standard_input_is_refused(run: Run, server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is larger than any provider takes is not collected."""
    monkeypatch.setattr(standard_input, "_LARGEST", 10)
    ended = run(*to("azure", server.url), stdin_bytes=b" " * 11)
    assert (ended.status, server.connections) == (2, 0)
    assert ended.err == "pip-serverless: standard input: it is longer than 10 bytes\n"


@pytest.mark.parametrize(("arguments", "status"), [((), 0), (("-",), 2)])
def test_closed_standard_input_has_no_parameters(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], status: int
) -> None:
    """As of a daemon's child; whoever asks for it by `-` is refused."""
    monkeypatch.setattr(sys, "stdin", None)
    assert main((*to("azure", server.url), *arguments)) == status


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
def test_wrong_parameters_are_refused(
    run: Run, server: FaultServer, arguments: tuple[str, ...], stdin: bytes, message: str
) -> None:
    """Parameters that are none end with 2 and one line, before anything is sent."""
    ended = run(*to("azure", server.url), *arguments, stdin_bytes=stdin)
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
def test_answer_is_printed_as_json(run: Run, server: FaultServer, body: bytes, content_type: str, printed: str) -> None:
    """Standard output is the answer as JSON in one line, and nothing else."""
    server.script(far_side.respond(body=body, content_type=content_type))
    assert run(*to("azure", server.url)) == (0, printed + "\n", "")


def test_one_way_call_is_an_event(run: Run, server: FaultServer) -> None:
    """`--one-way` hands the call to Lambda, with the service's name, and prints nothing."""
    server.script(far_side.respond(202, b""))
    assert run(*to("lambda", server.url), "--one-way", "--name", "dummies") == (0, "", "")
    assert server.requests[-1].headers["x-amz-invocation-type"] == "Event"
    assert sent(server)["cmd"] == "dummies.get"


def test_name_goes_before_the_command(run: Run, server: FaultServer, provider: str) -> None:
    """With `--name` the command is that of a service, as the commandable clients send it."""
    assert run(*to(provider, server.url), "--name", "dummies").status == 0
    assert sent(server)["cmd"] == "dummies.get"


# --- How a call ends ---

UNHANDLED = {"X-Amz-Function-Error": "Unhandled"}
REMOTE = {"category": "NotFound", "code": "NO_X", "status": 404, "message": "X is not\nfound\x1b[1m", "trace_id": "R"}


@pytest.mark.parametrize(
    ("step", "status", "code"),
    [
        (far_side.respond(404, b""), 1, "NOT_FOUND"),
        (far_side.respond(401, b""), 1, "UNAUTHORIZED"),
        (far_side.respond(200, b"{"), 1, "DESERIALIZATION_FAILED"),
        (far_side.respond(200, {"errorMessage": "no"}, headers=UNHANDLED), 1, "FUNCTION_ERROR"),
        (far_side.respond(413, b""), 2, "PAYLOAD_TOO_LARGE"),
        (far_side.silent(), 3, "CALL_TIMEOUT"),
        (far_side.reset_after_read(), 3, "NO_RESPONSE"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_exit_status_of_a_failed_call(
    run: Run, server: FaultServer, provider: str, step: Any, status: int, code: str
) -> None:
    """1 for what the far side says, 3 for no answer from it, 2 for what the caller did wrong; told as JSON if asked."""
    if code == "FUNCTION_ERROR" and provider != "lambda":
        step = far_side.respond(500, {"category": "FailedInvocation", "code": code})
    server.script(step)
    ended = run(*to(provider, server.url), "--timeout", "300", "--trace-id", "T", "--json-errors")
    assert (ended.status, ended.out) == (status, "")
    assert json.loads(ended.err)["code"] == code
    assert ended.err.count("\n") == 1


def test_remote_error_with_a_local_code_is_the_functions(run: Run, server: FaultServer) -> None:
    """A function that could not reach another one failed; the connection to it did not."""
    server.script(far_side.respond(503, {"category": "NoResponse", "code": "CANNOT_CONNECT"}))
    assert run(*to("azure", server.url)).status == 1


def test_no_connection_ends_with_3(run: Run, provider: str) -> None:
    """A refused connection is no error of the function."""
    with far_side.refused_port() as port:
        ended = run(*to(provider, f"http://127.0.0.1:{port}"), "--retries", "0", "--trace-id", "T")
    assert ended.status == 3
    assert ended.err.startswith("pip-serverless: ConnectionException CANNOT_CONNECT 503: Could not connect to ")
    assert ended.err.endswith(" (trace id T)\n")


def test_error_is_one_readable_line(run: Run, server: FaultServer) -> None:
    """Line breaks and terminal codes of a remote message stay out of the terminal."""
    server.script(far_side.respond(404, REMOTE))
    expected = "pip-serverless: NotFoundException NO_X 404: X is not found [1m (trace id R)\n"
    assert run(*to("azure", server.url)).err == expected


def test_json_error_is_a_pip_services_error(run: Run, server: FaultServer) -> None:
    """`--json-errors` tells the error's fields, of which another service could restore it."""
    server.script(far_side.respond(404, {**REMOTE, "details": {"id": 7}}))
    ended = run(*to("azure", server.url), "--json-errors")
    assert json.loads(ended.err) == {**REMOTE, "details": {"id": 7}}


def test_options_are_the_clients(run: Run, server: FaultServer, provider: str) -> None:
    """`--retries` and `--idempotent` decide how often a call with a lost answer is made."""
    server.script(*[far_side.reset_after_read()] * 4)
    assert run(*to(provider, server.url), "--retries", "1").status == 3
    assert server.executions == 1
    assert run(*to(provider, server.url), "--retries", "1", "--idempotent").status == 3
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
        (("serve", "lambda", "f=handler"), "handler: must be 'module.function', not 'handler'"),
        (("serve", "lambda", "f=/no/folder:app.handler"), "path: there is no /no/folder"),
        (("serve", "azure", "/no/folder"), "/no/folder is not the folder of a function app"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_ends_with_2(run: Run, arguments: tuple[str, ...], message: str) -> None:
    """Whatever is wrong before a call is one line that says what."""
    ended = run(*arguments)
    assert (ended.status, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert ended.err.startswith(f"pip-serverless: {message}")


# --- What -v tells ---


@pytest.mark.parametrize("option", ["-v", "--verbose"])
def test_verbose_writes_the_clients_log(run: Run, server: FaultServer, provider: str, option: str) -> None:
    """Each entry is one line on standard error, standard output stays the answer."""
    server.script(far_side.respond(429, b"", headers={"Retry-After": "0"}), far_side.respond(body={"a": 1}))
    ended = run(*to(provider, server.url), option, "--name", "dummies")
    client = CLIENTS[provider].__name__
    assert (ended.status, ended.out) == (0, '{"a": 1}\n')
    lines = ended.err.splitlines()
    assert lines[0].startswith(f"pip-serverless: debug: Opened {client} to call ")
    assert lines[1] == "pip-serverless: trace: Executing dummies.get method"
    retry = r"pip-serverless: debug: Retrying dummies\.get in \d+ ms after TOO_MANY_REQUESTS"
    assert re.fullmatch(retry, lines[2])
    assert lines[-1].startswith(f"pip-serverless: debug: Closed {client} to ")


def test_without_verbose_nothing_is_logged(run: Run, server: FaultServer) -> None:
    """Standard error is for errors."""
    server.script(far_side.respond(429, b"", headers={"Retry-After": "0"}), far_side.respond())
    assert run(*to("azure", server.url)).err == ""


# --- Secrets ---


def test_verbose_shows_no_secret(
    run: Run, server: FaultServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, provider: str
) -> None:
    """Neither a key, a token nor AWS's keys, and no query of the address, also of a call that fails."""
    monkeypatch.setenv("PIP_SERVERLESS_AUTH_CODE", AUTH_CODE)
    monkeypatch.setenv("PIP_SERVERLESS_AUTH_TOKEN", AUTH_TOKEN)
    server.script(
        far_side.respond(429, f"{AUTH_CODE} {AUTH_TOKEN}".encode(), headers={"Retry-After": "0"}),
        far_side.respond(500, b""),
    )
    where = to(provider, server.url)
    ended = run(*where, "-v", "--trace-id", "T")
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
def test_secrets_in_arguments_are_refused_unshown(run: Run, arguments: tuple[str, ...]) -> None:
    """No option takes a key: it would be seen in the list of processes."""
    ended = run("call", "--cmd", "get", *arguments)
    assert ended.status == 2
    assert AUTH_CODE not in ended.out + ended.err


@pytest.mark.parametrize("where", ["environment", "file"])
def test_key_comes_from_the_environment_or_a_file(
    run: Run, server: FaultServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str
) -> None:
    """The key of an Azure function is read from `PIP_SERVERLESS_AUTH_CODE`, and before it from a file."""
    monkeypatch.setenv("PIP_SERVERLESS_AUTH_CODE", "from-environment")
    (tmp_path / "key").write_text("from-file\n")
    option = ("--auth-code-file", str(tmp_path / "key")) if where == "file" else ()
    assert run(*to("azure", server.url), *option).status == 0
    assert server.requests[-1].headers["x-functions-key"] == f"from-{where}"


@pytest.mark.parametrize("where", ["environment", "file"])
def test_token_comes_from_the_environment_or_a_file(
    run: Run, server: FaultServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str
) -> None:
    """The token for a Google Cloud Function is read from `PIP_SERVERLESS_AUTH_TOKEN`, and before it from a file."""
    monkeypatch.setenv("PIP_SERVERLESS_AUTH_TOKEN", "from-environment")
    (tmp_path / "token").write_text("from-file\n")
    option = ("--auth-token-file", str(tmp_path / "token")) if where == "file" else ()
    assert run(*to("google", server.url), *option).status == 0
    assert server.requests[-1].headers["authorization"] == f"Bearer from-{where}"


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
def test_provider_of_a_section(tmp_path: Path, section: str, expected: str) -> None:
    """By its descriptor, else by its keys, else by its URL."""
    (tmp_path / "config.yml").write_text("f:\n  " + section.replace("\n", "\n  "))
    assert config_file.find(str(tmp_path / "config.yml"), None, None, None).provider == expected


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file"), (b" \n", "is empty"), (b"\xff", "not UTF-8 text")]
)
def test_unreadable_key_file_is_told(run: Run, tmp_path: Path, content: bytes | None, reason: str) -> None:
    """A missing key is not taken for no key."""
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    ended = run(*to("azure", "http://127.0.0.1:9"), "--auth-code-file", str(path))
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
    """Writes a configuration file, whose parameters are the fault server's URL and a key."""
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
def test_client_is_picked_from_a_container(
    run: Run, server: FaultServer, config: Callable[[str], str], arguments: tuple[str, ...], path: str, cmd: str
) -> None:
    """One client of many is picked by name, descriptor or provider, and finds its connection and key in the file."""
    ended = run("call", "--config", config(CONTAINER), "--cmd", "get", *arguments)
    assert (ended.status, ended.err) == (0, "")
    assert server.requests[-1].path.startswith(path)
    assert sent(server)["cmd"] == cmd
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
def test_only_client_of_a_file_needs_no_name(
    run: Run, server: FaultServer, config: Callable[[str], str], text: str
) -> None:
    """The whole file may be one client's configuration, or hold it by name or in a list."""
    ended = run("call", "--config", config(text), "--cmd", "get", "--timeout", "2000")
    assert (ended.status, ended.err) == (0, "")
    assert (server.requests[-1].path, sent(server)["cmd"]) == ("/api/dummies", "get")


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
            ("--name", "nobody"),
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
        ("1: x", (), "no client matches; the clients are: none with a connection"),
        ("text", (), "the file must be a list or a map of components"),
        ("", (), "the file must be a list or a map of components"),
        ('a: "{{KEY}}', (), "line 1: not valid YAML: "),
        ("a: \x07", (), "not valid YAML: an invalid character"),
        ("a:\n  b: {{", (), "line 2: not a valid parameter: '{{'"),
        ('a: "{{{UNSET}}}"', (), "line 1: the environment variable UNSET is not set"),
    ],
)
def test_wrong_file_is_told(
    run: Run, config: Callable[[str], str], text: str, arguments: tuple[str, ...], message: str
) -> None:
    """What is wrong with a file is one line with its name, and never what the environment put into it."""
    path = config(text)
    ended = run("call", "--config", path, "--cmd", "get", *arguments)
    assert ended.status == 2
    assert message in ended.err
    assert AUTH_CODE not in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file or directory"), (b"a: \xff", "it is not UTF-8 text")]
)
def test_unreadable_file_is_told(run: Run, tmp_path: Path, content: bytes | None, reason: str) -> None:
    """A file that cannot be read is wrong usage."""
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
def test_parameters_are_filled_in(template: str, expected: str | None) -> None:
    """Parameters, sections and escapes as in pip-services; what it fails on is refused."""
    if expected is None:
        with pytest.raises(ValueError, match=r"line 1: |is not closed"):
            config_file.parameterize(template, PARAMETERS)
    else:
        assert config_file.parameterize(template, PARAMETERS) == expected


# pip-services' own code warns on 3.12 of what fails on 3.13.
PUBLISHED = pytest.mark.filterwarnings("ignore:In 3.13 the default:DeprecationWarning")


@PUBLISHED
@pytest.mark.parametrize(("template", "expected"), TEMPLATES)
def test_pip_services_fills_in_the_same(template: str, expected: str | None) -> None:
    """The table above is what pip-services itself makes of it, on the Pythons that its templates import on."""
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
def test_file_is_read_as_a_container_reads_it(config: Callable[[str], str]) -> None:
    """Every value of a file becomes the same text: numbers, flags, dates, nothing."""
    path = config(CONTAINER + "- {a: 1, b: 1.50, c: true, d: ~, e: 2026-01-02, f: 'x', g: [1, y], h: {i: 0x10}}\n")
    if sys.version_info >= (3, 13):
        with pytest.raises(TypeError):
            importlib.import_module("pip_services4_config.config")
        return
    from pip_services4_config.config import YamlConfigReader

    assert config_file.read(path) == YamlConfigReader.read_config(None, path, ConfigParams(dict(os.environ)))


def test_config_file_refuses_with_the_toolkits_exception() -> None:
    """Settings that are wrong are a `ConfigException`, whichever part finds it."""
    with pytest.raises(ConfigException, match="cannot read"):
        config_file.read("/no/file")


# --- Help ---


def test_version(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` tells the package's."""
    with pytest.raises(SystemExit, match="0"):
        run("--version")
    assert capsys.readouterr().out == f"pip-serverless {__version__}\n"


@pytest.mark.parametrize(
    ("command", "defaults"),
    [("", 0), ("call", 7), ("serve", 0), ("serve azure", 5), ("serve google", 3), ("serve lambda", 5), ("demo", 0)],
)
def test_help_has_an_example_and_defaults(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str, defaults: int
) -> None:
    """Each `--help` has an example that can be typed, and says what holds without an option."""
    monkeypatch.setenv("COLUMNS", "250")
    with pytest.raises(SystemExit, match="0"):
        run(*command.split(), "--help")
    text = capsys.readouterr().out
    (example,) = re.findall(r"^example:\n  pip-serverless (.*?)(?: > .*)?$", text, re.MULTILINE)
    assert example.startswith(command)
    called = []

    def note_call(*_: object) -> int:
        called.append(1)
        return 0

    for name in ("call.call", "serve.serve", "serve.demo"):
        monkeypatch.setattr(f"pip_services4_serverless._cli.{name}", note_call)
    assert main(shlex.split(example)) == 0
    assert called == [1]
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
def test_shell_completion(tmp_path: Path, line: str, expected: set[str]) -> None:
    """What argcomplete's shell function runs: with the line so far in the environment, the words that fit."""
    line = f"pip-serverless {line}"
    out = tmp_path / "out"
    environment = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    environment["_ARGCOMPLETE_STDOUT_FILENAME"] = str(out)
    ended = subprocess.run(PROGRAM, env=os.environ | environment, timeout=60, capture_output=True, check=True)
    assert (ended.stdout, ended.stderr) == (b"", b"")
    assert expected <= {word.strip() for word in out.read_text().splitlines()}


def test_completion_costs_nothing_without_a_shell_that_asks() -> None:
    """argcomplete is imported only then; where it is not installed, a shell gets no words and no noise."""
    code = "import sys; from pip_services4_serverless.__main__ import main; main(['call']); print(sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "argcomplete" not in run.stdout
    code = "import sys; sys.modules['argcomplete'] = None; from pip_services4_serverless.__main__ import main; main()"
    environment = os.environ | {"_ARGCOMPLETE": "1"}
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True, env=environment)
    assert (asked.stdout, asked.stderr) == (b"", b"")


# --- Processes ---


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts commands in a folder with an Azure app and a Lambda handler."""
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
def test_served_function_answers_a_call_until_a_signal(
    start: Callable[..., Process], run: Run, tmp_path: Path, provider: str, number: int
) -> None:
    """What `serve` prints configures the `call` that gets the function's answer; a signal leaves nothing."""
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


PRINTING = HELLO_AZURE.replace("import json", "import json, os, pathlib, time\nprint('- at import:')").replace(
    "    return",
    """    print("- in the function:", end="")
    os.system("echo '- in a child:'")
    while not pathlib.Path("go on").exists():
        time.sleep(0.01)
    return""",
)


def test_prints_go_to_standard_error_at_once(start: Callable[..., Process], run: Run, tmp_path: Path) -> None:
    """Standard output is one YAML file whatever an app prints; prints are seen while it runs, also part of a line."""
    (tmp_path / "app" / "function_app.py").write_text(PRINTING)
    served = start("serve", "azure", "app")
    config = tmp_path / "config.yml"
    config.write_text(served.read_config())
    ended: list[Ended] = []
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


def test_nothing_to_serve_names_the_files(run: Run, tmp_path: Path) -> None:
    """It ends with 2, and says where it has looked for functions."""
    ended = run("serve", "azure", str(tmp_path))
    assert (ended.status, ended.out) == (2, "")
    assert f"nothing to serve in {tmp_path}: no function_app.py, no folder with function.json" in ended.err
    assert "(looked at: function_app.py, */function.json)" in ended.err


SERVICES = Path(__file__).parent / "local" / "lambda_services"


class Service(NamedTuple):
    """A Lambda function as people write them, the calls to it with what they answer, and what it then has logged."""

    handler: str
    calls: list[tuple[tuple[str, ...], Any]]
    logged: list[str]


# A failed call's answer is its error's type.
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
def test_lambda_function_of_other_people(start: Callable[..., Process], run: Run, tmp_path: Path, name: str) -> None:
    """It is served and called, each of its failures is told with its type, and its whole output is logged."""
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
def test_handler_that_cannot_be_imported_is_not_served(
    run: Run, start: object, tmp_path: Path, source: str, message: str
) -> None:
    """`serve lambda` says what is wrong instead of printing a configuration, and ends with 2."""
    (tmp_path / "functions" / "hello.py").write_text(source)
    ended = run("serve", "lambda", f"hello={tmp_path / 'functions'}:hello.handler")
    assert (ended.status, ended.out) == (2, "")
    *_, last = ended.err.splitlines()
    assert last.startswith(f"pip-serverless: 'hello.handler' of 'hello' cannot be imported: {message}")


def test_lambda_function_is_looked_for_in_the_working_folder(
    start: Callable[..., Process], run: Run, tmp_path: Path
) -> None:
    """Without a path a handler is in the working folder, as in its subfolders."""
    (tmp_path / "here.py").write_text(HELLO_LAMBDA)
    served = start("serve", "lambda", "here=here.handler", "hello=functions.hello.handler")
    served.read_config()
    config = tmp_path / "config.yml"
    config.write_text(served.read_config())
    assert run("call", "--config", str(config), "--cmd", "greet", "name=Ada").out == '{"greeting": "Hello, Ada!"}\n'
    assert served.end(signal.SIGTERM)[0] == 143


class Here:
    """`serve` in this thread, where its coverage is measured, and what drives it in another one."""

    def __init__(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.config = folder / "config.yml"
        self._logged = threading.Condition()
        self._handler = logging.Handler()
        self._handler.emit = self._take  # type: ignore[method-assign]
        self._messages: list[str] = []
        caplog.set_level(logging.INFO, "pip_services4_serverless")
        caplog.set_level(logging.WARNING, "uvicorn")  # and back at the test's end

    def serve(self, arguments: tuple[str, ...], drive: Callable[[], None], ready: str | None = None) -> int:
        """Runs `serve`, and `drive` once `ready` is printed, until that is done; returns the exit status."""
        failures: list[BaseException] = []

        def drive_and_end() -> None:
            try:
                printed = re.compile(ready) if ready else END_OF_CONFIG
                wait_until(lambda: self.config.exists() and printed.search(self.config.read_text()))
                drive()
            except BaseException as error:
                failures.append(error)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        guard = signal.signal(signal.SIGTERM, lambda *_: None)  # in case that `serve` is not there to take it
        logging.getLogger("pip_services4_serverless").addHandler(self._handler)
        thread = threading.Thread(target=drive_and_end)
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

    def _take(self, record: logging.LogRecord) -> None:
        with self._logged:
            self._messages.append(record.getMessage())
            self._logged.notify_all()

    def wait_for_log(self, start: str) -> None:
        """Wait until a message begins so, and forget those before it."""
        with self._logged:
            assert self._logged.wait_for(lambda: any(said.startswith(start) for said in self._messages), 10), start
            self._messages.clear()


@pytest.fixture
def here(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, start: object) -> Here:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "")  # `--reload` has to set it
    return Here(tmp_path, caplog)


def greet(config: Path) -> Any:
    """What the served function answers to a client that is configured with what was printed."""
    found = config_file.find(str(config), None, "hello", None)
    client = CLIENTS[found.provider]("")
    client.configure(found.config)
    client.open("T")
    try:
        return client.call_command("greet", "T", {"name": "Ada"})["greeting"]
    finally:
        client.close("T")


def test_reload_takes_changes_in(here: Here, tmp_path: Path, provider: str) -> None:
    """With `--reload` a changed file changes the answer, also one that is as long and of the same second as before.

    What was configured before still holds.
    """
    sources = {"azure": "app/function_app.py", "google": "google/main.py", "lambda": "functions/hello.py"}
    source = tmp_path / sources[provider]
    second = 10**18  # ns
    os.utime(source, ns=(second, second))

    def drive() -> None:
        assert greet(here.config) == "Hello, Ada!"
        changed = tmp_path / "changed"
        changed.write_text(source.read_text().replace("Hello", "Howdy"))
        os.utime(changed, ns=(second, second + 1))
        changed.replace(source)
        here.wait_for_log("Reloaded")
        assert greet(here.config) == "Howdy, Ada!"

    path = {"azure": source.parent, "google": f"hello={source}:hello", "lambda": f"hello={source}:hello.handler"}
    assert here.serve(("serve", provider, str(path[provider]), "--reload"), drive) == 143


def test_reload_survives_what_cannot_be_loaded(here: Here, tmp_path: Path) -> None:
    """A broken app is told and served again once it is mended, with other functions, whose configuration is printed."""
    source = tmp_path / "app" / "function_app.py"

    def drive() -> None:
        source.write_text("app =")
        here.wait_for_log("Not reloaded: there is nothing to serve")
        source.write_text(HELLO_AZURE.replace("def hello", "def other"))
        # Writing is not atomic: what is loaded again first may be a state in between.
        wait_until(lambda: ":other:" in here.config.read_text())
        names = [component["descriptor"].split(":")[3] for component in yaml.safe_load(here.config.read_text())]
        assert names == ["hello", "other"]
        source.write_text(HELLO_AZURE)
        here.wait_for_log("Reloaded")

    assert here.serve(("serve", "azure", str(tmp_path / "app"), "--reload"), drive) == 143


def test_function_with_route_parameters_has_no_configuration(here: Here, tmp_path: Path) -> None:
    """A URL that depends on the call is told in a comment."""
    source = tmp_path / "app" / "function_app.py"
    source.write_text(HELLO_AZURE + "\n@app.route(route='items/{id}')\ndef item(req):\n    return 'x'\n")
    assert here.serve(("serve", "azure", str(tmp_path / "app")), lambda: None) == 143
    assert "# item: no configuration: the route 'items/{id}' needs a value for id" in here.config.read_text()


def test_table_has_methods_and_urls(here: Here, tmp_path: Path) -> None:
    """Each function is listed with its methods and its URL, route parameters as `{name}`, in comments of the YAML."""
    source = tmp_path / "app" / "function_app.py"
    routes = {"item": "items/{id:int}/{part?}", "files": "files/{*path}"}
    source.write_text(
        HELLO_AZURE
        + "".join(
            f"\n@app.route(route={route!r}, methods=['PUT', 'GET'])\ndef {name}(req):\n    return 'x'\n"
            for name, route in routes.items()
        )
    )
    assert here.serve(("serve", "azure", str(tmp_path / "app")), lambda: None) == 143
    text = here.config.read_text()
    url = re.findall("host: (http.*)", text)[0]
    assert text.split("\n#\n")[1].split("\n\n")[0].splitlines() == [
        "# function  methods   URL",
        f"# hello     any       {url}/api/hello",
        f"# item      GET, PUT  {url}/api/items/{{id}}/{{part}}",
        f"# files     GET, PUT  {url}/api/files/{{path}}",
    ]
    yaml.safe_load(text)


def test_no_keys_are_asked_for_on_request(here: Here, tmp_path: Path) -> None:
    """With `--no-keys` no key is printed or needed, and the URL alone is the configuration."""
    answers = []
    arguments = ("serve", "azure", str(tmp_path / "app"), "--no-keys")
    assert here.serve(arguments, lambda: answers.append(greet(here.config)), ready='/api/hello"') == 143
    assert answers == ["Hello, Ada!"]
    (component,) = yaml.safe_load(here.config.read_text())
    assert (component.keys(), component["connection"].keys()) == ({"descriptor", "connection"}, {"uri"})
    assert "key:" not in here.config.read_text()


def test_given_keys_open(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys come from options, which win over a file, which wins over the environment."""
    monkeypatch.setenv("PIP_SERVERLESS_KEYS", "hello=a default=b _master=c=d")
    (tmp_path / "keys").write_text("hello=e\ndefault=f\n\n")
    options = ("--key-file", str(tmp_path / "keys"), "--key", "hello=own")
    assert here.serve(("serve", "azure", str(tmp_path / "app"), *options), lambda: None) == 143
    text = here.config.read_text()
    assert re.findall(r"# (\w+) key: (.*)", text) == [("host", "f"), ("master", "c=d")]
    assert yaml.safe_load(text)[0]["credential"] == {"auth_code": "own"}


def test_reload_keeps_the_keys_of_what_stays(here: Here, tmp_path: Path) -> None:
    """A function that is gone takes no other one's key along."""
    source = tmp_path / "app" / "function_app.py"
    source.write_text(HELLO_AZURE + "\n@app.route()\ndef other(req):\n    return 'x'\n")

    def drive() -> None:
        changed = tmp_path / "changed"
        changed.write_text(HELLO_AZURE.replace("Hello", "Howdy"))
        changed.replace(source)
        here.wait_for_log("Reloaded")
        assert greet(here.config) == "Howdy, Ada!"

    assert here.serve(("serve", "azure", str(tmp_path / "app"), "--reload"), drive) == 143


@pytest.mark.parametrize(
    ("options", "environment", "told"),
    [
        (("--key", AUTH_CODE), "", "--key needs NAME=VALUE"),
        (("--key", f"={AUTH_CODE}"), "", "--key needs NAME=VALUE"),
        (("--key-file", "keys"), "", "--key-file keys needs NAME=VALUE"),
        (("--key-file", "missing"), "", "--key-file: cannot read missing: No such file or directory"),
        ((), AUTH_CODE, "PIP_SERVERLESS_KEYS needs NAME=VALUE"),
        (("--key", f"opne={AUTH_CODE}"), "", "keys: there is no function opne; the names are _master, default, hello"),
    ],
)
def test_wrong_keys_are_refused_unshown(
    run: Run, start: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Any, environment: str, told: str
) -> None:
    """A key that has no name, or the name of nothing, is refused, and its value is not shown."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIP_SERVERLESS_KEYS", environment)
    (tmp_path / "keys").write_text(AUTH_CODE)
    ended = run("serve", "azure", "app", *options)
    assert (ended.status, ended.out) == (2, "")
    assert told in ended.err
    assert AUTH_CODE not in ended.err


def test_each_request_is_logged(start: Callable[..., Process]) -> None:
    """A line on standard error has method, path, status and time, also of refused requests, and never the query."""
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
def test_app_is_served_from_the_current_folder(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Without PATH it is `.`; with one it may stand after the options."""
    assert here.serve(("serve", "azure", *arguments, str(tmp_path / "app")), lambda: None) == 143
    monkeypatch.chdir(tmp_path / "app")
    here.config.unlink()
    assert here.serve(("serve", "azure", *arguments), lambda: None) == 143


def test_port_that_is_taken_is_told(run: Run, start: object, tmp_path: Path, provider: str) -> None:
    """A host that cannot start says why and ends with 2."""
    with far_side.refused_port() as port:
        path = {
            "azure": str(tmp_path / "app"),
            "google": f"hello={tmp_path / 'google'}",
            "lambda": f"hello={tmp_path / 'functions'}:hello.handler",
        }
        ended = run("serve", provider, path[provider], "--port", str(port))
    assert (ended.status, ended.out) == (2, "")
    host = {"azure": "AzureFunctionHost", "google": "GoogleFunctionHost", "lambda": "LambdaHost"}[provider]
    assert ended.err == f"pip-serverless: {host} cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_call_interrupted_by_ctrl_c_ends_with_130(start: Callable[..., Process], server: FaultServer) -> None:
    """Ctrl-C while a call waits ends it at once, without a traceback."""
    server.script(far_side.silent())
    process = start(*to("azure", server.url))
    server.wait_for(executions=1)
    assert process.end(signal.SIGINT) == (130, "")


def test_reader_that_goes_away_is_no_traceback(start: Callable[..., Process], server: FaultServer) -> None:
    """`pip-serverless call | head -c0` says nothing on standard error."""
    server.script(far_side.large(1 << 20))
    process = start(*to("azure", server.url))
    assert process.process.stdout
    process.process.stdout.close()
    assert process.process.wait(30) == 1
    assert process.errors.read_text() == ""


@pytest.mark.parametrize("number", [None, signal.SIGINT, signal.SIGTERM], ids=["to its end", "SIGINT", "SIGTERM"])
def test_demo(start: Callable[..., Process], number: int | None) -> None:
    """`demo` ends with 0 when all answers were as expected, and leaves nothing, whenever it ends."""
    demo = start("demo", program=(str(Path(sys.executable).with_name("pip-serverless")),))
    if number is not None:
        demo.read_until("127.0.0.1|arn:")
        assert demo.end(number) == (128 + number, "")
    else:
        assert "All responses were as expected." in demo.read_until("as expected")
        assert demo.wait() == (0, "")
    assert demo.left() == ([], [])


def test_library_does_not_import_the_command_line() -> None:
    """The command line is a user of the library."""
    code = (
        "import sys, pip_services4_serverless.clients, pip_services4_serverless.connect\n"
        "from pip_services4_serverless.local import AzureFunctionHost, LambdaHost\n"
        "print([name for name in sys.modules if name.startswith('pip_services4_serverless._cli')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_documented_session(run: Run, start: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the documentation types gives what it shows, `serve` running in processes of their own."""
    monkeypatch.chdir(tmp_path)
    text = DOCS.read_text("utf-8")
    with far_side.refused_port() as port:
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


def test_demo_whose_clean_up_fails_after_a_signal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status is that of the signal."""

    def interrupted() -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            raise RuntimeError("a host cannot stop")

    monkeypatch.setattr("pip_services4_serverless.local._demo.__main__.main", interrupted)
    assert run("demo").status == 143


def test_failed_demonstration_ends_with_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the client, the response and the trace id of the demonstration."""
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
