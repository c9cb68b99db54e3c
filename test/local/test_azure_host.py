"""Starting, using and stopping the local Azure host: its configurations, its faults, and that it leaves nothing."""

import asyncio
import http.client
import importlib
import logging
import os
import re
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
import requests
from starlette.requests import Request
from starlette.responses import StreamingResponse
from support.fault_server import reserved_port
from support.processes import new_threads

from pip_services4_serverless import local
from pip_services4_serverless.local import AzureFunctionHost

APPS = Path(__file__).parent / "azure_apps"


def make_app() -> func.FunctionApp:
    app = func.FunctionApp()
    app.function_name("open")(app.route(auth_level="anonymous")(lambda req: "allowed"))
    app.function_name("item")(app.route(route="items/{id:int}")(lambda req: req.route_params["id"]))
    app.function_name("admin")(app.route(auth_level="admin")(lambda req: "administered"))
    return app


@pytest.fixture(scope="module", autouse=True)
def libraries() -> None:
    """Imports what a host and a request import on first use, so that tests can compare the modules of this process."""
    with AzureFunctionHost(APPS / "v1") as host:
        fetch(host, "hello")


@pytest.fixture
def host() -> Iterator[AzureFunctionHost]:
    """A host with three functions."""
    with AzureFunctionHost(make_app()) as host:
        yield host


def fetch(host: AzureFunctionHost, name: str = "open", **options: Any) -> requests.Response:
    return requests.get(host.function_url(name), timeout=10, **options)


def process_state() -> dict[str, Any]:
    """The parts of this process that a host may change."""
    return {
        "threads": set(threading.enumerate()),
        "path": list(sys.path),
        "finders": list(sys.meta_path),
        "modules": {name for name in sys.modules if not name.startswith(("anyio", "uvicorn", "concurrent", "asyncio"))},
        "environment": dict(os.environ),
        "logs": logging.getLogRecordFactory(),
        "files": len(os.listdir("/proc/self/fd")) if Path("/proc").exists() else 0,
        "bytecode": sys.dont_write_bytecode,
        "folder": sorted(APPS.rglob("*")),
    }


def changes_since(before: dict[str, Any]) -> dict[str, Any]:
    """What differs from an earlier `process_state`. Threads and files of an earlier test may have ended meanwhile."""
    now = process_state()
    changed = {name: now[name] for name in now if name not in ("threads", "files") and now[name] != before[name]}
    if new_threads(before["threads"]):
        changed["threads"] = new_threads(before["threads"])
    if now["files"] > before["files"]:
        changed["files"] = now["files"]
    return changed


@pytest.mark.parametrize(("name", "values", "path"), [("open", {}, "/api/open"), ("item", {"id": 7}, "/api/items/7")])
def test_config_configures_a_client(host: AzureFunctionHost, name: str, values: Any, path: str) -> None:
    """It has the URI and the key of the function."""
    config = host.config(name, **values)
    uri, key = config.get_as_string("connection.uri"), config.get_as_string("credential.auth_code")
    assert (uri, key) == (host.url + path, host.function_key(name))
    assert requests.get(uri, headers={"x-functions-key": key}, timeout=30).status_code == 200


def test_config_of_an_admin_function_has_the_master_key(host: AzureFunctionHost) -> None:
    """No other key is valid for a function of level admin."""
    assert host.config("admin").get_as_string("credential.auth_code") == host.master_key


def test_config_without_route_values_raises(host: AzureFunctionHost) -> None:
    """Without them, a route with parameters has no URL."""
    with pytest.raises(ValueError, match="needs a value for id"):
        host.config("item")


@pytest.mark.parametrize(
    ("route", "methods", "path", "listed"),
    [
        (None, None, "/api/f", []),
        ("a/{id:int:min(1)}/b", ["PUT", "GET"], "/api/a/{id}/b", ["GET", "PUT"]),
        ("{year=2020}/{month?}", ["POST"], "/api/{year}/{month}", ["POST"]),
        ("files/{*path}", [], "/api/files/{path}", []),
    ],
)
def test_url_template_and_methods_describe_a_function(route: Any, methods: Any, path: str, listed: list[str]) -> None:
    """Parameters are shown by name. A function with all methods lists none."""
    app = func.FunctionApp()
    app.function_name("f")(app.route(route=route, methods=methods)(lambda req: ""))
    with AzureFunctionHost(app) as host:
        assert (host.url_template("f"), host.methods("f")) == (host.url + path, listed)


