"""The pytest plugin: local hosts as fixtures. Loaded by pytest in every session, so it imports nothing by itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from . import AzureFunctionHost, LambdaHost


@pytest.fixture
def azure_function_host() -> Iterator[Callable[..., AzureFunctionHost]]:
    """Serves function apps until the test ends: `azure_function_host(app, **options)` returns a started host.

    `app` is a folder or a `FunctionApp`, `options` are those of `AzureFunctionHost`. The server is a thread of the
    test's own process and takes 2 ms to start, so that each app of each test has its own.

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


@pytest.fixture(scope="session")
def _lambda_server() -> Iterator[LambdaHost]:
    from . import LambdaHost

    with LambdaHost() as host:
        yield host


@pytest.fixture
def lambda_host(_lambda_server: LambdaHost) -> Iterator[Callable[..., LambdaHost]]:
    """Deploys Lambda functions until the test ends: `lambda_host(name, path, handler, **options)` returns their host.

    The arguments are those of `LambdaHost.deploy`. One server serves the whole session; the functions are the test's.

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
        _lambda_server.deploy(name, path, handler, **options)
        return _lambda_server

    _lambda_server.start()  # a test may have stopped it
    yield deploy
    for name in _lambda_server.functions:
        _lambda_server.remove(name)
