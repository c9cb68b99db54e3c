"""The fixtures of the pytest plugin, in a user's project."""

from __future__ import annotations

import json
import re
import socket
import sys
from pathlib import Path

import pytest

from pip_services4_serverless.local import AzureFunctionHost, LambdaHost

# Imported here once: what a session of `pytester` imports in this process is forgotten at its end.
assert AzureFunctionHost
assert LambdaHost

pytest_plugins = ["pytester"]
DOCS = Path(__file__).parents[2] / "docs" / "testing.md"
APP = """
import azure.functions as func

app = func.FunctionApp()

@app.route()
def hello(req):
    return "hello"
"""
BLOCKED = ("azure", "ministack", "awslambdaric", "starlette", "uvicorn", "anyio")


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with an Azure app and a Lambda handler."""
    pytester.makepyfile(function_app=APP, handlers="def handler(event, context):\n    return 'hello'")
    return pytester


def test_documented_example_passes(pytester: pytest.Pytester) -> None:
    """The example of the documentation, as its reader would copy it."""
    for name, text in re.findall(
        r"^```python\n# (\w+\.py)\n(.*?)^```$", DOCS.read_text("utf-8"), re.DOTALL | re.MULTILINE
    ):
        pytester.path.joinpath(name).write_text(text, "utf-8")
    pytester.runpytest("-W", "error").assert_outcomes(passed=6)


def test_functions_are_the_tests_and_the_lambda_server_is_the_sessions(project: pytest.Pytester) -> None:
    """Every test begins without functions, faults and counts; the session has one Lambda host, and leaves nothing."""
    project.makepyfile("""
        import http.client
        import json

        import pytest

        endpoints, urls = [], []

        def get(url, path, **headers):
            connection = http.client.HTTPConnection(url.removeprefix("http://"))
            try:
                connection.request("GET", path, headers=headers)
                return connection.getresponse().read()
            finally:
                connection.close()

        @pytest.mark.parametrize("number", range(2))
        def test_own_functions(azure_function_host, lambda_host, number):
            azure = azure_function_host(".", enforce_keys=False)
            assert azure.invocations("hello") == 0
            assert get(azure.url, "/api/hello") == b"hello"
            azure.fail("hello", status=429)
            urls.append(azure.url)
            aws = lambda_host(f"hello{number}", ".", "handlers.handler", timeout=5)
            endpoints.append(aws.endpoint)
            with pytest.raises(LookupError):
                aws.arn(f"hello{1 - number}")
            assert lambda_host("other", ".", "handlers.handler") is aws

        def test_after_them(lambda_host):
            for url in urls:
                with pytest.raises(ConnectionRefusedError):
                    get(url, "/")
            assert len(set(endpoints)) == 1
            signature = "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/lambda/aws4_request, Signature=b"
            functions = get(endpoints[0], "/2015-03-31/functions/", Authorization=signature)
            assert json.loads(functions)["Functions"] == []

        def test_that_stops_the_host(lambda_host):
            lambda_host("hello", ".", "handlers.handler").stop()

        def test_after_that_one(lambda_host):
            host = lambda_host("hello", ".", "handlers.handler")
            assert host.arn("hello")
            with open("last", "w") as file:
                json.dump([host.endpoint, host._folder], file)
            raise AssertionError("as it should")
    """)
    project.runpytest("-W", "error").assert_outcomes(passed=4, failed=1)
    endpoint, folder = json.loads(project.path.joinpath("last").read_text())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(endpoint.rpartition(":")[2])))
    assert not Path(folder).exists()


UNUSED = f"""
import sys

import pytest


def test_nothing_is_imported():
    heavy = {{"boto3", "botocore", "requests", *{BLOCKED}}} & set(sys.modules)
    ours = {{name for name in sys.modules if name.startswith("pip_services4_serverless.")}}
    assert heavy == set()
    assert ours == {{"pip_services4_serverless.local", "pip_services4_serverless.local.pytest_plugin"}}
"""


def test_session_that_uses_no_fixture_imports_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plugin costs a session nothing, and hides nothing from its coverage but its own few lines."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # others import what they like
    pytester.makepyfile(UNUSED)
    plugin = "pip_services4_serverless.local.pytest_plugin"
    pytester.runpytest_subprocess("-W", "error", "-p", plugin).assert_outcomes(passed=1)


def test_without_the_extra_only_tests_that_need_it_fail(pytester: pytest.Pytester) -> None:
    """Where the extra `local` is not installed, a fixture that is asked for tells how to install it."""
    pytester.makeconftest(f"""
        import sys

        for name in {BLOCKED}:
            sys.modules[name] = None
    """)
    pytester.makepyfile("""
        def test_without():
            pass

        def test_azure(azure_function_host):
            azure_function_host(".")

        def test_lambda(lambda_host):
            pass
    """)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=2)
    result.stdout.fnmatch_lines(
        ["E *Error: *Host needs the package *: pip install *pip-services4-serverless[[]local]*"] * 2
    )


def test_plugin_is_an_entry_point() -> None:
    """Installing the package is all that a user does."""
    from importlib.metadata import entry_points

    (found,) = (entry for entry in entry_points(group="pytest11") if entry.name == "pip_services4_serverless")
    assert found.value == "pip_services4_serverless.local.pytest_plugin"
    assert sys.modules.get(found.value) is None, "this project's own session blocks it, so that coverage is measured"
