"""A user's test whose call fails shows the user's line last, and not the insides of this package."""

from __future__ import annotations

import re

import pytest

pytest_plugins = "pytester"

FAILING = """
import asyncio

import pytest

import pip_services4_serverless as our

NOWHERE = "http://127.0.0.1:9/api/greeter"
KEYS = {"credential.access_id": "ID", "credential.access_key": "KEY"}
ARN = {"connection.arn": "greeter", "connection.region": "eu-west-1", "connection.uri": "http://127.0.0.1:9"}


def opened(client_class, config, name="greeter"):
    client = client_class(name)
    client.configure({**config, **KEYS, "options.retries": 0})
    client.open()
    return client


CONFIGS = {"Azure": {"connection.uri": NOWHERE}, "Cloud": {"connection.uri": NOWHERE}, "Lambda": ARN}
CASES = [
    getattr(our, f"{kind}{name}")
    for kind in ("", "Commandable", "Async", "AsyncCommandable")
    for name in ("AzureFunctionClient", "CloudFunctionClient", "LambdaClient")
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("way", ["call", "params", "context"])
def test_call(case, way):
    client = opened(case, next(config for name, config in CONFIGS.items() if name in case.__name__))
    method = client.call_command if hasattr(client, "call_command") else client.call
    arguments = {"call": (None,), "params": (None, {"a": object()}), "context": ({"a": 1},)}[way]

    async def call():
        await method("greet", *arguments)  # the user's line

    if case.__name__.startswith("Async"):
        asyncio.run(call())
    else:
        method("greet", *arguments)  # the user's line


def test_one_way():
    client = opened(our.LambdaClient, ARN)
    client.call_one_way("greet", None)  # the user's line


def test_not_open():
    our.AzureFunctionClient().call("greet")  # the user's line


def test_configure():
    our.AzureFunctionClient().configure({"options.timeout": "5s"})  # the user's line


@pytest.mark.parametrize("client", ["AzureFunctionClient", "CloudFunctionClient", "LambdaClient"])
def test_open(client):
    getattr(our, client)().open()  # the user's line


def test_from_uri():
    our.AzureFunctionClient.from_uri(NOWHERE, timout=5)  # the user's line
"""
FAULT = """
import pip_services4_serverless as our


def test_fault_of_the_package():
    client = our.AzureFunctionClient()
    client._state = "broken"
    client.call("greet")
"""
OPTIONS = ("-p", "no:asyncio", "-p", "no:cacheprovider", "-p", "no:xdist")


def run(pytester: pytest.Pytester, source: str, *options: str) -> list[str]:
    """The reports of the tests that fail."""
    pytester.makepyfile(test_users=source)
    result = pytester.runpytest_subprocess(*OPTIONS, *options)
    return re.split(r"^_{3,} .* _{3,}$", result.stdout.str().partition("short test summary")[0], flags=re.MULTILINE)[1:]


def test_the_users_line_is_last(pytester: pytest.Pytester) -> None:
    """Of each kind of client, for errors of a call, of its arguments and of a configuration."""
    reports = run(pytester, FAILING)
    assert len(reports) == 43
    lines = FAILING.lstrip("\n").split("\n")
    for report in reports:
        last = report.rpartition("The above exception was the direct cause")[2]
        places = re.findall(r"^(\S+?):(\d+): ", last, re.MULTILINE)
        assert [place for place in places if "pip_services4_serverless" in place[0]] == [], report
        file, number = places[-1]
        assert file == "test_users.py", report
        assert lines[int(number) - 1].endswith("# the user's line"), report


def test_faults_of_the_package_are_shown_whole(pytester: pytest.Pytester) -> None:
    """Whoever reports one needs the frames."""
    (report,) = run(pytester, FAULT)
    assert "AttributeError" in report
    assert re.search(r"^\S*clients/_serverless_client\.py:\d+: AttributeError", report, re.MULTILINE)


def test_everything_is_shown_if_asked(pytester: pytest.Pytester) -> None:
    """By pytest's own option."""
    reports = run(pytester, FAILING, "--full-trace", "-k", "test_not_open")
    assert "clients/_serverless_client.py" in reports[0]
