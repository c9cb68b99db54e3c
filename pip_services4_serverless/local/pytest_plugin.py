"""The pytest plugin: fixtures for the local hosts and for clients, and the types of these fixtures.

pytest loads it in every session, so it imports the hosts only when a test uses them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pytest

if TYPE_CHECKING:
    from pip_services4_components.config import ConfigParams

    from . import AzureFunctionHost, GoogleFunctionHost, LambdaHost

__all__ = [
    "AzureClientFixture",
    "AzureFunctionHostFixture",
    "GoogleClientFixture",
    "GoogleFunctionHostFixture",
    "LambdaClientFixture",
    "LambdaHostFixture",
]

_LAMBDA_LOGGERS = "pip_services4_serverless.local.lambda"
_LAMBDA_HOST: pytest.StashKey[LambdaHost] = pytest.StashKey()


class _Client(Protocol):
    def configure(self, config: Any) -> None: ...
    def open(self, context: Any) -> None: ...
    def close(self, context: Any) -> None: ...


C = TypeVar("C", bound=_Client)


class AzureFunctionHostFixture(Protocol):
    """The type of the fixture `azure_function_host`."""

    def __call__(self, app: Any, **options: Any) -> AzureFunctionHost:
        """Serves a function app until the test ends."""


class GoogleFunctionHostFixture(Protocol):
    """The type of the fixture `google_function_host`."""

    def __call__(
        self, name: str, path: str | os.PathLike[str], target: str | None = None, **options: Any
    ) -> GoogleFunctionHost:
        """Deploys a function until the test ends."""


class LambdaHostFixture(Protocol):
    """The type of the fixture `lambda_host`."""

    def __call__(self, name: str, path: str | os.PathLike[str], handler: str, **options: Any) -> LambdaHost:
        """Deploys a function until the test ends."""


class AzureClientFixture(Protocol):
    """The type of the fixture `azure_client`."""

    def __call__(self, app: Any, client: Callable[[], C], function: str | None = None, **options: Any) -> C:
        """Opens a client until the test ends."""


class GoogleClientFixture(Protocol):
    """The type of the fixture `google_client`."""

    def __call__(
        self, path: str | os.PathLike[str] | GoogleFunctionHost, target: str, client: Callable[[], C], **options: Any
    ) -> C:
        """Opens a client until the test ends."""


class LambdaClientFixture(Protocol):
    """The type of the fixture `lambda_client`."""

    def __call__(
        self, path: str | os.PathLike[str] | LambdaHost, handler: str, client: Callable[[], C], **options: Any
    ) -> C:
        """Opens a client until the test ends."""


def pytest_configure(config: pytest.Config) -> None:
    """Sets the level of the loggers of handlers to INFO, so that the report of a failed test has what they print."""
    logger = logging.getLogger(_LAMBDA_LOGGERS)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
        config.add_cleanup(lambda: logger.setLevel(logging.NOTSET))


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Reads what handlers have printed, before pytest makes the report of the test."""
    try:
        return (yield)
    finally:
        if host := item.session.stash.get(_LAMBDA_HOST, None):
            for name in host.functions:
                host.invocations(name)


@pytest.fixture
def azure_function_host() -> Iterator[AzureFunctionHostFixture]:
    """Serves function apps until the test ends: `azure_function_host(app, **options)` returns a started host.

    `app` is a folder or a `FunctionApp`. `options` are those of `AzureFunctionHost`. Each app of each test has its own
    host, which runs in threads of the test's process and starts in 2 ms.

    ```python
    def test_greets_on_azure(azure_function_host):
        client = CommandableAzureFunctionClient("greeter")
        client.configure(azure_function_host("functions/greeter").config("greeter"))
        client.open("123")
        assert client.call_command("greet", "123", {"name": "Ada"}) == {"greeting": "Hello, Ada!"}
        client.close("123")
    ```
    """
    from . import AzureFunctionHost

    with ExitStack() as hosts:
        yield lambda app, **options: hosts.enter_context(AzureFunctionHost(app, **options))


@pytest.fixture
def google_function_host() -> Iterator[GoogleFunctionHostFixture]:
    """Deploys Google Cloud Functions until the test ends: `google_function_host(name, path, target=None)`.

    It returns the host. The arguments are those of `GoogleFunctionHost.deploy`. Each test has its own host, which runs
    in threads of the test's process.

    ```python
    def test_greets_on_google(google_function_host):
        client = CommandableCloudFunctionClient("greeter")
        client.configure(google_function_host("greeter", "functions/greeter").config("greeter"))
        client.open("123")
        assert client.call_command("greet", "123", {"name": "Ada"}) == {"greeting": "Hello, Ada!"}
        client.close("123")
    ```
    """
    from . import GoogleFunctionHost

    host = GoogleFunctionHost()

    def deploy(
        name: str, path: str | os.PathLike[str], target: str | None = None, **options: Any
    ) -> GoogleFunctionHost:
        host.start().deploy(name, path, target, **options)
        return host

    yield deploy
    host.stop()


@pytest.fixture(scope="session")
def _session_lambda_host(request: pytest.FixtureRequest) -> Iterator[LambdaHost]:
    from . import LambdaHost

    with LambdaHost() as host:
        request.session.stash[_LAMBDA_HOST] = host
        yield host


