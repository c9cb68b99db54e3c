"""GoogleFunctionHost: runs Google Cloud Functions on this machine."""

from __future__ import annotations

import contextlib
import hmac
import logging
import os
import re
import secrets
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import Any, ClassVar, Self

import functions_framework
from flask import Flask
from functions_framework.exceptions import FunctionsFrameworkException
from pip_services4_components.config import ConfigParams
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Response
from werkzeug.wsgi import ClosingIterator

from ._app_modules import AppModules
from ._faults import Fault
from ._listener import listen

_STOP_TIMEOUT = 5.0  # seconds
_POLL_SECONDS = 0.02  # how often the server checks whether it has to stop
# functions-framework sets these variables, because it expects one function in the process.
_FRAMEWORK_VARIABLES = ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE")
_ERROR_PAGE = "<html><head><title>{0} {1}</title></head><body><h1>Error: {1}</h1><h2>{2}</h2></body></html>"
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_CLOUD_RUN_BODIES = {429: "Rate exceeded.", 503: "Service Unavailable"}

logger = logging.getLogger("pip_services4_serverless.local.google")

Environ = dict[str, Any]
Wsgi = Callable[[Environ, Any], Iterable[bytes]]


@dataclass
class _Function:
    app: Wsgi
    modules: AppModules
    token: str | None  # None: calls need no token
    faults: deque[Fault] = field(default_factory=deque)
    invocations: int = 0


