"""The HTTP front end of the functions: routes, keys, limits, injected faults, and the host's own pages."""

import asyncio
import hmac
import math
import os
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import anyio
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from ._azure_app import App, Function, is_true, logger
from ._azure_call import invoke, thread_limit
from ._faults import Fault

BODY_LIMIT = 104_857_600  # bytes
NOT_RUNNING = "Function host is not running."
_LEVELS = {"anonymous": 0, "function": 1, "admin": 2}


def http_options(host_json: Mapping[str, Any]) -> Mapping[str, Any]:
    """The section `extensions.http` of host.json. Raises `ValueError` if a section is not a JSON object."""
    options = section = host_json
    for name in ("extensions", "http", "customHeaders"):
        options, section = section, section.get(name) or {}
        if not isinstance(section, Mapping):
            raise ValueError(f"host.json: {name!r} is not a JSON object")
    return options


class Protocol(H11Protocol):
    """Gives the handler of a request access to its connection, so that the handler can drop it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class FrontEnd:
    """The ASGI application in front of an app's functions."""

    def __init__(self, app: App, options: Mapping[str, Any], enforce_keys: bool, gateway_timeout: float) -> None:
        self._functions = sorted(app.functions.values(), key=lambda f: (f.route.precedence, f.route.template.lower()))
        self._keys = app.keys if enforce_keys else {}
        self._timeout = gateway_timeout
        self._custom_headers: Mapping[str, str] = options.get("customHeaders") or {}
        self._outstanding_limit = _limit(options, "maxOutstandingRequests")
        self._concurrent = anyio.CapacityLimiter(_limit(options, "maxConcurrentRequests"))
        self._outstanding = 0
        body_limit = os.environ.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT") or BODY_LIMIT
        self._body_limit = _whole_number("the setting FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", body_limit)
        self._tasks: set[asyncio.Task[Response | None]] = set()
        self._threads = thread_limit()
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)

    def cancel(self) -> None:
        """Cancels the calls in progress."""
        for task in self._tasks:
            task.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        outcome = "no response"

        async def send_and_record(message: Message) -> None:
            nonlocal outcome
            if message["type"] == "http.response.start":
                outcome = str(message["status"])
            await send(message)

        try:
            await self._respond(scope, receive, send_and_record)
        finally:
            spent = (time.perf_counter() - started) * 1000
            path = scope["raw_path"].decode("ascii")  # without the query, which may hold a key
            logger.info("%s %s: %s in %d ms", scope["method"], path, outcome, spent)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._custom_headers.items():
                    headers.setdefault(name, str(value))
            await send(message)

        task = asyncio.create_task(self._handle(Request(scope, receive)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait({task}, timeout=self._timeout)
        if not task.done():
            # As in Azure, the function keeps running.
            response: Response | None = HTMLResponse("<h1>502 Bad Gateway</h1>", 502)
        elif task.cancelled():
            response = Response(NOT_RUNNING, 503)
        else:
            try:
                response = task.result()
            except ClientDisconnect:
                return
        if response is not None:
            await response(scope, receive, send_with_headers)
            return
        scope["state"]["transport"].abort()
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _handle(self, request: Request) -> Response | None:
        raw_path = request.scope["raw_path"].decode("ascii")
        # An encoded slash stays encoded, so that it does not separate two segments of the path.
        path = unquote(raw_path.replace("%2F", "%252F").replace("%2f", "%252f"))
        if path.lower().startswith("/admin/"):
            return self._admin(path.lower(), request)
        for function in self._functions:
            values = function.route.match(path)
            if values is not None and (not function.methods or request.method in function.methods):
                url = f"http://{request.headers.get('host', '')}{raw_path}"
                query = request.scope["query_string"].decode("latin-1")
                return await self._throttled(function, request, f"{url}?{query}" if query else url, values)
        if path == "/":
            return Response(status_code=204) if is_true("AzureWebJobsDisableHomepage") else HTMLResponse(_HOMEPAGE)
        return Response(status_code=404)

    def _admin(self, path: str, request: Request) -> Response:
        if path == "/admin/host/ping":
            return Response()
        if path != "/admin/host/status":
            return Response(status_code=404)
        if self._level(request) < _LEVELS["admin"]:
            return Response(status_code=401)
        return JSONResponse({"id": "local", "state": "Running", "version": "4.0.0.0", "errors": []})

    def _level(self, request: Request, function: Function | None = None) -> int:
        """The level of the request's key. The header takes precedence over the query, even if its key is wrong."""
        if not self._keys:
            return _LEVELS["admin"]
        given = request.headers.get("x-functions-key", request.query_params.get("code", "")).encode()

        def is_key(name: str) -> bool:
            return hmac.compare_digest(given, self._keys[name].encode())

        if is_key("_master"):
            return _LEVELS["admin"]
        is_function_key = is_key("default") or (function is not None and is_key(function.name))
        return _LEVELS["function" if is_function_key else "anonymous"]

    async def _throttled(
        self, function: Function, request: Request, url: str, values: Mapping[str, str]
    ) -> Response | None:
        if self._outstanding >= self._outstanding_limit:
            return Response(status_code=429, headers={"x-function-scaleout": "1"})
        self._outstanding += 1
        try:
            async with self._concurrent:
                return await self._call(function, request, url, values)
        finally:
            self._outstanding -= 1

    async def _call(self, function: Function, request: Request, url: str, values: Mapping[str, str]) -> Response | None:
        faults = self.faults[function.name]
        fault = faults.popleft() if faults else None
        if fault is not None:
            await asyncio.sleep(fault.delay)
            if fault.replaces_response and not fault.run:
                return _fault_response(fault)
        level = self._level(request, function)
        if function.disabled and level < _LEVELS["admin"]:
            return Response(status_code=404)
        if level < _LEVELS.get(function.auth_level, _LEVELS["admin"]):
            return Response(status_code=401)
        body = b"" if function.streams else await self._body(request)
        if body is None:
            return Response(status_code=413)
        response = await invoke(function, request, url, values, body, self._threads)
        return _fault_response(fault) if fault is not None and fault.replaces_response else response

    async def _body(self, request: Request) -> bytes | None:
        """The body, or None if it is too long. As in Azure, the body of a chunked request is empty."""
        length = int(request.headers.get("content-length", 0))
        chunks, size = [], 0
        # This reads a part of a body that is too long. If the connection were reset while the client still sends, the
        # client would not get the response.
        async for chunk in request.stream():
            size += len(chunk)
            if size > 2 * self._body_limit:
                break
            if 0 < length <= self._body_limit:
                chunks.append(chunk)
        return b"".join(chunks) if length <= self._body_limit else None


def _fault_response(fault: Fault) -> Response | None:
    """The response of the real front end with the status of the fault. None drops the connection."""
    if fault.drop or fault.status is None:
        return None
    body = fault.body if fault.body is not None else NOT_RUNNING if fault.status == 503 else b""
    response = Response(body, fault.status, dict(fault.headers))
    if fault.status == 429:
        response.headers.setdefault("x-function-scaleout", "1")
    return response


def _limit(options: Mapping[str, Any], name: str) -> float:
    """A limit from host.json, where -1 means that there is none."""
    value = options.get(name)
    limit = -1 if value is None else _whole_number(f"host.json: {name!r}", value)
    return limit if limit > 0 else math.inf


def _whole_number(what: str, value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ValueError(f"{what} needs to be a whole number, and is {value!r}") from None


_HOMEPAGE = "<!DOCTYPE html><title>Function app</title><h1>This function app is up and running.</h1>"
