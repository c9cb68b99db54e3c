"""GoogleFunctionHost: Google Cloud Functions on this machine."""

from __future__ import annotations

import contextlib
import hmac
import logging
import os
import secrets
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import functions_framework
from flask import Flask
from functions_framework.exceptions import FunctionsFrameworkException
from pip_services4_components.config import ConfigParams
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Response
from werkzeug.wsgi import ClosingIterator

from ._app_modules import AppModules

_STOP_TIMEOUT = 5.0
_POLL_SECONDS = 0.02  # in which the server sees that it is to stop
# What functions-framework writes into the environment of its process, which it takes for that of one function.
_OWN_VARIABLES = ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE")
_PAGE = "<html><head><title>{0} {1}</title></head><body><h1>Error: {1}</h1><h2>{2}</h2></body></html>"
_BODIES = {429: "Rate exceeded.", 503: "Service Unavailable"}

logger = logging.getLogger("pip_services4_serverless.local.google")

Environ = dict[str, Any]
Wsgi = Callable[[Environ, Any], Iterable[bytes]]


class _Fault(NamedTuple):
    response: Response | None
    delay: float  # seconds
    drop: bool
    run: bool

    @property
    def replaces_response(self) -> bool:
        """Whether it takes the place of the function's response, and does not only delay it."""
        return self.drop or self.response is not None


@dataclass
class _Function:
    app: Wsgi
    modules: AppModules
    token: str | None  # None lets everybody call it
    faults: deque[_Fault] = field(default_factory=deque)
    invocations: int = 0


