"""The local Azure host answers HTTP as the real front end does: each fact that is known of that is shown here."""

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
def answers() -> Iterator[AzureFunctionHost]:
    """The app that has a function for each kind of answer."""
    with AzureFunctionHost(APPS / "answers") as host:
        yield host


@pytest.fixture(scope="module")
def keyed() -> Iterator[AzureFunctionHost]:
    """Functions of the three levels, and a disabled one."""
    app = func.FunctionApp()
    for level in ("anonymous", "function", "admin"):
        app.function_name(level)(app.route(auth_level=level)(lambda req: "opened"))
    app.function_name("by_default")(app.route()(lambda req: "opened"))
    app.function_name("disabled")(app.route(auth_level="anonymous")(lambda req: "opened"))
    keys = {"function": "FunctionKey", "default": "HostKey", "_master": "MasterKey"}
    with AzureFunctionHost(app, keys=keys, settings={"AzureWebJobs.disabled.Disabled": "1"}) as host:
        yield host


@pytest.fixture
def hosted() -> Iterator[Callable[..., AzureFunctionHost]]:
    """Hosts one function, `f`, of level anonymous: `hosted(function, **options)`."""
    with ExitStack() as hosts:

        def host(function: Callable[..., Any], **options: Any) -> AzureFunctionHost:
            app = func.FunctionApp(http_auth_level=ANONYMOUS)
            app.function_name("f")(app.route()(function))
            return hosts.enter_context(AzureFunctionHost(app, **options))

        yield host


def get(host: AzureFunctionHost, name: str, method: str = "GET", **options: Any) -> requests.Response:
    return requests.request(method, host.function_url(name), timeout=30, **options)


def raw(host: AzureFunctionHost, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b"") -> Any:
    """Send a request as it is, and read the answer's status, headers and body."""
    connection = http.client.HTTPConnection(host.url.removeprefix("http://"), timeout=30)
    try:
        connection.putrequest(method, path)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
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
def test_keys(keyed: AzureFunctionHost, function: str, headers: Any, query: Any, status: int) -> None:
    """A key opens what its kind opens, the header's counts before the query's, and a refusal has no body."""
    answer = get(keyed, function, headers=headers, params=query)
    assert (answer.status_code, answer.content) == (status, b"opened" if status == 200 else b"")


def test_refused_call_does_not_run_the_function() -> None:
    """A call that is answered with 401 was not executed."""
    app = func.FunctionApp()
    app.function_name("f")(app.route()(lambda req: "opened"))
    with AzureFunctionHost(app) as host:
        assert get(host, "f").status_code == 401
        assert host.invocations("f") == 0


def test_no_keys_are_asked_for_if_not_enforced() -> None:
    """With enforce_keys false even an admin function opens, as with `func start`."""
    app = func.FunctionApp()
    app.function_name("f")(app.route(auth_level="admin")(lambda req: "opened"))
    with AzureFunctionHost(app, enforce_keys=False) as host:
        assert get(host, "f").text == "opened"
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
def test_what_is_not_there_is_an_empty_404(answers: AzureFunctionHost, method: str, path: str) -> None:
    """An unknown route and a wrong method are 404 without a body, never 405."""
    answer = requests.request(method, answers.url + path, timeout=30)
    assert (answer.status_code, answer.content, answer.headers.get("allow")) == (404, b"", None)


@pytest.mark.parametrize("function", ["fails", "exits", "exits_in_thread"])
def test_exception_is_an_empty_500(answers: AzureFunctionHost, function: str, caplog: pytest.LogCaptureFixture) -> None:
    """What a function raises, even SystemExit, is told in the log under the function's name, and not to the caller."""
    answer = get(answers, function)
    assert (answer.status_code, answer.content) == (500, b"")
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
    hosted: Any, error: Exception, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The first line after the function's name has the exception's class and text, as in Azure's logs."""

    def f(req: func.HttpRequest) -> str:
        raise error

    assert get(hosted(f), "f").status_code == 500
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.message.splitlines() == ["Exception while executing function: Functions.f", line]
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.parametrize("kind", ["none", "dict", "bytes", "status"])
def test_result_that_is_no_answer_is_a_500(answers: AzureFunctionHost, kind: str) -> None:
    """With $return, None, a dict, bytes and a status out of range are a 500."""
    answer = get(answers, "wrong", params={"kind": kind})
    assert (answer.status_code, answer.content) == (500, b"")


def test_no_return_and_no_output_is_a_204(answers: AzureFunctionHost) -> None:
    """A function without $return that returns None is answered with 204."""
    assert get(answers, "nothing").status_code == 204