class GoogleFunctionHost:
    """Serves Google Cloud Functions written in Python, with Google's `functions-framework`, over HTTP on 127.0.0.1.

    Everything runs in this process, each call in its own thread. So a test can patch what a function uses. After
    `stop`, no port, thread, `sys.path` entry or imported module of a function is left.

    On Google each function has its own instance. Here the functions share the process and its environment, but not
    their modules. The variables `FUNCTION_TARGET` and `FUNCTION_SIGNATURE_TYPE` are not set for them. Functions of
    `functions_framework.aio` are rejected.

    As on Google, a call needs a token, unless the function was deployed with `allow_unauthenticated`. The host
    generates the token, and `config` contains it.

    Args:
        port: the port on 127.0.0.1. 0 means a free port.
        token: the token that calls need. None generates one.

    ```python
    client = CommandableCloudFunctionClient("greeter")
    with GoogleFunctionHost() as host:
        host.deploy("greeter", "functions/greeter")
        client.configure(host.config("greeter"))
        client.open("123")
        assert client.call_command("greet", "123", {"name": "Ada"}) == {"greeting": "Hello, Ada!"}
        client.close("123")
    ```
    """

    def __init__(self, *, port: int = 0, token: str | None = None) -> None:
        self._requested_port = port
        self._token = token or secrets.token_urlsafe(32)
        self._functions: dict[str, _Function] = {}
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Starts the host. It does nothing if the host is started already.

        Raises:
            OSError: the port is in use.
            ValueError: the port is not from 0 to 65535.
        """
        if self._server is None:
            self._stopping = threading.Event()
            with listen("GoogleFunctionHost", self._requested_port) as listener:
                # The server duplicates the descriptor, so the listener can be closed.
                port, fd = listener.getsockname()[1], listener.fileno()
                shared = {"connections": self._connections, "stopping": self._stopping}
                handler = type("_Handler", (_Handler,), shared)
                self._server = make_server("127.0.0.1", port, self._serve, True, request_handler=handler, fd=fd)
            serve = self._server.serve_forever
            self._thread = threading.Thread(
                target=serve, args=[_POLL_SECONDS], name="google-function-host", daemon=True
            )
            self._thread.start()
        return self

    def stop(self) -> None:
        """Stops the host and removes the functions. The connections of calls in progress are closed."""
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        self._stopping.set()
        server.shutdown()
        self._thread.join()
        for name in self.functions:
            self.remove(name)
        for connection in tuple(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for _ in range(int(_STOP_TIMEOUT / _POLL_SECONDS)):
            if not self._connections:
                return
            time.sleep(_POLL_SECONDS)
        logger.warning("A function still runs %s s after the host was stopped", _STOP_TIMEOUT)

    @property
    def url(self) -> str:
        """The base URL. The URL of a function ends with its name.

        Raises:
            RuntimeError: the host is not started.
        """
        if self._server is None:
            raise RuntimeError("GoogleFunctionHost is not started")
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def functions(self) -> list[str]:
        """The names of the functions that are deployed."""
        return list(self._functions)

    def deploy(
        self,
        name: str,
        path: str | os.PathLike[str],
        target: str | None = None,
        *,
        allow_unauthenticated: bool = False,
    ) -> str:
        """Loads a function and serves it. It replaces an earlier function of that name.

        Args:
            name: the name of the function, with which its URL ends: letters, digits, `-` and `_`.
            path: the folder of its `main.py`, or its file.
            target: the name of the Python function, like `--entry-point` of gcloud. None means `name`.
            allow_unauthenticated: calls need no token.

        Returns:
            The URL of the function.

        Raises:
            ValueError: the name is not valid.
            FileNotFoundError: there is no such file.
            RuntimeError: the host is not started, or the function cannot be loaded. The message says why.
        """
        url = f"{self.url}/{name}"
        if not _NAME.fullmatch(name):
            raise ValueError(f"name: must be letters, digits, '-' and '_', not {name!r}")
        source = Path(path).resolve()
        source = source / "main.py" if source.is_dir() else source
        if not source.is_file():
            raise FileNotFoundError(f"there is no {source} to deploy {name!r} from")
        modules = AppModules(source.parent)
        try:
            app = _load(source, target or name, modules)
        except BaseException:
            modules.unload()
            raise
        if name in self._functions:
            self.remove(name)
        self._functions[name] = _Function(app, modules, None if allow_unauthenticated else self._token)
        return url

    def remove(self, name: str) -> None:
        """Removes a function.

        Raises:
            LookupError: there is no such function. The message lists the deployed ones.
        """
        self._function(name).modules.unload()
        del self._functions[name]

    def config(self, name: str) -> ConfigParams:
        """The configuration of a client of this function: `connection.uri` and `credential.auth_token`.

        Raises:
            LookupError: there is no such function. The message lists the deployed ones.
        """
        config = ConfigParams.from_tuples("connection.uri", f"{self.url}/{name}")
        if token := self._function(name).token:
            config.put("credential.auth_token", token)
        return config

    def invocations(self, name: str) -> int:
        """How often the code of the function was started since it was deployed.

        Raises:
            LookupError: there is no such function. The message lists the deployed ones.
        """
        return self._function(name).invocations

    def fail(
        self,
        name: str,
        times: int = 1,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: str | bytes | None = None,
        delay: float = 0,
        drop: bool = False,
        run: bool = False,
    ) -> None:
        """Makes the next `times` calls of a function fail. Faults that were added earlier come first.

        Args:
            name: the name of the function.
            times: the number of calls.
            status: the status of the response. Without it, and without `drop`, the function responds after the delay.
            headers: the headers of the response.
            body: the body of the response. By default it is the text that Google sends with this status.
            delay: seconds before the response, or before the function runs.
            drop: drop the connection without a response.
            run: run the function first, and discard its response.

        ```python
        with GoogleFunctionHost() as host:
            url = host.deploy("greeter", "functions/greeter", allow_unauthenticated=True)
            host.fail("greeter", times=2, status=503, headers={"Retry-After": "1"})
            assert requests.post(url, json={}).status_code == 503
        ```

        Raises:
            LookupError: there is no such function. The message lists the deployed ones.
            ValueError: there is neither a status, a delay nor `drop`, or the status or a header is not valid.
        """
        function = self._function(name)
        fault = Fault(status, dict(headers or {}), body, delay, drop, run)
        function.faults.extend([fault] * times)

    def _function(self, name: str) -> _Function:
        if name not in self._functions:
            names = ", ".join(self._functions) or "none"
            raise LookupError(f"no function {name!r} is deployed; the deployed functions are: {names}")
        return self._functions[name]

    def _serve(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Handles a request, in its own thread."""
        started, outcome = time.monotonic(), "dropped"

        def start(status: str, *arguments: Any) -> Any:
            nonlocal outcome
            outcome = status.partition(" ")[0]
            return start_response(status, *arguments)

        def end() -> None:
            # The query is not logged, because it may contain a secret.
            spent = (time.monotonic() - started) * 1000
            logger.info("%s %s: %s in %d ms", environ["REQUEST_METHOD"], environ["PATH_INFO"], outcome, spent)

        try:
            response = self._respond(environ)
            if response is None:
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                raise ConnectionAbortedError  # werkzeug ignores it, as if the client had disconnected
            return ClosingIterator(response(environ, start), end)
        except BaseException:
            end()
            raise

    def _respond(self, environ: Environ) -> Wsgi | None:
        """The WSGI application that responds to a request. None drops its connection."""
        name, _, rest = environ["PATH_INFO"].lstrip("/").partition("/")
        function = self._functions.get(name)
        if function is None:
            return _error_response(404, "The requested URL was not found on this server.")
        fault = None
        with self._lock:
            if function.faults:
                fault = function.faults.popleft()
        if fault is not None:
            self._stopping.wait(fault.delay)
            if fault.replaces_response and not fault.run:
                return _fault_response(fault)
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if function.token and not (
            scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), function.token.encode())
        ):
            return _error_response(401 if scheme else 403, "Your client does not have permission to the requested URL")
        function_environ = {**environ, "SCRIPT_NAME": f"/{name}", "PATH_INFO": f"/{rest}"}
        with self._lock:
            function.invocations += 1
        if fault is not None and fault.replaces_response:
            Response.from_app(function.app, function_environ, buffered=True)
            return _fault_response(fault)
        return lambda _, start_response: function.app(function_environ, start_response)


