"""The local Azure host serves apps of each style that Azure's documentation for Python describes."""

import json
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
import requests

from pip_services4_serverless.local import AzureFunctionHost

APPS = Path(__file__).parent / "azure_apps"
GOOD_CODE = "def main(req):\n    return 'good'\n"
FUNCTION_JSON: dict[str, Any] = {
    "scriptFile": "__init__.py",
    "bindings": [
        {"type": "httpTrigger", "name": "req", "direction": "in", "authLevel": "anonymous"},
        {"type": "http", "name": "$return", "direction": "out"},
    ],
}


IMPORT = "import azure.functions as func\n"


def with_output(**binding: str) -> dict[str, Any]:
    """A function.json with an output parameter."""
    output = {"type": "http", "name": "out", "direction": "out", **binding}
    return {"bindings": [FUNCTION_JSON["bindings"][0], output]}


def app_host(name: str) -> Iterator[AzureFunctionHost]:
    with AzureFunctionHost(APPS / name) as host:
        yield host


@pytest.fixture(scope="module")
def v2() -> Iterator[AzureFunctionHost]:
    """The app of the v2 model."""
    yield from app_host("v2")


@pytest.fixture(scope="module")
def v1() -> Iterator[AzureFunctionHost]:
    """The app of the v1 model."""
    yield from app_host("v1")


@pytest.fixture(scope="module")
def frameworks() -> Iterator[AzureFunctionHost]:
    """Frameworks in v1 functions, without a route prefix."""
    yield from app_host("frameworks")


@pytest.fixture(scope="module")
def streams() -> Iterator[AzureFunctionHost]:
    """The app with HTTP streams."""
    yield from app_host("streams")


@pytest.fixture(scope="module")
def responses() -> Iterator[AzureFunctionHost]:
    """The app that has a function for each kind of response."""
    yield from app_host("responses")


def fetch(host: AzureFunctionHost, path: str, method: str = "GET", **options: Any) -> requests.Response:
    return requests.request(method, host.url + path, timeout=30, **options)


def write_function(folder: Path, name: str, code: str = GOOD_CODE, declared: Any = FUNCTION_JSON) -> Path:
    """Writes a v1 function into the folder of an app."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(code)
    path = folder / name / "function.json"
    path.write_text(declared if isinstance(declared, str) else json.dumps(declared))
    return path


@pytest.mark.parametrize(
    ("path", "method", "status", "text"),
    [
        ("/api/hello/World", "GET", 200, "Hello, World!"),
        ("/api/hello/World", "POST", 404, ""),
        ("/api/hello/World2", "GET", 404, ""),
        ("/api/items/7", "GET", 200, "GET 7"),
        ("/api/items", "POST", 200, "POST None"),
        ("/api/items/x", "GET", 200, "the word x"),
        ("/api/items/x", "POST", 404, ""),
        ("/api/items/x1", "GET", 404, ""),
        ("/api/items/special", "GET", 200, "the literal route goes first"),
        ("/api/double/21", "GET", 200, "42 times two"),
        ("/api/administer", "GET", 401, ""),
        ("/api/by_default", "GET", 401, ""),
        ("/api/by_output?say=this", "GET", 203, "this"),
        ("/api/by_output", "GET", 204, ""),
        ("/api/enqueue", "GET", 200, "work"),
        ("/api/from_blob", "GET", 404, ""),
    ],
)
def test_v2_functions_are_served(v2: AzureFunctionHost, path: str, method: str, status: int, text: str) -> None:
    """The app has decorators, names, routes, levels, blueprints, shared code and outputs."""
    response = fetch(v2, path, method)
    assert (response.status_code, response.text) == (status, text)


def test_v2_functions_are_listed_by_name(v2: AzureFunctionHost) -> None:
    """The name is that of function_name, or else that of the Python function."""
    assert v2.functions == [
        "doubled", "Greeting", "items", "by_word", "special", "administer", "by_default", "by_output", "enqueue",
    ]  # fmt: skip


def test_v2_app_lists_what_is_not_served(v2: AzureFunctionHost) -> None:
    """Other triggers and outputs than HTTP are listed. A binding that a function reads is a load error."""
    script = str(APPS / "v2" / "function_app.py")
    assert v2.not_served == [
        f"{script}: the function 'hourly' is not served: its trigger is a timerTrigger",
        f"{script}: the function 'enqueue' is not served completely: "
        "what its binding 'message' writes to a queue is discarded",
    ]
    (error,) = v2.load_errors
    assert error.startswith(f"{script}: the function 'from_blob' cannot be loaded")
    assert "it needs the binding 'content', and this host cannot read from a blob" in error


@pytest.mark.parametrize(
    ("path", "method", "status", "text"),
    [
        ("/api/hello", "GET", 200, "relative shared True"),
        ("/api/hello", "POST", 404, ""),
        ("/api/own/7", "GET", 200, f"7 custom {APPS / 'v1' / 'custom'}"),
        ("/api/custom", "GET", 404, ""),
        ("/api/outputs", "GET", 201, "by an output"),
        ("/api/asynchronous", "POST", 200, "async"),
        ("/api/no_return", "GET", 204, ""),
        ("/api/value", "GET", 500, ""),
        ("/api/deprecated", "GET", 200, "shared True"),
        ("/api/to_queue?body=m", "GET", 200, "m"),
        ("/api/blobs/1", "GET", 404, ""),
    ],
)
def test_v1_functions_are_served(v1: AzureFunctionHost, path: str, method: str, status: int, text: str) -> None:
    """The app has scriptFile, entryPoint, $return, Out, all kinds of imports, shared code and async functions."""
    response = fetch(v1, path, method)
    assert (response.status_code, response.text) == (status, text)


def test_v1_app_lists_what_is_not_served(v1: AzureFunctionHost) -> None:
    """Each entry has the file and the binding."""
    (timer, queue) = v1.not_served
    assert "on_timer/function.json" in timer
    assert "timerTrigger" in timer
    assert "to_queue/function.json" in queue
    assert "'message'" in queue
    (error,) = v1.load_errors
    assert "from_blob/function.json" in error
    assert "'content'" in error


def test_what_is_not_served_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It is a warning. What cannot be loaded is an error."""
    with AzureFunctionHost(APPS / "v1") as host:
        logged = {(record.levelno, record.message) for record in caplog.records}
    assert {(logging.WARNING, text) for text in host.not_served} <= logged
    assert {(logging.ERROR, text) for text in host.load_errors} <= logged


