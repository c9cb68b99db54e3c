"""Function apps in the style of ten different users. `serve azure` serves each of them, and `call` calls it."""

from __future__ import annotations

import json
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import yaml
from support.processes import Process

from pip_services4_serverless._cli.commands import main

APPS = Path(__file__).parent / "azure_user_apps"


class CallResult(NamedTuple):
    status: int
    result: Any
    error: str


class ServedApp:
    """An app that a process serves."""

    def __init__(self, app: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.process = Process(folder, "serve", "azure", str(APPS / app))
        self.config = folder / "config.yml"
        self._capsys = capsys

    def read_names(self, functions: int) -> list[str]:
        """The names in the descriptors that are printed for that many functions."""
        text = "".join(self.process.read_until("auth_code|no configuration") for _ in range(functions))
        self.config.write_text(text)
        self.url = re.findall("host: (http.*)", text)[0]
        return [component["descriptor"].split(":")[3] for component in yaml.safe_load(text)]

    def call(self, function: str, *parameters: str) -> CallResult:
        """Calls a function with the printed configuration."""
        return self._call("--config", str(self.config), "--descriptor", f"*:*:*:{function}:*", *parameters)

    def call_url(self, path: str, *parameters: str) -> CallResult:
        """Calls a path that the app itself routes."""
        return self._call("--uri", self.url + path, *parameters)

    def _call(self, *arguments: str) -> CallResult:
        self._capsys.readouterr()
        status = main(["call", "--cmd", "run", *arguments])
        out, error = self._capsys.readouterr()
        return CallResult(status, json.loads(out) if out else None, error)

    def errors(self) -> str:
        """The text on standard error so far."""
        return self.process.errors.read_text()

    def end(self) -> str:
        """Stops the process, and returns the rest of its standard output."""
        stdout = self.process.process.stdout
        assert stdout
        self.process.process.send_signal(signal.SIGTERM)
        rest = stdout.read()
        assert self.process.wait()[0] == 143
        assert self.process.left() == ([], [])
        return rest


@pytest.fixture
def serve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[str], ServedApp]]:
    """Serves one of the apps; nothing but the configuration may be on its standard output."""
    served = []

    def serve(app: str) -> ServedApp:
        served.append(ServedApp(app, tmp_path, capsys))
        return served[-1]

    watchdog = threading.Timer(60, lambda: [app.process.process.kill() for app in served])
    watchdog.start()
    yield serve
    watchdog.cancel()
    try:
        assert [app.end() for app in served] == [""]
    finally:
        for app in served:
            app.process.process.kill()
            app.process.process.wait()


def test_flask_app_is_served(serve: Callable[[str], ServedApp]) -> None:
    """It has an app factory with a blueprint, an error handler and a session."""
    app = serve("flask_guestbook")
    assert app.read_names(1) == ["http_app_func"]
    assert app.call_url("/sign", "name=Ada").result == {"signed": "Ada", "path": "/sign"}
    failed = app.call_url("/sign", "title=Lady")
    assert (failed.status, "MISSING 400" in failed.error, "There is no 'name'" in failed.error) == (1, True, True)
    assert requests.post(f"{app.url}/hello", json={"name": "Ada"}, timeout=30).text == "Hello, Ada!"
    assert requests.get(f"{app.url}/pages/7", timeout=30).text == "<h1>Page 7</h1>"
    cookie = requests.post(f"{app.url}/sign", json={"name": "Ada"}, timeout=30).headers["set-cookie"]
    assert re.fullmatch(r"session=[\w.-]+; domain=; path=/; httponly", cookie)


def test_fastapi_app_is_served(serve: Callable[[str], ServedApp]) -> None:
    """It has models, path parameters and exceptions, as in FastAPI's tutorial."""
    app = serve("fastapi_todo")
    assert app.read_names(1) == ["http_app_func"]
    assert app.call_url("/todos", "text=tea").result == {"number": 1, "text": "tea", "urgent": False}
    assert app.call_url("/todos", "urgent:=true").status == 1
    assert requests.get(f"{app.url}/todos/1", timeout=30).json() == "tea"
    assert requests.get(f"{app.url}/todos/2", timeout=30).json() == {"detail": "no such todo"}
    assert requests.get(f"{app.url}/return_http_no_body", timeout=30).content == b""