class GoogleFunctionHost:
    """Serves Google Cloud Functions written in Python over HTTP on 127.0.0.1, by Google's own `functions-framework`.

    Everything runs in this process, each call in a thread of its own. So a test may patch what a function uses, and
    after `stop` no port, thread, `sys.path` entry or imported module of a function is left. The functions of a host
    share the process and its environment, where each has an instance of its own at Google; their modules are apart.
    The variables `FUNCTION_TARGET` and `FUNCTION_SIGNATURE_TYPE` are not set for them, and functions of
    `functions_framework.aio` are rejected.

    As at Google, a call needs a token unless the function was deployed with `allow_unauthenticated`. The token is made
    up here: `config` has it.

    Args:
        port: the port on 127.0.0.1; 0 takes a free one.
        token: the token that calls need; None makes one up.

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
        self._wanted_port = port
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
        """Starts to serve; does nothing when it serves already.

        Raises:
            OSError: the port is taken.
            ValueError: the port is not one.
        """
        if self._server is None:
            self._stopping.clear()
            with _listen(self._wanted_port) as listener:
                # The server has a copy of the descriptor.
                port, fd = listener.getsockname()[1], listener.fileno()
                handler = type("_Handler", (_Handler,), {"connections": self._connections})
                self._server = make_server("127.0.0.1", port, self._serve, True, request_handler=handler, fd=fd)
            serve = self._server.serve_forever
            self._thread = threading.Thread(
                target=serve, args=[_POLL_SECONDS], name="google-function-host", daemon=True
            )
            self._thread.start()
        return self

    def stop(self) -> None:
        """Ends the server and removes the functions. Calls under way lose their connections."""
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
        until = threading.Event()
        for _ in range(int(_STOP_TIMEOUT / _POLL_SECONDS)):
            if not self._connections:
                return
            until.wait(_POLL_SECONDS)
        logger.warning("A function that did not return within %s s of the stop still runs", _STOP_TIMEOUT)

    @property
    def url(self) -> str:
        """The base URL; a function's name follows it.

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
        """Loads a function and serves it, in place of an earlier function of that name.

        Args:
            name: the function's name, which its URL ends with.
            path: the folder of its `main.py`, or its file.
            target: the Python function in it that is called, as `--entry-point` of gcloud; None for `name`.
            allow_unauthenticated: calls need no token.

        Returns:
            The function's URL.

        Raises:
            FileNotFoundError: there is no such file.
            RuntimeError: the host is not started, or the function cannot be loaded; the message says why.
        """
        url = f"{self.url}/{name}"
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
        """Takes a function away.

        Raises:
            LookupError: there is no such function; the message has those that there are.
        """
        self._function(name).modules.unload()
        del self._functions[name]

    def config(self, name: str) -> ConfigParams:
        """The `connection.uri` and `credential.auth_token` that a client of this function is configured with.

        Raises:
            LookupError: there is no such function; the message has those that there are.
        """
        config = ConfigParams.from_tuples("connection.uri", f"{self.url}/{name}")
        if token := self._function(name).token:
            config.put("credential.auth_token", token)
        return config

    def invocations(self, name: str) -> int:
        """How often the function was called since it was deployed, without calls that ended before they reached it.

        Raises:
            LookupError: there is no such function; the message has those that there are.
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
        """Lets the next `times` calls of a function fail, after those that are to fail already.

        Such a call waits `delay` seconds. Then `drop` drops its connection without a response; or it gets
        `status`, `headers` and `body` (by default as by Google's front end); or, with neither, the function responds.
        With `run` the function runs first, and its response is lost.

        ```python
        with GoogleFunctionHost() as host:
            url = host.deploy("greeter", "functions/greeter", allow_unauthenticated=True)
            host.fail("greeter", times=2, status=503, headers={"Retry-After": "1"})
            assert requests.post(url, json={}).status_code == 503
        ```

        Raises:
            LookupError: there is no such function; the message has those that there are.
            ValueError: nothing would fail.
        """
        function = self._function(name)
        if status is None and not drop and not delay:
            raise ValueError("a fault needs a status, a delay or drop=True")
        if status is not None and not 200 <= status <= 599:
            raise ValueError(f"{status} is not the status of a response")
        response = None
        if status is not None:
            response = _page(status, "") if body is None else Response(body, status)
            response.headers.extend(dict(headers or {}))
        function.faults.extend([_Fault(response, delay, drop, run)] * times)

    def _function(self, name: str) -> _Function:
        if name not in self._functions:
            there = ", ".join(self._functions) or "none"
            raise LookupError(f"no function {name!r} is deployed; there are: {there}")
        return self._functions[name]

    def _serve(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """One request, in a thread of its own."""
        started, outcome = time.monotonic(), "dropped"

        def start(status: str, *arguments: Any) -> Any:
            nonlocal outcome
            outcome = status.partition(" ")[0]
            return start_response(status, *arguments)

        def end() -> None:
            # Without the query, which may hold what its owner takes for a secret.
            spent = (time.monotonic() - started) * 1000
            logger.info("%s %s: %s in %d ms", environ["REQUEST_METHOD"], environ["PATH_INFO"], outcome, spent)

        try:
            response = self._respond(environ)
            if response is None:
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                raise ConnectionAbortedError  # which werkzeug takes for a client that has gone
            return ClosingIterator(response(environ, start), end)
        except BaseException:
            end()
            raise

    def _respond(self, environ: Environ) -> Wsgi | None:
        """What responds to a request; None drops its connection."""
        name, _, rest = environ["PATH_INFO"].lstrip("/").partition("/")
        function = self._functions.get(name)
        if function is None:
            return _page(404, "The requested URL was not found on this server.")
        fault = None
        with self._lock:
            if function.faults:
                fault = function.faults.popleft()
        if fault is not None:
            self._stopping.wait(fault.delay)
            if fault.replaces_response and not fault.run:
                return None if fault.drop else fault.response
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if function.token and not (
            scheme.lower() == "bearer" and hmac.compare_digest(token.encode(), function.token.encode())
        ):
            return _page(401 if scheme else 403, "Your client does not have permission to the requested URL")
        own = {**environ, "SCRIPT_NAME": f"/{name}", "PATH_INFO": f"/{rest}"}
        with self._lock:
            function.invocations += 1
        if fault is not None and fault.replaces_response:
            Response.from_app(function.app, own, buffered=True)
            return None if fault.drop else fault.response
        return lambda _, start_response: function.app(own, start_response)


class _Handler(WSGIRequestHandler):
    connections: ClassVar[set[socket.socket]]  # the host's that are open, with a request or before it

    def setup(self) -> None:
        super().setup()
        self.connections.add(self.connection)

    def finish(self) -> None:
        self.connections.discard(self.connection)
        super().finish()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: the host logs each request when it has ended, with its time."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 (the name that werkzeug gives it)
        """What is not a request. The message may quote what was sent, a secret among it."""
        logger.info("A request could not be read")


def _load(source: Path, target: str, modules: AppModules) -> Flask:
    before = {name: os.environ.get(name) for name in _OWN_VARIABLES}
    paths = list(sys.path)
    try:
        with modules.loading(source.stem):
            paths = list(sys.path)
            app = functions_framework.create_app(target, str(source), "http")  # type: ignore[no-untyped-call]
    except FunctionsFrameworkException as error:
        raise RuntimeError(f"{target!r} of {source} cannot be loaded: {error}") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise RuntimeError(f"{target!r} of {source} cannot be loaded: {reason}") from error
    finally:
        sys.path[:] = paths
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
    if not isinstance(app, Flask):
        raise RuntimeError(f"{target!r} of {source} is asynchronous; run it with functions-framework itself")
    return app


def _page(status: int, text: str) -> Response:
    """As Google's front end has it: in HTML, but for what Cloud Run says."""
    if status in _BODIES:
        return Response(_BODIES[status], status)
    title = Response(status=status).status.partition(" ")[2].title()
    return Response(_PAGE.format(status, title, text), status, mimetype="text/html")


@contextlib.contextmanager
def _listen(port: int) -> Iterator[socket.socket]:
    """Opens the port: if it is in use, werkzeug would end the process."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OverflowError as error:
            raise ValueError(f"{port} is not a port") from error
        except OSError as error:
            message = f"GoogleFunctionHost cannot listen on 127.0.0.1:{port}: {error.strerror}"
            raise OSError(error.errno, message) from error
        listener.listen(128)
        yield listener