@pytest.mark.parametrize(
    ("code", "declared", "reasons"),
    [
        ("def main(req)\n    pass\n", FUNCTION_JSON, ["SyntaxError", "bad/__init__.py:1"]),
        ("x = 1\nimport no_such_package\n", FUNCTION_JSON, ["'no_such_package'", "bad/__init__.py:2"]),
        ("raise OSError('at import')\n", FUNCTION_JSON, ["at import", "bad/__init__.py:1"]),
        ("def other(req): pass\n", FUNCTION_JSON, ["no function 'main'"]),
        ("main = 1\n", FUNCTION_JSON, ["no function 'main'"]),
        (GOOD_CODE, "{ bad", ["Expecting property name"]),
        (GOOD_CODE, "[]", ["not a JSON object"]),
        (GOOD_CODE, {"bindings": {}}, ["'bindings' is not a list"]),
        (GOOD_CODE, {"bindings": []}, ["needs one trigger and has 0"]),
        (GOOD_CODE, {"bindings": [{"type": "httpTrigger"}]}, ["needs a type and a name"]),
        (GOOD_CODE, {**FUNCTION_JSON, "scriptFile": "none.py"}, ["none.py"]),
        ("def main(request): pass\n", FUNCTION_JSON, ["['request']", "['req']"]),
        ("def main(req: int): pass\n", FUNCTION_JSON, ["'req' is annotated"]),
        ("def main(req: 'unknown'): pass\n", FUNCTION_JSON, ["NameError"]),
        ("def main(req) -> dict: pass\n", FUNCTION_JSON, ["result is annotated"]),
        ("def main(req) -> None: pass\n", FUNCTION_JSON, ["result is annotated"]),
        ("def main(req) -> str | None: pass\n", FUNCTION_JSON, ["result is annotated"]),
        ("def main(req) -> 'list[str]': pass\n", FUNCTION_JSON, ["result is annotated"]),
        ("def main(req: int | None): pass\n", FUNCTION_JSON, ["'req' is annotated"]),
        ("import azure.functions as f\ndef main(req: f.Out[str]): pass\n", FUNCTION_JSON, ["'req' is annotated"]),
        ("def main(req, context: str): pass\n", FUNCTION_JSON, ["'context' is annotated"]),
        ("def main(req, context: 'str | None'): pass\n", FUNCTION_JSON, ["'context' is annotated"]),
        ("def main(req, out): pass\n", with_output(direction="inout"), ["'out'", "'inout'", "needs 'out'"]),
        ("def main(req, out): pass\n", with_output(direction="sideways"), ["'out'", "'sideways'"]),
        ("def main(req, out: str): pass\n", with_output(), ["'out' is annotated"]),
        (f"{IMPORT}def main(req, out: func.Out): pass\n", with_output(), ["'out' is annotated"]),
        (f"{IMPORT}def main(req, out: func.Out[int]): pass\n", with_output(), ["'out' is annotated"]),
        (f"{IMPORT}def main(req, out: func.Out['x']): pass\n", with_output(), ["NameError"]),
        (f"{IMPORT}def main(req, out: func.Out[int]): pass\n", with_output(type="queue"), ["'out' is annotated"]),
        (f"{IMPORT}def main(req, out: func.Out[int]): pass\n", with_output(type="own"), ["'out' is annotated"]),
        (
            GOOD_CODE,
            {"bindings": [FUNCTION_JSON["bindings"][0], {**FUNCTION_JSON["bindings"][1], "direction": "in"}]},
            ["'$return'", "'in'", "needs 'out'"],
        ),
        (
            GOOD_CODE,
            {"bindings": [{**FUNCTION_JSON["bindings"][0], "direction": "out"}, FUNCTION_JSON["bindings"][1]]},
            ["'req'", "'out'", "needs 'in'"],
        ),
        (
            GOOD_CODE,
            {"bindings": [{**FUNCTION_JSON["bindings"][0], "route": "{id:odd}"}, FUNCTION_JSON["bindings"][1]]},
            ["constraint 'odd'"],
        ),
        (
            GOOD_CODE,
            {"bindings": [{**FUNCTION_JSON["bindings"][0], "route": "GOOD"}, FUNCTION_JSON["bindings"][1]]},
            ["route 'GOOD'", "'good'"],
        ),
    ],
)
def test_function_that_cannot_be_loaded_is_reported(
    tmp_path: Path, code: str, declared: Any, reasons: list[str]
) -> None:
    """The error has its file and the reason. The other functions are served."""
    write_function(tmp_path, "good")
    path = write_function(tmp_path, "z_bad", code, declared)
    with AzureFunctionHost(tmp_path) as host:
        (error,) = host.load_errors
        assert error.startswith(f"{path}: the function 'z_bad' cannot be loaded: ")
        assert all(part in error for part in reasons), error
        assert fetch(host, "/api/good").text == "good"


