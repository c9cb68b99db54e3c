"""The fixtures of the pytest plugin, in the project of a user."""

from __future__ import annotations

import json
import logging
import re
import socket
import sys
from pathlib import Path

import pytest

from pip_services4_serverless.local import AzureFunctionHost, GoogleFunctionHost, LambdaHost

# Imported here once, because a session of `pytester` removes the modules that it has imported.
assert callable(AzureFunctionHost)
assert callable(GoogleFunctionHost)
assert callable(LambdaHost)

pytest_plugins = ["pytester"]
DOCS = Path(__file__).parents[2] / "docs" / "testing.md"
APP = """
import azure.functions as func

app = func.FunctionApp()

@app.route()
def hello(req):
    return "hello"
"""
BLOCKED = (
    "azure",
    "ministack",
    "awslambdaric",
    "starlette",
    "uvicorn",
    "anyio",
    "functions_framework",
    "flask",
    "werkzeug",
)


@pytest.fixture
def ini(pytester: pytest.Pytester) -> None:
    """pytest-asyncio, which the examples of the documentation need, warns if this is not set."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")


@pytest.fixture
def project(pytester: pytest.Pytester, ini: None) -> pytest.Pytester:
    """A project with an Azure app, a Lambda handler and a Google function."""
    pytester.makepyfile(
        function_app=APP,
        handlers="def handler(event, context):\n    return 'hello'",
        main="def hello(request):\n    return '\"hello\"'",
    )
    return pytester


def test_documented_example_passes(pytester: pytest.Pytester, ini: None) -> None:
    """Its files are those of the documentation."""
    for name, text in re.findall(
        r"^```python\n# (\w+\.py)\n(.*?)^```$", DOCS.read_text("utf-8"), re.DOTALL | re.MULTILINE
    ):
        pytester.path.joinpath(name).write_text(text, "utf-8")
    pytester.runpytest("-W", "error").assert_outcomes(passed=11)


def test_each_test_has_new_functions_and_the_session_one_lambda_host(project: pytest.Pytester) -> None:
    """A test begins without functions, faults and counts. Nothing is left after the session."""
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
        def test_has_new_functions(azure_function_host, lambda_host, number):
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

        def test_sees_no_functions(lambda_host):
            for url in urls:
                with pytest.raises(ConnectionRefusedError):
                    get(url, "/")
            assert len(set(endpoints)) == 1
            signature = "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/lambda/aws4_request, Signature=b"
            functions = get(endpoints[0], "/2015-03-31/functions/", Authorization=signature)
            assert json.loads(functions)["Functions"] == []

        def test_stops_the_host(lambda_host):
            lambda_host("hello", ".", "handlers.handler").stop()

        def test_has_another_host(lambda_host):
            host = lambda_host("hello", ".", "handlers.handler")
            assert host.arn("hello")
            with open("last", "w") as file:
                json.dump([host.endpoint, host._folder], file)
            raise AssertionError("expected")
    """)
    project.runpytest("-W", "error").assert_outcomes(passed=4, failed=1)
    endpoint, folder = json.loads(project.path.joinpath("last").read_text())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(endpoint.rpartition(":")[2])))
    assert not Path(folder).exists()


CLIENTS = """
    from pathlib import Path

    import pytest
    from pip_services4_commons.errors import InvalidStateException, NotFoundException
    from pip_services4_serverless.clients import AzureFunctionClient, CommandableLambdaClient, LambdaClient
    from pip_services4_serverless.clients import CloudFunctionClient

    clients = []

    class HelloAzure(AzureFunctionClient):
        def hello(self):
            return self._call("hello", "T", {})

    class HelloGoogle(CloudFunctionClient):
        def hello(self):
            return self._call("hello", "T", {})

    class HelloLambda(LambdaClient):
        def hello(self):
            return self._call("hello", "T", {})
"""


