"""GoogleFunctionHost serves functions with Google's functions-framework, and leaves nothing behind."""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from pip_services4_commons.errors import ApplicationException, ConnectionException, UnauthorizedException
from support.fault_server import reserved_port
from support.processes import new_threads, wait_until

from pip_services4_serverless.clients import CloudFunctionClient
from pip_services4_serverless.local import GoogleFunctionHost, google_function_host

ONE = Path(__file__).with_name("google_functions") / "one"
TWO = ONE.with_name("two")
TIMEOUT = 10  # seconds


@pytest.fixture
def host() -> Iterator[GoogleFunctionHost]:
    """A started host."""
    with GoogleFunctionHost() as host:
        yield host


def post(host: GoogleFunctionHost, name: str, path: str = "", **of: Any) -> requests.Response:
    """A request with the token of the function."""
    token = host.config(name).get_as_nullable_string("credential.auth_token")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.post(f"{host.url}/{name}{path}", headers=headers, timeout=TIMEOUT, **of)


def call_result(host: GoogleFunctionHost, name: str, **options: Any) -> Any:
    """The result of a client's call, or its error."""
    client = CloudFunctionClient()
    client.configure({**host.config(name), **{f"options.{key}": value for key, value in options.items()}})
    with client:
        try:
            return client.call("get", "T")
        except ApplicationException as error:
            return error


# --- Requests and responses ---


@pytest.mark.parametrize(("path", "expected"), [("", "/"), ("/", "/"), ("/a/b%20c?x=1", "/a/b c")])
def test_a_function_gets_the_path_without_its_name(host: GoogleFunctionHost, path: str, expected: str) -> None:
    """`cloudfunctions.net/name` has the same effect."""
    assert host.deploy("echo", ONE) == f"{host.url}/echo"
    response = post(host, "echo", path, json={"cmd": "get"})

    assert response.status_code == 200
    assert response.json() == {
        "method": "POST",
        "path": expected,
        "query": "x=1" if "?" in path else "",
        "json": {"cmd": "get"},
        "authorization": f"Bearer {host.config('echo').get_as_string('credential.auth_token')}",
        "module": "one",
    }


def test_responses_and_exceptions_are_those_of_the_framework(host: GoogleFunctionHost) -> None:
    """A 204, an exception, and an error of flask."""
    for name in ("nothing", "breaks", "refuses"):
        host.deploy(name, ONE)
    responses = {name: post(host, name, json={}) for name in host.functions}

    assert {name: response.status_code for name, response in responses.items()} == {
        "nothing": 204,
        "breaks": 500,
        "refuses": 400,
    }
    assert responses["breaks"].headers["X-Google-Status"] == "crash"
    assert "no such order" in responses["refuses"].text
    assert call_result(host, "nothing") is None
    assert (call_result(host, "breaks").code, call_result(host, "refuses").code) == ("CALL_FAILED", "BAD_REQUEST")


def test_an_unknown_name_is_an_error(host: GoogleFunctionHost) -> None:
    """It is a 404 of the host, and a `LookupError` of its methods."""
    host.deploy("echo", ONE)
    assert requests.post(f"{host.url}/other", timeout=TIMEOUT).status_code == 404
    for method in (host.config, host.invocations, host.remove, lambda name: host.fail(name, drop=True)):
        with pytest.raises(LookupError, match=r"'other'.*echo"):
            method("other")


# --- Tokens ---


def test_a_call_needs_the_token(host: GoogleFunctionHost) -> None:
    """Without one it is a 403, with a wrong one a 401, in HTML like Google's front end. Nothing runs."""
    host.deploy("echo", ONE)
    for token, status in ((None, 403), ("wrong", 401)):
        client = CloudFunctionClient.from_uri(f"{host.url}/echo", token)
        with client, pytest.raises(UnauthorizedException) as caught:
            client.call("get", "T")
        assert caught.value.status == status
        assert "<title>" in caught.value.message
    assert host.invocations("echo") == 0
    assert call_result(host, "echo")["json"]["cmd"] == "get"
    assert host.invocations("echo") == 1


def test_allow_unauthenticated_needs_no_token(host: GoogleFunctionHost) -> None:
    """The configuration has no token either."""
    host.deploy("echo", ONE, allow_unauthenticated=True)
    assert dict(host.config("echo")) == {"connection.uri": f"{host.url}/echo"}
    assert call_result(host, "echo")["authorization"] is None


def test_the_token_can_be_configured() -> None:
    """Otherwise it is generated."""
    with GoogleFunctionHost(token="own") as host:
        host.deploy("echo", ONE)
        assert call_result(host, "echo")["authorization"] == "Bearer own"


# --- Faults ---