class _Handler(WSGIRequestHandler):
    connections: ClassVar[set[socket.socket]]  # the open connections of the host
    stopping: ClassVar[threading.Event]  # set before the host closes the connections

    def setup(self) -> None:
        super().setup()
        self.connections.add(self.connection)
        if self.stopping.is_set():  # this thread began so late that the host did not find its connection
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    def finish(self) -> None:
        self.connections.discard(self.connection)
        super().finish()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Does nothing: the host logs each request when it has ended, with its duration."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 (the name that werkzeug gives it)
        """Logs a request that could not be read, without the message, which may quote a secret from the request."""
        logger.info("A request could not be read")


def _load(source: Path, target: str, modules: AppModules) -> Flask:
    before = {name: os.environ.get(name) for name in _FRAMEWORK_VARIABLES}
    try:
        with modules.loading(source.stem):
            paths = list(sys.path)
            try:
                app = functions_framework.create_app(target, str(source), "http")  # type: ignore[no-untyped-call]
            finally:
                sys.path[:] = paths
    except FunctionsFrameworkException as error:
        raise RuntimeError(f"{target!r} of {source} cannot be loaded: {error}") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise RuntimeError(f"{target!r} of {source} cannot be loaded: {reason}") from error
    finally:
        _forget_decorators(modules)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
    if not isinstance(app, Flask):
        raise RuntimeError(f"{target!r} of {source} is asynchronous; only functions-framework itself can run it")
    return app


def _forget_decorators(modules: AppModules) -> None:
    """Makes the framework forget how a function's code has decorated its functions.

    The framework remembers it by name. Otherwise it would treat a function of other code with the same name alike.
    """
    for module in modules.own:
        for value in list(vars(module).values()):
            if isinstance(value, FunctionType) and value.__module__ == module.__name__:
                functions_framework.http(value)  # what the framework assumes without a decorator


def _error_response(status: int, text: str) -> Response:
    """A response of Google's front end. It is HTML, except for the statuses with which Cloud Run responds."""
    if status in _CLOUD_RUN_BODIES:
        return Response(_CLOUD_RUN_BODIES[status], status)
    title = Response(status=status).status.partition(" ")[2].title()
    return Response(_ERROR_PAGE.format(status, title, text), status, mimetype="text/html")


def _fault_response(fault: Fault) -> Response | None:
    """The response of Google's front end with the status of the fault. None drops the connection."""
    if fault.drop or fault.status is None:
        return None
    response = _error_response(fault.status, "") if fault.body is None else Response(fault.body, fault.status)
    response.headers.extend(fault.headers)
    return response