def test_each_request_is_logged(host: AzureFunctionHost, caplog: pytest.LogCaptureFixture) -> None:
    """Its line has method, path, status and time, but no query."""
    caplog.set_level(logging.INFO, "pip_services4_serverless.local.azure")
    host.fail("open", status=503)
    host.fail("open", drop=True)
    assert fetch(host).status_code == 503
    with pytest.raises(requests.ConnectionError):
        fetch(host)
    assert fetch(host, params={"code": "a key"}).status_code == 200
    assert fetch(host, "admin").status_code == 401
    assert requests.put(host.url + "/x%20y", timeout=30).status_code == 404
    host.stop()
    lines = [record.message for record in caplog.records if record.name == "pip_services4_serverless.local.azure"]
    assert [re.sub(r"\d+ ms$", "N ms", line) for line in lines] == [
        "GET /api/open: 503 in N ms",
        "GET /api/open: no response in N ms",
        "GET /api/open: 200 in N ms",
        "GET /api/admin: 401 in N ms",
        "PUT /x%20y: 404 in N ms",
    ]


@pytest.mark.parametrize("method", ["config", "function_url", "function_key", "invocations", "url_template", "methods"])
def test_unknown_function_raises_with_the_known_ones(host: AzureFunctionHost, method: str) -> None:
    """The error lists the names of the functions."""
    with pytest.raises(LookupError, match="no function 'opne'; the functions are 'open', 'item', 'admin'"):
        getattr(host, method)("opne")


def test_fault_for_an_unknown_function_raises(host: AzureFunctionHost) -> None:
    """Such a fault would never happen."""
    with pytest.raises(LookupError, match="opne"):
        host.fail("opne", status=503)


@pytest.mark.parametrize("use", ["url", "functions", "host_key", "load_errors"])
def test_use_before_the_start_raises(use: str) -> None:
    """The host has neither a URL nor functions yet."""
    with pytest.raises(RuntimeError, match=r"\AAzureFunctionHost is not started\Z"):
        getattr(AzureFunctionHost(make_app()), use)


def test_keys_are_new_for_each_host() -> None:
    """Keys that are not given are generated. All of them are different."""
    with AzureFunctionHost(make_app()) as one, AzureFunctionHost(make_app()) as other:
        keys = [key for host in (one, other) for key in
                (host.host_key, host.master_key, *map(host.function_key, host.functions))]  # fmt: skip
    assert len(set(keys)) == 10


def test_key_of_an_unknown_function_raises() -> None:
    """Such a key is a mistake."""
    with pytest.raises(ValueError, match="opne"):
        AzureFunctionHost(make_app(), keys={"opne": "key"}).start()


@pytest.mark.parametrize(
    ("fault", "status", "headers", "body"),
    [
        ({"status": 401}, 401, {}, b""),
        ({"status": 429}, 429, {"x-function-scaleout": "1"}, b""),
        ({"status": 429, "headers": {"Retry-After": "2"}}, 429, {"retry-after": "2"}, b""),
        ({"status": 502, "body": "<h1>Bad</h1>"}, 502, {}, b"<h1>Bad</h1>"),
        ({"status": 503}, 503, {}, b"Function host is not running."),
        ({"status": 503, "headers": {"Retry-After": "1"}, "body": b""}, 503, {"retry-after": "1"}, b""),
    ],
)
def test_fault_replaces_the_response(
    host: AzureFunctionHost, fault: Any, status: int, headers: dict[str, str], body: bytes
) -> None:
    """The function does not run until the faults are used up."""
    host.fail("open", times=2, **fault)
    for _ in range(2):
        response = fetch(host)
        assert (response.status_code, response.content) == (status, body)
        assert headers.items() <= {name.lower(): value for name, value in response.headers.items()}.items()
    assert host.invocations("open") == 0
    assert fetch(host).text == "allowed"
    assert host.invocations("open") == 1


