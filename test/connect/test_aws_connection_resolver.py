"""How a Lambda client finds its function and its keys. The tests of Azure's resolver cover what all providers share."""

from __future__ import annotations

from typing import Any

import pytest
from pip_services4_commons.errors import ConfigException
from pip_services4_components.config import ConfigParams
from pip_services4_components.refer import Descriptor, References
from pip_services4_config.auth import CredentialParams, MemoryCredentialStore
from pip_services4_config.connect import ConnectionParams, MemoryDiscovery
from support.clients import ACCESS_ID, ACCESS_KEY, ARN, SESSION_TOKEN

from pip_services4_serverless.connect import AwsConnectionParams, AwsConnectionResolver

DISCOVERY = Descriptor("pip-services", "discovery", "memory", "default", "1.0")
STORE = Descriptor("pip-services", "credential-store", "memory", "default", "1.0")


def resolve(*tuples: Any, references: References | None = None) -> AwsConnectionParams:
    """The parameters that a resolver with this configuration finds."""
    resolver = AwsConnectionResolver()
    resolver.configure(ConfigParams.from_tuples(*tuples))
    if references is not None:
        resolver.set_references(references)
    return resolver.resolve("T")


def rejected(*tuples: Any, references: References | None = None) -> ConfigException:
    """The error that the resolver raises."""
    with pytest.raises(ConfigException) as caught:
        resolve(*tuples, references=references)
    assert caught.value.trace_id == "T"
    return caught.value


@pytest.mark.parametrize("section", ["credential", "credentials.0", "credentials.main", "connection"])
@pytest.mark.parametrize(
    ("id_name", "key_name"), [("access_id", "access_key"), ("client_id", "client_key"), ("client_id", "secret_key")]
)
@pytest.mark.defect(29)
def test_the_keys_are_found(section: str, id_name: str, key_name: str) -> None:
    """They may have any of their names, and may be in `credential` or in `connection`."""
    params = resolve("connection.arn", ARN, f"{section}.{id_name}", ACCESS_ID, f"{section}.{key_name}", ACCESS_KEY)

    assert isinstance(params, AwsConnectionParams)
    assert (params.get_arn(), params.get_access_id(), params.get_access_key()) == (ARN, ACCESS_ID, ACCESS_KEY)


@pytest.mark.defect(30)
@pytest.mark.parametrize("empty", [None, ""])
def test_a_connection_without_keys_is_accepted(empty: str | None) -> None:
    """boto3 finds the keys itself when the client opens."""
    params = resolve("connection.arn", ARN, "credential.access_id", empty, "credential.access_key", empty)

    assert (params.get_access_id(), params.get_access_key(), params.get_session_token()) == (None, None, None)


@pytest.mark.defect(27)
@pytest.mark.parametrize(
    ("tuples", "arn", "region"),
    [
        (("connection.arn", "orders", "connection.region", "eu-west-1"), "orders", "eu-west-1"),
        (("connection.arn", "orders:live"), "orders:live", None),
        (("connections.0.arn", ARN), ARN, "eu-west-1"),
        (("connections.main.resource", "orders"), "orders", None),
        (
            ("connection.region", "eu-west-1", "connection.account", "123456789012", "connection.resource", "dummies"),
            ARN,
            "eu-west-1",
        ),
    ],
)
def test_a_function_is_found(tuples: tuple[str, ...], arn: str, region: str | None) -> None:
    """The configuration has its name, a complete ARN or the parts of an ARN."""
    params = resolve(*tuples)

    assert (params.get_arn(), params.get_region()) == (arn, region)


def test_the_function_and_the_keys_are_found_in_discovery_and_store() -> None:
    """The endpoint is found there, too."""
    discovery = MemoryDiscovery(ConfigParams.from_tuples("orders.arn", ARN, "orders.uri", "http://localhost:4566"))
    store = MemoryCredentialStore()
    store.store(
        None,
        "aws",
        CredentialParams.from_tuples("client_id", ACCESS_ID, "secret_key", ACCESS_KEY, "session_token", SESSION_TOKEN),
    )

    params = resolve(
        *("connection.discovery_key", "orders", "credential.store_key", "aws"),
        references=References.from_tuples(DISCOVERY, discovery, STORE, store),
    )

    assert (params.get_arn(), params.get_endpoint()) == (ARN, "http://localhost:4566")
    assert (params.get_access_id(), params.get_access_key()) == (ACCESS_ID, ACCESS_KEY)
    assert params.get_session_token() == SESSION_TOKEN


