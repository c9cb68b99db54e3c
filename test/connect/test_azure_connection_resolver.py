"""How a client finds its connection: configuration, discovery and credential stores, with Azure's resolver."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pip_services4_commons.errors import ConfigException
from pip_services4_components.config import ConfigParams
from pip_services4_components.context import Context
from pip_services4_components.refer import Descriptor, References
from pip_services4_config.auth import CredentialParams, MemoryCredentialStore
from pip_services4_config.connect import ConnectionParams, MemoryDiscovery

from pip_services4_serverless.connect import AzureConnectionParams, AzureConnectionResolver

DISCOVERY = Descriptor("pip-services", "discovery", "memory", "default", "1.0")
STORE = Descriptor("pip-services", "credential-store", "memory", "default", "1.0")

URI = "https://shop.azurewebsites.net/api/orders"
SECRET = "FunctionKey-hunter2-A"


def discovery(**uris: str) -> MemoryDiscovery:
    """A discovery service that knows these URLs."""
    return MemoryDiscovery(ConfigParams.from_tuples(*(x for key, uri in uris.items() for x in (f"{key}.uri", uri))))


def store(**codes: str) -> MemoryCredentialStore:
    """A credential store that knows these keys."""
    pairs = (x for key, code in codes.items() for x in (f"{key}.auth_code", code))
    return MemoryCredentialStore(ConfigParams.from_tuples(*pairs))


def resolver(*tuples: Any, references: References | None = None) -> AzureConnectionResolver:
    """A configured resolver."""
    result = AzureConnectionResolver()
    result.configure(ConfigParams.from_tuples(*tuples))
    if references is not None:
        result.set_references(references)
    return result


def found(*tuples: Any, references: References | None = None) -> tuple[str | None, str | None]:
    """The URL and the key that the resolver finds."""
    params = resolver(*tuples, references=references).resolve("T")
    assert isinstance(params, AzureConnectionParams)
    return params.get_function_uri(), params.get_auth_code()


def rejected(*tuples: Any, references: References | None = None) -> ConfigException:
    """The error that the resolver raises."""
    with pytest.raises(ConfigException) as caught:
        resolver(*tuples, references=references).resolve("T")
    assert caught.value.trace_id == "T"
    return caught.value


# --- Configuration ---


@pytest.mark.parametrize(
    ("tuples", "expected"),
    [
        (("connection.uri", URI), (URI, None)),
        (("connection.uri", f"{URI}?code=K&x=1"), (f"{URI}?x=1", "K")),
        (("connection.uri", URI, "credential.auth_code", "K"), (URI, "K")),
        (("connection.uri", URI, "credential.auth_code", ""), (URI, None)),
        (("connection.uri", URI, "connection.auth_code", "K"), (URI, "K")),
        (("connection.uri", URI, "connection.auth_code", "K", "credential.auth_code", ""), (URI, "K")),
        (("connection.uri", URI, "connection.auth_code", "K", "credential.auth_code", "L"), (URI, "L")),
        (("connection.app_name", "shop", "connection.function_name", "orders"), (URI, None)),
        (("connections.0.uri", URI, "credentials.0.auth_code", "K"), (URI, "K")),
        (("connections.main.uri", URI, "credentials.any.auth_code", "K"), (URI, "K")),
        (("connections.1.uri", URI, "connections.2.uri", "https://second/f"), (URI, None)),
        (("connections.0.uri", URI, "connection.uri", "https://single/f"), (URI, None)),
        (("credentials.0.auth_code", "K", "credentials.1.auth_code", "L", "connection.uri", URI), (URI, "K")),
        (("connection.uri", URI, "connection.discovery_key", "", "credential.store_key", ""), (URI, None)),
    ],
)
def test_a_connection_is_found_in_the_configuration(tuples: tuple[str, ...], expected: tuple[str, str | None]) -> None:
    """Sections may be single, numbered or named. The key may be in `credential` or in `connection`."""
    assert found(*tuples) == expected


@pytest.mark.parametrize("context", [None, "T", Context.from_trace_id("T")])
def test_any_context_is_accepted(context: Any) -> None:
    """The context may be None, a trace id or an `IContext`."""
    assert resolver("connection.uri", URI).resolve(context).get_function_uri() == URI


@pytest.mark.parametrize(("context", "trace_id"), [(None, ""), ("T", "T"), (Context.from_trace_id("T"), "T")])
def test_an_error_has_the_trace_id(context: Any, trace_id: str) -> None:
    """The trace id is a string, so the error can be serialised."""
    with pytest.raises(ConfigException) as caught:
        resolver().resolve(context)

    assert (caught.value.code, caught.value.details["key"]) == ("NO_CONNECTION", "connection.uri")
    assert json.loads(json.dumps(caught.value.to_json()))["trace_id"] == trace_id


def test_a_resolver_without_a_configuration_raises_an_error() -> None:
    """The error names the key that is missing."""
    with pytest.raises(ConfigException, match=r"connection\.uri"):
        AzureConnectionResolver().resolve()


@pytest.mark.defect(39)
def test_a_second_configure_replaces_the_first() -> None:
    """The old key is removed, too."""
    connections = resolver("connection.uri", "https://first/f", "credential.auth_code", SECRET)
    connections.resolve()

    connections.configure(ConfigParams.from_tuples("connection.uri", URI))

    params = connections.resolve()
    assert (params.get_function_uri(), params.get_auth_code()) == (URI, None)
    connections.configure(ConfigParams())
    with pytest.raises(ConfigException):
        connections.resolve()


def test_the_configuration_is_not_changed() -> None:
    """The next `resolve` finds a key in the URL again."""
    config = ConfigParams.from_tuples("connection.uri", f"{URI}?code=K")
    before = dict(config)
    connections = AzureConnectionResolver()
    connections.configure(config)

    first, second = connections.resolve(), connections.resolve()

    assert first == second
    assert first is not second
    assert dict(config) == before


@pytest.mark.defect(16)
@pytest.mark.defect(18)
@pytest.mark.parametrize(
    ("tuples", "code", "key"),
    [
        (("connection.uri", f"ftp://h/f?code={SECRET}"), "WRONG_PROTOCOL", "connection.uri"),
        (("connection.uri", URI, "credential.auth_code", f"{SECRET}\n"), "WRONG_AUTH_CODE", "credential.auth_code"),
        (("credential.auth_code", SECRET), "NO_CONNECTION", "connection.uri"),
    ],
)
def test_the_connection_is_validated(tuples: tuple[str, ...], code: str, key: str) -> None:
    """The error is raised before any call, and does not show the key."""
    error = rejected(*tuples)

    assert (error.code, error.details["key"]) == (code, key)
    assert SECRET not in f"{error}{error!r}{error.to_json()}"


# --- Discovery ---


def test_a_connection_is_found_by_discovery() -> None:
    """One of several discovery services knows its key."""
    references = References.from_tuples(
        *(Descriptor("a", "discovery", "memory", "1", "1.0"), discovery(other="https://other/f")),
        *(Descriptor("a", "discovery", "memory", "2", "1.0"), discovery(orders=f"{URI}?code=K")),
        *(Descriptor("a", "discovery", "memory", "3", "1.0"), discovery()),
    )

    assert found("connection.discovery_key", "orders", references=references) == (URI, "K")


def test_parameters_from_discovery_override_configured_parameters() -> None:
    """Configured parameters only complete them."""
    references = References.from_tuples(DISCOVERY, discovery(orders=URI))

    assert found(
        *("connection.discovery_key", "orders", "connection.uri", "https://old/f", "connection.auth_code", "K"),
        references=references,
    ) == (URI, "K")


def test_a_connection_that_is_registered_later_is_found() -> None:
    """Each `resolve` asks the discovery service again."""
    service = discovery()
    connections = resolver("connection.discovery_key", "orders", references=References.from_tuples(DISCOVERY, service))
    with pytest.raises(ConfigException):
        connections.resolve()

    service.register(None, "orders", ConnectionParams.from_tuples("uri", URI))

    assert connections.resolve().get_function_uri() == URI


def test_a_connection_without_a_discovery_key_is_preferred() -> None:
    """pip-services does the same."""
    references = References.from_tuples(DISCOVERY, discovery(orders="https://found/f"))

    assert found("connections.0.discovery_key", "orders", "connections.1.uri", URI, references=references) == (
        URI,
        None,
    )


def test_the_first_known_discovery_key_is_used() -> None:
    """The other keys may belong to other environments."""
    references = References.from_tuples(DISCOVERY, discovery(second=URI, third="https://third/f"))

    assert found(
        *("connections.a.discovery_key", "first", "connections.b.discovery_key", "second"),
        *("connections.c.discovery_key", "third"),
        references=references,
    ) == (URI, None)


@pytest.mark.defect(37)
@pytest.mark.parametrize(
    "references",
    [None, References(), References.from_tuples(STORE, store(orders="K"))],
    ids=["none", "empty", "of another kind"],
)
def test_a_discovery_key_without_a_discovery_service_is_rejected(references: References | None) -> None:
    """The error names the setting and the missing component. No AttributeError is raised."""
    error = rejected("connection.discovery_key", "orders", references=references)

    assert (error.code, error.details["key"]) == ("NO_CONNECTION", "connection.discovery_key")
    assert "'orders'" in error.message
    assert "no discovery component" in error.message


@pytest.mark.parametrize("component", [discovery(other=URI), discovery(), object(), store(orders="K")])
def test_an_unknown_discovery_key_is_rejected(component: Any) -> None:
    """The component that is registered as the discovery service may even be another one."""
    error = rejected(
        *("connections.0.discovery_key", "orders", "connections.1.discovery_key", "more"),
        references=References.from_tuples(DISCOVERY, component),
    )

    assert (error.code, error.details["key"]) == ("NO_CONNECTION", "connection.discovery_key")
    assert "'orders', 'more'" in error.message


# --- Credential stores ---


def test_a_credential_is_found_in_a_store() -> None:
    """One of several stores knows its key. The others return an empty credential."""
    references = References.from_tuples(
        *(Descriptor("a", "credential-store", "memory", "1", "1.0"), store(other="X")),
        *(Descriptor("a", "credential-store", "memory", "2", "1.0"), store(orders="K")),
        *(Descriptor("a", "credential-store", "memory", "3", "1.0"), store()),
    )

    assert found("connection.uri", URI, "credential.store_key", "orders", references=references) == (URI, "K")


def test_discovery_and_credential_stores_can_be_used_together() -> None:
    """The connection and the credential come from different components."""
    references = References.from_tuples(DISCOVERY, discovery(orders=URI), STORE, store(orders="K"))

    assert found("connection.discovery_key", "orders", "credential.store_key", "orders", references=references) == (
        URI,
        "K",
    )


def test_a_credential_that_is_stored_later_is_found() -> None:
    """The next `open` finds a key that was replaced."""
    keys = store(orders="OLD")
    connections = resolver(
        "connection.uri", URI, "credential.store_key", "orders", references=References.from_tuples(STORE, keys)
    )
    assert connections.resolve().get_auth_code() == "OLD"

    keys.store(None, "orders", CredentialParams.from_tuples("auth_code", "NEW"))

    assert connections.resolve().get_auth_code() == "NEW"


@pytest.mark.defect(38)
@pytest.mark.parametrize(
    "references",
    [None, References(), References.from_tuples(STORE, store(other="X")), References.from_tuples(STORE, object())],
    ids=["none", "empty", "unknown key", "not a store"],
)
def test_a_store_key_that_is_not_found_is_rejected(references: References | None) -> None:
    """A function must not be called without the key that was configured."""
    error = rejected("connection.uri", URI, "credential.store_key", "orders", references=references)

    assert (error.code, error.details["key"]) == ("NO_CREDENTIALS", "credential.store_key")
    assert "'orders'" in error.message


# --- Random input ---

any_text = st.text(st.characters(exclude_categories=()), max_size=10)
keys = st.sampled_from(
    ["uri", "protocol", "app_name", "auth_code", "discovery_key", "store_key", "0.uri", "a.b.c", "", "0"]
)
sections = st.sampled_from(["connection", "connections", "credential", "credentials", "connections.0"])
values = any_text | st.sampled_from([URI, "http", "orders", "K"])


@given(st.dictionaries(st.tuples(sections, keys).map(".".join), values, max_size=5))
@settings(max_examples=50, deadline=None)
def test_any_configuration_is_accepted_or_rejected(config: dict[str, str]) -> None:
    """No other exception is raised."""
    connections = AzureConnectionResolver()
    connections.configure(ConfigParams(config))
    connections.set_references(References.from_tuples(DISCOVERY, discovery(orders=URI), STORE, store(orders="K")))
    with contextlib.suppress(ConfigException):
        assert connections.resolve("T").get_function_uri()


def test_a_subclass_can_read_the_resolvers_of_pip_services() -> None:
    """They have their names from pip-services4-azure, and hold the last configuration and the references."""

    class Resolver(AzureConnectionResolver):
        def resolve(self, context: Any = None) -> Any:
            connection = self._connection_resolver.resolve(context)
            return connection, self._credential_resolver.lookup(context)

    resolver = Resolver()
    assert (resolver._connection_resolver.get_all(), resolver._credential_resolver.get_all()) == ([], [])
    credentials = MemoryCredentialStore(ConfigParams.from_tuples("fn.auth_code", "K"))
    resolver.set_references(References.from_tuples(STORE, credentials))
    for name in ("old", "new"):
        resolver.configure(
            ConfigParams.from_tuples("connection.uri", URI, "connection.name", name, "credential.store_key", "fn")
        )
    connection, credential = resolver.resolve("T")

    assert connection.get_as_string("name") == "new"
    assert credential.get_as_string("auth_code") == "K"


def test_parameters_that_are_added_to_these_resolvers_are_used() -> None:
    """The connection and the credential come from these resolvers."""
    resolver = AzureConnectionResolver()
    resolver._connection_resolver.add(ConnectionParams.from_tuples("uri", URI))
    resolver._credential_resolver.add(CredentialParams.from_tuples("access_id", "I", "auth_code", "K"))

    assert resolver.resolve("T").get_auth_code() == "K"
