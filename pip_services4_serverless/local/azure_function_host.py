"""AzureFunctionHost: runs Azure Functions apps on this machine."""

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
from typing import Any, Self

import uvicorn
from pip_services4_components.config import ConfigParams

from ._azure_app import App, Function, app_settings, is_true, logger, read_json
from ._azure_call import FunctionLogs
from ._azure_front_end import FrontEnd, Protocol, http_options
from ._faults import Fault
from ._listener import listen

_STOP_TIMEOUT = 5.0  # seconds


class AzureFunctionHost:
    """Serves an Azure Functions app, written with the real `azure-functions` package, over HTTP on 127.0.0.1.

    Routes, keys, statuses and headers are those of Azure's front end. Everything runs in this process: sync functions
    in a thread pool, async functions on the host's event loop. So a test can patch what a function uses. After
    `stop`, no thread, port, environment variable, `sys.path` entry or imported module of the app is left.

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
        port: the port on 127.0.0.1. 0 means a free port.
        enforce_keys: False requires no keys, like `func start`.
        keys: keys by the name of the function, and those of the host as `default` and `_master`. Others are generated.
        settings: environment variables, in addition to those of the folder's local.settings.json.
        host_json: replaces the folder's host.json.
        gateway_timeout: seconds after which a call without a response gets status 502. The function keeps running.

    If some functions cannot be loaded, the others are served. `load_errors` has the reasons, and `not_served` has the
    triggers and outputs that this host does not support. Both are logged. If a function has a function.json and its
    code cannot be loaded, its route responds with status 500, as in Azure.
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
        self._source = app
        self._port = port
        self._enforce_keys = enforce_keys
        self._given_keys = dict(keys or {})
        self._settings = dict(settings or {})
        self._host_json = host_json
        self._gateway_timeout = gateway_timeout
        self._app: App | None = None
        self._stack: ExitStack | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Loads the app and serves it. It does nothing if the host is started already.

        Raises:
            OSError: the port is in use.
            ValueError: an argument, host.json or local.settings.json is wrong.
            RuntimeError: no function can be loaded.
        """
        if self._stack is not None:
            return self
        with ExitStack() as stack:
            app, options = self._load(stack)
            app.keys = self._make_keys(app)
            stack.enter_context(FunctionLogs(debug=is_true("PYTHON_ENABLE_DEBUG_LOGGING")))
            front_end = FrontEnd(app, options, self._enforce_keys, self._gateway_timeout)
            server = _Server(front_end, app, self._port)
            self._url = f"http://127.0.0.1:{server.port}"
            stack.callback(server.stop)
            server.start()
            self._app, self._front_end, self._stack = app, front_end, stack.pop_all()
        return self

    def stop(self) -> None:
        """Stops the host. Calls in progress get status 503, and async functions are cancelled."""
        stack, self._stack = self._stack, None
        if stack is not None:
            stack.close()

    @property
    def url(self) -> str:
        """The base URL, without the route prefix."""
        if self._stack is None:
            raise RuntimeError("AzureFunctionHost is not started")
        return self._url

    @property
    def functions(self) -> list[str]:
        """The names of the functions that have a route."""
        return list(self._loaded.functions)

    @property
    def load_errors(self) -> list[str]:
        """The reasons why functions could not be loaded, with their files."""
        return list(self._loaded.errors)

    @property
    def not_served(self) -> list[str]:
        """The triggers and output bindings of the app that this host does not support."""
        return list(self._loaded.not_served)

    @property
    def host_key(self) -> str:
        """The key of the host, which is valid for all functions of level `function`."""
        return self._loaded.keys["default"]

    @property
    def master_key(self) -> str:
        """The master key, which is valid for everything."""
        return self._loaded.keys["_master"]

    def function_key(self, name: str) -> str:
        """The key of one function.

        Raises:
            LookupError: there is no such function. All methods that take a name raise it.
        """
        return self._loaded.keys[self._function(name).name]

    def function_url(self, name: str, **route_values: object) -> str:
        """The URL of a function. Raises `ValueError` if a route value is missing or unknown."""
        return self.url + self._function(name).route.path(route_values)

    def url_template(self, name: str) -> str:
        """The URL of a function, with `{name}` for each route parameter."""
        return self.url + self._function(name).route.path_template

    def methods(self, name: str) -> list[str]:
        """The HTTP methods that a function accepts, in alphabetical order; empty if it accepts all."""
        return sorted(self._function(name).methods)

    def config(self, name: str, **route_values: object) -> ConfigParams:
        """The configuration of a client of this function: `connection.uri` and `credential.auth_code`."""
        needs_master_key = self._function(name).auth_level not in ("anonymous", "function")
        key = self.master_key if needs_master_key else self.function_key(name)
        uri = self.function_url(name, **route_values)
        return ConfigParams.from_tuples("connection.uri", uri, "credential.auth_code", key)

    def invocations(self, name: str) -> int:
        """How often the code of the function was started."""
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
            headers: the headers of the response. 429 also has `X-FUNCTION-SCALEOUT`, as in Azure.
            body: the body of the response. By default it is the text that Azure sends with this status.
            delay: seconds before the response, or before the function runs.
            drop: drop the connection without a response.
            run: run the function first, and discard its response.

        ```python
        with AzureFunctionHost(app) as host:
            host.fail("hello", times=2, status=503, headers={"Retry-After": "1"})
            assert requests.get(host.function_url("hello")).status_code == 503
        ```

        Raises:
            ValueError: there is neither a status, a delay nor `drop`, or the status or a header is not valid.
            LookupError: there is no such function.
        """
        faults = self._front_end.faults[self._function(name).name]
        given = {header: str(value) for header, value in (headers or {}).items()}
        faults.extend([Fault(status, given, body, delay, drop, run)] * times)

    @property
    def _loaded(self) -> App:
        if self._app is None:
            raise RuntimeError("AzureFunctionHost is not started")
        return self._app

    def _function(self, name: str) -> Function:
        functions = self._loaded.functions
        if name not in functions:
            raise LookupError(f"there is no function {name!r}; the functions are {', '.join(map(repr, functions))}")
        return functions[name]

    def _load(self, stack: ExitStack) -> tuple[App, Mapping[str, Any]]:
        """The app, and the options of its host.json for HTTP."""
        folder = Path(self._source).resolve() if isinstance(self._source, str | os.PathLike) else None
        if folder is not None and not folder.is_dir():
            raise ValueError(f"{folder} is not the folder of a function app")
        stack.enter_context(app_settings(folder, self._settings))
        host_json = self._host_json
        if host_json is None:
            path = folder and folder / "host.json"
            host_json = read_json(path) if path and path.exists() else {}
        options = http_options(host_json)
        prefix = options.get("routePrefix")
        app = App(folder or Path.cwd(), "api" if prefix is None else str(prefix))
        if folder is not None:
            app.load_folder(stack)
        else:
            app.load_register(self._source)
        if reason := app.nothing_to_serve():
            raise RuntimeError(f"there is nothing to serve in {folder or repr(self._source)}: {reason}")
        return app, options

    def _make_keys(self, app: App) -> dict[str, str]:
        names = ["_master", "default", *app.functions]
        unknown = sorted(set(self._given_keys) - set(names))
        if unknown:
            raise ValueError(f"keys: there is no function {', '.join(unknown)}; the names are {', '.join(names)}")
        return {name: self._given_keys.get(name) or secrets.token_urlsafe(32) for name in names}


class _Server(uvicorn.Server):
    """Runs uvicorn in a thread."""

    def __init__(self, front_end: FrontEnd, app: App, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                front_end,
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
        self._front_end = front_end
        self._app = app
        self._listener = listen("AzureFunctionHost", port)
        self.port: int = self._listener.getsockname()[1]
        self._ready = threading.Event()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._error: BaseException | None = None
        # The threads of AnyIO's pool are then daemons too, so that the process can end while a function hangs.
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
            with suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(_STOP_TIMEOUT)
            # The threads of AnyIO's pool end with their loop. A framework of the app may have started some of them.
            threads += [thread for thread in threading.enumerate() if getattr(thread, "loop", None) is self._loop]
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            logger.warning("A function still runs %s s after the host was stopped", _STOP_TIMEOUT)

    def _run(self) -> None:
        try:
            self.run(sockets=[self._listener])
        except BaseException as error:
            self._error = error
        finally:
            self._listener.close()
            self._ready.set()

    async def main_loop(self) -> None:
        """Waits for the stop without polling."""
        self._loop = asyncio.get_running_loop()
        while not self.should_exit:
            await self.on_tick(0)  # updates the header Date
            self._ready.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cancels the calls in progress. uvicorn would wait for them."""
        for server in self.servers:
            server.close()
        self._front_end.cancel()
        if self.server_state.tasks:
            await asyncio.wait(set(self.server_state.tasks), timeout=1)  # seconds, to send the responses with 503
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if getattr(self._app.register, "startup_task_done", False):
            await self._end_lifespan(self._app.register)

    async def _end_lifespan(self, register: Any) -> None:
        """Shuts an `AsgiFunctionApp` down on the loop that started it, so that another host can serve it."""
        middleware = register.middleware
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_TIMEOUT):
                await middleware.notify_shutdown()
        register.startup_task_done = False
        middleware.lifespan_receive_queue = None
        middleware.lifespan_startup_event = middleware.lifespan_shutdown_event = None