@pytest.mark.defect(37)
def test_a_discovery_key_without_references_is_rejected() -> None:
    """No AttributeError is raised."""
    error = rejected("connection.discovery_key", "orders")

    assert (error.code, error.details["key"]) == ("NO_CONNECTION", "connection.discovery_key")


@pytest.mark.defect(38)
def test_a_store_key_that_is_not_found_is_rejected() -> None:
    """The client does not use other keys that the machine may have."""
    error = rejected(
        *("connection.arn", ARN, "credential.store_key", "aws"),
        references=References.from_tuples(STORE, MemoryCredentialStore()),
    )

    assert (error.code, error.details["key"]) == ("NO_CREDENTIALS", "credential.store_key")


@pytest.mark.defect(28)
@pytest.mark.defect(34)
@pytest.mark.parametrize(
    ("tuples", "code", "key"),
    [
        ((), "NO_CONNECTION", "connection.arn"),
        (("connection.region", "eu-west-1"), "NO_CONNECTION", "connection.arn"),
        (("connection.arn", "arn:aws:s3:::bucket"), "WRONG_ARN", "connection.arn"),
        (("connection.arn", ARN, "connection.uri", "localhost:4566"), "WRONG_PROTOCOL", "connection.uri"),
        (("connection.arn", ARN, "credential.access_key", ACCESS_KEY), "NO_ACCESS_ID", "credential.access_id"),
        (("connection.arn", ARN, "credential.client_id", ACCESS_ID), "NO_ACCESS_KEY", "credential.access_key"),
        (
            ("connection.arn", ARN, "connection.access_id", ACCESS_ID, "credential.secret_key", f"{ACCESS_KEY}\n"),
            "WRONG_ACCESS_KEY",
            "credential.access_key",
        ),
    ],
)
def test_the_connection_is_validated(tuples: tuple[str, ...], code: str, key: str) -> None:
    """The error is raised before any call, and does not show a key."""
    error = rejected(*tuples)

    assert (error.code, error.details["key"]) == (code, key)
    assert ACCESS_KEY not in f"{error}{error!r}{error.to_json()}"


@pytest.mark.defect(39)
def test_a_second_configure_replaces_the_first() -> None:
    """The old keys are removed, too."""
    resolver = AwsConnectionResolver()
    resolver.configure(
        ConfigParams.from_tuples(
            "connection.arn", ARN, "credential.access_id", ACCESS_ID, "credential.access_key", ACCESS_KEY
        )
    )
    resolver.resolve()

    resolver.configure(ConfigParams.from_tuples("connection.arn", "other"))

    assert dict(resolver.resolve()) == {"arn": "other"}


def test_a_subclass_can_read_the_resolvers_of_pip_services() -> None:
    """They have their names from pip-services4-azure, and hold the last configuration and the references."""

    class Resolver(AwsConnectionResolver):
        def resolve(self, context: Any = None) -> Any:
            connection = self._connection_resolver.resolve(context)
            return connection, self._credential_resolver.lookup(context)

    resolver = Resolver()
    assert (resolver._connection_resolver.get_all(), resolver._credential_resolver.get_all()) == ([], [])
    credentials = MemoryCredentialStore(ConfigParams.from_tuples("fn.access_key", "K"))
    resolver.set_references(References.from_tuples(STORE, credentials))
    for name in ("old", "new"):
        resolver.configure(
            ConfigParams.from_tuples("connection.arn", ARN, "connection.name", name, "credential.store_key", "fn")
        )
    connection, credential = resolver.resolve("T")

    assert connection.get_as_string("name") == "new"
    assert credential.get_as_string("access_key") == "K"


def test_parameters_that_are_added_to_these_resolvers_are_used() -> None:
    """The connection and the credential come from these resolvers."""
    resolver = AwsConnectionResolver()
    resolver._connection_resolver.add(ConnectionParams.from_tuples("arn", ARN))
    resolver._credential_resolver.add(CredentialParams.from_tuples("access_id", "I", "access_key", "K"))

    assert resolver.resolve("T").get_access_key() == "K"
