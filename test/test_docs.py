"""The documentation agrees with the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError
from support import fault_server as fault
from support.clients import failure, open_client
from support.fault_server import FaultServer

import pip_services4_serverless
from pip_services4_serverless._cli.failure import CODES
from pip_services4_serverless._rules.errors import SITUATIONS, Retry, failure_of_response, rejects_token
from pip_services4_serverless._rules.options import CALL_OPTIONS, OPTIONS
from pip_services4_serverless._rules.response import FunctionResponse
from pip_services4_serverless.clients import (
    AzureFunctionClient,
    CloudFunctionClient,
    CommandableAzureFunctionClient,
    LambdaClient,
)
from pip_services4_serverless.connect._config_errors import CONFIG_ERRORS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
ERRORS = (ROOT / "docs" / "errors.md").read_text("utf-8")
PACKAGE = Path(pip_services4_serverless.__file__).parent


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


# Functions of the package whose second argument is the code of a configuration error.
RAISING = {"config_error", "check_secret"}


def texts(nodes: Iterable[ast.AST]) -> set[str]:
    """The string constants among the nodes."""
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_the_error_table_has_all_codes() -> None:
    """Each code has a row with its exception and status. There are no other rows."""
    documented = {row[0].strip("`"): (row[1].strip("`"), row[2]) for row in rows(ERRORS) if len(row) == 4}
    del documented["code"], documented["---"]
    assert documented == {code: (row.exception.__name__, str(row.status)) for code, row in SITUATIONS.items()}


def test_each_code_says_whether_the_function_ran() -> None:
    """The page agrees with the rules of retries: codes that are always retried mean that the function did not run."""
    section = ERRORS.partition("## Did the function run?")[2].partition("\n## ")[0]
    codes = {
        statement: set(re.findall(r"`([A-Z_]+)`", text))
        for statement, text in re.findall(r"^- \*\*(.+?)\*\*: (.+(?:\n  .+)*)", section, re.MULTILINE)
    }
    assert set().union(*codes.values()) == set(SITUATIONS)
    rules = {
        "No, and the client has used its retries": Retry.ALWAYS,
        "Perhaps: the request was sent, and its response was lost": Retry.IF_IDEMPOTENT,
    }
    for statement, retry in rules.items():
        assert codes[statement] == {code for code, row in SITUATIONS.items() if row.retry is retry}


def test_the_page_lists_the_configuration_errors() -> None:
    """It uses the words of the code."""
    _, _, *documented = rows(ERRORS.partition("## Configuration errors")[2])
    assert {code.strip("`"): when for code, when in documented} == CONFIG_ERRORS


def test_each_configuration_error_is_raised() -> None:
    """The code raises no other configuration error."""
    modules = {*PACKAGE.glob("clients/*.py"), *PACKAGE.glob("connect/*.py"), *PACKAGE.glob("_rules/*.py")} - {
        PACKAGE / "connect" / "_config_errors.py"
    }
    nodes = [node for path in modules for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    calls = [
        (node.func.id, node.args) for node in nodes if isinstance(node, ast.Call) if isinstance(node.func, ast.Name)
    ]
    assert texts(argument for name, args in calls if name in RAISING for argument in args[1:2]) <= set(CONFIG_ERRORS)
    assert texts(nodes) >= set(CONFIG_ERRORS)
    assert "ConfigException" not in {name for name, _ in calls}


# The responses of each row of the table. The other rows are about attempts without a response.
RESPONSES = {
    "the request was rejected": [
        FunctionResponse(429, {}, b""),
        FunctionResponse(503, {"retry-after": "1"}, b""),
        *(FunctionResponse(400, {}, b"", name) for name in sorted(LambdaClient._PROVIDER.not_started)),
    ],
    "500, 502, 504": [
        *(FunctionResponse(status, {}, b"") for status in (500, 502, 503, 504)),
        FunctionResponse(410, {}, b"", "EFSIOException"),
    ],
    "the function reported an error": [
        FunctionResponse(500, {}, b'{"code": "NO_ORDER", "status": 503, "message": "gone"}'),
        FunctionResponse(200, {}, b'{"errorMessage": "x"}', function_failed=True),
        *(FunctionResponse(status, {}, b"") for status in (301, 400, 404, 408, 410, 418, 501, 505)),
    ],
}


@pytest.mark.parametrize("beginning", RESPONSES)
def test_the_retry_table_agrees_with_the_rules(beginning: str) -> None:
    """It says what happens after each response."""
    row = next(row for row in rows(ERRORS) if row[0].startswith(beginning))
    rules = {
        ("retried", "retried"): Retry.ALWAYS,
        ("not retried", "retried"): Retry.IF_IDEMPOTENT,
        ("not retried", "not retried"): Retry.NEVER,
    }
    failures = [failure_of_response(response, "T", LambdaClient._PROVIDER) for response in RESPONSES[beginning]]
    assert {failure.retry if failure else None for failure in failures} == {rules[row[1], row[2]]}


def test_the_retry_table_has_rejected_tokens() -> None:
    """This row is about a response too."""
    row = next(row for row in rows(ERRORS) if row[0].startswith("the token of `credential.identity` was rejected"))
    assert row[1:] == ["retried once, with a new token"] * 2
    response = FunctionResponse(401, {"www-authenticate": 'Bearer error="invalid_token"'}, b"")
    assert rejects_token(response)
    failure = failure_of_response(response._replace(token_rejected=True), "T")
    assert failure
    assert failure.retry is Retry.NEW_TOKEN


def test_the_codes_of_the_command_line_are_documented() -> None:
    """The page uses the words of the code."""
    page = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    table = {row[0].strip("`"): row[1] for row in rows(page) if row[0].strip("`") in CODES}
    assert table == CODES
    modules = [path for path in PACKAGE.glob("_cli/*.py") if path.name != "failure.py"]
    nodes = [node for path in modules for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    codes = {text for text in texts(nodes) if re.fullmatch("[A-Z]+(_[A-Z]+)+", text)}
    environment = {code for code in codes if code.startswith("PIP_SERVERLESS_")}
    assert codes - environment - set(SITUATIONS) == set(CODES)


def test_the_page_names_the_errors_of_lambda_that_are_retried() -> None:
    """Lambda reports them before the function starts."""
    assert all(f"`{name}`" in ERRORS for name in LambdaClient._PROVIDER.not_started)


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_is_documented(name: str) -> None:
    """The README has the words of the code and the default of a new client."""
    row = next(row for row in rows(README) if row[0] == f"`options.{name}`")
    assert row[1] == OPTIONS[name].meaning
    if name == "prefix_commands":
        assert row[2] == str(CommandableAzureFunctionClient()._prefix_commands).lower()
        return
    clients = (type("A", (AzureFunctionClient,), {}), CloudFunctionClient, LambdaClient)
    azure, google, aws = (getattr(client(), f"_{name}") for client in clients)
    assert google == aws
    assert row[2] == (str(azure).lower() if azure == aws else f"Azure {azure}, Google and Lambda {aws}")


def test_the_readme_lists_no_other_options() -> None:
    """It lists them in the order of the code."""
    documented = [row[0] for row in rows(README) if row[0].startswith("`options.")]
    *documented, commands = documented
    assert documented == [f"`options.{name}`" for name in OPTIONS]
    first, *others = CALL_OPTIONS
    assert commands == ", ".join([f"`options.commands.<cmd>.{first}`", *(f"`.{name}`" for name in others)])


@pytest.mark.parametrize("words", ["localstack", "sam local", "func start", "serverless-offline", "aws-lambda-rie"])
def test_searches_for_other_emulators_find_the_page(words: str) -> None:
    """People search the documentation for the emulator that they know."""
    page = (ROOT / "docs" / "testing.md").read_text("utf-8")
    assert words in page.partition("## Other emulators")[2].lower()


def test_other_emulators_behave_as_the_page_says() -> None:
    """An error without `X-Amz-Function-Error` is a result. A string that is not escaped is not valid JSON."""
    error = {"errorType": "ValueError", "errorMessage": "no"}
    with FaultServer() as server, open_client("lambda", server.url) as client:
        server.script(fault.respond(200, error), fault.respond(200, b'"a "word""'))
        assert client._call("get", "T", None) == error
        assert failure(client).code == "DESERIALIZATION_FAILED"


def test_boto3_repeats_a_call_after_a_read_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The README says how often."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    options = Config(read_timeout=0.2)
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "eu-west-1"}
    with FaultServer() as server:
        server.script(*[fault.silent()] * 6)
        client = boto3.client("lambda", endpoint_url=server.url, config=options, **keys)
        with pytest.raises(ReadTimeoutError):
            client.invoke(FunctionName="dummies")
        client.close()
        assert {3: "three", 5: "five"}[server.executions] in README
        assert "the Lambda function runs three or five times, depending on the version of boto3" in " ".join(
            README.split()
        )


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of the page's headings, in the form of mkdocs and GitHub."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    words = (
        re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    )
    return {re.sub(r"[\s-]+", "-", heading) for heading in words}


def test_every_link_has_a_target() -> None:
    """This includes anchors of headings, except on the reference pages, which are generated from the code."""
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        (page.name, link, anchor)
        for page in pages
        for link, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text("utf-8"))
        for target in [page.parent / link if link else page]
        if not target.exists() or (anchor and target.parent.name != "reference" and anchor not in anchors(target))
    ]
    assert broken == []
