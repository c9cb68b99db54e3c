"""Function apps as ten different people write them: each is served by `serve azure` and called by `call`."""

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

APPS = Path(__file__).parent / "azure_people"


class Called(NamedTuple):
    status: int
    answer: Any
    error: str


class Served:
    """An app that a process serves."""

    def __init__(self, app: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.process = Process(folder, "serve", "azure", str(APPS / app))
        self.config = folder / "config.yml"
        self._capsys = capsys

    def announced(self, functions: int) -> list[str]:
        """The descriptors' names, once so many functions are announced."""
        text = "".join(self.process.read_until("auth_code|no configuration") for _ in range(functions))
        self.config.write_text(text)
        self.url = re.findall("host: (http.*)", text)[0]
        return [component["descriptor"].split(":")[3] for component in yaml.safe_load(text)]

    def call(self, function: str, *parameters: str) -> Called:
        """Call a function that is configured by what was announced."""
        return self._call("--config", str(self.config), "--descriptor", f"*:*:*:{function}:*", *parameters)

    def call_url(self, path: str, *parameters: str) -> Called:
        """Call a path that the app routes on its own."""
        return self._call("--uri", self.url + path, *parameters)

    def _call(self, *arguments: str) -> Called:
        self._capsys.readouterr()
        status = main(["call", "--cmd", "run", *arguments])
        out, error = self._capsys.readouterr()
        return Called(status, json.loads(out) if out else None, error)

    def errors(self) -> str:
        """What it has written to standard error."""
        return self.process.errors.read_text()

    def end(self) -> str:
        """What it has written to standard output since it was ready."""
        stdout = self.process.process.stdout
        assert stdout
        self.process.process.send_signal(signal.SIGTERM)
        rest = stdout.read()
        assert self.process.wait()[0] == 143
        assert self.process.left() == ([], [])
        return rest


@pytest.fixture
def serve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[str], Served]]:
    """Serves one of the apps; nothing but the configuration may be on its standard output."""
    served = []

    def serve(app: str) -> Served:
        served.append(Served(app, tmp_path, capsys))
        return served[-1]

    watchdog = threading.Timer(60, lambda: [one.process.process.kill() for one in served])
    watchdog.start()
    yield serve
    watchdog.cancel()
    try:
        assert [one.end() for one in served] == [""]
    finally:
        for one in served:
            one.process.process.kill()
            one.process.process.wait()


def test_flask(serve: Callable[[str], Served]) -> None:
    """An app factory with a blueprint, an error handler and a session; `from flask import request` in the module."""
    app = serve("flask_guestbook")
    assert app.announced(1) == ["http_app_func"]
    assert app.call_url("/sign", "name=Ada").answer == {"signed": "Ada", "path": "/sign"}
    failed = app.call_url("/sign", "title=Lady")
    assert (failed.status, "MISSING 400" in failed.error, "There is no 'name'" in failed.error) == (1, True, True)
    assert requests.post(f"{app.url}/hello", json={"name": "Ada"}, timeout=30).text == "Hello, Ada!"
    assert requests.get(f"{app.url}/pages/7", timeout=30).text == "<h1>Page 7</h1>"
    cookie = requests.post(f"{app.url}/sign", json={"name": "Ada"}, timeout=30).headers["set-cookie"]
    assert re.fullmatch(r"session=[\w.-]+; domain=; path=/; httponly", cookie)


def test_fastapi(serve: Callable[[str], Served]) -> None:
    """Models, path parameters and exceptions of FastAPI, as its tutorial has them."""
    app = serve("fastapi_todo")
    assert app.announced(1) == ["http_app_func"]
    assert app.call_url("/todos", "text=tea").answer == {"number": 1, "text": "tea", "urgent": False}
    assert app.call_url("/todos", "urgent:=true").status == 1
    assert requests.get(f"{app.url}/todos/1", timeout=30).json() == "tea"
    assert requests.get(f"{app.url}/todos/2", timeout=30).json() == {"detail": "no such todo"}
    assert requests.get(f"{app.url}/return_http_no_body", timeout=30).content == b""


