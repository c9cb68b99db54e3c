"""The page "Architecture" names existing files, and its picture agrees with the imports."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import pip_services4_serverless

ROOT = Path(__file__).parents[2]
PACKAGE = Path(pip_services4_serverless.__file__).parent
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
NAMES_ON_PAGE = sorted(set(re.findall(r"`([\w./-]+\.(?:py|md)|\w+/)`", PAGE)))

# What a layer must not import: other layers, and libraries or modules, by the first part of their name.
FORBIDDEN = {
    "_rules": {"_wire", "clients", "local", "socket", "ssl", "asyncio", "logging", "requests", "boto3"},
    "_wire": {"_rules", "clients", "connect", "local", "logging", "requests", "boto3", "botocore"}
    | {"pip_services4_commons", "pip_services4_components"},
    "clients": {"build", "local", "_cli"},
}


def imports_of(module: Path) -> Iterator[str]:
    """The first part of each imported name, also of late imports. For the package's own modules, the folder."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 2:
            yield from [node.module.partition(".")[0]] if node.module else (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("name", NAMES_ON_PAGE)
def test_each_file_on_the_page_exists(name: str) -> None:
    """Its path is relative to the package or to the repository."""
    assert (PACKAGE / name).exists() or (ROOT / name).exists()


def test_each_step_of_both_guides_names_a_file() -> None:
    """The guides are "Add a provider" and "Change a retry rule"."""
    for heading in ("## Add a provider", "## Change a retry rule"):
        rows = re.findall(r"^\| .* \|$", PAGE.partition(heading)[2].partition("\n## ")[0], re.MULTILINE)[1:]
        assert len(rows) > 5
        assert all(re.search(r"`[\w./]+\.(py|md)`", row.split("|")[-2]) for row in rows)


@pytest.mark.parametrize("layer", FORBIDDEN)
def test_a_layer_imports_nothing_forbidden(layer: str) -> None:
    """The picture of the page shows the layers."""
    modules = list((PACKAGE / layer).glob("*.py"))
    found = {(f"{layer}/{module.name}", name) for module in modules for name in imports_of(module)}
    assert len(modules) > 5
    assert len(found) > 20
    assert [(file, name) for file, name in found if name in FORBIDDEN[layer]] == []