@pytest.fixture
def lambda_host(_session_lambda_host: LambdaHost) -> Iterator[LambdaHostFixture]:
    """Deploys Lambda functions until the test ends: `lambda_host(name, path, handler, **options)` returns their host.

    The arguments are those of `LambdaHost.deploy`. All tests of a session use the same host, but each test has its own
    functions.

    ```python
    def test_greets_on_lambda(lambda_host):
        client = CommandableLambdaClient("greeter")
        client.configure(lambda_host("greeter", "functions/greeter", "app.handler").config("greeter"))
        client.open("123")
        assert client.call_command("greet", "123", {"name": "Ada"}) == {"greeting": "Hello, Ada!"}
        client.close("123")
    ```
    """

    def deploy(name: str, path: str | os.PathLike[str], handler: str, **options: Any) -> LambdaHost:
        _session_lambda_host.deploy(name, path, handler, **options)
        return _session_lambda_host

    _session_lambda_host.start()  # a test may have stopped it
    yield deploy
    for name in _session_lambda_host.functions:
        _session_lambda_host.remove(name)


def _open(clients: ExitStack, client: Callable[[], C], config: ConfigParams, options: dict[str, Any]) -> C:
    for name, value in options.items():
        config.put(f"options.{name}", value)
    opened = client()
    opened.configure(config)
    opened.open(None)
    clients.callback(opened.close, None)
    return opened


@pytest.fixture
def azure_client(azure_function_host: AzureFunctionHostFixture) -> Iterator[AzureClientFixture]:
    """Opens clients until the test ends: `azure_client(app, client, function=None, **options)` returns an open client.

    `app` is a folder or a `FunctionApp` to serve, or a started host. `client` is the class of the client, or a function
    without parameters that returns a client. `function` is only needed if the app has more than one function. `options`
    are the client's `options.*`.

    ```python
    class Greeter(CommandableAzureFunctionClient):
        def __init__(self):
            super().__init__("greeter")


    def test_greets_with_azure_client(azure_client):
        client = azure_client("functions/greeter", Greeter, timeout=2000)
        assert client.call_command("greet", "123", {"name": "Ada"}) == {"greeting": "Hello, Ada!"}
    ```
    """
    from . import AzureFunctionHost

    def open_client(app: Any, client: Callable[[], C], function: str | None = None, **options: Any) -> C:
        host = app if isinstance(app, AzureFunctionHost) else azure_function_host(app)
        if function is None:
            if len(host.functions) != 1:
                names = ", ".join(sorted(host.functions))
                raise ValueError(f"The app has more than one function: set function to one of {names}")
            (function,) = host.functions
        return _open(clients, client, host.config(function), options)

    with ExitStack() as clients:
        yield open_client


@pytest.fixture
def google_client(google_function_host: GoogleFunctionHostFixture) -> Iterator[GoogleClientFixture]:
    """Opens clients until the test ends: `google_client(path, target, client, **options)` returns an open client.

    `path` and `target` are those of `GoogleFunctionHost.deploy`. Or they are a started host, and the name of a function
    that is deployed on it. `client` is the class of the client, or a function without parameters that returns a client.
    `options` are the client's `options.*`.

    ```python
    class Greeter(CommandableCloudFunctionClient):
        def __init__(self):
            super().__init__("greeter")


    def test_greets_with_google_client(google_client):
        client = google_client("functions/greeter", "greeter", Greeter, timeout=2000)
        assert client.call_command("greet", "123", {"name": "Ada"}) == {"greeting": "Hello, Ada!"}
    ```
    """
    from . import GoogleFunctionHost

    deployed = 0

    def open_client(
        path: str | os.PathLike[str] | GoogleFunctionHost, target: str, client: Callable[[], C], **options: Any
    ) -> C:
        if isinstance(path, GoogleFunctionHost):
            return _open(clients, client, path.config(target), options)
        nonlocal deployed
        deployed += 1
        name = f"google_client_{deployed}"
        return _open(clients, client, google_function_host(name, path, target).config(name), options)

    with ExitStack() as clients:
        yield open_client


@pytest.fixture
def lambda_client(lambda_host: LambdaHostFixture) -> Iterator[LambdaClientFixture]:
    """Opens clients until the test ends: `lambda_client(path, handler, client, **options)` returns an open client.

    `path` and `handler` are those of `LambdaHost.deploy`. Or they are a started host, and the name of a function that
    is deployed on it. `client` is the class of the client, or a function without parameters that returns a client.
    `options` are the client's `options.*`.

    ```python
    class Greeter(CommandableLambdaClient):
        def __init__(self):
            super().__init__("greeter")


    def test_greets_with_lambda_client(lambda_client):
        client = lambda_client("functions/greeter", "app.handler", Greeter, timeout=2000)
        assert client.call_command("greet", "123", {"name": "Ada"}) == {"greeting": "Hello, Ada!"}
    ```
    """
    from . import LambdaHost

    deployed = 0

    def open_client(
        path: str | os.PathLike[str] | LambdaHost, handler: str, client: Callable[[], C], **options: Any
    ) -> C:
        if isinstance(path, LambdaHost):
            return _open(clients, client, path.config(handler), options)
        nonlocal deployed
        deployed += 1
        name = f"lambda_client_{deployed}"
        return _open(clients, client, lambda_host(name, path, handler).config(name), options)

    with ExitStack() as clients:
        yield open_client
