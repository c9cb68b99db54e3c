"""GoogleFunctionHost serves functions by Google's own functions-framework, and leaves nothing behind."""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from pip_services4_commons.errors import ApplicationException, ConnectionException, UnauthorizedException
from support.processes import wait_until

from pip_services4_serverless.clients import CloudFunctionClient
from pip_services4_serverless.local import GoogleFunctionHost

ONE = Path(__file__).with_name("google_functions") / "one"
TWO = ONE.with_name("two")
TIMEOUT = 10  # seconds


@pytest.fixture
def host() -> Iterator[GoogleFunctionHost]:
    """A host that is started."""
    with GoogleFunctionHost() as host:
        yield host


def post(host: GoogleFunctionHost, name: str, path: str = "", **of: Any) -> requests.Response:
    """A request with the function's token."""
    token = host.config(name).get_as_nullable_string("credential.auth_token")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.post(f"{host.url}/{name}{path}", headers=headers, timeout=TIMEOUT, **of)


def called(host: GoogleFunctionHost, name: str, **options: Any) -> Any:
    """What a client's call comes to: a result, or the error."""
    client = CloudFunctionClient()
    client.configure({**host.config(name), **{f"options.{key}": value for key, value in options.items()}})
    with client:
        try:
            return client.call("get", "T")
        except ApplicationException as error:
            return error


# --- What a function sees and what its caller gets ---


@pytest.mark.parametrize(("path", "seen"), [("", "/"), ("/", "/"), ("/a/b%20c?x=1", "/a/b c")])
def test_a_function_gets_the_request_without_its_own_name(host: GoogleFunctionHost, path: str, seen: str) -> None:
    """As behind `cloudfunctions.net/name`."""
    assert host.deploy("echo", ONE) == f"{host.url}/echo"
    answer = post(host, "echo", path, json={"cmd": "get"})

    assert answer.status_code == 200
    assert answer.json() == {
        "method": "POST",
        "path": seen,
        "query": "x=1" if "?" in path else "",
        "json": {"cmd": "get"},
        "authorization": f"Bearer {host.config('echo').get_as_string('credential.auth_token')}",
        "module": "one",
    }


def test_what_functions_answer(host: GoogleFunctionHost) -> None:
    """204, an exception by the framework's own handler, an error of flask's."""
    for name in ("nothing", "breaks", "refuses"):
        host.deploy(name, ONE)
    answers = {name: post(host, name, json={}) for name in host.functions}

    assert {name: answer.status_code for name, answer in answers.items()} == {
        "nothing": 204,
        "breaks": 500,
        "refuses": 400,
    }
    assert answers["breaks"].headers["X-Google-Status"] == "crash"
    assert "no such order" in answers["refuses"].text
    assert called(host, "nothing") is None
    assert (called(host, "breaks").code, called(host, "refuses").code) == ("CALL_FAILED", "BAD_REQUEST")


def test_a_name_that_is_not_deployed(host: GoogleFunctionHost) -> None:
    """404 from the host, a `LookupError` from its methods."""
    host.deploy("echo", ONE)
    assert requests.post(f"{host.url}/other", timeout=TIMEOUT).status_code == 404
    for ask in (host.config, host.invocations, host.remove, lambda name: host.fail(name, drop=True)):
        with pytest.raises(LookupError, match=r"'other'.*echo"):
            ask("other")


# --- Tokens ---


def test_a_call_needs_the_token(host: GoogleFunctionHost) -> None:
    """403 without one and 401 with a wrong one, in HTML as from Google's front end; nothing runs."""
    host.deploy("echo", ONE)
    for token, status in ((None, 403), ("wrong", 401)):
        client = CloudFunctionClient.from_uri(f"{host.url}/echo", token)
        with client, pytest.raises(UnauthorizedException) as caught:
            client.call("get", "T")
        assert caught.value.status == status
        assert "<title>" in caught.value.message
    assert host.invocations("echo") == 0
    assert called(host, "echo")["json"]["cmd"] == "get"
    assert host.invocations("echo") == 1