@pytest.mark.parametrize("run", [False, True])
def test_fault_can_close_the_connection(host: AzureFunctionHost, run: bool) -> None:
    """There is no response. The function may run before that."""
    host.fail("open", drop=True, run=run)
    with pytest.raises(requests.ConnectionError):
        fetch(host)
    assert host.invocations("open") == run
    assert fetch(host).text == "allowed"


def test_fault_can_happen_after_the_function(host: AzureFunctionHost) -> None:
    """With run, the function is executed, and its response is replaced."""
    host.fail("open", status=500, run=True)
    assert fetch(host).status_code == 500
    assert host.invocations("open") == 1


def test_fault_can_delay_the_response(host: AzureFunctionHost) -> None:
    """A delay alone does not change the response."""
    host.fail("open", delay=0.1)
    started = time.monotonic()
    assert fetch(host).text == "allowed"
    assert time.monotonic() - started >= 0.1


@pytest.mark.timing
def test_stop_does_not_wait_for_a_delay(host: AzureFunctionHost) -> None:
    """The delay ends immediately."""
    host.fail("open", delay=100)
    with pytest.raises(requests.ReadTimeout):
        requests.get(host.function_url("open"), timeout=0.05)
    started = time.monotonic()
    host.stop()
    assert time.monotonic() - started < 2


def test_faults_happen_in_order(host: AzureFunctionHost) -> None:
    """They affect only their own function."""
    host.fail("open", status=500)
    host.fail("open", status=502)
    assert fetch(host, "admin").status_code == 401
    assert [fetch(host).status_code for _ in range(3)] == [500, 502, 200]


@pytest.mark.parametrize(
    "fault",
    [{}, {"status": 99}, {"status": 600}, *({"status": 500, "headers": {"A": text}} for text in ("\n", "\u20ac"))],
)
def test_wrong_fault_raises(host: AzureFunctionHost, fault: Any) -> None:
    """It has no effect, its status is outside the range, or its header cannot be sent."""
    with pytest.raises(ValueError, match=r"fault|status|header 'A'"):
        host.fail("open", **fault)


def test_header_of_a_fault_may_be_a_number(host: AzureFunctionHost) -> None:
    """It is sent as text."""
    host.fail("open", status=429, headers={"Retry-After": 1})  # type: ignore[dict-item]
    response = fetch(host)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "1")


@pytest.mark.parametrize("app", ["v1", "v2", "asgi", "streams", "settings"])
def test_stop_leaves_nothing(app: str) -> None:
    """Threads, sys.path, imported modules, environment, log settings and files are the same as before."""

    def serve(port: int = 0) -> None:
        with AzureFunctionHost(APPS / app, port=port) as host:
            for name in host.functions:
                if name not in ("Greeting", "doubled", "by_word", "custom", "upload", "download"):
                    fetch(host, name)
            assert "__app__" in sys.modules

    serve()  # the libraries that an app imports stay imported
    with reserved_port() as port, socket.socket() as free:
        before = process_state()
        serve(port)
        assert not changes_since(before)
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))


@pytest.mark.parametrize(
    "change",
    [
        "sys.path.insert(0, os.path.dirname(__file__))",
        "sys.path.append(os.path.join(os.path.dirname(__file__), 'shared'))",
        "sys.path.remove(os.path.dirname(__file__))",
    ],
)
def test_stop_leaves_nothing_of_an_app_that_changes_the_path(tmp_path: Path, change: str) -> None:
    """Apps often add their folder, or one in it, to sys.path."""
    code = f"import os, sys\nimport azure.functions as func\n{change}\napp = func.FunctionApp('ANONYMOUS')\n"
    function = "@app.route()\ndef hello(req: func.HttpRequest) -> str:\n    return 'hello'\n"
    (tmp_path / "function_app.py").write_text(code + function)
    before = process_state()
    with AzureFunctionHost(tmp_path) as host:
        assert fetch(host, "hello").text == "hello"
    assert not changes_since(before)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_error_in_the_block_leaves_nothing(error: type[BaseException]) -> None:
    """An exception or Ctrl-C stops the host, and is raised."""
    before = process_state()

    def use() -> None:
        with AzureFunctionHost(APPS / "v1") as host:
            fetch(host, "hello")
            raise error

    with pytest.raises(error):
        use()
    assert not changes_since(before)


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "SystemExit"])
def test_interrupted_start_leaves_nothing(tmp_path: Path, error: str) -> None:
    """Ctrl-C while the app is loaded ends the start, and is raised."""
    (tmp_path / "helper.py").write_text("")
    (tmp_path / "function_app.py").write_text(f"import helper\nraise {error}\n")
    before = process_state()
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        AzureFunctionHost(tmp_path).start()
    assert not changes_since(before)
    assert not (tmp_path / "__pycache__").exists()


