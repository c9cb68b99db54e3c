"""Calls a function: its arguments, its context, its thread, and the response from its result."""

import json
import logging
import os
import re
import secrets
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC
from email.utils import format_datetime
from http.cookies import Morsel
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import anyio
import anyio.to_thread
import dateutil.parser
from azure.functions.meta import Datum
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ._azure_app import Function, converter

_current: ContextVar["Context | None"] = ContextVar("azure_function_context", default=None)
_thread_local = threading.local()
_contexts: "weakref.WeakValueDictionary[str, Context]" = weakref.WeakValueDictionary()

# The server sets these headers, which delimit the body.
_SERVER_HEADERS = ("connection", "content-length", "transfer-encoding")
# Records of these loggers come from the worker and not from a function.
_WORKER_LOGGERS = ("azure_functions_worker", "azure.functions")


class Context:
    """The argument `context` of a function."""

    thread_local_storage = _thread_local
    # An HTTP trigger is never retried by the host.
    retry_context = SimpleNamespace(retry_count=0, max_retry_count=0, exception=None)

    def __init__(self, function: Function, headers: Mapping[str, str]) -> None:
        self.function_name = function.name
        self.function_directory = function.directory
        self.invocation_id = str(uuid.uuid4())
        parent = headers.get("traceparent", f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00")
        state = headers.get("tracestate", "")
        # The real worker has both names of each.
        self.trace_context = SimpleNamespace(
            Traceparent=parent, trace_parent=parent, Tracestate=state, trace_state=state, Attributes={}, attributes={}
        )
        _contexts[self.invocation_id] = self


class Out:
    """An output parameter."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        self._value = val

    def get(self) -> Any:
        return self._value


class FunctionLogs:
    """A context in which log records of functions have the attributes `function_name` and `invocation_id`.

    Records of the root logger get the name `Function.<name>.User`, which is their category in Azure. With `debug` the
    level of the root logger is DEBUG.
    """

    _lock = threading.Lock()
    _entered = 0
    _debugging = 0
    _previous_factory: Callable[..., logging.LogRecord]
    _previous_level: int

    def __init__(self, *, debug: bool = False) -> None:
        self._debug = debug

    def __enter__(self) -> None:
        with self._lock:
            if not FunctionLogs._entered:
                FunctionLogs._previous_factory = staticmethod(logging.getLogRecordFactory())
                logging.setLogRecordFactory(self._record)
            FunctionLogs._entered += 1
            if self._debug:
                if not FunctionLogs._debugging:
                    FunctionLogs._previous_level = logging.getLogger().level
                    logging.getLogger().setLevel(logging.DEBUG)
                FunctionLogs._debugging += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            FunctionLogs._entered -= 1
            if not FunctionLogs._entered and logging.getLogRecordFactory() == self._record:
                logging.setLogRecordFactory(self._previous_factory)
            if self._debug:
                FunctionLogs._debugging -= 1
                if not FunctionLogs._debugging:
                    logging.getLogger().setLevel(FunctionLogs._previous_level)

    @classmethod
    def _record(cls, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = cls._previous_factory(*args, **kwargs)
        if record.name.startswith(_WORKER_LOGGERS):
            return record
        context = _current.get() or _contexts.get(getattr(_thread_local, "invocation_id", ""))
        if context is not None:
            record.function_name, record.invocation_id = context.function_name, context.invocation_id
            if record.name == "root":
                record.name = f"Function.{context.function_name}.User"
        return record


async def invoke(
    function: Function,
    request: Request,
    url: str,
    route_values: Mapping[str, str],
    body: bytes,
    threads: anyio.CapacityLimiter,
) -> Response:
    """Runs the function once. If it raises, the exception is logged, and the response is empty and has status 500."""
    context = Context(function, request.headers)
    log = logging.getLogger(f"Function.{function.name}")
    log.info("Executing 'Functions.%s' (Id=%s)", function.name, context.invocation_id)
    started = time.perf_counter()
    outcome = "Failed"
    try:
        if function.load_error is not None:
            raise RuntimeError(f"the function cannot be loaded: {function.load_error}") from function.load_error
        arguments: dict[str, Any] = {name: Out() for name in function.outputs}
        if function.streams:
            request.scope["path_params"] = dict(route_values)
            arguments[function.trigger] = request
        else:
            arguments[function.trigger] = _decode(request, url, route_values, body)
        if function.wants_context:
            arguments["context"] = context
        result = await _run(function, context, arguments, threads)
        response = _make_response(function, result, arguments)
        outcome = "Succeeded"
        return response
    except Exception as error:
        log.exception("Exception while executing function: Functions.%s\n%s", function.name, _exception_line(error))
        return Response(status_code=500)
    finally:
        spent = (time.perf_counter() - started) * 1000
        log.info(
            "Executed 'Functions.%s' (%s, Id=%s, Duration=%dms)", function.name, outcome, context.invocation_id, spent
        )


def thread_limit() -> anyio.CapacityLimiter:
    """The number of threads for sync functions: that of a process of Azure's worker, times the processes."""
    threads = _positive_setting("PYTHON_THREADPOOL_THREAD_COUNT", min(32, (os.cpu_count() or 1) + 4))
    return anyio.CapacityLimiter(threads * _positive_setting("FUNCTIONS_WORKER_PROCESS_COUNT", 1))


def _positive_setting(setting: str, default: int) -> int:
    text = os.environ.get(setting) or str(default)
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"the setting {setting} needs to be a number from 1 on, and is {text!r}")
    return int(text)


def _exception_line(error: Exception) -> str:
    """The first line of a traceback in Azure's logs."""
    try:
        return f"Exception: {type(error).__name__}: {error}"
    except Exception:
        return "Exception: Unhandled exception in function. Could not serialize original exception message."