def test_value_without_return_binding_is_a_500(answers: AzureFunctionHost) -> None:
    """A function without $return must return None."""
    assert get(answers, "unexpected").status_code == 500


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
def test_text_result(answers: AzureFunctionHost, kind: str, status: int, content_type: str | None, body: str) -> None:
    """A str is text/plain, but JSON in it is parsed, and an object with a body is the response."""
    answer = get(answers, "text", params={"kind": kind})
    answer.encoding = "utf-8"
    assert (answer.status_code, answer.headers.get("content-type"), answer.text) == (status, content_type, body)
    assert answer.headers.get("x-made") == ("yes" if kind == "response" else None)


def test_http_response_is_passed_on(answers: AzureFunctionHost) -> None:
    """A HttpResponse gives the status, headers and cookies; of a header set twice one is dropped."""
    status, headers, body = raw(answers, "GET", "/api/response", [])
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
def test_cookie_is_written_anew(hosted: Any, given: str, sent: str) -> None:
    """The front end reads a cookie and writes it in its own form."""
    host = hosted(lambda req: func.HttpResponse("", headers={"Set-Cookie": given}))
    assert get(host, "f").headers["set-cookie"] == sent


@pytest.mark.parametrize(
    "attribute", ["Expires=Dummy", "Expires=12-Jan-9999999999999", "Max-Age=Dummy", "Max-Age=-1", "Max-Age=inf"]
)
def test_cookie_that_cannot_be_read_is_a_500(hosted: Any, attribute: str) -> None:
    """A date that is not a date, and an age that is not a number of seconds, fail the call."""
    host = hosted(lambda req: func.HttpResponse("", headers={"Set-Cookie": f"foo=bar; {attribute}"}))
    answer = get(host, "f")
    assert (answer.status_code, answer.content, answer.headers.get("set-cookie")) == (500, b"", None)


def test_204_has_no_body(answers: AzureFunctionHost) -> None:
    """A body under 204 is dropped, and the connection stays usable."""
    with requests.Session() as session:
        for _ in range(2):
            assert session.get(answers.function_url("no_content"), timeout=30).content == b""


def test_header_injection_is_a_500(answers: AzureFunctionHost) -> None:
    """A line end in a header is refused, not sent."""
    answer = get(answers, "injected")
    assert (answer.status_code, answer.headers.get("x-injected")) == (500, None)


def test_chunked_body_arrives_empty(answers: AzureFunctionHost) -> None:
    """The real host looks for a Content-Length, and drops a body without one."""
    chunks = b"5\r\nhello\r\n0\r\n\r\n"
    status, _, body = raw(answers, "POST", "/api/echo", [("Transfer-Encoding", "chunked")], chunks)
    assert (status, json.loads(body)["body"]) == (200, "")


def test_request_as_the_function_sees_it(answers: AzureFunctionHost) -> None:
    """Empty query values are dropped and repeated ones joined, header names are lower case, the URL stays encoded."""
    _, _, body = raw(
        answers,
        "POST",
        "/api/echo/a%2Fb/%C3%A9?x=1&empty=&x=2&y=%20",
        [("X-Own", "A"), ("X-Own", "B"), ("Content-Length", "4")],
        b"body",
    )
    seen = json.loads(body)
    assert seen["method"] == "POST"
    assert seen["url"] == f"{answers.url}/api/echo/a%2Fb/%C3%A9?x=1&empty=&x=2&y=%20"
    assert seen["params"] == {"x": "1,2", "y": " "}
    assert seen["route_params"] == {"rest": "a%2Fb/\u00e9"}
    assert seen["headers"]["x-own"] == "A,B"
    assert seen["body"] == "body"


def test_form_and_files_are_parsed(answers: AzureFunctionHost) -> None:
    """The SDK's request parses a multipart form."""
    assert get(answers, "form", "POST", data={"a": "1"}, files={"f": ("f.txt", b"file")}).text == "1 file"