def test_blueprints_in_packages_are_served(serve: Callable[[str], ServedApp]) -> None:
    """Each of two packages has a blueprint with its own prefix. One package uses the other."""
    app = serve("blueprints")
    assert app.read_names(2) == ["PlaceOrder"]
    assert "# stock_level: no configuration" in app.config.read_text()
    assert app.call("PlaceOrder", "item=tea", "amount:=2") == (0, {"ordered": 2, "left": 1}, "")
    sold_out = app.call("PlaceOrder", "item=tea", "amount:=5")
    assert (sold_out.status, "SOLD_OUT 409" in sold_out.error, "2 are missing" in sold_out.error) == (1, True, True)
    assert app.call_url("/v2/stock/tea", "a=b").result == {"function": "stock_level", "left": 3}
    assert "'clean_up' is not served: its trigger is a timerTrigger" in app.errors()


def test_v1_functions_with_shared_code_are_served(serve: Callable[[str], ServedApp]) -> None:
    """Functions with a function.json share a setting and a package, which they import absolutely and relatively."""
    app = serve("v1_shared")
    assert app.read_names(2) == ["gross", "invoice"]
    assert app.call("gross", "net:=10").result == {"gross": 12}
    assert app.call("invoice", "net:=1.5").result == {"number": 1, "gross": 1.8, "year": "none"}
    assert "Python HTTP trigger function processed a request." in app.errors()


def test_mocks_and_proxies_among_globals_are_ignored(serve: Callable[[str], ServedApp]) -> None:
    """Some of these objects have any attribute, and others raise."""
    app = serve("mocks")
    assert app.read_names(1) == ["send"]
    assert app.call("send", "to=ada@example.com").result == {"sent": True, "to": "ada@example.com"}


def test_prints_and_logs_go_to_standard_error(serve: Callable[[str], ServedApp]) -> None:
    """They are printed by a module, a function and its child process."""
    app = serve("prints")
    assert app.read_names(1) == ["report"]
    assert app.call("report", "name=sales") == (0, {"reported": True}, "")
    lines = app.errors().splitlines()
    printed = ["loading: the app", "- descriptor: not: yaml", "  written: [", "from descriptor 1", "from a child"]
    assert [line for line in lines if line in printed] == printed
    assert [line.partition(" ")[2][13:] for line in lines if "a warning" in line or "about" in line] == [
        "WARNING Function.report.User: a warning",
        "INFO function_app: about sales",
    ]


def test_cookies_are_sent_as_on_azure(serve: Callable[[str], ServedApp]) -> None:
    """Cookies are rewritten, those of a request are passed on, and an invalid date is a 500."""
    app = serve("cookies")
    assert app.read_names(3) == ["login", "whoami", "bad"]
    assert app.call("login", "user=ada").result == {"user": "ada"}
    response = requests.post(f"{app.url}/api/login", json={"user": "ada"}, timeout=30)
    assert response.raw.headers.getlist("set-cookie") == [
        "session=a.b-c; max-age=3600; domain=; path=/; secure; samesite=strict; httponly",
        "seen=1; expires=Thu, 12 Jan 2017 13:55:08 GMT; domain=; path=",
    ]
    headers = {"Cookie": "seen=1; session=a.b-c"}
    assert requests.get(f"{app.url}/api/whoami", headers=headers, timeout=30).json() == {"session": "a.b-c"}
    assert app.call("whoami", "a=b").result == {"session": None}
    assert app.call("bad", "a=b").status == 1


def test_streams_are_served(serve: Callable[[str], ServedApp]) -> None:
    """The request is read as a stream, and the response has several parts."""
    app = serve("streams")
    assert app.read_names(2) == ["count"]
    assert app.call("count", "last:=3").result == [0, 1, 2, 3]


def test_instance_as_entry_point_is_served_with_a_warning(serve: Callable[[str], ServedApp]) -> None:
    """The instance has `__call__` and is in another folder. The warning says what Azure does."""
    app = serve("instance")
    assert app.read_names(1) == ["greet"]
    assert app.call("greet", "name=Ada").result == {"greeting": "Hello, Ada!", "calls": 1}
    assert app.call("greet", "name=Bob").result == {"greeting": "Hello, Bob!", "calls": 2}
    assert "'greet' is an instance of Greeter; Azure's worker cannot load it" in app.errors()


def test_function_with_a_failed_import_is_a_500(serve: Callable[[str], ServedApp]) -> None:
    """The log has the reason. The other function works."""
    app = serve("relative_import")
    assert app.read_names(2) == ["fails", "works"]
    assert app.call("works", "a=b").result == {"works": True}
    failed = app.call("fails", "a=b")
    assert failed.status == 1
    assert " 500" in failed.error
    assert "relative_import/fails/__init__.py:1" in app.errors()
    assert "No module named '__app__.helpers.missing'" in app.errors()
