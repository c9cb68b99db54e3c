"""The local Azure host responds like Azure's front end. A test shows each known fact about that."""

import asyncio
import http.client
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
import requests

from pip_services4_serverless.local import AzureFunctionHost

APPS = Path(__file__).parent / "azure_apps"
ANONYMOUS = func.AuthLevel.ANONYMOUS


@pytest.fixture(scope="module")
def host() -> Iterator[AzureFunctionHost]:
    """The app that has a function for each kind of response."""
    with AzureFunctionHost(APPS / "responses") as host:
        yield host


@pytest.fixture(scope="module")
def keyed() -> Iterator[AzureFunctionHost]:
    """Functions of the three levels, and a disabled one."""
    app = func.FunctionApp()
    for level in ("anonymous", "function", "admin"):
        app.function_name(level)(app.route(auth_level=level)(lambda req: "allowed"))
    app.function_name("by_default")(app.route()(lambda req: "allowed"))
    app.function_name("disabled")(app.route(auth_level="anonymous")(lambda req: "allowed"))
    keys = {"function": "FunctionKey", "default": "HostKey", "_master": "MasterKey"}
    with AzureFunctionHost(app, keys=keys, settings={"AzureWebJobs.disabled.Disabled": "1"}) as host:
        yield host


@pytest.fixture
def host_function() -> Iterator[Callable[..., AzureFunctionHost]]:
    """Hosts one function, `f`, of level anonymous: `host_function(function, **options)`."""
    with ExitStack() as hosts:

        def host(function: Callable[..., Any], **options: Any) -> AzureFunctionHost:
            app = func.FunctionApp(http_auth_level=ANONYMOUS)
            app.function_name("f")(app.route()(function))
            return hosts.enter_context(AzureFunctionHost(app, **options))

        yield host


def get(host: AzureFunctionHost, name: str, method: str = "GET", **options: Any) -> requests.Response:
    return requests.request(method, host.function_url(name), timeout=30, **options)


def send(host: AzureFunctionHost, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b"") -> Any:
    """Sends a request unchanged, and returns the status, headers and body of the response."""
    connection = http.client.HTTPConnection(host.url.removeprefix("http://"), timeout=30)
    try:
        connection.putrequest(method, path)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("function", "headers", "query", "status"),
    [
        ("function", {}, {}, 401),
        ("function", {"x-functions-key": "FunctionKey"}, {}, 200),
        ("function", {}, {"code": "FunctionKey"}, 200),
        ("function", {"x-functions-key": "HostKey"}, {}, 200),
        ("function", {"x-functions-key": "MasterKey"}, {}, 200),
        ("function", {"x-functions-key": "functionkey"}, {}, 401),
        ("function", {"x-functions-key": ""}, {}, 401),
        ("function", {"x-functions-key": "wrong"}, {"code": "FunctionKey"}, 401),
        ("function", {"x-functions-key": "FunctionKey"}, {"code": "wrong"}, 200),
        ("by_default", {}, {}, 401),
        ("by_default", {"x-functions-key": "FunctionKey"}, {}, 401),
        ("by_default", {"x-functions-key": "HostKey"}, {}, 200),
        ("admin", {"x-functions-key": "HostKey"}, {}, 401),
        ("admin", {"x-functions-key": "MasterKey"}, {}, 200),
        ("anonymous", {}, {}, 200),
        ("anonymous", {"x-functions-key": "wrong"}, {}, 200),
        ("disabled", {}, {}, 404),
        ("disabled", {"x-functions-key": "HostKey"}, {}, 404),
        ("disabled", {"x-functions-key": "MasterKey"}, {}, 200),
    ],
)
def test_each_key_is_valid_for_its_functions(
    keyed: AzureFunctionHost, function: str, headers: Any, query: Any, status: int
) -> None:
    """The header takes precedence over the query. A rejection has no body."""
    response = get(keyed, function, headers=headers, params=query)
    assert (response.status_code, response.content) == (status, b"allowed" if status == 200 else b"")


def test_rejected_call_does_not_run_the_function() -> None:
    """Its status is 401."""
    app = func.FunctionApp()
    app.function_name("f")(app.route()(lambda req: "allowed"))
    with AzureFunctionHost(app) as host:
        assert get(host, "f").status_code == 401
        assert host.invocations("f") == 0


