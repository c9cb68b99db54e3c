"""Clients of all providers, configured in the same way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pip_services4_commons.errors import ApplicationException
from pip_services4_components.config import ConfigParams

from pip_services4_serverless.clients import (
    AsyncAzureFunctionClient,
    AsyncCloudFunctionClient,
    AsyncCommandableAzureFunctionClient,
    AsyncCommandableCloudFunctionClient,
    AsyncCommandableLambdaClient,
    AsyncLambdaClient,
    AzureFunctionClient,
    CloudFunctionClient,
    CommandableAzureFunctionClient,
    CommandableCloudFunctionClient,
    CommandableLambdaClient,
    FunctionClient,
    LambdaClient,
)

from .blocking import BlockingFacade, background_loop


class Kind(str):
    """The name of a provider, and whether its client is asynchronous."""

    is_async = False

    @property
    def id(self) -> str:
        """The kind's name in the names of tests."""
        return f"{self}-async" if self.is_async else str(self)


class AsyncKind(Kind):
    is_async = True


PROVIDERS = ("azure", "lambda", "google")
KINDS = (*map(Kind, PROVIDERS), *map(AsyncKind, PROVIDERS))
# One provider for each base class. Google's clients have the same base class as Azure's.
BASES = ("azure", "lambda")


def _kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    if kind.is_async:
        background_loop()  # before a test counts threads and descriptors, or calls from several threads
    return kind


@pytest.fixture(params=PROVIDERS)
def every_provider(request: pytest.FixtureRequest) -> str:
    """Runs a test once for each provider. A module assigns it to `provider`."""
    name: str = request.param
    return name


@pytest.fixture(params=KINDS, ids=lambda kind: kind.id)
def every_kind(request: pytest.FixtureRequest) -> Kind:
    """Runs a test with the blocking and the asynchronous client of each provider. A module assigns it to `provider`."""
    return _kind(request)


@pytest.fixture(params=[kind for kind in KINDS if kind in BASES], ids=lambda kind: kind.id)
def every_base(request: pytest.FixtureRequest) -> Kind:
    """Runs a test with both clients of one provider for each base class, for tests of the base class only."""
    return _kind(request)


ARN = "arn:aws:lambda:eu-west-1:123456789012:function:dummies"

# Secrets that can be recognised in any text.
AUTH_CODE = "FunctionKey-hunter2-A"
ACCESS_ID = "AKIDACCESSKEYIDHUNTER"
ACCESS_KEY = "AwsSecretKey-hunter2-B"
SESSION_TOKEN = "AwsSessionToken-hunter2-C"
AUTH_TOKEN = "GoogleIdToken-hunter2-F"
# The text in a request's head that shows that the client's secret was sent.
SENT_SECRETS = {"azure": AUTH_CODE, "lambda": SESSION_TOKEN, "google": AUTH_TOKEN}


class _Clients(dict[str, Any]):
    """Client classes by provider. Asynchronous clients are wrapped in a `BlockingFacade`."""

    def __init__(self, blocking: dict[str, Any], asynchronous: dict[str, Any]) -> None:
        super().__init__(blocking)
        self._asynchronous = asynchronous

    def __getitem__(self, kind: str) -> Any:
        if isinstance(kind, Kind) and kind.is_async:
            return lambda *args: BlockingFacade(self._asynchronous[kind](*args))
        return super().__getitem__(kind)


BARE_CLIENTS = _Clients(
    {"azure": AzureFunctionClient, "lambda": LambdaClient, "google": CloudFunctionClient},
    {"azure": AsyncAzureFunctionClient, "lambda": AsyncLambdaClient, "google": AsyncCloudFunctionClient},
)
CLIENTS = _Clients(
    {
        "azure": CommandableAzureFunctionClient,
        "lambda": CommandableLambdaClient,
        "google": CommandableCloudFunctionClient,
    },
    {
        "azure": AsyncCommandableAzureFunctionClient,
        "lambda": AsyncCommandableLambdaClient,
        "google": AsyncCommandableCloudFunctionClient,
    },
)


def config_for(provider: str, url: str, **options: Any) -> ConfigParams:
    """The configuration of a provider's client that calls `url` (`http://127.0.0.1:port`). Options are `options.*`."""
    if provider == "azure":
        config = ConfigParams.from_tuples("connection.uri", f"{url}/api/dummies", "credential.auth_code", AUTH_CODE)
    elif provider == "google":
        config = ConfigParams.from_tuples("connection.uri", f"{url}/dummies", "credential.auth_token", AUTH_TOKEN)
    else:
        config = ConfigParams.from_tuples(
            *("connection.uri", url, "connection.arn", ARN),
            *("credential.access_id", ACCESS_ID, "credential.access_key", ACCESS_KEY),
            *("credential.session_token", SESSION_TOKEN),
        )
    for name, value in options.items():
        config.put(f"options.{name}", value)
    return config


@contextmanager
def open_client(provider: str, url: str, name: str = "dummies", **options: Any) -> Iterator[FunctionClient]:
    """An open commandable client of the provider. It is closed at the end."""
    client = CLIENTS[provider](name)
    client.configure(config_for(provider, url, **options))
    client.open("test")
    try:
        yield client
    finally:
        client.close("test")


def short_message(error: ApplicationException) -> str:
    """The message of an error, without the text about the call and without the type of the function's error."""
    message = str(error.message).partition(" (calling ")[0]
    error_type = str((error.details or {}).get("error_type") or "")
    return message.removeprefix(f"{error_type}: ") if error_type else message


def failure(client: Any, cmd: str = "get", context: Any = "T", params: Any = None) -> ApplicationException:
    """Makes a call that must fail, and returns its exception."""
    with pytest.raises(ApplicationException) as caught:
        client._call(cmd, context, params)
    return caught.value
