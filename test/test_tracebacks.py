"""The traceback of a failed call in a user's test ends in the user's line, and not inside this package."""

from __future__ import annotations

import re

import pytest

pytest_plugins = "pytester"

FAILING = """
import asyncio

import pytest

import pip_services4_serverless as package

UNUSED_URL = "http://127.0.0.1:9/api/greeter"
KEYS = {"credential.access_id": "ID", "credential.access_key": "KEY"}
ARN = {"connection.arn": "greeter", "connection.region": "eu-west-1", "connection.uri": "http://127.0.0.1:9"}


def open_client(client_class, config, name="greeter"):
    client = client_class(name)
    client.configure({**config, **KEYS, "options.retries": 0})
    client.open()
    return client


CONFIGS = {"Azure": {"connection.uri": UNUSED_URL}, "Cloud": {"connection.uri": UNUSED_URL}, "Lambda": ARN}
CASES = [
    getattr(package, f"{kind}{name}")
    for kind in ("", "Commandable", "Async", "AsyncCommandable")
    for name in ("AzureFunctionClient", "CloudFunctionClient", "LambdaClient")
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("mistake", ["call", "params", "context"])
def test_call(case, mistake):
    client = open_client(case, next(config for name, config in CONFIGS.items() if name in case.__name__))
    method = client.call_command if hasattr(client, "call_command") else client.call
    arguments = {"call": (None,), "params": (None, {"a": object()}), "context": ({"a": 1},)}[mistake]

    async def call():
        await method("greet", *arguments)  # the user's line

    if case.__name__.startswith("Async"):
        asyncio.run(call())
    else:
        method("greet", *arguments)  # the user's line


def test_one_way():
    client = open_client(package.LambdaClient, ARN)
    client.call_one_way("greet", None)  # the user's line


def test_not_open():
    package.AzureFunctionClient().call("greet")  # the user's line


def test_configure():
    package.AzureFunctionClient().configure({"options.timeout": "5s"})  # the user's line


@pytest.mark.parametrize("client", ["AzureFunctionClient", "CloudFunctionClient", "LambdaClient"])
def test_open(client):
    getattr(package, client)().open()  # the user's line


def test_from_uri():
    package.AzureFunctionClient.from_uri(UNUSED_URL, timout=5)  # the user's line
"""
BUG = """
import pip_services4_serverless as package


def test_bug_of_the_package():
    client = package.AzureFunctionClient()
    client._state = "broken"
    client.call("greet")
"""
OPTIONS = ("-p", "no:asyncio", "-p", "no:cacheprovider", "-p", "no:xdist")


def failure_reports(pytester: pytest.Pytester, source: str, *options: str) -> list[str]:
    """The reports of the failed tests."""
    pytester.makepyfile(test_users=source)
    result = pytester.runpytest_subprocess(*OPTIONS, *options)
    return re.split(r"^_{3,} .* _{3,}$", result.stdout.str().partition("short test summary")[0], flags=re.MULTILINE)[1:]


def test_the_users_line_is_last(pytester: pytest.Pytester) -> None:
    """This is true of each kind of client, and of errors of a call, of its arguments and of a configuration."""
    reports = failure_reports(pytester, FAILING)
    assert len(reports) == 43
    lines = FAILING.lstrip("\n").split("\n")
    for report in reports:
        last = report.rpartition("The above exception was the direct cause")[2]
        places = re.findall(r"^(\S+?):(\d+): ", last, re.MULTILINE)
        assert [place for place in places if "pip_services4_serverless" in place[0]] == [], report
        file, number = places[-1]
        assert file == "test_users.py", report
        assert lines[int(number) - 1].endswith("# the user's line"), report


def test_bugs_of_the_package_are_shown_completely(pytester: pytest.Pytester) -> None:
    """Whoever reports a bug needs the frames."""
    (report,) = failure_reports(pytester, BUG)
    assert "AttributeError" in report
    assert re.search(r"^\S*clients/_serverless_client\.py:\d+: AttributeError", report, re.MULTILINE)


def test_full_trace_shows_all_frames(pytester: pytest.Pytester) -> None:
    """`--full-trace` is an option of pytest."""
    reports = failure_reports(pytester, FAILING, "--full-trace", "-k", "test_not_open")
    assert "clients/_serverless_client.py" in reports[0]
