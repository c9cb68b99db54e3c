"""Settings that look like misspelled settings of this package."""

from __future__ import annotations

import pytest
from pip_services4_components.config import ConfigParams
from pip_services4_observability.log import LogLevel
from support.clients import CLIENTS, config_for
from support.recorders import RecordingLogger, references_to

from pip_services4_serverless._rules.spelling import misspelled
from pip_services4_serverless.clients import AzureFunctionClient, LambdaClient

KNOWN = {"options": {"timeout", "idempotent", "retries"}, "connection": {"uri"}, "credential": {"auth_code"}}


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [
        ("options.timout", "options.timeout"),
        ("options.Idempotent", "options.idempotent"),
        ("option.idempotent", "options.idempotent"),
        ("credential.authcode", "credential.auth_code"),
        ("credentials.second.authcode", "credentials.second.auth_code"),
        ("connection.url", "connection.uri"),
        ("conection.uri", "connection.uri"),
        ("options.commands.get.timout", "options.commands.get.timeout"),
        ("options.commands.orders.get.Retries", "options.commands.orders.get.retries"),
        ("options.command.get.idempotent", "options.commands.get.idempotent"),
        ("options.commands.get.max_connections", "options.max_connections"),
        ("options.commands.timeout", "options.commands.<command>.timeout"),
    ],
)
def test_a_misspelled_key_gets_a_suggestion(key: str, suggestion: str) -> None:
    """The suggestion is a complete key."""
    assert list(misspelled(ConfigParams.from_tuples(key, 1), KNOWN)) == [(key, suggestion)]


@pytest.mark.parametrize(
    "key",
    [
        *("options.timeout", "options.page_size", "connection.host", "my.timout", "x"),
        *("options.commands.get.timeout", "options.commands.a.b.idempotent", "options.commands.get.page_size"),
        *("options.commands.get", "options.paging.timout"),
    ],
)
def test_other_keys_are_not_reported(key: str) -> None:
    """These keys are known, or are not similar to a known key."""
    assert list(misspelled(ConfigParams.from_tuples(key, 1), KNOWN)) == []


def test_known_keys_are_not_reported() -> None:
    """The clients of each provider accept all of its keys in both sections."""
    for client in (AzureFunctionClient(), LambdaClient()):
        for key in client._connection.KEYS:
            client.configure(ConfigParams.from_tuples(f"connection.{key}", "x", f"credential.{key}", "x"))
            assert client._unknown_settings == ()


def test_misspelled_keys_cause_one_warning_at_open(provider: str) -> None:
    """A correct configuration causes none."""
    logger = RecordingLogger()
    client = CLIENTS[provider]("dummies")
    client.set_references(references_to(logger=logger))
    config = config_for(provider, "http://127.0.0.1:9")
    config.put("options.timout", 5)
    config.put("option.idempotent", True)
    config.put("options.commands.get.idempotnt", True)
    client.configure(config)
    client.open()
    client.close()
    (warning,) = logger.messages(LogLevel.Warn)
    assert "options.timout (did you mean options.timeout?)" in warning
    assert "option.idempotent (did you mean options.idempotent?)" in warning
    assert "options.commands.get.idempotnt (did you mean options.commands.get.idempotent?)" in warning
    client.configure(config_for(provider, "http://127.0.0.1:9"))
    client.open()
    client.close()
    assert len(logger.messages(LogLevel.Warn)) == 1
