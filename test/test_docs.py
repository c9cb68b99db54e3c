"""The documentation says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pip_services4_serverless
from pip_services4_serverless.clients import AzureFunctionClient, CommandableAzureFunctionClient, LambdaClient
from pip_services4_serverless.clients._errors import REFUSED_BEFORE_RUNNING, SITUATIONS
from pip_services4_serverless.clients._options import OPTIONS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
ERRORS = (ROOT / "docs" / "errors.md").read_text("utf-8")
PACKAGE = Path(pip_services4_serverless.__file__).parent


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def test_the_error_table_is_the_codes() -> None:
    """Each situation has its row, with exception and status, and no row is without a situation."""
    documented = {row[0].strip("`"): (row[1].strip("`"), row[2]) for row in rows(ERRORS) if len(row) == 4}
    del documented["code"], documented["---"]
    assert documented == {code: (row.exception.__name__, str(row.status)) for code, row in SITUATIONS.items()}


def test_the_configuration_errors_are_those_raised() -> None:
    """Each code that a configuration is refused with is documented, and no other."""
    modules = [*PACKAGE.glob("clients/*.py"), *PACKAGE.glob("connect/*.py")]
    source = "".join(path.read_text("utf-8") for path in modules)
    called = re.findall(r'(?:refuse|check_secret)\(\s*(?:context|None),\s*"([A-Z_]+)"', source)
    raised = set(called + re.findall(r'ConfigException\([^"]*"([A-Z_]+)"', source))
    raised |= set(re.findall(r'_key", "([A-Z_]+)", "[a-z-]+"\)', source))  # what the resolvers look up
    section = ERRORS.partition("## Configuration errors")[2]
    assert {code for row in rows(section) for code in re.findall(r"`([A-Z_]+)`", row[0])} == raised


def test_lambdas_refusals_are_named() -> None:
    """The page names each of Lambda's errors after which a call is sent again."""
    assert all(f"`{name}`" in ERRORS for name in REFUSED_BEFORE_RUNNING)


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_is_documented(name: str) -> None:
    """With the same words as in the code, and the default that a new client has."""
    row = next(row for row in rows(README) if row[0] == f"`options.{name}`")
    assert row[1] == OPTIONS[name].meaning
    if name == "prefix_commands":
        assert row[2] == str(CommandableAzureFunctionClient()._prefix_commands).lower()
        return
    azure, aws = (getattr(client(), f"_{name}") for client in (type("A", (AzureFunctionClient,), {}), LambdaClient))
    assert row[2] == (str(azure).lower() if azure == aws else f"Azure {azure}, Lambda {aws}")


def test_no_option_is_documented_that_does_not_exist() -> None:
    """The table lists the options of the code, in its order."""
    documented = [row[0] for row in rows(README) if row[0].startswith("`options.")]
    assert documented == [f"`options.{name}`" for name in OPTIONS]


def test_links_lead_somewhere() -> None:
    """Relative links of all pages."""
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        (page.name, link)
        for page in pages
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
        if not (page.parent / link).exists()
    ]
    assert broken == []
