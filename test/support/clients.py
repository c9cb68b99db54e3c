"""Both providers' clients, made alike, for tests that hold for both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pip_services4_commons.errors import ApplicationException
from pip_services4_components.config import ConfigParams

from pip_services4_serverless.clients import (
    AzureFunctionClient,
    CommandableAzureFunctionClient,
    CommandableLambdaClient,
    FunctionClient,
    LambdaClient,
)

PROVIDERS = ("azure", "lambda")
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:dummies"

# Recognisable wherever they leak.
AUTH_CODE = "FunctionKey-hunter2-A"
ACCESS_ID = "AKIDACCESSKEYIDHUNTER"
ACCESS_KEY = "AwsSecretKey-hunter2-B"
SESSION_TOKEN = "AwsSessionToken-hunter2-C"

BARE_CLIENTS: dict[str, type[Any]] = {"azure": AzureFunctionClient, "lambda": LambdaClient}
CLIENTS: dict[str, type[Any]] = {"azure": CommandableAzureFunctionClient, "lambda": CommandableLambdaClient}


def config_for(provider: str, url: str, **options: Any) -> ConfigParams:
    """The configuration that lets a provider's client call `url` (`http://127.0.0.1:port`); options are `options.*`."""
    if provider == "azure":
        config = ConfigParams.from_tuples("connection.uri", f"{url}/api/dummies", "credential.auth_code", AUTH_CODE)
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
    """An open commandable client of the provider, closed afterwards."""
    client = CLIENTS[provider](name)
    client.configure(config_for(provider, url, **options))
    client.open("test")
    try:
        yield client
    finally:
        client.close("test")


def failure(client: Any, cmd: str = "get", context: Any = "T", params: Any = None) -> ApplicationException:
    """The exception that a call ends with."""
    with pytest.raises(ApplicationException) as caught:
        client._call(cmd, context, params)
    return caught.value
