"""A client that was written for the published packages runs with its imports changed as the documentation says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pip_services4_components.config import ConfigParams

PAGE = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text("utf-8")
BEFORE = Path(__file__).with_name("written_before")
# The page's rows `| was | is |` of imports.
IMPORTS: dict[str, str] = dict(re.findall(r"^\| `from (\S+) import` \| `from (\S+) import` \|$", PAGE, re.MULTILINE))
FILES = {"azure": "azure_clients.py", "lambda": "aws_clients.py"}


def load(file: str, migrate: bool) -> dict[str, Any]:
    """The names that a file defines, as it was written or with its imports changed."""
    source = (BEFORE / file).read_text("utf-8")
    if migrate:
        for was, now in IMPORTS.items():
            source = re.sub(rf"^from {re.escape(was)} import", f"from {now} import", source, flags=re.MULTILINE)
        assert not re.search(r"^from pip_services4_(azure|aws)\b", source, re.MULTILINE)
    names: dict[str, Any] = {"__name__": "written_before"}
    exec(compile(source, file, "exec"), names)  # noqa: S102 (our own test data)
    return names


@pytest.fixture(params=[False, True], ids=["as written", "imports changed"])
def migrate(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.mark.parametrize("client", ["DummyClient", "DummyCommandableClient"])
def test_a_client_runs(
    provider: str,
    client: str,
    migrate: bool,
    configs: Mapping[str, ConfigParams],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same calls return the same, before and after. Before, an endpoint could be given to boto3 only; and on Azure
    a commandable client sent no prefix, which is now a line of its configuration."""
    way = "commandable_controller" if client == "DummyCommandableClient" else "controller"
    if provider == "azure" and way == "commandable_controller":
        way = "commandable_function"
    config = configs[f"{provider}/{way}"].override(ConfigParams())
    if provider == "azure" and migrate and way == "commandable_function":
        config.put("options.prefix_commands", "false")
    if not migrate and provider == "lambda":
        monkeypatch.setenv("AWS_ENDPOINT_URL", config.get_as_string("connection.uri"))
    names = load(FILES[provider], migrate)
    dummy = {"id": "old", "key": "k", "content": "Größe"}
    assert names["use"](names[client](), config) == [True, dummy, dummy, None, "T1"]


CONNECTIONS = {
    "azure": ("connection.uri", "https://shop.azurewebsites.net/api/dummies", "credential.auth_code", "KEY"),
    "lambda": (
        *("connection.arn", "arn:aws:lambda:eu-west-1:123456789012:function:dummies"),
        *("credential.access_id", "ID", "credential.access_key", "KEY"),
    ),
}


def test_the_connection_classes(provider: str) -> None:
    """They resolve a configuration to the same parts, and have the same getters."""
    config = ConfigParams.from_tuples(*CONNECTIONS[provider])
    was, now = (load(FILES[provider], migrate)["describe"](config) for migrate in (False, True))
    assert now == was