def test_blueprints_in_packages(serve: Callable[[str], Served]) -> None:
    """Blueprints of two packages, one of which uses the other, under a prefix of their own."""
    app = serve("blueprints")
    assert app.announced(2) == ["PlaceOrder"]
    assert "# stock_level: no configuration" in app.config.read_text()
    assert app.call("PlaceOrder", "item=tea", "amount:=2") == (0, {"ordered": 2, "left": 1}, "")
    sold_out = app.call("PlaceOrder", "item=tea", "amount:=5")
    assert (sold_out.status, "SOLD_OUT 409" in sold_out.error, "2 are missing" in sold_out.error) == (1, True, True)
    assert app.call_url("/v2/stock/tea", "a=b").answer == {"function": "stock_level", "left": 3}
    assert "'clean_up' is not served: its trigger is a timerTrigger" in app.errors()


def test_v1_with_shared_code(serve: Callable[[str], Served]) -> None:
    """Functions with a function.json that share a package, absolutely and relatively, and a setting."""
    app = serve("v1_shared")
    assert app.announced(2) == ["gross", "invoice"]
    assert app.call("gross", "net:=10").answer == {"gross": 12}
    assert app.call("invoice", "net:=1.5").answer == {"number": 1, "gross": 1.8, "year": "none"}
    assert "Python HTTP trigger function processed a request." in app.errors()


def test_mocks_and_proxies_among_globals(serve: Callable[[str], Served]) -> None:
    """Objects that answer to anything, or raise, are not asked whether they are the app."""
    app = serve("mocks")
    assert app.announced(1) == ["send"]
    assert app.call("send", "to=ada@example.com").answer == {"sent": True, "to": "ada@example.com"}


def test_prints_and_logs(serve: Callable[[str], Served]) -> None:
    """What a module, a function and its child process print goes to standard error, and so do the logs."""
    app = serve("prints")
    assert app.announced(1) == ["report"]
    assert app.call("report", "name=sales") == (0, {"reported": True}, "")
    lines = app.errors().splitlines()
    printed = ["loading: the app", "- descriptor: not: yaml", "  written: [", "from descriptor 1", "from a child"]
    assert [line for line in lines if line in printed] == printed
    assert [line.partition(" ")[2][13:] for line in lines if "a warning" in line or "about" in line] == [
        "WARNING Function.report.User: a warning",
        "INFO function_app: about sales",
    ]


def test_cookies(serve: Callable[[str], Served]) -> None:
    """Cookies are written anew, a request's are passed on, and a date that cannot be read is a 500."""
    app = serve("cookies")
    assert app.announced(3) == ["login", "whoami", "bad"]
    assert app.call("login", "user=ada").answer == {"user": "ada"}
    response = requests.post(f"{app.url}/api/login", json={"user": "ada"}, timeout=30)
    assert response.raw.headers.getlist("set-cookie") == [
        "session=a.b-c; max-age=3600; domain=; path=/; secure; samesite=strict; httponly",
        "seen=1; expires=Thu, 12 Jan 2017 13:55:08 GMT; domain=; path=",
    ]
    headers = {"Cookie": "seen=1; session=a.b-c"}
    assert requests.get(f"{app.url}/api/whoami", headers=headers, timeout=30).json() == {"session": "a.b-c"}
    assert app.call("whoami", "a=b").answer == {"session": None}
    assert app.call("bad", "a=b").status == 1


def test_streams(serve: Callable[[str], Served]) -> None:
    """A request that is read as a stream, and an answer in parts."""
    app = serve("streams")
    assert app.announced(2) == ["count"]
    assert app.call("count", "last:=3").answer == [0, 1, 2, 3]


def test_instance_as_entry_point(serve: Callable[[str], Served]) -> None:
    """An instance with `__call__` in a file of another folder is called, and a warning says what Azure does."""
    app = serve("instance")
    assert app.announced(1) == ["greet"]
    assert app.call("greet", "name=Ada").answer == {"greeting": "Hello, Ada!", "calls": 1}
    assert app.call("greet", "name=Bob").answer == {"greeting": "Hello, Bob!", "calls": 2}
    assert "'greet' is an instance of Greeter; Azure's worker cannot load it" in app.errors()


def test_relative_import_that_fails(serve: Callable[[str], Served]) -> None:
    """The function at fault answers 500, the log says why, and the other one works."""
    app = serve("relative_import")
    assert app.announced(2) == ["fails", "works"]
    assert app.call("works", "a=b").answer == {"works": True}
    failed = app.call("fails", "a=b")
    assert failed.status == 1
    assert " 500" in failed.error
    assert "relative_import/fails/__init__.py:1" in app.errors()
    assert "No module named '__app__.helpers.missing'" in app.errors()