@pytest.mark.parametrize(("size", "status"), [(10, 200), (11, 413), (1000, 413)])
def test_body_limit(size: int, status: int, hosted: Any) -> None:
    """A body over FUNCTIONS_REQUEST_BODY_SIZE_LIMIT is a 413, and the function is not run."""
    host = hosted(lambda req: "read", settings={"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "10"})
    assert get(host, "f", "POST", data=b"x" * size).status_code == status
    assert host.invocations("f") == (status == 200)


def test_body_limit_by_default(answers: AzureFunctionHost) -> None:
    """Without that setting 104,857,600 bytes are the limit."""
    path = "/api/echo"
    assert raw(answers, "POST", path, [("Content-Length", str(104_857_601))], b"x" * 104_857_601)[0] == 413


def test_slow_function_is_a_502_and_goes_on(hosted: Any) -> None:
    """After the gateway's time the caller gets 502, and the function still runs to its end."""
    release, ended = threading.Event(), threading.Event()

    def slow(req: func.HttpRequest) -> str:
        release.wait(30)
        ended.set()
        return "late"

    host = hosted(slow, gateway_timeout=0.05)
    assert get(host, "f").status_code == 502
    release.set()
    assert ended.wait(30)


def test_throttled_call_is_a_429(hosted: Any) -> None:
    """Beyond host.json's maxOutstandingRequests the answer is 429 with X-FUNCTION-SCALEOUT."""
    entered, release = threading.Event(), threading.Event()

    def busy(req: func.HttpRequest) -> str:
        entered.set()
        release.wait(30)
        return "done"

    host = hosted(busy, host_json={"extensions": {"http": {"maxOutstandingRequests": 1}}})
    caller = threading.Thread(target=get, args=(host, "f"))
    caller.start()
    assert entered.wait(30)
    answer = get(host, "f")
    release.set()
    caller.join()
    assert (answer.status_code, answer.headers["x-function-scaleout"]) == (429, "1")
    assert host.invocations("f") == 1


def test_concurrent_calls_are_limited(hosted: Any) -> None:
    """host.json's maxConcurrentRequests lets further calls wait."""
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

    host = hosted(count, host_json={"extensions": {"http": {"maxConcurrentRequests": 1}}})
    callers = [threading.Thread(target=get, args=(host, "f")) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert (host.invocations("f"), most) == (4, 1)


def test_call_under_way_at_the_stop_is_a_503() -> None:
    """Who waits for an answer while the host stops is told that it is not running."""
    entered = threading.Event()
    app = func.FunctionApp(http_auth_level=ANONYMOUS)

    @app.route()
    async def f(req: func.HttpRequest) -> str:
        entered.set()
        await asyncio.Event().wait()
        return "never"

    answers: list[requests.Response] = []
    with AzureFunctionHost(app) as host:
        caller = threading.Thread(target=lambda: answers.append(get(host, "f")))
        caller.start()
        assert entered.wait(30)
    caller.join()
    assert (answers[0].status_code, answers[0].text) == (503, "Function host is not running.")


def test_own_pages(answers: AzureFunctionHost) -> None:
    """The homepage and the ping are open, the status needs the master key."""
    assert "running" in requests.get(answers.url, timeout=30).text
    assert requests.get(f"{answers.url}/admin/host/ping", timeout=30).status_code == 200
    status = f"{answers.url}/admin/host/status"
    assert requests.get(status, timeout=30, headers={"x-functions-key": answers.host_key}).status_code == 401
    by_master = requests.get(status, timeout=30, headers={"x-functions-key": answers.master_key})
    assert by_master.json()["state"] == "Running"


def test_homepage_can_be_switched_off(hosted: Any) -> None:
    """With AzureWebJobsDisableHomepage the homepage is an empty 204."""
    host = hosted(lambda req: "", settings={"AzureWebJobsDisableHomepage": "true"})
    assert requests.get(host.url, timeout=30).status_code == 204


def test_sync_runs_in_a_thread_pool_and_async_on_the_loop(answers: AzureFunctionHost) -> None:
    """A sync function does not block the event loop, an async one runs on it."""
    assert get(answers, "on_loop").text == "azure-function-host"
    assert get(answers, "in_thread").text not in ("azure-function-host", "MainThread")


@pytest.mark.parametrize(("processes", "most"), [("", 1), ("3", 3)])
def test_process_count_multiplies_what_runs_at_once(hosted: Any, processes: str, most: int) -> None:
    """Each of FUNCTIONS_WORKER_PROCESS_COUNT workers has PYTHON_THREADPOOL_THREAD_COUNT threads."""
    running = threading.Semaphore(0)
    release = threading.Event()

    def f(req: func.HttpRequest) -> str:
        running.release()
        release.wait(30)
        return "done"

    settings = {"PYTHON_THREADPOOL_THREAD_COUNT": "1", "FUNCTIONS_WORKER_PROCESS_COUNT": processes}
    host = hosted(f, settings=settings)
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
def test_count_that_is_none_is_told(hosted: Any, setting: str, value: str) -> None:
    """A setting that cannot be used is named."""
    with pytest.raises(ValueError, match=f"{setting} needs to be a number from 1 on, and is '{value}'"):
        hosted(lambda req: "", settings={setting: value})


def test_sync_functions_run_side_by_side(hosted: Any) -> None:
    """Two sync calls run at the same time."""
    both = threading.Barrier(2)
    host = hosted(lambda req: str(both.wait(30)))
    callers = [threading.Thread(target=get, args=(host, "f")) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not both.broken


def test_bad_request_does_not_end_the_host(answers: AzureFunctionHost) -> None:
    """What is not HTTP is answered with 400."""
    assert raw(answers, "GET", "/api/text?kind=plain", [("bad name", "x")])[0] == 400
    assert get(answers, "text", params={"kind": "plain"}).text == "some text"