def test_clients_are_opened_and_closed(project: pytest.Pytester) -> None:
    """A client is configured for its function, with options. It is closed after the test, even if the test fails."""
    project.makepyfile(
        CLIENTS
        + """
    def test_clients(azure_client, google_client, lambda_client):
        azure, aws = azure_client(".", HelloAzure, timeout=4000), lambda_client(".", "handlers.handler", HelloLambda)
        google = google_client(".", "hello", HelloGoogle, timeout=5000)
        clients.extend([azure, aws, google])
        assert [client.hello() for client in clients] == ["hello", "hello", "hello"]
        assert (azure._timeout, google._timeout) == (4000, 5000)
        raise AssertionError("expected")

    def test_they_are_closed():
        assert len(clients) == 3
        for client in clients:
            with pytest.raises(InvalidStateException):
                client.hello()

    def test_several_clients(lambda_client):
        clients = [lambda_client(".", "handlers.handler", HelloLambda) for _ in range(2)]
        assert [client.hello() for client in clients] == ["hello", "hello"]

    def test_clients_of_given_hosts(azure_function_host, lambda_host, azure_client, lambda_client):
        azure, aws = azure_function_host("."), lambda_host("hello", ".", "handlers.handler")
        client = azure_client(azure, HelloAzure, "hello")
        azure.fail("hello", status=404)
        with pytest.raises(NotFoundException):
            client.hello()
        commandable = lambda_client(aws, "hello", lambda: CommandableLambdaClient("hello"))
        assert commandable.call_command("x", "T", {}) == "hello"
        assert aws.invocations("hello") == 1

    def test_clients_of_a_google_host(google_function_host, google_client):
        host = google_function_host("hello", "main.py", allow_unauthenticated=True)
        assert google_function_host("other", ".", "hello") is host
        clients = [google_client(host, name, HelloGoogle) for name in host.functions]
        host.fail("other", status=404)
        assert clients[0].hello() == "hello"
        with pytest.raises(NotFoundException):
            clients[1].hello()
        assert [host.invocations(name) for name in ("hello", "other")] == [1, 0]

    def test_the_next_test_has_another_google_host(google_function_host):
        host = google_function_host("third", ".", "hello")
        assert host.functions == ["third"]

    def test_function_is_named(azure_client, tmp_path):
        app = Path("function_app.py").read_text()
        (tmp_path / "function_app.py").write_text(app + "\\n" + app[app.index("@app"):].replace("hello", "other"))
        with pytest.raises(ValueError, match="set function to one of hello, other"):
            azure_client(tmp_path, HelloAzure)
        assert azure_client(tmp_path, HelloAzure, function="other").hello() == "other"
    """
    )
    project.runpytest("-W", "error").assert_outcomes(passed=6, failed=1)


def test_report_of_a_failed_test_has_the_output_of_handlers(project: pytest.Pytester) -> None:
    """No option is needed for that."""
    project.makepyfile(
        CLIENTS
        + """
    @pytest.mark.parametrize("number", range(3))
    def test_fails(lambda_client, number):
        assert lambda_client(".", "talking.handler", HelloLambda).hello() == number
    """,
        talking="def handler(event, context):\n    print('printed by the handler', end='')",
    )
    result = project.runpytest("-W", "error")
    result.assert_outcomes(failed=3)
    line = "INFO *pip_services4_serverless.local.lambda.*printed by the handler"
    result.stdout.fnmatch_lines(["*Captured log call*", line] * 3)
    assert result.stdout.str().count("printed by the handler") == 3
    assert logging.getLogger("pip_services4_serverless.local.lambda").level == logging.NOTSET


UNUSED = f"""
import sys

import pytest


def test_nothing_is_imported():
    heavy = {{"boto3", "botocore", "requests", *{BLOCKED}}} & set(sys.modules)
    ours = {{name for name in sys.modules if name.startswith("pip_services4_serverless.")}}
    assert heavy == set()
    assert ours == {{"pip_services4_serverless.local", "pip_services4_serverless.local.pytest_plugin"}}
"""


def test_session_without_these_fixtures_imports_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its coverage lacks only the few lines of the plugin."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # other plugins may import these modules
    pytester.makepyfile(UNUSED)
    plugin = "pip_services4_serverless.local.pytest_plugin"
    pytester.runpytest_subprocess("-W", "error", "-p", plugin).assert_outcomes(passed=1)


def test_without_the_extra_only_its_fixtures_fail(pytester: pytest.Pytester) -> None:
    """Each error says how to install the extra `local`."""
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

        def test_google(google_function_host):
            pass

        def test_lambda(lambda_host):
            pass
    """)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=3)
    result.stdout.fnmatch_lines(
        ["E *Error: *Host needs the package *: pip install *pip-services4-serverless[[]local]*"] * 3
    )


def test_plugin_is_an_entry_point() -> None:
    """Users need only install the package."""
    from importlib.metadata import entry_points

    (found,) = (entry for entry in entry_points(group="pytest11") if entry.name == "pip_services4_serverless")
    assert found.value == "pip_services4_serverless.local.pytest_plugin"
    assert sys.modules.get(found.value) is None, "the tests of this project block it, so that coverage is measured"