def test_the_place_of_a_load_error_is_in_the_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not in a folder whose name only begins like the name of the app's folder."""
    app, beside = tmp_path / "app", tmp_path / "app-lib"
    beside.mkdir()
    (beside / "fails_in_app_lib.py").write_text("raise ValueError('no')\n")
    monkeypatch.syspath_prepend(beside)
    app.mkdir()
    (app / "function_app.py").write_text("\nimport fails_in_app_lib\n")
    with pytest.raises(RuntimeError, match=rf"ValueError: no \({app}/function_app.py:2\)"):
        AzureFunctionHost(app).start()


@pytest.mark.parametrize(
    "annotation", ["func.Out[str]", "func.Out[bytes]", "func.Out[func.HttpResponse]", "'func.Out[str]'"]
)
def test_output_with_an_annotation_of_the_sdk_is_served(tmp_path: Path, annotation: str) -> None:
    """Azure's worker accepts these annotations."""
    write_function(tmp_path, "f", f"{IMPORT}def main(req, out: {annotation}):\n    out.set('out')\n", with_output())
    with AzureFunctionHost(tmp_path) as host:
        assert (host.load_errors, fetch(host, "/api/f").text) == ([], "out")


@pytest.mark.parametrize(
    "code",
    [
        "import no_such_package\n",
        "from .missing import word\n",
        "from ... import too_far\n",
        "def main(req)\n",
        "def other(req): pass\n",
        "def main(req: int): pass\n",
    ],
)
def test_v1_function_that_cannot_be_imported_is_a_500(
    tmp_path: Path, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It has its route, key and methods. The log of each call has the reason."""
    declared = json.loads(json.dumps(FUNCTION_JSON).replace("anonymous", "function"))
    declared["bindings"][0] |= {"route": "its/own", "methods": ["post"]}
    write_function(tmp_path, "bad", code, declared)
    write_function(tmp_path, "good")
    with AzureFunctionHost(tmp_path) as host:
        assert host.functions == ["bad", "good"]
        (error,) = host.load_errors
        key = {"x-functions-key": host.function_key("bad")}
        assert fetch(host, "/api/its/own", headers=key).status_code == 404
        assert fetch(host, "/api/its/own", "POST").status_code == 401
        caplog.clear()
        response = fetch(host, "/api/its/own", "POST", headers=key)
        assert (response.status_code, response.content, host.invocations("bad")) == (500, b"", 0)
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert str(record.exc_info[1]).startswith("the function cannot be loaded: ")
    assert "'bad' cannot be loaded" in error


def test_v1_app_without_importable_functions_does_not_start(tmp_path: Path) -> None:
    """Each of its functions would be a 500."""
    write_function(tmp_path, "bad", "import no_such_package\n")
    with pytest.raises(RuntimeError, match="no_such_package"):
        AzureFunctionHost(tmp_path).start()


@pytest.mark.parametrize(
    "globals_code",
    [
        "from unittest.mock import call, MagicMock\nmock = MagicMock()\n",
        "from flask import request, current_app, g, session\n",
        "class Curious:\n    def __getattr__(self, name): raise SystemExit(name)\ncurious = Curious()\n",
        "class Curious:\n    @property\n    def __class__(self): raise SystemExit\ncurious = Curious()\n",
        "Blue = func.FunctionApp\nclass Own(func.Blueprint): pass\nblue = Own()\nclient = func\n",
    ],
    ids=["mocks", "proxies", "attributes", "class", "SDK"],
)
def test_other_globals_are_ignored(tmp_path: Path, globals_code: str) -> None:
    """The host uses only instances of the SDK's class in the app's module."""
    (tmp_path / "function_app.py").write_text(
        f"{IMPORT}{globals_code}app = func.FunctionApp('ANONYMOUS')\n@app.route()\ndef f(req): return 'served'\n"
    )
    with AzureFunctionHost(tmp_path) as host:
        assert fetch(host, "/api/f").text == "served"


def test_installed_package_takes_precedence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The worker searches the app's folder last. A warning names both modules."""
    for path, word in (("yaml/__init__.py", "own"), ("iniconfig.py", "own"), ("shared.py", "own")):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(f"WORD = {word!r}\n")
    write_function(tmp_path, "http", "from . import own\nimport http\ndef main(req): return own.WORD + http.__file__\n")
    (tmp_path / "http" / "own.py").write_text("WORD = 'relative '\n")
    write_function(
        tmp_path,
        "f",
        "import iniconfig, shared, yaml\nfrom __app__ import yaml as own\n"
        "def main(req): return f'{yaml.__file__} {iniconfig.__file__} {shared.WORD} {own.WORD}'\n",
    )
    import iniconfig
    import yaml

    before = dict(sys.modules)
    for module in list(sys.modules):
        if module.partition(".")[0] in ("yaml", "iniconfig"):
            del sys.modules[module]
    try:
        with AzureFunctionHost(tmp_path) as host:
            assert fetch(host, "/api/f").text == f"{yaml.__file__} {iniconfig.__file__} own own"
            assert fetch(host, "/api/http").text.startswith("relative /")
    finally:
        sys.modules.update(before)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [
        f"{tmp_path / name}: 'import {name}' gives the installed {module.__file__} instead, as in Azure"
        for name, module in (("iniconfig", iniconfig), ("yaml", yaml))
    ]


def test_instance_as_entry_point_is_served_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Azure's worker reads the annotations of a function, which an instance does not have."""
    code = (
        f"{IMPORT}class Greeter:\n    def __call__(self, req: func.HttpRequest) -> str: return 'hi'\nmain = Greeter()\n"
    )
    write_function(tmp_path, "f", code)
    write_function(tmp_path, "g", code.replace("= Greeter()", "= Greeter().__call__"))
    with AzureFunctionHost(tmp_path) as host:
        assert [fetch(host, path).text for path in ("/api/f", "/api/g")] == ["hi", "hi"]
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning == ("The function 'f' is an instance of Greeter; Azure's worker cannot load it: make it a function")


def test_v2_function_that_cannot_be_loaded_is_reported(tmp_path: Path) -> None:
    """The other functions of its file are served."""
    (tmp_path / "function_app.py").write_text(
        "import azure.functions as func\napp = func.FunctionApp('ANONYMOUS')\n"
        "@app.route()\ndef bad(req: 'unknown'): pass\n@app.route()\ndef good(req): return 'good'\n"
    )
    with AzureFunctionHost(tmp_path) as host:
        (error,) = host.load_errors
        assert error.startswith(f"{tmp_path / 'function_app.py'}: the function 'bad' cannot be loaded: NameError")
        assert fetch(host, "/api/good").text == "good"


@pytest.mark.parametrize(("http_output", "status", "text"), [(False, 204, ""), (True, 200, "out")])
def test_return_to_a_queue_is_not_the_response(tmp_path: Path, http_output: bool, status: int, text: str) -> None:
    """The response is the value of an http output, or 204 without one."""
    bindings = [FUNCTION_JSON["bindings"][0], {"type": "queue", "name": "$return", "direction": "out"}]
    code = "def main(req):\n    return 'queued'\n"
    if http_output:
        bindings.append({"type": "http", "name": "response", "direction": "out"})
        code = "def main(req, response):\n    response.set('out')\n    return 'queued'\n"
    write_function(tmp_path, "f", code, {"bindings": bindings})
    with AzureFunctionHost(tmp_path) as host:
        response = fetch(host, "/api/f")
    assert (response.status_code, response.text) == (status, text)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "no function_app.py, no folder with function.json"),
        ({"function_app.py": "import shared\n", "shared.py": "def (\n"}, "shared.py:1"),
        ({"function_app.py": "import no_such_package\n"}, "function_app.py:1"),
        ({"function_app.py": "x = 1\n"}, "needs one FunctionApp and has 0"),
        (
            {"function_app.py": "import azure.functions as func\na = func.FunctionApp()\nb = func.FunctionApp()\n"},
            "needs one FunctionApp and has 2: a, b",
        ),
        (
            {"function_app.py": f"{IMPORT}app = func.FunctionApp()\napplication = app\n"},
            "needs one FunctionApp and has 2: app, application",
        ),
        ({"function_app.py": f"{IMPORT}app = func.FunctionApp()\n"}, "the app in function_app.py has no functions"),
        ({"function_app.py": "x = 1\n"}, "(looked at: function_app.py)"),
        ({"main.py": "x = 1\n"}, "(looked at: function_app.py, */function.json)"),
        ({"f/function.json": "{}", "g/function.json": "{}"}, "(looked at: function_app.py, f/function.json, g/"),
        (
            {
                "function_app.py": "import azure.functions as func\napp = func.FunctionApp()\n"
                "@app.blob_output(arg_name='msg', path='p', connection='C')\ndef f(req, msg): pass\n"
            },
            "does not have a trigger",
        ),
    ],
)
def test_app_without_functions_does_not_start(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    """The error has the folder, the file and the reason."""
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    with pytest.raises(RuntimeError) as raised:
        AzureFunctionHost(tmp_path).start()
    assert str(tmp_path) in str(raised.value)
    assert reason in str(raised.value)


def test_app_object_without_functions_does_not_start() -> None:
    """The error has the file in which its functions are defined."""
    app = func.FunctionApp()
    app.timer_trigger(schedule="0 0 * * * *", arg_name="timer")(lambda timer: None)
    with pytest.raises(RuntimeError, match=r"test_azure_apps\.py: .* timerTrigger"):
        AzureFunctionHost(app).start()


def test_asgi_app_is_served_with_its_lifespan() -> None:
    """AsgiFunctionApp runs its startup once, before the first call, and its shutdown when the host stops."""
    with AzureFunctionHost(APPS / "asgi") as host:
        assert fetch(host, "/hello/World").text == "Hello, World! ['started']"
        assert fetch(host, "/hello/again").text == "Hello, again! ['started']"
        assert fetch(host, "/").text == "root"
        assert fetch(host, "/unknown").text == "Not Found"
        events = sys.modules["function_app"].EVENTS
    assert events == ["started", "ended"]


def test_asgi_app_object_can_be_hosted_again() -> None:
    """Two hosts serve the same FunctionApp, one after the other."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"served"})

    app = func.AsgiFunctionApp(application, http_auth_level="ANONYMOUS")
    for _ in range(2):
        with AzureFunctionHost(app) as host:
            assert fetch(host, "/api/x").text == "served"


def test_wsgi_app_is_served() -> None:
    """WsgiFunctionApp receives path, query and body."""
    with AzureFunctionHost(APPS / "wsgi") as host:
        response = fetch(host, "/a/b?q=1", "POST", data="body")
    assert (response.text, response.headers["content-type"]) == ("<p>/a/b 1 body</p>", "text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/asgi/hello/World", '{"route":"hello/World"}'),
        ("/asgi_main/x", "/asgi_main/x"),
        ("/wsgi/x", "POST /wsgi/x body"),
    ],
)
def test_middleware_in_v1_functions_is_served(frameworks: AzureFunctionHost, path: str, text: str) -> None:
    """AsgiMiddleware and WsgiMiddleware serve a framework, without a route prefix."""
    response = fetch(frameworks, path, "POST" if "wsgi" in path else "GET", data="body")
    assert response.text == (text if "hello" not in path else '{"name":"World"}')


def test_streamed_response_arrives_in_parts(streams: AzureFunctionHost) -> None:
    """The first part of a StreamingResponse arrives before the last is created."""
    with requests.get(streams.function_url("download"), stream=True, timeout=30) as response:
        parts = response.iter_content(None)
        assert next(parts) == b"first"
        sys.modules["function_app"].GO_ON.set()
        assert next(parts) == b"second"


def test_streamed_upload_is_read_in_parts(streams: AzureFunctionHost) -> None:
    """The function reads the first part before the last is sent. It has its route values."""

    def parts() -> Iterator[bytes]:
        yield b"x" * 1000
        assert sys.modules["function_app"].BEGUN.wait(30)
        yield b"y"

    response = fetch(streams, "/api/upload/a", "POST", data=parts())
    assert (response.status_code, response.json()) == (201, {"name": "a", "size": 1001})


def test_streaming_app_supports_only_starlette_requests(streams: AzureFunctionHost) -> None:
    """If one function streams, all do. A function with a request of the SDK cannot be loaded."""
    assert fetch(streams, "/api/plain?q=1").json() == {"host": "127.0.0.1", "query": "1"}
    assert (fetch(streams, "/api/fails").status_code, fetch(streams, "/api/fails").content) == (500, b"")
    (error,) = streams.load_errors
    assert "'with_sdk_request'" in error


def test_context_describes_the_invocation(responses: AzureFunctionHost) -> None:
    """It has a new invocation id, the name and folder of the function, the caller's trace, and no retries."""
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    context = fetch(responses, "/api/context", headers={"traceparent": parent, "tracestate": "a=1"}).json()
    other = fetch(responses, "/api/context").json()
    assert context.pop("id") != other.pop("id")
    assert other["traceparent"][0].startswith("00-")
    assert context == {
        "name": "context",
        "directory": str(APPS / "responses"),
        "traceparent": [parent, parent],
        "tracestate": ["a=1", "a=1"],
        "retries": [0, 0],
    }


def test_function_logs_under_its_name(responses: AzureFunctionHost, caplog: pytest.LogCaptureFixture) -> None:
    """Each record has the function's name and invocation. Other threads use thread_local_storage."""
    invocation = fetch(responses, "/api/logs").text
    logged = {record.message: record for record in caplog.records}
    assert logged["on the root"].name == logged["in a thread"].name == "Function.logs.User"
    assert logged["on a logger"].name == "of my own"
    for message in ("on the root", "on a logger", "in a thread"):
        assert (vars(logged[message])["function_name"], vars(logged[message])["invocation_id"]) == ("logs", invocation)
    assert logged["before"].name == "root"


def test_storage_of_a_thread_has_the_invocation_only_during_the_call(responses: AzureFunctionHost) -> None:
    """A function that is not asynchronous can read it. What runs in the same thread later does not."""
    (thread, read), invocation = fetch(responses, "/api/own_storage").json()
    assert read == invocation
    assert fetch(responses, "/api/later_storage").json() == [thread, ""]


@pytest.mark.parametrize(("setting", "passed"), [("1", True), ("0", False)])
def test_debug_logging_can_be_enabled(setting: str, passed: bool, caplog: pytest.LogCaptureFixture) -> None:
    """PYTHON_ENABLE_DEBUG_LOGGING has effect until the last host with this setting stops."""
    app = func.FunctionApp("ANONYMOUS")
    app.function_name("f")(app.route()(lambda req: logging.debug("in detail") or "done"))
    level = logging.getLogger().level
    settings = {"PYTHON_ENABLE_DEBUG_LOGGING": setting}
    with AzureFunctionHost(app, settings=settings), AzureFunctionHost(APPS / "responses", settings=settings) as other:
        other.stop()
        with AzureFunctionHost(app, settings=settings) as host:
            assert fetch(host, "/api/f").text == "done"
    assert ("in detail" in [record.message for record in caplog.records]) == passed
    assert logging.getLogger().level == level


@pytest.mark.parametrize("name", ["azure.functions", "azure.functions.decorators", "azure_functions_worker"])
def test_log_of_the_worker_keeps_its_name(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """The SDK and the worker log these records while a function runs."""
    app = func.FunctionApp("ANONYMOUS")
    app.function_name("f")(app.route()(lambda req: logging.getLogger(name).warning("of the SDK") or "done"))
    with AzureFunctionHost(app) as host:
        fetch(host, "/api/f")
    (record,) = [record for record in caplog.records if record.message == "of the SDK"]
    assert (record.name, hasattr(record, "function_name")) == (name, False)


@pytest.mark.usefixtures("responses")
def test_host_does_not_change_other_logs(caplog: pytest.LogCaptureFixture) -> None:
    """These records are logged outside of functions."""
    logging.warning("outside")
    assert [(record.name, hasattr(record, "function_name")) for record in caplog.records] == [("root", False)]


def test_settings_are_environment_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of local.settings.json are set while the host runs. The environment takes precedence."""
    monkeypatch.setenv("AZURE_HOST_TEST_TAKEN", "from the environment")
    before = dict(os.environ)
    with AzureFunctionHost(APPS / "settings", settings={"AZURE_HOST_TEST_GIVEN": "given"}) as host:
        values = {name: fetch(host, f"/v1/own/setting?name=AZURE_HOST_TEST_{name}").text for name in
                  ("SETTING", "TAKEN", "GIVEN")}  # fmt: skip
    assert values == {"SETTING": "from the file", "TAKEN": "from the environment", "GIVEN": "given"}
    assert dict(os.environ) == before


def test_settings_can_disable_a_function() -> None:
    """With AzureWebJobs.<function>.Disabled, the function is a 404."""
    with AzureFunctionHost(APPS / "settings") as host:
        assert fetch(host, "/v1/own/switched_off").status_code == 404


def test_custom_headers_are_added() -> None:
    """Each response has the customHeaders of host.json."""
    with AzureFunctionHost(APPS / "settings") as host:
        for path in ("/v1/own/switched_off", "/unknown", "/"):
            headers = fetch(host, path).headers
            assert (headers["x-content-type-options"], headers["x-own"]) == ("nosniff", "http://a//b")


@pytest.mark.parametrize("name", ["host.json", "local.settings.json"])
def test_invalid_json_of_the_app_is_an_error(tmp_path: Path, name: str) -> None:
    """The app does not start, and the error names the file."""
    write_function(tmp_path, "good")
    (tmp_path / name).write_text("{")
    with pytest.raises(ValueError, match=f"{name}: it is not valid JSON: "):
        AzureFunctionHost(tmp_path).start()


@pytest.mark.parametrize(
    ("host_json", "reason"),
    [
        ({"extensions": "x"}, "host.json: 'extensions' is not a JSON object"),
        ({"extensions": {"http": [1]}}, "host.json: 'http' is not a JSON object"),
        ({"extensions": {"http": {"customHeaders": ["x"]}}}, "host.json: 'customHeaders' is not a JSON object"),
        (
            {"extensions": {"http": {"maxConcurrentRequests": "x"}}},
            "'maxConcurrentRequests' needs to be a whole number",
        ),
    ],
)
def test_wrong_host_json_is_an_error(tmp_path: Path, host_json: Any, reason: str) -> None:
    """The app does not start, and the error names what is wrong."""
    write_function(tmp_path, "good")
    with pytest.raises(ValueError, match=reason):
        AzureFunctionHost(tmp_path, host_json=host_json).start()


def test_null_in_host_json_means_the_default(tmp_path: Path) -> None:
    """It is as if the option were missing."""
    write_function(tmp_path, "good")
    options = {"routePrefix": None, "customHeaders": None, "maxOutstandingRequests": None}
    with AzureFunctionHost(tmp_path, host_json={"extensions": {"http": options}}) as host:
        assert fetch(host, "/api/good").text == "good"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ("x", "local.settings.json: 'Values' is not a JSON object"),
        ({"AZURE_HOST_TEST": "1", "A=B": "2"}, "the setting 'A=B' cannot be an environment variable"),
        ({"AZURE_HOST_TEST": "1", "": "2"}, "the setting '' cannot be an environment variable"),
        ({"AZURE_HOST_TEST": "1", "A": "\0"}, "the setting 'A' cannot be an environment variable"),
        ({"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "x"}, "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT needs to be a whole number"),
    ],
)
def test_wrong_settings_are_an_error(tmp_path: Path, values: Any, reason: str) -> None:
    """The app does not start, the error names what is wrong, and the environment is as before."""
    write_function(tmp_path, "good")
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": values}))
    before = dict(os.environ)
    with pytest.raises(ValueError, match=reason):
        AzureFunctionHost(tmp_path).start()
    assert dict(os.environ) == before


def test_null_is_no_setting(tmp_path: Path) -> None:
    """The variable is not set."""
    write_function(tmp_path, "good")
    (tmp_path / "local.settings.json").write_text('{"Values": {"AZURE_HOST_TEST": null}}')
    with AzureFunctionHost(tmp_path):
        assert "AZURE_HOST_TEST" not in os.environ


@pytest.mark.parametrize("app", [None, func.Blueprint(), object()])  # type: ignore[no-untyped-call]
def test_something_else_than_an_app_is_an_error(app: Any) -> None:
    """A Blueprint, for example, has no functions before an app registers it."""
    with pytest.raises(ValueError, match=f"app: must be a folder or a FunctionApp, not {type(app).__name__}"):
        AzureFunctionHost(app).start()


def test_encrypted_settings_are_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Only the Functions tools can decrypt them. There is a warning."""
    write_function(tmp_path, "good")
    (tmp_path / "local.settings.json").write_text('{"IsEncrypted": true, "Values": {"AZURE_HOST_TEST": "x"}}')
    with AzureFunctionHost(tmp_path):
        assert "AZURE_HOST_TEST" not in os.environ
    assert "encrypted settings are not read" in caplog.text


def test_packages_of_the_app_are_found(tmp_path: Path) -> None:
    """Dependencies in .python_packages can be imported while the host runs."""
    packages = tmp_path / ".python_packages" / "lib" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "azure_host_test_package.py").write_text("WORD = 'packaged'")
    write_function(tmp_path, "f", "from azure_host_test_package import WORD\n\n\ndef main(req):\n    return WORD\n")
    with AzureFunctionHost(tmp_path) as host:
        assert fetch(host, "/api/f").text == "packaged"
    assert str(packages) not in sys.path
    sys.modules.pop("azure_host_test_package")


def test_two_apps_have_separate_modules(tmp_path: Path) -> None:
    """Both apps may have modules with the same name. Late imports of an app find its own modules."""
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "shared.py").write_text(f"WORD = {name!r}\n")
        (folder / f"late_{name}.py").write_text("WORD = 'late'\n")
        (folder / "function_app.py").write_text(
            "import azure.functions as func\nimport shared\napp = func.FunctionApp('ANONYMOUS')\n"
            f"@app.route()\ndef f(req) -> str:\n    import late_{name} as late\n    return shared.WORD + late.WORD\n"
        )
    before = dict(sys.modules)
    first, second = AzureFunctionHost(tmp_path / "a"), AzureFunctionHost(tmp_path / "b")
    first.start()
    try:
        with second:
            assert [fetch(host, "/api/f").text for host in (first, second)] == ["alate", "blate"]
        assert sys.modules["shared"].WORD == "a"
    finally:
        first.stop()
    assert dict(sys.modules) == before


def test_port_is_on_loopback_only(v2: AzureFunctionHost) -> None:
    """The host does not listen on the other addresses of this machine."""
    port = int(v2.url.rsplit(":", 1)[1])
    with socket.socket() as other:
        other.bind(("127.0.0.2", port))