def test_used_port_raises() -> None:
    """The error has the number of the port. Nothing is left."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        before = process_state()
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            AzureFunctionHost(APPS / "v1", port=port).start()
        assert not changes_since(before)


def test_port_can_be_chosen() -> None:
    """The port must be free."""
    with reserved_port() as port, AzureFunctionHost(make_app(), port=port) as host:
        assert host.url == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("port", [70_000, "7071"])
def test_invalid_port_raises(port: Any) -> None:
    """It is a ValueError."""
    with pytest.raises(ValueError, match=f"{port!r} is not a port"):
        AzureFunctionHost(make_app(), port=port).start()


def test_missing_folder_raises(tmp_path: Path) -> None:
    """The error has the path."""
    with pytest.raises(ValueError, match="missing is not the folder"):
        AzureFunctionHost(tmp_path / "missing").start()


def test_starting_and_stopping_twice(host: AzureFunctionHost) -> None:
    """The second time does nothing. A stopped host can be started again."""
    url, key = host.url, host.host_key
    assert host.start() is host
    assert (host.url, host.host_key) == (url, key)
    host.stop()
    host.stop()
    assert host.start() is host
    assert fetch(host).text == "allowed"


def test_changed_app_is_loaded_at_the_next_start(tmp_path: Path) -> None:
    """The host reads the files of the app again."""
    code = "import azure.functions as func\napp = func.FunctionApp('ANONYMOUS')\n@app.route()\ndef f(req): return %r\n"
    host = AzureFunctionHost(tmp_path)
    for response in ("a", "b"):
        (tmp_path / "function_app.py").write_text(code % response)
        with host:
            assert fetch(host, "f").text == response


def test_modules_that_were_imported_before_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test shares the modules of its app with the host, and keeps them when the host stops."""
    (tmp_path / "azure_host_test_helper.py").write_text("WORD = 'own'\n")
    (tmp_path / "function_app.py").write_text(
        "import azure.functions as func\nimport azure_host_test_helper as helper\napp = func.FunctionApp('ANONYMOUS')\n"
        "@app.route()\ndef f(req): return helper.WORD\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    helper = importlib.import_module("azure_host_test_helper")

    monkeypatch.setitem(sys.modules, "azure_host_test_helper", helper)
    with AzureFunctionHost(tmp_path) as host:
        monkeypatch.setattr(helper, "WORD", "patched")
        assert fetch(host, "f").text == "patched"
    assert sys.modules["azure_host_test_helper"] is helper


def test_another_function_app_module_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was imported from another folder."""
    other = type(sys)("function_app")
    monkeypatch.setitem(sys.modules, "function_app", other)
    with AzureFunctionHost(APPS / "wsgi"):
        assert sys.modules["function_app"] is not other
    assert sys.modules["function_app"] is other


def test_stop_cancels_async_functions() -> None:
    """An async function that waits can clean up."""
    entered, cancelled = threading.Event(), threading.Event()
    app = func.FunctionApp("ANONYMOUS")

    @app.route()
    async def f(req: func.HttpRequest) -> str:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return ""

    with AzureFunctionHost(app) as host:
        caller = threading.Thread(target=fetch, args=(host, "f"))
        caller.start()
        assert entered.wait(30)
    caller.join()
    assert cancelled.is_set()


@pytest.mark.parametrize("is_async", [False, True])
def test_function_that_hangs_is_logged(
    is_async: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It cannot be ended. The stop logs that, and returns."""
    before = set(threading.enumerate())
    monkeypatch.setattr("pip_services4_serverless.local.azure_function_host._STOP_TIMEOUT", 0.05)
    entered, release = threading.Event(), threading.Event()
    app = func.FunctionApp("ANONYMOUS")

    def block(req: func.HttpRequest) -> str:
        entered.set()
        release.wait(30)
        return ""

    async def block_loop(req: func.HttpRequest) -> str:
        return block(req)

    app.function_name("f")(app.route()(block_loop if is_async else block))
    statuses: list[int] = []
    with AzureFunctionHost(app) as host:
        caller = threading.Thread(target=lambda: statuses.append(fetch(host, "f").status_code))
        caller.start()
        assert entered.wait(30)
    if not is_async:  # the loop can still respond
        caller.join(10)
        assert statuses == [503]
    release.set()
    for thread in new_threads(before):
        thread.join(10)
    assert "still runs" in caplog.text


def test_stop_ends_a_running_stream() -> None:
    """A streamed response may have no end."""
    app = func.FunctionApp("ANONYMOUS")

    async def parts() -> AsyncIterator[str]:
        yield "first"
        await asyncio.Event().wait()

    @app.route()
    def f(req: Request) -> StreamingResponse:
        return StreamingResponse(parts())

    before = process_state()
    with AzureFunctionHost(app) as host, requests.get(host.function_url("f"), stream=True, timeout=30) as response:
        chunks = response.iter_content(None)
        assert next(chunks) == b"first"
        host.stop()
        with pytest.raises(requests.RequestException):
            next(chunks)
    assert not changes_since(before)


def test_server_that_cannot_start_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """The start does not wait for the server."""

    async def startup(self: Any, sockets: Any) -> None:
        raise OSError("no more files")

    monkeypatch.setattr("pip_services4_serverless.local.azure_function_host._Server.startup", startup)
    before = process_state()
    with pytest.raises(RuntimeError, match=r"did not start: .*no more files"):
        AzureFunctionHost(APPS / "v1").start()
    assert not changes_since(before)


def test_incomplete_request_does_not_affect_others(host: AzureFunctionHost, caplog: pytest.LogCaptureFixture) -> None:
    """The client closes its connection during the body. No error is logged."""
    connection = http.client.HTTPConnection(host.url.removeprefix("http://"), timeout=30)
    connection.putrequest("POST", "/api/open")
    connection.putheader("Content-Length", "100")
    connection.endheaders(b"x")
    connection.close()
    assert fetch(host).text == "allowed"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.timing
def test_interrupted_process_ends(tmp_path: Path) -> None:
    """Ctrl-C ends the process, even while a function hangs in its thread."""
    (tmp_path / "serve.py").write_text(
        textwrap.dedent("""
        import threading, requests
        import azure.functions as func
        from pip_services4_serverless.local import AzureFunctionHost, azure_function_host
        from support.interrupts import interrupting

        azure_function_host._STOP_TIMEOUT = 0.05
        app = func.FunctionApp("ANONYMOUS")

        @app.route()
        def hang(req):
            interrupt()
            threading.Event().wait(60)

        with interrupting() as interrupt, AzureFunctionHost(app) as host:
            requests.get(host.function_url("hang"), timeout=30)
        """)
    )
    tests = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{tests.parent}{os.pathsep}{tests}"}
    started = time.monotonic()
    ended = subprocess.run([sys.executable, tmp_path / "serve.py"], env=environment, capture_output=True, timeout=30)
    assert b"KeyboardInterrupt" in ended.stderr
    assert time.monotonic() - started < 20


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of the import says what to install."""
    monkeypatch.delitem(sys.modules, "pip_services4_serverless.local.azure_function_host")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ImportError) as raised:
        _ = local.AzureFunctionHost
    message = "AzureFunctionHost needs the package 'uvicorn': pip install \"pip-services4-serverless[local]\""
    assert str(raised.value) == message


def test_subpackage_lists_the_hosts() -> None:
    """They are listed without being imported."""
    assert local.__all__ == ["AzureFunctionHost", "GoogleFunctionHost", "LambdaHost"]
    with pytest.raises(AttributeError, match="no attribute 'OtherHost'"):
        _ = local.OtherHost  # type: ignore[attr-defined]