def test_a_function_for_everybody(host: GoogleFunctionHost) -> None:
    """Its configuration has no token."""
    host.deploy("echo", ONE, allow_unauthenticated=True)
    assert dict(host.config("echo")) == {"connection.uri": f"{host.url}/echo"}
    assert called(host, "echo")["authorization"] is None


def test_a_token_of_ones_own() -> None:
    """In place of one that is made up."""
    with GoogleFunctionHost(token="own") as host:
        host.deploy("echo", ONE)
        assert called(host, "echo")["authorization"] == "Bearer own"


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
def test_a_call_that_is_to_fail(
    host: GoogleFunctionHost, fault: dict[str, Any], error: tuple[str, int], invocations: int
) -> None:
    """Once, before or after the function ran; the next call is answered."""
    host.deploy("echo", ONE)
    host.fail("echo", **fault)

    failed = called(host, "echo", retries=0)
    assert (failed.code, failed.status) == error
    assert host.invocations("echo") == invocations
    assert called(host, "echo")["module"] == "one"


def test_faults_come_one_after_the_other(host: GoogleFunctionHost) -> None:
    """And a client retries those that it may."""
    host.deploy("echo", ONE)
    host.fail("echo", 2, status=429)
    host.fail("echo", delay=0.3)

    assert called(host, "echo", retries=2, timeout=100).code == "CALL_TIMEOUT"
    assert called(host, "echo")["module"] == "one"


@pytest.mark.parametrize("fault", [{}, {"status": 199}, {"status": 600}, {"run": True}], ids=str)
def test_a_fault_that_would_be_none(host: GoogleFunctionHost, fault: dict[str, Any]) -> None:
    """Is refused."""
    host.deploy("echo", ONE)
    with pytest.raises(ValueError, match=r"fault|status"):
        host.fail("echo", **fault)


# --- Several functions in one process ---


def test_functions_have_their_own_modules(host: GoogleFunctionHost) -> None:
    """Though two source folders have a module of one name, and two functions one source file."""
    host.deploy("first", ONE, "echo")
    host.deploy("second", TWO / "other.py", "name")
    host.deploy("third", ONE / "main.py", "echo")

    assert [called(host, name)["module"] for name in ("first", "second", "third")] == ["one", "two", "one"]
    assert [host.invocations(name) for name in host.functions] == [1, 1, 1]


def test_a_function_is_deployed_again(host: GoogleFunctionHost, tmp_path: Path) -> None:
    """Its code is read anew, and counts begin anew; what cannot be loaded takes nothing away."""
    source = tmp_path / "main.py"
    source.write_text("def f(request):\n    return {'version': 1}\n")
    host.deploy("f", tmp_path)
    assert called(host, "f") == {"version": 1}
    source.write_text("def f(request):\n    return {'version': 22}\n")
    host.deploy("f", tmp_path)
    assert called(host, "f") == {"version": 22}
    source.write_text("def f(\n")
    with pytest.raises(RuntimeError, match="SyntaxError"):
        host.deploy("f", tmp_path)

    assert called(host, "f") == {"version": 22}
    assert host.invocations("f") == 2
    host.remove("f")
    assert host.functions == []
    assert str(tmp_path) not in sys.path


