"""The configuration page says what the code does."""

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
OF_RESOLVERS = {"connection.discovery_key", "credential.store_key"}
CREDENTIALS = {"auth_code", "auth_token", "access_id", "client_id", "access_key", "client_key", "secret_key"}
CREDENTIALS |= {"session_token", "identity", "scope", "audience"}


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line[:1] == "|"]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def keys(heading: str) -> set[str]:
    """The keys of a table's first column, written out: "`connection.uri`, or `.endpoint`" are two."""
    found = set()
    for row in rows(heading):
        section = ""
        for name in re.findall(r"`([a-z_.]+)`", row[0]):
            section = name.partition(".")[0] or section
            found.add(f"{section}.{name.rpartition('.')[2]}")
    return found


def documented_in_code(params: type) -> set[str]:
    """The keys that a class's docstring lists before the colons, with the section they belong to."""
    heads = re.findall(r"^- ((?:`[a-z_]+`[^:`]*)+(?:\(?`[a-z_]+`[^:`]*)*):", inspect.getdoc(params) or "", re.MULTILINE)
    # A default in brackets is no key: `protocol` (`https`).
    heads = [re.sub(r"\(`[a-z]+`\)", "", head) for head in heads]
    names = {name for head in heads for name in re.findall(r"`([a-z_]+)`", head)}
    # Google's is a service account, AWS's a part of the ARN.
    credentials = CREDENTIALS | ({"account"} if params is GcpConnectionParams else set())
    return {f"{'credential' if name in credentials else 'connection'}.{name}" for name in names}


def test_the_options_are_the_codes() -> None:
    """All of them in their order, with the code's words, a new client's defaults, and the bounds that are checked."""
    azure, google, aws = CommandableAzureFunctionClient(), CommandableCloudFunctionClient(), CommandableLambdaClient()
    expected = []
    for name, option in OPTIONS.items():
        default, second, other = (str(getattr(client, f"_{name}")).lower() for client in (azure, google, aws))
        assert second == other
        shown = default if default == other else f"Azure {default}, Google and Lambda {other}"
        bounds = "true, false" if option.minimum is None else f"{option.minimum} to {option.maximum}"
        expected.append([f"`{name}`", option.meaning, shown, bounds])
    assert rows("Options") == expected


def test_the_options_of_commands_and_calls_are_the_codes() -> None:
    """All of them in their order, with the code's words, and the bounds that are checked."""
    expected = []
    for name, option in {**CALL_OPTIONS, **TENANT_OPTIONS}.items():
        bounds = "true, false" if option.minimum is None else f"{option.minimum} to {option.maximum}"
        allowed = f"`{option.pattern}`" if option.pattern else bounds
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
def test_the_keys_are_the_codes(heading: str, params: type) -> None:
    """Those that the parameters' class documents, and what the resolvers look up."""
    assert documented_in_code(params) | OF_RESOLVERS == keys(heading)


@pytest.mark.parametrize(
    ("params", "heading"),
    [
        (AzureConnectionParams, "Azure Functions"),
        (GcpConnectionParams, "Google Cloud Functions"),
        (AwsConnectionParams, "AWS Lambda"),
    ],
)
def test_each_key_is_read(params: Any, heading: str) -> None:
    """A getter tells what each of them is set to."""
    getters = [name for name in dir(params) if name.startswith("get_") and name not in dir(params.__mro__[2])]
    for key in keys(heading) - OF_RESOLVERS:
        connection = params.from_tuples(key, "eu-west-1")
        assert any(getattr(connection, getter)() == "eu-west-1" for getter in getters), key