async def _run(function: Function, context: Context, arguments: dict[str, Any], threads: anyio.CapacityLimiter) -> Any:
    def call() -> Any:
        _thread_local.invocation_id = context.invocation_id
        function.count()
        try:
            return function.call(**arguments)
        except (SystemExit, KeyboardInterrupt) as error:
            raise RuntimeError(f"the function ended with {error!r}") from error
        finally:
            _thread_local.invocation_id = ""

    token = _current.set(context)
    try:
        if not function.is_async:
            return await anyio.to_thread.run_sync(call, limiter=threads, abandon_on_cancel=True)
        function.count()
        return await function.call(**arguments)
    except (SystemExit, KeyboardInterrupt) as error:  # would end the event loop, and so the host
        raise RuntimeError(f"the function ended with {error!r}") from error
    finally:
        _current.reset(token)


def _decode(request: Request, url: str, route_values: Mapping[str, str], body: bytes) -> Any:
    """Makes the SDK's `HttpRequest`, with the SDK's own converter."""

    def strings(pairs: Iterable[tuple[str, str]]) -> dict[str, Datum]:
        values_by_name: dict[str, list[str]] = {}
        for name, value in pairs:
            values_by_name.setdefault(name, []).append(value)
        return {name: Datum(",".join(values), "string") for name, values in values_by_name.items()}

    message = {
        "method": Datum(request.method, "string"),
        "url": Datum(url, "string"),
        "headers": strings(request.headers.items()),
        "query": strings(pair for pair in request.query_params.multi_items() if pair[1]),
        "params": strings(route_values.items()),
        "body": Datum(body, "bytes"),
    }
    return converter("httpTrigger").decode(Datum(message, "http"), trigger_metadata={})


def _make_response(function: Function, result: Any, arguments: Mapping[str, Any]) -> Response:
    if function.streams:
        return _stream_response(result)
    if not function.returns:
        if result is not None:
            raise TypeError("a function without a $return binding returned a value")
        result = arguments[function.http_output].get() if function.http_output else None
        if result is None:
            return Response(status_code=204)
    elif function.http_output is None:
        return Response(status_code=204)
    elif function.http_output != "$return":
        result = arguments[function.http_output].get()
    try:
        datum = converter("http").encode(result, expected_type=None)
    except NotImplementedError:
        raise TypeError(f"a {type(result).__name__} cannot be returned: return a str or an HttpResponse") from None
    if datum.type == "string":
        return _from_text(datum.value)
    return _from_http(datum.value)


def _stream_response(result: Any) -> Response:
    if isinstance(result, Response):
        return result
    from fastapi.encoders import jsonable_encoder

    return JSONResponse(jsonable_encoder(result))


def _from_text(text: str) -> Response:
    """Makes a response from a string. If it is a JSON object with a `body`, it describes the response, as in Azure."""
    try:
        content = json.loads(text)
    except ValueError:
        content = text
    status, headers = 200, {}
    if isinstance(content, dict):
        given = {name.lower(): value for name, value in content.items()}
        if "body" in given:
            content = given["body"]
            status = int(given.get("statuscode", given.get("status", 200)))
            headers = {name: str(value) for name, value in (given.get("headers") or {}).items()}
    if content is None:
        return _response(b"", 204 if status == 200 else status, headers)
    is_text = isinstance(content, str)
    if not any(name.lower() == "content-type" for name in headers):
        headers["content-type"] = f"{'text/plain' if is_text else 'application/json'}; charset=utf-8"
    body = content if is_text else json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return _response(body.encode(), status, headers)


def _from_http(value: Mapping[str, Any]) -> Response:
    response = _response(
        value["body"].value, int(value["status_code"].value), {n: d.value for n, d in value["headers"].items()}
    )
    for cookie in value["cookies"] or ():
        for morsel in cookie.values():
            response.headers.append("set-cookie", _set_cookie(morsel))
    return response


def _set_cookie(cookie: Morsel[str]) -> str:
    """Formats a cookie as Azure's front end does. Raises `ValueError` for an invalid date or age."""
    parts = [f"{cookie.key}={quote(cookie.value, safe='')}"]
    if cookie["expires"]:
        try:
            expires = dateutil.parser.parse(cookie["expires"])
        except OverflowError as error:
            raise ValueError(str(error)) from error
        expires = expires.astimezone(UTC) if expires.tzinfo else expires.replace(tzinfo=UTC)
        parts.append(f"expires={format_datetime(expires, usegmt=True)}")
    if cookie["max-age"]:
        age = int(float(cookie["max-age"]))  # seconds
        if age < 0:
            raise ValueError(f"the cookie {cookie.key!r} has a negative age")
        parts.append(f"max-age={age}")
    # Azure writes these even if they are empty.
    parts += [f"domain={cookie['domain']}", f"path={cookie['path']}"]
    if cookie["secure"]:
        parts.append("secure")
    if (same_site := cookie["samesite"].lower()) in ("lax", "strict", "none"):
        parts.append(f"samesite={same_site}")
    if cookie["httponly"]:
        parts.append("httponly")
    return "; ".join(parts)


def _response(body: bytes, status: int, headers: Mapping[str, str]) -> Response:
    if not 200 <= status <= 599:
        raise ValueError(f"{status} is not a valid HTTP status: it must be from 200 to 599")
    for name, text in headers.items():
        if re.search(r"[\x00-\x1f\x7f]", name + text):
            raise ValueError(f"the header {name!r} contains a control character")
    passed_headers = {name: text for name, text in headers.items() if name.lower() not in _SERVER_HEADERS}
    return Response(b"" if status in (204, 304) else body, status, passed_headers)
