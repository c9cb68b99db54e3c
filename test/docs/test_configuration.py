"""The page "Configuration" agrees with the code."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from pip_services4_serverless._rules.options import CALL_OPTIONS, OPTIONS, TENANT_OPTIONS
from pip_services4_serverless.clients import (
    CommandableAzureFunctionClient,
    CommandableCloudFunctionClient,
    CommandableLambdaClient,
)
from pip_services4_serverless.connect import AwsConnectionParams, AzureConnectionParams, GcpConnectionParams

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")
RESOLVER_KEYS = {"connection.discovery_key", "credential.store_key"}
CREDENTIALS = {"auth_code", "auth_token", "access_id", "client_id", "access_key", "client_key", "secret_key"}
CREDENTIALS |= {"session_token", "identity", "scope", "audience"}


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its header."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line[:1] == "|"]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def keys(heading: str) -> set[str]:
    """The complete keys in the first column of a table: "`connection.uri`, or `.endpoint`" are two."""
    found = set()
    for row in rows(heading):
        section = ""
        for name in re.findall(r"`([a-z_.]+)`", row[0]):
            section = name.partition(".")[0] or section
            found.add(f"{section}.{name.rpartition('.')[2]}")
    return found


def documented_keys(params: type) -> set[str]:
    """The keys that the docstring of a class lists before its colons, with their section."""
    lines = re.findall(r"^- ((?:`[a-z_]+`[^:`]*)+(?:\(?`[a-z_]+`[^:`]*)*):", inspect.getdoc(params) or "", re.MULTILINE)
    # A default in parentheses is not a key: `protocol` (`https`).
    lines = [re.sub(r"\(`[a-z]+`\)", "", line) for line in lines]
    names = {name for line in lines for name in re.findall(r"`([a-z_]+)`", line)}
    # For Google it is a service account, for AWS a part of the ARN.
    credentials = CREDENTIALS | ({"account"} if params is GcpConnectionParams else set())
    return {f"{'credential' if name in credentials else 'connection'}.{name}" for name in names}


def test_the_page_lists_the_options_of_the_code() -> None:
    """They have the same order, text and limits, and the defaults of a new client."""
    azure, google, aws = CommandableAzureFunctionClient(), CommandableCloudFunctionClient(), CommandableLambdaClient()
    expected = []
    for name, option in OPTIONS.items():
        on_azure, on_google, on_lambda = (str(getattr(client, f"_{name}")).lower() for client in (azure, google, aws))
        assert on_google == on_lambda
        both = f"Azure {on_azure}, Google and Lambda {on_lambda}"
        default = on_azure if on_azure == on_lambda else both
        limits = "true, false" if option.minimum is None else f"{option.minimum} to {option.maximum}"
        expected.append([f"`{name}`", option.meaning, default, limits])
    assert rows("Options") == expected


def test_the_page_lists_the_options_of_commands_and_calls() -> None:
    """They have the same order, text and limits as in the code."""
    expected = []
    for name, option in {**CALL_OPTIONS, **TENANT_OPTIONS}.items():
        limits = "true, false" if option.minimum is None else f"{option.minimum} to {option.maximum}"
        allowed = f"`{option.pattern}`" if option.pattern else limits
        expected.append([f"`{name}`", option.meaning, "yes" if name in CALL_OPTIONS else "no", "yes", allowed])
    assert rows("Options of one command and of one call") == expected


@pytest.mark.parametrize(
    ("heading", "params"),
    [
        ("Azure Functions", AzureConnectionParams),
        ("Google Cloud Functions", GcpConnectionParams),
        ("AWS Lambda", AwsConnectionParams),
    ],
)
def test_the_page_lists_the_keys_of_the_code(heading: str, params: type) -> None:
    """They are the keys that the class documents, and those that the resolvers look up."""
    assert documented_keys(params) | RESOLVER_KEYS == keys(heading)


@pytest.mark.parametrize(
    ("params", "heading"),
    [
        (AzureConnectionParams, "Azure Functions"),
        (GcpConnectionParams, "Google Cloud Functions"),
        (AwsConnectionParams, "AWS Lambda"),
    ],
)
def test_each_key_is_read(params: Any, heading: str) -> None:
    """A getter returns its value."""
    getters = [name for name in dir(params) if name.startswith("get_") and name not in dir(params.__mro__[2])]
    for key in keys(heading) - RESOLVER_KEYS:
        connection = params.from_tuples(key, "eu-west-1")
        assert any(getattr(connection, getter)() == "eu-west-1" for getter in getters), key