@pytest.mark.parametrize(
    ("fault", "error", "invocations"),
    [
        ({"status": 503}, ("CALL_FAILED", 503), 0),
        ({"status": 429, "headers": {"Retry-After": "0"}}, ("TOO_MANY_REQUESTS", 429), 0),
        ({"status": 500, "run": True}, ("CALL_FAILED", 500), 1),
        ({"drop": True}, ("NO_RESPONSE", 502), 0),
        ({"drop": True, "run": True}, ("NO_RESPONSE", 502), 1),
        ({"status": 400, "body": '{"code": "NO_X"}'}, ("NO_X", 400), 0),
        ({"status": 404, "body": b"gone"}, ("NOT_FOUND", 404), 0),
    ],
    ids=str,
)
def test_a_fault_happens_once(
    host: GoogleFunctionHost, fault: dict[str, Any], error: tuple[str, int], invocations: int
) -> None:
    """It happens before or after the function runs. The next call succeeds."""
    host.deploy("echo", ONE)
    host.fail("echo", **fault)

    failed = call_result(host, "echo", retries=0)
    assert (failed.code, failed.status) == error
    assert host.invocations("echo") == invocations
    assert call_result(host, "echo")["module"] == "one"


def test_faults_happen_in_order(host: GoogleFunctionHost) -> None:
    """A client retries the calls that may be retried."""
    host.deploy("echo", ONE)
    host.fail("echo", 2, status=429)
    host.fail("echo", delay=0.3)

    assert call_result(host, "echo", retries=2, timeout=100).code == "CALL_TIMEOUT"
    assert call_result(host, "echo")["module"] == "one"


@pytest.mark.parametrize(
    "fault", [{}, {"status": 199}, {"status": 600}, {"run": True}, {"status": 500, "headers": {"A": "\u20ac"}}], ids=str
)
def test_a_wrong_fault_raises(host: GoogleFunctionHost, fault: dict[str, Any]) -> None:
    """It would have no effect, its status is outside the range, or its header cannot be sent."""
    host.deploy("echo", ONE)
    with pytest.raises(ValueError, match=r"fault|status|header 'A'"):
        host.fail("echo", **fault)


# --- Several functions in one process ---


def test_functions_have_their_own_modules(host: GoogleFunctionHost) -> None:
    """Two folders have a module with the same name, and two functions have the same source file."""
    host.deploy("first", ONE, "echo")
    host.deploy("second", TWO / "other.py", "name")
    host.deploy("third", ONE / "main.py", "echo")

    assert [call_result(host, name)["module"] for name in ("first", "second", "third")] == ["one", "two", "one"]
    assert [host.invocations(name) for name in host.functions] == [1, 1, 1]


def test_a_function_can_be_deployed_again(host: GoogleFunctionHost, tmp_path: Path) -> None:
    """Its code is loaded and its counts begin again. If the code cannot be loaded, the function does not change."""
    source = tmp_path / "main.py"
    source.write_text("def f(request):\n    return {'version': 1}\n")
    host.deploy("f", tmp_path)
    assert call_result(host, "f") == {"version": 1}
    source.write_text("def f(request):\n    return {'version': 22}\n")
    host.deploy("f", tmp_path)
    assert call_result(host, "f") == {"version": 22}
    source.write_text("def f(\n")
    with pytest.raises(RuntimeError, match="SyntaxError"):
        host.deploy("f", tmp_path)

    assert call_result(host, "f") == {"version": 22}
    assert host.invocations("f") == 2
    host.remove("f")
    assert host.functions == []
    assert str(tmp_path) not in sys.path


@pytest.mark.parametrize("deploy_other", [True, False])
def test_a_decorator_has_no_effect_on_other_code(host: GoogleFunctionHost, tmp_path: Path, deploy_other: bool) -> None:
    """The framework remembers by the name of the Python function that it takes a cloud event."""
    decorated, plain = tmp_path / "decorated.py", tmp_path / "plain.py"
    decorator = "import functions_framework\n@functions_framework.cloud_event\n"
    decorated.write_text(f"{decorator}def get(event):\n    pass\ndef other(request):\n    return 'other'\n")
    plain.write_text("def get(request):\n    return 'plain'\n")
    host.deploy("decorated", decorated, "other" if deploy_other else "get")
    host.deploy("plain", plain, "get")
    assert post(host, "plain", json={}).text == "plain"


@pytest.mark.parametrize("name", ["", "a/b", "a?b", "..", "\u00fc", "a b"])
def test_a_name_that_cannot_be_called_is_rejected(host: GoogleFunctionHost, name: str) -> None:
    """Its URL would lead to another path."""
    with pytest.raises(ValueError, match="name: must be letters, digits, '-' and '_', not "):
        host.deploy(name, ONE, "echo")
    assert host.functions == []


