"""The URL of a Google Cloud Function, and its token."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pip_services4_commons.errors import ConfigException
from pip_services4_components.config import ConfigParams

from pip_services4_serverless.connect import (
    AwsConnectionParams,
    AzureConnectionParams,
    GcpConnectionParams,
    GcpConnectionResolver,
)

TOKEN = "IdToken-hunter2-F"
URI = "https://europe-west1-my-shop.cloudfunctions.net/orders"


def normalized(*tuples: Any) -> GcpConnectionParams:
    """Parameters in the form that a client uses."""
    params = GcpConnectionParams.from_tuples(*tuples)
    params.normalize("T")
    return params


def rejected(*tuples: Any) -> ConfigException:
    """The error for invalid parameters."""
    with pytest.raises(ConfigException) as caught:
        normalized(*tuples)
    assert caught.value.trace_id == "T"
    assert caught.value.message.startswith(f"{caught.value.details['key']}: ")
    return caught.value


@pytest.mark.parametrize(
    "key", ["uri", "protocol", "project_id", "region", "function", "org_id", "account", "auth_token"]
)
def test_a_parameter_can_be_set_and_read(key: str) -> None:
    """The names are those of the toolkit. An empty value counts as missing."""
    params = GcpConnectionParams()
    get, put = getattr(params, f"get_{key}"), getattr(params, f"set_{key}")
    assert get() is None

    put("value")
    assert get() == "value"
    assert params.get(key) == "value"

    for empty in ("", None):
        put(empty)
        assert get() is None


def test_parameters_are_made_in_the_four_ways_of_the_toolkit() -> None:
    """The sources are a string, tuples, the sections of a configuration, and merged configurations."""
    expected = {"uri": URI, "auth_token": "T"}
    config = ConfigParams.from_tuples("connections.a.uri", URI, "credential.auth_token", "T", "options.timeout", 5)
    made = (
        GcpConnectionParams.from_string(f"uri={URI};auth_token=T"),
        GcpConnectionParams.from_tuples("connection.uri", URI, "credential.auth_token", "T"),
        GcpConnectionParams.from_tuples("uri", URI, "auth_token", "T"),
        GcpConnectionParams.from_config(config),
        GcpConnectionParams.merge_configs(
            ConfigParams.from_tuples("uri", "https://other/", "auth_token", "T"), ConfigParams.from_tuples("uri", URI)
        ),
    )

    assert [dict(params) for params in made] == [expected] * 5
    assert {type(params) for params in made} == {GcpConnectionParams}


@pytest.mark.parametrize(
    ("tuples", "uri"),
    [
        (("region", "europe-west1", "project_id", "my-shop", "function", "orders"), URI),
        (
            ("protocol", "http", "region", "east", "project_id", "my_test_project", "function", "myfunction"),
            "http://east-my_test_project.cloudfunctions.net/myfunction",
        ),
        (("uri", URI, "region", "other", "project_id", "other", "function", "other"), URI),
        (("uri", "https://orders-abc123-ew.a.run.app"), "https://orders-abc123-ew.a.run.app"),
        (("uri", f"{URI}?a=1#part"), f"{URI}?a=1"),
        (("uri", "http://127.0.0.1:8080/"), "http://127.0.0.1:8080/"),
    ],
)
def test_the_url_is_configured_or_composed(tuples: tuple[str, ...], uri: str) -> None:
    """A complete URL overrides its parts."""
    assert normalized(*tuples).get_uri() == uri


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        (URI, ("https", "europe-west1", "my-shop", "orders")),
        ("http://us-central1-p-1-2.cloudfunctions.net/f", ("http", "us-central1", "p-1-2", "f")),
        ("http://east-my_test_project.cloudfunctions.net/my", ("http", "east", "my_test_project", "my")),
        ("https://orders-abc123-ew.a.run.app/", ("https", None, None, None)),
        ("https://us-central1-p.cloudfunctions.net.evil.example/f", ("https", None, None, None)),
    ],
)
def test_the_parts_are_read_from_a_url_of_google(uri: str, parts: tuple[str | None, ...]) -> None:
    """A region and a project may contain hyphens. The toolkit's resolver fails on them."""
    params = normalized("uri", uri)

    assert (params.get_protocol(), params.get_region(), params.get_project_id(), params.get_function()) == parts


PARTS = {"region": "europe-west1", "project_id": "my-shop", "function": "orders"}


@pytest.mark.parametrize(
    ("settings", "code", "key"),
    [
        ({}, "NO_CONNECTION", "connection.uri"),
        ({"org_id": "o", "account": "a", "protocol": "https"}, "NO_CONNECTION", "connection.uri"),
        *(({**PARTS, key: ""}, "NO_CONNECTION", f"connection.{key}") for key in PARTS),
        *(
            ({**PARTS, key: bad}, "WRONG_URI", f"connection.{key}")
            for key in PARTS
            for bad in ("a/b", "a.evil.example", "a@b", "a b", "..", "a#", "ž", "-", "a" * 64, "a\n")
        ),
        ({**PARTS, "protocol": "ftp"}, "WRONG_PROTOCOL", "connection.protocol"),
        ({"uri": "ftp://h/f"}, "WRONG_PROTOCOL", "connection.uri"),
        ({"uri": "https:///f"}, "WRONG_URI", "connection.uri"),
        ({"uri": "https://h:0/f"}, "WRONG_URI", "connection.uri"),
        ({"uri": "https://user:hunter2@h/f"}, "WRONG_URI", "connection.uri"),
        ({**PARTS, "auth_token": "Bearer hunter2"}, "WRONG_AUTH_CODE", "credential.auth_token"),
        ({**PARTS, "auth_token": "hunter2\n"}, "WRONG_AUTH_CODE", "credential.auth_token"),
    ],
)
def test_an_invalid_connection_is_rejected(settings: dict[str, str], code: str, key: str) -> None:
    """The error names the setting and shows no secret. No part can send the token to another host."""
    error = rejected(*(part for pair in settings.items() for part in pair))

    assert (error.code, error.details["key"]) == (code, key)
    assert "hunter2" not in json.dumps(error.to_json())


@pytest.mark.parametrize("params", [GcpConnectionParams, AzureConnectionParams, AwsConnectionParams])
def test_a_token_is_not_shown(params: type[GcpConnectionParams]) -> None:
    """The parameters of all providers hide it, because they share a section."""
    result = params.from_tuples("connection.uri", URI, "credential.auth_token", TOKEN)

    assert "auth_token=***" in str(result)
    assert TOKEN not in f"{result} {result!r} {result.to_string()}"


def test_a_resolver_finds_and_completes_the_parameters() -> None:
    """The token may be in `credential` or in `connection`."""
    for section in ("connection", "credential"):
        resolver = GcpConnectionResolver()
        tuples = [part for key, value in PARTS.items() for part in (f"connection.{key}", value)]
        resolver.configure(ConfigParams.from_tuples(*tuples, f"{section}.auth_token", TOKEN))
        params = resolver.resolve("T")

        assert type(params) is GcpConnectionParams
        assert (params.get_uri(), params.get_auth_token()) == (URI, TOKEN)