def test_enforce_keys_can_be_turned_off() -> None:
    """Even an admin function needs no key then, as with `func start`."""
    app = func.FunctionApp()
    app.function_name("f")(app.route(auth_level="admin")(lambda req: "allowed"))
    with AzureFunctionHost(app, enforce_keys=False) as host:
        assert get(host, "f").text == "allowed"
        assert requests.get(f"{host.url}/admin/host/status", timeout=30).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/unknown"),
        ("GET", "/text"),
        ("GET", "/api"),
        ("POST", "/api/text"),
        ("HEAD", "/api/text"),
        ("OPTIONS", "/api/text"),
        ("GET", "/admin/functions"),
        ("POST", "/unknown"),
    ],
)
def test_unknown_route_or_method_is_an_empty_404(host: AzureFunctionHost, method: str, path: str) -> None:
    """A wrong method is not a 405."""
    response = requests.request(method, host.url + path, timeout=30)
    assert (response.status_code, response.content, response.headers.get("allow")) == (404, b"", None)


@pytest.mark.parametrize("function", ["fails", "exits", "exits_in_thread"])
def test_exception_is_an_empty_500(host: AzureFunctionHost, function: str, caplog: pytest.LogCaptureFixture) -> None:
    """The log has the exception, even SystemExit, under the function's name. The caller does not see it."""
    response = get(host, function)
    assert (response.status_code, response.content) == (500, b"")
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.name == f"Function.{function}"
    assert ("secret reason" in caplog.text) == (function == "fails")


class UnreadableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("a reason"), "Exception: ValueError: a reason"),
        (
            UnreadableError(),
            "Exception: Unhandled exception in function. Could not serialize original exception message.",
        ),
    ],
)
def test_logged_traceback_begins_with_the_exception(
    host_function: Any, error: Exception, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The line after the function's name has the class and the text of the exception, as in Azure's logs."""

    def f(req: func.HttpRequest) -> str:
        raise error

    assert get(host_function(f), "f").status_code == 500
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.message.splitlines() == ["Exception while executing function: Functions.f", line]
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.parametrize("kind", ["none", "dict", "bytes", "status"])
def test_wrong_result_is_a_500(host: AzureFunctionHost, kind: str) -> None:
    """With $return, these are None, a dict, bytes, and a status outside the range."""
    response = get(host, "wrong", params={"kind": kind})
    assert (response.status_code, response.content) == (500, b"")


def test_no_return_and_no_output_is_a_204(host: AzureFunctionHost) -> None:
    """The function has no $return and returns None."""
    assert get(host, "nothing").status_code == 204


def test_value_without_return_binding_is_a_500(host: AzureFunctionHost) -> None:
    """A function without $return must return None."""
    assert get(host, "unexpected").status_code == 500


@pytest.mark.parametrize(
    ("kind", "status", "content_type", "body"),
    [
        ("plain", 200, "text/plain; charset=utf-8", "some text"),
        ("empty", 200, "text/plain; charset=utf-8", ""),
        ("number", 200, "application/json; charset=utf-8", "5"),
        ("list", 200, "application/json; charset=utf-8", "[1,2]"),
        ("object", 200, "application/json; charset=utf-8", '{"a":"\u00e9"}'),
        ("string", 200, "text/plain; charset=utf-8", "quoted"),
        ("null", 204, None, ""),
        ("response", 201, "text/plain; charset=utf-8", "made"),
        ("json_response", 202, "application/json; charset=utf-8", '{"a":1}'),
        ("no_body", 204, None, ""),
    ],
)
def test_text_result_may_be_json(
    host: AzureFunctionHost, kind: str, status: int, content_type: str | None, body: str
) -> None:
    """A str is text/plain, but JSON in it is parsed. An object with a body is the response."""
    response = get(host, "text", params={"kind": kind})
    response.encoding = "utf-8"
    assert (response.status_code, response.headers.get("content-type"), response.text) == (status, content_type, body)
    assert response.headers.get("x-made") == ("yes" if kind == "response" else None)


def test_http_response_is_sent(host: AzureFunctionHost) -> None:
    """It has status, headers and cookies. If a header is set twice, only one is sent."""
    status, headers, body = send(host, "GET", "/api/response", [])
    assert (status, body) == (418, b"body")
    assert headers["content-type"] == "text/x; charset=latin-1"
    assert headers["x-one"] == "1"
    assert headers.get_all("x-twice") == ["second"]
    assert headers.get_all("set-cookie") == ["a=1; domain=; path=/; httponly", "b=2; domain=; path="]
    assert headers["content-length"] == "4"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (
            "foo3=42; Domain=example.com; Expires=Thu, 12-Jan-2017 13:55:08 GMT; Path=/; Max-Age=10000000; Secure; "
            "HttpOnly",
            "foo3=42; expires=Thu, 12 Jan 2017 13:55:08 GMT; max-age=10000000; domain=example.com; path=/; secure; "
            "httponly",
        ),
        ("foo=bar", "foo=bar; domain=; path="),
        ("foo=bar; Domain=; Path=", "foo=bar; domain=; path="),
        ("a=1; SameSite=Lax; Secure", "a=1; domain=; path=; secure; samesite=lax"),
        ("a=1; Expires=2017-01-12T13:55:08", "a=1; expires=Thu, 12 Jan 2017 13:55:08 GMT; domain=; path="),
        ("a=x+y/z=", "a=x%2By%2Fz%3D; domain=; path="),
    ],
)
def test_cookie_is_rewritten(host_function: Any, given: str, sent: str) -> None:
    """The front end parses a cookie and writes it in its own form."""
    host = host_function(lambda req: func.HttpResponse("", headers={"Set-Cookie": given}))
    assert get(host, "f").headers["set-cookie"] == sent


@pytest.mark.parametrize(
    "attribute", ["Expires=Dummy", "Expires=12-Jan-9999999999999", "Max-Age=Dummy", "Max-Age=-1", "Max-Age=inf"]
)
def test_invalid_cookie_is_a_500(host_function: Any, attribute: str) -> None:
    """Its date is not a date, or its age is not a number of seconds."""
    host = host_function(lambda req: func.HttpResponse("", headers={"Set-Cookie": f"foo=bar; {attribute}"}))
    response = get(host, "f")
    assert (response.status_code, response.content, response.headers.get("set-cookie")) == (500, b"", None)


def test_204_has_no_body(host: AzureFunctionHost) -> None:
    """The body is removed. The connection can be reused."""
    with requests.Session() as session:
        for _ in range(2):
            assert session.get(host.function_url("no_content"), timeout=30).content == b""


def test_header_injection_is_a_500(host: AzureFunctionHost) -> None:
    """A line break in a header is not sent."""
    response = get(host, "injected")
    assert (response.status_code, response.headers.get("x-injected")) == (500, None)


def test_chunked_body_arrives_empty(host: AzureFunctionHost) -> None:
    """Azure's host needs a Content-Length, and removes a body without one."""
    chunks = b"5\r\nhello\r\n0\r\n\r\n"
    status, _, body = send(host, "POST", "/api/echo", [("Transfer-Encoding", "chunked")], chunks)
    assert (status, json.loads(body)["body"]) == (200, "")


def test_function_sees_the_request_as_on_azure(host: AzureFunctionHost) -> None:
    """Empty query values are removed, repeated ones are joined, header names are lower case, the URL is encoded."""
    _, _, body = send(
        host,
        "POST",
        "/api/echo/a%2Fb/%C3%A9?x=1&empty=&x=2&y=%20",
        [("X-Own", "A"), ("X-Own", "B"), ("Content-Length", "4")],
        b"body",
    )
    seen = json.loads(body)
    assert seen["method"] == "POST"
    assert seen["url"] == f"{host.url}/api/echo/a%2Fb/%C3%A9?x=1&empty=&x=2&y=%20"
    assert seen["params"] == {"x": "1,2", "y": " "}
    assert seen["route_params"] == {"rest": "a%2Fb/\u00e9"}
    assert seen["headers"]["x-own"] == "A,B"
    assert seen["body"] == "body"


def test_form_and_files_are_parsed(host: AzureFunctionHost) -> None:
    """The request of the SDK parses a multipart form."""
    assert get(host, "form", "POST", data={"a": "1"}, files={"f": ("f.txt", b"file")}).text == "1 file"


@pytest.mark.parametrize(("size", "status"), [(10, 200), (11, 413), (1000, 413)])
def test_body_over_the_limit_is_a_413(size: int, status: int, host_function: Any) -> None:
    """FUNCTIONS_REQUEST_BODY_SIZE_LIMIT sets the limit. The function does not run."""
    host = host_function(lambda req: "read", settings={"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "10"})
    assert get(host, "f", "POST", data=b"x" * size).status_code == status
    assert host.invocations("f") == (status == 200)


def test_default_body_limit_is_100_mib(host: AzureFunctionHost) -> None:
    """Without the setting, the limit is 104,857,600 bytes."""
    path = "/api/echo"
    assert send(host, "POST", path, [("Content-Length", str(104_857_601))], b"x" * 104_857_601)[0] == 413


def test_slow_function_is_a_502_and_continues(host_function: Any) -> None:
    """When the gateway's time is over, the caller gets 502. The function runs to its end."""
    release, ended = threading.Event(), threading.Event()

    def slow(req: func.HttpRequest) -> str:
        release.wait(30)
        ended.set()
        return "late"

    host = host_function(slow, gateway_timeout=0.05)
    assert get(host, "f").status_code == 502
    release.set()
    assert ended.wait(30)


def test_throttled_call_is_a_429(host_function: Any) -> None:
    """maxOutstandingRequests of host.json is the limit. The response has the header X-FUNCTION-SCALEOUT."""
    entered, release = threading.Event(), threading.Event()

    def busy(req: func.HttpRequest) -> str:
        entered.set()
        release.wait(30)
        return "done"

    host = host_function(busy, host_json={"extensions": {"http": {"maxOutstandingRequests": 1}}})
    caller = threading.Thread(target=get, args=(host, "f"))
    caller.start()
    assert entered.wait(30)
    response = get(host, "f")
    release.set()
    caller.join()
    assert (response.status_code, response.headers["x-function-scaleout"]) == (429, "1")
    assert host.invocations("f") == 1


def test_concurrent_calls_are_limited(host_function: Any) -> None:
    """maxConcurrentRequests of host.json is the limit. Other calls wait."""
    running, most, lock = 0, 0, threading.Lock()

    def count(req: func.HttpRequest) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.02)
        with lock:
            running -= 1
        return "done"

    host = host_function(count, host_json={"extensions": {"http": {"maxConcurrentRequests": 1}}})
    callers = [threading.Thread(target=get, args=(host, "f")) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert (host.invocations("f"), most) == (4, 1)


def test_running_call_at_the_stop_is_a_503() -> None:
    """The response says that the host is not running."""
    entered = threading.Event()
    app = func.FunctionApp(http_auth_level=ANONYMOUS)

    @app.route()
    async def f(req: func.HttpRequest) -> str:
        entered.set()
        await asyncio.Event().wait()
        return "never"

    results: list[requests.Response] = []
    with AzureFunctionHost(app) as host:
        caller = threading.Thread(target=lambda: results.append(get(host, "f")))
        caller.start()
        assert entered.wait(30)
    caller.join()
    assert (results[0].status_code, results[0].text) == (503, "Function host is not running.")


def test_host_has_its_own_pages(host: AzureFunctionHost) -> None:
    """The homepage and the ping need no key. The status needs the master key."""
    assert "running" in requests.get(host.url, timeout=30).text
    assert requests.get(f"{host.url}/admin/host/ping", timeout=30).status_code == 200
    status = f"{host.url}/admin/host/status"
    assert requests.get(status, timeout=30, headers={"x-functions-key": host.host_key}).status_code == 401
    response = requests.get(status, timeout=30, headers={"x-functions-key": host.master_key})
    assert response.json()["state"] == "Running"


def test_homepage_can_be_disabled(host_function: Any) -> None:
    """With AzureWebJobsDisableHomepage, its response is an empty 204."""
    host = host_function(lambda req: "", settings={"AzureWebJobsDisableHomepage": "true"})
    assert requests.get(host.url, timeout=30).status_code == 204


def test_sync_runs_in_a_thread_pool_and_async_on_the_loop(host: AzureFunctionHost) -> None:
    """A sync function does not block the event loop. An async function runs on it."""
    assert get(host, "on_loop").text == "azure-function-host"
    assert get(host, "in_thread").text not in ("azure-function-host", "MainThread")


@pytest.mark.parametrize(("processes", "most"), [("", 1), ("3", 3)])
def test_process_count_multiplies_the_threads(host_function: Any, processes: str, most: int) -> None:
    """Each of FUNCTIONS_WORKER_PROCESS_COUNT workers has PYTHON_THREADPOOL_THREAD_COUNT threads."""
    running = threading.Semaphore(0)
    release = threading.Event()

    def f(req: func.HttpRequest) -> str:
        running.release()
        release.wait(30)
        return "done"

    settings = {"PYTHON_THREADPOOL_THREAD_COUNT": "1", "FUNCTIONS_WORKER_PROCESS_COUNT": processes}
    host = host_function(f, settings=settings)
    callers = [threading.Thread(target=get, args=(host, "f")) for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        assert all(running.acquire(timeout=30) for _ in range(most))
        assert not running.acquire(timeout=0.2)
    finally:
        release.set()
        for caller in callers:
            caller.join()


@pytest.mark.parametrize("setting", ["PYTHON_THREADPOOL_THREAD_COUNT", "FUNCTIONS_WORKER_PROCESS_COUNT"])
@pytest.mark.parametrize("value", ["0", "many"])
def test_wrong_count_is_an_error(host_function: Any, setting: str, value: str) -> None:
    """The message names the setting."""
    with pytest.raises(ValueError, match=f"{setting} needs to be a number from 1 on, and is '{value}'"):
        host_function(lambda req: "", settings={setting: value})


def test_sync_functions_run_concurrently(host_function: Any) -> None:
    """Two calls run at the same time."""
    both = threading.Barrier(2)
    host = host_function(lambda req: str(both.wait(30)))
    callers = [threading.Thread(target=get, args=(host, "f")) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not both.broken


def test_bad_request_does_not_end_the_host(host: AzureFunctionHost) -> None:
    """A request that is not valid HTTP gets a 400."""
    assert send(host, "GET", "/api/text?kind=plain", [("bad name", "x")])[0] == 400
    assert get(host, "text", params={"kind": "plain"}).text == "some text"