def test_the_environment_stays(host: GoogleFunctionHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """functions-framework takes its process for that of one function."""
    monkeypatch.setenv("FUNCTION_TARGET", "mine")
    host.deploy("environment", ONE)
    assert called(host, "environment") == {"FUNCTION_TARGET": "mine", "FUNCTION_SIGNATURE_TYPE": None}


@pytest.mark.parametrize(
    ("path", "target", "error", "words"),
    [
        (ONE, "missing", RuntimeError, "missing"),
        (ONE, "NO_FUNCTION", RuntimeError, "needs to be of type function"),
        (TWO / "broken.py", "f", RuntimeError, "ImportError: there is no driver"),
        (TWO / "other.py", "asynchronous", RuntimeError, "is asynchronous"),
        (TWO, "f", FileNotFoundError, r"main\.py"),
        (TWO / "none.py", "f", FileNotFoundError, r"none\.py"),
    ],
)
def test_what_cannot_be_deployed(
    host: GoogleFunctionHost, path: Path, target: str, error: type[Exception], words: str
) -> None:
    """Is refused with the reason, and leaves nothing."""
    before = set(sys.modules), list(sys.path)
    with pytest.raises(error, match=words):
        host.deploy("f", path, target)

    assert host.functions == []
    assert sys.path == before[1]
    assert not {"main", "other", "broken", "shared"} & (set(sys.modules) - before[0])


# --- The host's own life ---


def test_nothing_is_left() -> None:
    """No thread, port, module, path or variable; and it starts again."""
    host = GoogleFunctionHost()
    before = set(sys.modules), list(sys.path), dict(os.environ), threading.active_count()
    for _ in range(2):
        with host:
            assert host.start() is host
            host.deploy("echo", ONE)
            assert called(host, "echo")["module"] == "one"
            port = int(host.url.rpartition(":")[2])
        host.stop()

        assert host.functions == []
        assert (list(sys.path), dict(os.environ)) == before[1:3]
        assert not {"main", "shared"} & (set(sys.modules) - before[0])
        until = time.monotonic() + TIMEOUT
        while threading.active_count() > before[3] and time.monotonic() < until:
            time.sleep(0.01)  # the thread of the last call ends after its response
        assert threading.active_count() <= before[3]
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            pass
        with pytest.raises(RuntimeError, match="not started"):
            host.url  # noqa: B018


def test_a_stop_ends_calls_under_way() -> None:
    """They lose their connections; the stop waits for the function."""
    errors: list[Any] = []
    with GoogleFunctionHost() as host:
        host.deploy("waits", ONE)
        module = sys.modules["main"]
        thread = threading.Thread(target=lambda: errors.append(called(host, "waits", retries=0)))
        thread.start()
        assert module.STARTED.wait(TIMEOUT)
        threading.Timer(0.2, module.GO_ON.set).start()
    thread.join(TIMEOUT)

    assert isinstance(errors[0], ConnectionException)
    assert errors[0].code == "NO_RESPONSE"


@pytest.mark.parametrize(
    "sent", [b"", b"POST /echo HTTP/1.1\r\n", b"POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"]
)
def test_a_stop_ends_requests_that_are_not_whole(sent: bytes) -> None:
    """The thread that reads one ends as well."""
    before = threading.active_count()
    with GoogleFunctionHost() as host:
        host.deploy("echo", ONE, allow_unauthenticated=True)
        client = socket.create_connection(("127.0.0.1", int(host.url.rpartition(":")[2])))
        client.sendall(sent)
        until = time.monotonic() + TIMEOUT
        while threading.active_count() < before + 2:
            assert time.monotonic() < until
            time.sleep(0.01)
    with client:
        until = time.monotonic() + TIMEOUT
        while threading.active_count() > before and time.monotonic() < until:
            time.sleep(0.01)
        assert threading.active_count() <= before


def test_a_port_of_ones_own() -> None:
    """A port that is taken, and a number that is none, are refused."""
    with GoogleFunctionHost() as host:
        port = int(host.url.rpartition(":")[2])
        with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
            GoogleFunctionHost(port=port).start()
    with GoogleFunctionHost(port=port) as host:
        assert host.url == f"http://127.0.0.1:{port}"
    with pytest.raises(ValueError, match="70000"):
        GoogleFunctionHost(port=70000).start()


def test_each_request_is_logged(host: GoogleFunctionHost, caplog: pytest.LogCaptureFixture) -> None:
    """With status and time, refused and dropped ones too, and never with the query."""
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
