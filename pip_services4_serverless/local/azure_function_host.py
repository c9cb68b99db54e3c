"""AzureFunctionHost: Azure Functions apps on this machine."""

import asyncio
import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import uvicorn
from pip_services4_components.config import ConfigParams

from ._azure_app import App, Function, app_settings, is_true, logger, read_json
from ._azure_call import FunctionLogs
from ._azure_front import Fault, Front, Protocol

_STOP_TIMEOUT = 5.0  # seconds


class AzureFunctionHost:
    """Serves an Azure Functions app, written with the real `azure-functions` package, over HTTP on 127.0.0.1.

    It behaves like the real front end: routes, keys, statuses, headers. Everything runs in this process: sync
    functions in a thread pool, async ones on the host's event loop. So a test may patch what a function uses, and
    nothing is left after `stop`: no thread, port, environment variable, `sys.path` entry or imported module of the app.

    ```python
    app = func.FunctionApp()

    @app.route()
    def hello(req: func.HttpRequest) -> str:
        return f"Hello, {req.params['name']}!"

    with AzureFunctionHost(app) as host:
        key = {"x-functions-key": host.function_key("hello")}
        response = requests.get(host.function_url("hello"), {"name": "World"}, headers=key)
    assert response.text == "Hello, World!"
    ```

    Args:
        app: a function app's folder (with `function_app.py`, or a folder with `function.json` for each function), or a
            `FunctionApp`.
        port: 0 takes a free one.
        enforce_keys: false asks for no keys, as `func start` does.
        keys: keys by function name, and the host's as `default` and `_master`; what is not given is made up.
        settings: environment variables, beside those of the folder's local.settings.json.
        host_json: what is used in place of the folder's host.json.
        gateway_timeout: seconds after which a call without a response gets status 502; the function goes on.

    `start` raises `OSError` if the port is taken, `ValueError` for an argument, host.json or local.settings.json that
    cannot be used, and `RuntimeError` if there is no function to serve. If some cannot be loaded, the others are
    served: `load_errors` tells which, and `not_served` what triggers and outputs this host has no part for. Both are
    logged. A function with a function.json whose code cannot be loaded keeps its route, with status 500, as in Azure.
    """

    def __init__(
        self,
        app: Any,
        *,
        port: int = 0,
        enforce_keys: bool = True,
        keys: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        host_json: Mapping[str, Any] | None = None,
        gateway_timeout: float = 230,
    ) -> None:
        self._given = app
        self._port = port
        self._enforce_keys = enforce_keys
        self._given_keys = dict(keys or {})
        self._settings = dict(settings or {})
        self._host_json = host_json
        self._gateway_timeout = gateway_timeout
        self._app: App | None = None
        self._stack: ExitStack | None = None

    def __enter__(self) -> "AzureFunctionHost":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Load the app and serve it."""
        if self._stack is not None:
            raise RuntimeError("the host is started already")
        with ExitStack() as stack:
            app, options = self._load(stack)
            app.keys = self._make_keys(app)
            stack.enter_context(FunctionLogs(debug=is_true("PYTHON_ENABLE_DEBUG_LOGGING")))
            front = Front(app, options, self._enforce_keys, self._gateway_timeout)
            server = _Server(front, app, self._port)
            self._url = f"http://127.0.0.1:{server.port}"
            stack.callback(server.stop)
            server.start()
            self._app, self._front, self._stack = app, front, stack.pop_all()

    def stop(self) -> None:
        """Ends the host. Calls in progress get status 503, and async functions are cancelled."""
        stack, self._stack = self._stack, None
        if stack is not None:
            stack.close()

    @property
    def url(self) -> str:
        """The base URL, without the route prefix."""
        if self._stack is None:
            raise RuntimeError("the host is not started")
        return self._url

    @property
    def functions(self) -> list[str]:
        """The names of the functions that have a route."""
        return list(self._loaded.functions)

    @property
    def load_errors(self) -> list[str]:
        """What could not be loaded, with the file at fault."""
        return list(self._loaded.errors)

    @property
    def not_served(self) -> list[str]:
        """The triggers and output bindings of the app that this host does not support."""
        return list(self._loaded.not_served)

    @property
    def host_key(self) -> str:
        """The key that opens all functions of level `function`."""
        return self._loaded.keys["default"]

    @property
    def master_key(self) -> str:
        """The key that opens everything."""
        return self._loaded.keys["_master"]

    def function_key(self, name: str) -> str:
        """The key of one function. Raises `LookupError` for a name that is not served, as all these methods do."""
        return self._loaded.keys[self._function(name).name]

    def function_url(self, name: str, **route_values: object) -> str:
        """A function's URL. Raises `ValueError` if its route takes other values than those."""
        return self.url + self._function(name).route.path(route_values)

    def url_template(self, name: str) -> str:
        """A function's URL with its route parameters as `{name}`."""
        return self.url + self._function(name).route.shown

    def methods(self, name: str) -> list[str]:
        """The HTTP methods that a function accepts, in alphabetical order; empty if it accepts all."""
        return sorted(self._function(name).methods)

    def config(self, name: str, **route_values: object) -> ConfigParams:
        """The `connection.uri` and `credential.auth_code` that a client of this function is configured with."""
        opened_by_own = self._function(name).auth_level in ("anonymous", "function")
        key = self.function_key(name) if opened_by_own else self.master_key
        uri = self.function_url(name, **route_values)
        return ConfigParams.from_tuples("connection.uri", uri, "credential.auth_code", key)

    def invocations(self, name: str) -> int:
        """How often the function's own code was started."""
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
        """Let the next `times` calls of a function fail, after those that are to fail already.

        Such a call waits `delay` seconds. Then `drop` drops its connection without a response; or it gets
        `status`, `headers` and `body` (by default as by the real front end: 429 with `X-FUNCTION-SCALEOUT`, 503 with
        its text); or, with neither, the function responds. With `run` it runs first, and its response is lost.

        ```python
        with AzureFunctionHost(app) as host:
            host.fail("hello", times=2, status=503, headers={"Retry-After": "1"})
            assert requests.get(host.function_url("hello")).status_code == 503
        ```

        Raises `ValueError` for a fault that would be none.
        """
        function = self._function(name)
        if status is None and not drop and not delay:
            raise ValueError("a fault needs a status, a delay or drop=True")
        if status is not None and not 200 <= status <= 599:
            raise ValueError(f"{status} is not the status of a response")
        content = body.encode() if isinstance(body, str) else body
        self._front.faults[function.name].extend(
            [Fault(status, dict(headers or {}), content, delay, drop, run)] * times
        )

    @property
    def _loaded(self) -> App:
        if self._app is None:
            raise RuntimeError("the host was not started")
        return self._app

    def _function(self, name: str) -> Function:
        functions = self._loaded.functions
        if name not in functions:
            raise LookupError(f"there is no function {name!r}; the functions are {', '.join(map(repr, functions))}")
        return functions[name]

    def _load(self, stack: ExitStack) -> tuple[App, Mapping[str, Any]]:
        """The app, and the options of its host.json for HTTP."""
        folder = Path(self._given).resolve() if isinstance(self._given, str | os.PathLike) else None
        if folder is not None and not folder.is_dir():
            raise ValueError(f"{folder} is not the folder of a function app")
        stack.enter_context(app_settings(folder, self._settings))
        host_json = self._host_json
        if host_json is None:
            path = folder and folder / "host.json"
            host_json = read_json(path) if path and path.exists() else {}
        options = (host_json.get("extensions") or {}).get("http") or {}
        app = App(folder or Path.cwd(), str(options.get("routePrefix", "api")))
        if folder is not None:
            app.load_folder(stack)
        else:
            app.load_register(self._given)
        if reason := app.nothing_to_serve():
            raise RuntimeError(f"there is nothing to serve in {folder or repr(self._given)}: {reason}")
        return app, options

    def _make_keys(self, app: App) -> dict[str, str]:
        names = ["_master", "default", *app.functions]
        unknown = sorted(set(self._given_keys) - set(names))
        if unknown:
            raise ValueError(f"keys are given for {unknown}, and there are {names}")
        return {name: self._given_keys.get(name) or secrets.token_urlsafe(32) for name in names}