def test_the_environment_is_kept(host: GoogleFunctionHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """functions-framework assumes that its process has only one function."""
    monkeypatch.setenv("FUNCTION_TARGET", "mine")
    host.deploy("environment", ONE)
    assert call_result(host, "environment") == {"FUNCTION_TARGET": "mine", "FUNCTION_SIGNATURE_TYPE": None}


@pytest.mark.parametrize(
    ("path", "target", "error", "message"),
    [
        (ONE, "missing", RuntimeError, "missing"),
        (ONE, "NO_FUNCTION", RuntimeError, "needs to be of type function"),
        (TWO / "broken.py", "f", RuntimeError, "ImportError: there is no driver"),
        (TWO / "other.py", "asynchronous", RuntimeError, "is asynchronous"),
        (TWO, "f", FileNotFoundError, r"main\.py"),
        (TWO / "none.py", "f", FileNotFoundError, r"none\.py"),
    ],
)
def test_a_failed_deployment_raises_and_leaves_nothing(
    host: GoogleFunctionHost, path: Path, target: str, error: type[Exception], message: str
) -> None:
    """The error has the reason."""
    before = set(sys.modules), list(sys.path)
    with pytest.raises(error, match=message):
        host.deploy("f", path, target)

    assert host.functions == []
    assert sys.path == before[1]
    assert not {"main", "other", "broken", "shared"} & (set(sys.modules) - before[0])


# --- Start and stop ---


@pytest.fixture
def port() -> Iterator[int]:
    with reserved_port() as port:
        yield port


def test_stop_leaves_nothing(port: int) -> None:
    """No thread, port, module, path or variable is left. The host can be started again."""
    host = GoogleFunctionHost(port=port)
    before, threads = (set(sys.modules), list(sys.path), dict(os.environ)), set(threading.enumerate())
    for _ in range(2):
        with host:
            assert host.start() is host
            host.deploy("echo", ONE)
            assert call_result(host, "echo")["module"] == "one"
        host.stop()

        assert host.functions == []
        assert (list(sys.path), dict(os.environ)) == before[1:]
        assert not {"main", "shared"} & (set(sys.modules) - before[0])
        # The thread of the last call ends after its response.
        wait_until(lambda: not new_threads(threads))
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            pass
        with pytest.raises(RuntimeError, match=r"\AGoogleFunctionHost is not started\Z"):
            host.url  # noqa: B018


def test_stop_ends_running_calls() -> None:
    """Their connections are closed. The stop waits for the function."""
    errors: list[Any] = []
    with GoogleFunctionHost() as host:
        host.deploy("waits", ONE)
        module = sys.modules["main"]
        thread = threading.Thread(target=lambda: errors.append(call_result(host, "waits", retries=0)))
        thread.start()
        assert module.STARTED.wait(TIMEOUT)
        threading.Timer(0.2, module.GO_ON.set).start()
    thread.join(TIMEOUT)

    assert isinstance(errors[0], ConnectionException)
    assert errors[0].code == "NO_RESPONSE"


@pytest.mark.parametrize(
    "sent", [b"", b"POST /echo HTTP/1.1\r\n", b"POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"]
)
def test_stop_ends_incomplete_requests(sent: bytes) -> None:
    """The threads that read them end as well."""
    before = set(threading.enumerate())
    with GoogleFunctionHost() as host:
        host.deploy("echo", ONE, allow_unauthenticated=True)
        client = socket.create_connection(("127.0.0.1", int(host.url.rpartition(":")[2])))
        client.sendall(sent)
        wait_until(lambda: len(new_threads(before)) >= 2)
    with client:
        wait_until(lambda: not new_threads(before))


def test_stop_ends_a_request_whose_thread_begins_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, the thread may begin after the host has closed its connections."""
    stopped = threading.Event()
    setup = google_function_host._Handler.setup

    def set_up_late(handler: google_function_host._Handler) -> None:
        stopped.wait(30)
        setup(handler)

    monkeypatch.setattr(google_function_host._Handler, "setup", set_up_late)
    before = set(threading.enumerate())
    with GoogleFunctionHost() as host:
        client = socket.create_connection(("127.0.0.1", int(host.url.rpartition(":")[2])))
        wait_until(lambda: len(new_threads(before)) >= 2)
    stopped.set()
    with client:
        wait_until(lambda: not new_threads(before))


def test_the_port_can_be_configured(port: int) -> None:
    """A used port and an invalid number raise."""
    with GoogleFunctionHost(port=port) as host:
        assert host.url == f"http://127.0.0.1:{port}"
        with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
            GoogleFunctionHost(port=port).start()
    with pytest.raises(ValueError, match="70000"):
        GoogleFunctionHost(port=70000).start()


def test_each_request_is_logged(host: GoogleFunctionHost, caplog: pytest.LogCaptureFixture) -> None:
    """Its line has status and time, but no query. Rejected and dropped requests are logged too."""
    caplog.set_level(logging.INFO, "pip_services4_serverless.local.google")
    host.deploy("echo", ONE)
    post(host, "echo", "/a?key=hunter2")
    requests.get(f"{host.url}/unknown", timeout=10)
    host.fail("echo", drop=True)
    with pytest.raises(requests.ConnectionError):
        post(host, "echo", "/b?key=hunter2")
    with socket.create_connection(("127.0.0.1", int(host.url.rpartition(":")[2])), timeout=10) as raw:
        raw.sendall(b"no request ?key=hunter2\r\n\r\n")
        raw.recv(65536)

    wait_until(lambda: len(caplog.records) == 4)  # a line is written after its response
    lines = sorted(re.sub(r"\d+ ms$", "N ms", record.getMessage()) for record in caplog.records)
    assert lines == [
        "A request could not be read",
        "GET /unknown: 404 in N ms",
        "POST /echo/a: 200 in N ms",
        "POST /echo/b: dropped in N ms",
    ]