def _listen(port: int) -> socket.socket:
    # With the protocol named, asyncio turns Nagle's algorithm off: else a response of two packets takes 40 ms more.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OverflowError as error:
        listener.close()
        raise ValueError(f"{port} is not a port") from error
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on 127.0.0.1:{port}: {error.strerror}") from error
    return listener


class _Server(uvicorn.Server):
    """uvicorn in a thread of its own."""

    def __init__(self, front: Front, app: App, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                front,
                http=Protocol,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=120,  # seconds
                h11_max_incomplete_event_size=65_536,  # bytes of headers
            )
        )
        self._front = front
        self._app = app
        self._listener = _listen(port)
        self.port: int = self._listener.getsockname()[1]
        self._ready = threading.Event()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._error: BaseException | None = None
        # A daemon, as the threads of its pool then are: a function that hangs does not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="azure-function-host", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            raise RuntimeError(f"the server did not start: {self._error!r}") from self._error

    def stop(self) -> None:
        self.should_exit = True
        deadline = time.monotonic() + _STOP_TIMEOUT
        threads = [self._thread]
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended on its own
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(_STOP_TIMEOUT)
            # The threads of AnyIO's pool, also those that a framework of the app used: they end with their loop.
            threads += [thread for thread in threading.enumerate() if getattr(thread, "loop", None) is self._loop]
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            logger.warning("A function that did not return within %s s of the stop still runs", _STOP_TIMEOUT)

    def _run(self) -> None:
        try:
            self.run(sockets=[self._listener])
        except BaseException as error:
            self._error = error
        finally:
            self._listener.close()
            self._ready.set()

    async def main_loop(self) -> None:
        """Wait for the stop without polling."""
        self._loop = asyncio.get_running_loop()
        while not self.should_exit:
            await self.on_tick(0)  # the Date header
            self._ready.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cancels the calls in progress, for which uvicorn would wait."""
        for server in self.servers:
            server.close()
        self._front.cancel()
        if self.server_state.tasks:
            await asyncio.wait(set(self.server_state.tasks), timeout=1)  # the responses with 503 are sent
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if getattr(self._app.register, "startup_task_done", False):
            await self._end_lifespan(self._app.register)

    async def _end_lifespan(self, register: Any) -> None:
        """Shut an `AsgiFunctionApp` down on the loop that started it, and make it ready to be hosted again."""
        middleware = register.middleware
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_TIMEOUT):
                await middleware.notify_shutdown()
        register.startup_task_done = False
        middleware.lifespan_receive_queue = None
        middleware.lifespan_startup_event = middleware.lifespan_shutdown_event = None
