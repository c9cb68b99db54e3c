"""LambdaHost responds like the Lambda Invoke API, and reports what its functions did."""

import base64
import contextlib
import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError
from support.processes import wait_until

from pip_services4_serverless.local import LambdaHost
from pip_services4_serverless.local._lambda_channel import Channel

APPS = Path(__file__).with_name("lambda_apps")
Deploy = Callable[..., str]
Invoke = Callable[..., Any]
LOGS = "pip_services4_serverless.local.lambda"


@pytest.fixture(scope="module")
def host() -> Iterator[LambdaHost]:
    with LambdaHost() as host:
        yield host


@pytest.fixture
def deploy(host: LambdaHost, request: pytest.FixtureRequest) -> Deploy:
    """Deploys a handler of app.py under the name of the test."""

    def deploy(handler: str, suffix: str = "", **options: Any) -> str:
        name = request.node.originalname + suffix
        host.deploy(name, APPS, f"app.{handler}", **options)
        return str(name)

    return deploy


def boto3_client(host: LambdaHost, **options: Any) -> Any:
    return boto3.client(
        "lambda",
        endpoint_url=host.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, **options),
    )


@pytest.fixture(scope="module")
def client(host: LambdaHost) -> Iterator[Any]:
    client = boto3_client(host)
    yield client
    client.close()


@pytest.fixture
def invoke(host: LambdaHost, client: Any) -> Invoke:
    """Calls a function with boto3, and decodes the payload of the response."""

    def invoke(name: str, event: Any = None, qualifier: str | None = None, **options: Any) -> Any:
        response = client.invoke(FunctionName=host.arn(name, qualifier), Payload=json.dumps(event), **options)
        body = response["Payload"].read()
        return {**response, "Payload": json.loads(body) if body else None}

    return invoke


class Gate:
    """Makes the handler `gate` wait until `open` is called."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        self.environment = {"GATE": str(self._listener.getsockname()[1])}

    def open(self) -> None:
        with self._listener.accept()[0] as connection:
            connection.sendall(b"open")

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def gate() -> Iterator[Gate]:
    with contextlib.closing(Gate()) as gate:
        yield gate


def test_handler_runs_under_awslambdaric_with_this_interpreter(
    host: LambdaHost, deploy: Deploy, invoke: Invoke
) -> None:
    """The handler receives the event in another process of this interpreter. The caller gets its result."""
    name = deploy("echo")
    response = invoke(name, {"a": ["ü", 1]})
    assert response["StatusCode"] == 200
    assert "FunctionError" not in response
    assert response["Payload"] == {
        "event": {"a": ["ü", 1]},
        "version": "$LATEST",
        "arn": host.arn(name),
        "pid": response["Payload"]["pid"],
        "python": sys.executable,
        "runtime": True,
    }


def test_next_call_uses_the_same_process(deploy: Deploy, invoke: Invoke) -> None:
    """A function starts only once for consecutive calls, as on AWS."""
    name = deploy("echo")
    assert len({invoke(name)["Payload"]["pid"] for _ in range(3)}) == 1


def test_none_is_sent_as_null(deploy: Deploy, invoke: Invoke) -> None:
    """The response of a handler that returns None is null in JSON."""
    response = invoke(deploy("nothing"))
    assert response["StatusCode"] == 200
    assert response["ResponseMetadata"]["HTTPHeaders"]["content-length"] == "4"
    assert response["Payload"] is None


@pytest.mark.parametrize(
    ("handler", "event", "error_type", "message"),
    [
        ("app.fail", {"type": "ValueError", "message": "no ü"}, "ValueError", "no ü"),
        ("app.crash", {"crash": True}, "Runtime.ExitError", "Runtime exited before returning a response"),
        ("app.hang", {}, "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
        ("app.missing", {}, "Runtime.HandlerNotFound", "Handler 'missing' missing on module 'app'"),
        (
            "unimportable.handler",
            {},
            "Runtime.ImportModuleError",
            "Unable to import module 'unimportable': No module named 'no_such_package'",
        ),
    ],
)
def test_failure_is_a_function_error(
    host: LambdaHost, handler: str, event: dict[str, Any], error_type: str, message: str, invoke: Invoke
) -> None:
    """The response has status 200, a FunctionError, and Lambda's error document."""
    host.deploy("failing", APPS, handler, timeout=1)
    response = invoke("failing", event)
    assert (response["StatusCode"], response["FunctionError"]) == (200, "Unhandled")
    assert response["Payload"]["errorType"] == error_type
    assert response["Payload"]["errorMessage"] == message


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        ("app.missing", "Runtime.HandlerNotFound: Handler 'missing' missing on module 'app'"),
        ("unimportable.handler", "Runtime.ImportModuleError: Unable to import .*: No module named 'no_such_package'"),
        ("no_syntax.handler", r"Runtime.UserCodeSyntaxError: Syntax error in module .* \(no_syntax.py, line 1\)"),
        ("no_variable.handler", "KeyError: 'NO_SUCH_VARIABLE'"),
        ("exits.handler", ".*bootstrap exited during init with code 3"),
    ],
)
def test_check_reports_a_handler_that_cannot_be_imported(
    host: LambdaHost, tmp_path: Path, caplog: pytest.LogCaptureFixture, handler: str, message: str
) -> None:
    """It does so before the first call. The log has no empty lines."""
    caplog.set_level(logging.INFO, LOGS)
    folder = tmp_path if (module := handler.partition(".")[0]) in BROKEN else APPS
    if folder is tmp_path:
        (tmp_path / f"{module}.py").write_text(BROKEN[module])
    host.deploy("broken", folder, handler)
    with pytest.raises(RuntimeError, match=f"'{handler}' of 'broken' cannot be imported: {message}"):
        host.check("broken")
    assert host.invocations("broken") == 0
    assert [logged for logged in caplog.messages if logged.endswith("\n")] == []


BROKEN = {
    "no_syntax": "def handler(event, context)",
    "no_variable": "import os\nos.environ['NO_SUCH_VARIABLE']",
    "exits": "import os\nos._exit(3)",
}


def test_check_does_not_call_the_handler(host: LambdaHost, deploy: Deploy, invoke: Invoke) -> None:
    """The process that imports the handler also serves the calls. The check is not counted."""
    name = deploy("fail")
    host.check(name)
    host.check(name)
    assert host.invocations(name) == 0
    name = deploy("echo")
    host.check(name)
    assert invoke(name, {"a": 1})["Payload"]["event"] == {"a": 1}
    assert host.invocations(name) == 1
    with pytest.raises(LookupError, match="No function 'unknown' is deployed"):
        host.check("unknown")


def test_error_document_has_the_stack(deploy: Deploy, invoke: Invoke) -> None:
    """It is the stack of the handler's exception."""
    payload = invoke(deploy("fail"), {"type": "KeyError", "message": "x"})["Payload"]
    assert "app.py" in payload["stackTrace"][0]


def test_next_call_after_a_crash_uses_a_new_process(deploy: Deploy, invoke: Invoke) -> None:
    """The function can still be called."""
    name = deploy("crash")
    invoke(name, {"crash": True})
    assert invoke(name, {})["Payload"] == "alive"


def test_unknown_function_is_a_404(client: Any) -> None:
    """It is Lambda's own error."""
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke(FunctionName="unknown")


def test_call_over_the_limit_is_a_429(host: LambdaHost, deploy: Deploy, gate: Gate, invoke: Invoke) -> None:
    """The handler does not run. When a call has ended, another is possible."""
    name = deploy("gate", concurrency=1, environment=gate.environment)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(invoke, name)
        host.wait_for_invocations(name, 1)
        with pytest.raises(ClientError) as rejected:
            invoke(name)
        gate.open()
        assert running.result()["Payload"] == "open"
    assert rejected.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert rejected.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert host.invocations(name) == 1


def test_limit_of_zero_rejects_every_call(host: LambdaHost, deploy: Deploy, invoke: Invoke) -> None:
    """Such a function is always throttled."""
    name = deploy("echo", concurrency=0)
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        invoke(name)
    assert host.invocations(name) == 0


def test_alias_selects_the_published_version(host: LambdaHost, deploy: Deploy, invoke: Invoke) -> None:
    """The call runs version 1, and the context has alias and version."""
    name = deploy("echo", aliases=["live", "next"])
    response = invoke(name, qualifier="live")
    assert response["ExecutedVersion"] == "1"
    assert response["Payload"]["version"] == "1"
    assert response["Payload"]["arn"] == f"{host.arn(name)}:live"
    assert host.arn(name, "1") == f"{host.arn(name)}:1"
    assert host.invocations(name) == 1


def test_each_function_has_its_own_environment(deploy: Deploy, invoke: Invoke) -> None:
    """Two functions have the same handler and different variables."""
    names = [deploy("environment", suffix, environment={"MINE": suffix}) for suffix in ("a", "b")]
    assert [invoke(name)["Payload"]["MINE"] for name in names] == ["a", "b"]


def test_deploying_again_replaces_the_function(host: LambdaHost, deploy: Deploy, invoke: Invoke) -> None:
    """The settings are new, and the invocations are counted from 0."""
    name = deploy("echo", concurrency=0, aliases=["old"])
    name = deploy("echo")
    invoke(name)
    deploy("other")
    assert host.invocations(name) == 0
    assert invoke(name)["Payload"] == "other"
    assert host.invocations(name) == 1


def test_changed_code_is_used_after_deploying_again(host: LambdaHost, tmp_path: Path, invoke: Invoke) -> None:
    """A running process keeps its code."""
    code = tmp_path / "changing.py"
    code.write_text("def handler(event, context): return 'first'")
    host.deploy("changing", code, "changing.handler")
    assert invoke("changing")["Payload"] == "first"
    code.write_text("def handler(event, context): return 'the second'")
    assert invoke("changing")["Payload"] == "first"
    host.deploy("changing", code, "changing.handler")
    assert invoke("changing")["Payload"] == "the second"


@pytest.mark.parametrize("handler", ["package.inner.handler", "package/inner.handler"])
def test_handler_may_be_in_a_package(host: LambdaHost, handler: str, invoke: Invoke) -> None:
    """Its module has dots, or slashes as on AWS."""
    host.deploy("packaged", APPS, handler)
    assert invoke("packaged")["Payload"] == "package"


def test_functions_can_call_each_other(deploy: Deploy, invoke: Invoke) -> None:
    """boto3 in a handler finds this host without any setting."""
    callee = deploy("echo", "callee")
    response = invoke(deploy("call"), {"function": callee})
    assert response["Payload"]["event"] == {"from": "test_functions_can_call_each_other"}


def test_output_of_a_handler_is_logged(
    host: LambdaHost, deploy: Deploy, caplog: pytest.LogCaptureFixture, invoke: Invoke
) -> None:
    """Its prints and logs have the function's name and their level."""
    name = deploy("talk")
    caplog.set_level(logging.INFO, LOGS)
    invoke(name, {"length": 3})
    host.invocations(name)
    assert [record[1:] for record in caplog.record_tuples if record[0] == f"{LOGS}.{name}"] == [
        (logging.INFO, "from print"),
        (logging.INFO, "from stderr"),
        (logging.WARNING, "from logging of app"),
        (logging.INFO, "üüü"),
        (logging.INFO, "no end"),
    ]


def logged(host: LambdaHost, caplog: pytest.LogCaptureFixture, name: str) -> list[str]:
    """The lines that the finished calls of a function have logged."""
    host.invocations(name)
    return [record.getMessage() for record in caplog.records if record.name == f"{LOGS}.{name}"]


@pytest.mark.parametrize("by", ["print", "stderr", "first stdout", "descriptor", "child", "/dev/stdout"])
def test_output_without_a_newline_belongs_to_its_call(
    host: LambdaHost, deploy: Deploy, invoke: Invoke, caplog: pytest.LogCaptureFixture, by: str
) -> None:
    """It is in the log when the call returns, separate from that of the next call."""
    name = deploy("say")
    caplog.set_level(logging.INFO, LOGS)
    for number in range(2):
        tail = invoke(name, {"by": by, "text": f"first\nrést {number}"}, LogType="Tail")["LogResult"]
        assert logged(host, caplog, name) == ["first", f"rést {number}"]
        assert base64.b64decode(tail).decode().endswith(f"Version: $LATEST\nfirst\nrést {number}")
        caplog.clear()


@pytest.mark.parametrize("by", ["print", "descriptor", "child"])
@pytest.mark.parametrize("then", ["exit", "hang", "raise"])
def test_output_of_a_failed_call_is_complete(
    host: LambdaHost, deploy: Deploy, invoke: Invoke, caplog: pytest.LogCaptureFixture, by: str, then: str
) -> None:
    """It is in the log when the call returns, also if the process has ended."""
    name = deploy("say", timeout=1)
    caplog.set_level(logging.INFO, LOGS)
    for number in range(2):
        response = invoke(name, {"by": by, "text": f"last text {number}", "then": then})
        assert response["FunctionError"] == "Unhandled"
        assert logged(host, caplog, name)[0] == f"last text {number}"
        caplog.clear()


def test_long_output_of_a_child_is_complete(
    host: LambdaHost, deploy: Deploy, invoke: Invoke, caplog: pytest.LogCaptureFixture
) -> None:
    """It is more than a pipe holds. It is in the log, in order, before the call returns."""
    name = deploy("say")
    caplog.set_level(logging.INFO, LOGS)
    lines = [f"{number:05} {'x' * 100}" for number in range(1_000)]
    invoke(name, {"by": "child", "text": "\n".join(lines)})
    assert logged(host, caplog, name) == lines


@pytest.mark.timing
@pytest.mark.parametrize("ends", [False, True])
def test_output_of_a_remaining_child_is_logged(
    host: LambdaHost, deploy: Deploy, invoke: Invoke, caplog: pytest.LogCaptureFixture, ends: bool
) -> None:
    """The call does not wait for the child, whether the function's process ends or not."""
    name = deploy("leave", timeout=20)
    caplog.set_level(logging.INFO, LOGS)
    started = time.monotonic()
    invoke(name, {"exit": ends})
    assert time.monotonic() - started < 0.9, "ministack waits a second for the end of the output"
    wait_until(lambda: logged(host, caplog, name))
    assert logged(host, caplog, name) == ["left"]


def test_handler_has_no_children_of_the_host(deploy: Deploy, invoke: Invoke) -> None:
    """A handler may wait for all of its children."""
    assert invoke(deploy("wait_for_all"))["Payload"] == "none"


def test_long_line_is_one_record(
    host: LambdaHost, deploy: Deploy, invoke: Invoke, caplog: pytest.LogCaptureFixture
) -> None:
    """A pipe does not hold the whole line."""
    name = deploy("talk")
    caplog.set_level(logging.INFO, LOGS)
    invoke(name, {"length": 100_001})
    host.invocations(name)
    assert "ü" * 100_001 in caplog.messages


def test_exception_of_a_handler_is_logged(
    host: LambdaHost, deploy: Deploy, caplog: pytest.LogCaptureFixture, invoke: Invoke
) -> None:
    """It is one record of level ERROR, with the traceback."""
    name = deploy("fail")
    invoke(name, {"type": "ValueError", "message": "no"})
    host.invocations(name)
    (record,) = [record for record in caplog.records if record.name == f"{LOGS}.{name}"]
    assert record.levelno == logging.ERROR
    assert record.message.startswith("ValueError: no\nTraceback (most recent call last):\n")


def test_every_execution_is_counted(host: LambdaHost, deploy: Deploy, invoke: Invoke) -> None:
    """The count is exact if a function has several processes."""
    name = deploy("echo")
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(lambda _: invoke(name), range(20)))) == 20
    assert host.invocations(name) == 20


def test_crash_is_counted(host: LambdaHost, deploy: Deploy, invoke: Invoke) -> None:
    """The handler was executed."""
    name = deploy("crash")
    invoke(name, {"crash": True})
    assert host.invocations(name) == 1


def test_execution_is_counted_if_the_caller_timed_out(host: LambdaHost, deploy: Deploy, gate: Gate) -> None:
    """The handler runs to its end."""
    name = deploy("gate", environment=gate.environment)
    client = boto3_client(host, read_timeout=0.3)
    with pytest.raises(ReadTimeoutError):
        client.invoke(FunctionName=name)
    client.close()
    host.wait_for_invocations(name, 1)
    gate.open()
    assert host.invocations(name) == 1


def test_one_way_call_returns_before_it_runs(host: LambdaHost, deploy: Deploy, gate: Gate, invoke: Invoke) -> None:
    """Its status is 202. Its execution can be waited for, and is counted."""
    name = deploy("gate", environment=gate.environment)
    response = invoke(name, InvocationType="Event")
    assert (response["StatusCode"], response["Payload"]) == (202, None)
    host.wait_for_invocations(name, 1)
    gate.open()
    assert host.invocations(name) == 1


def test_failed_one_way_call_is_executed_three_times(host: LambdaHost, deploy: Deploy, invoke: Invoke) -> None:
    """AWS also repeats it twice."""
    name = deploy("fail")
    invoke(name, {"type": "ValueError", "message": "no"}, InvocationType="Event")
    host.wait_for_invocations(name, 3, timeout=30)


def test_waiting_for_invocations_has_a_timeout(host: LambdaHost, deploy: Deploy, invoke: Invoke) -> None:
    """The error has the number of executions."""
    name = deploy("echo")
    invoke(name)
    with pytest.raises(TimeoutError, match=r"was invoked 1 times in 0.01 s, not 2"):
        host.wait_for_invocations(name, 2, timeout=0.01)


def test_waiting_counts_what_was_sent_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, the thread that reads it may be late. Here it never reads."""
    monkeypatch.setattr(Channel, "_listen", lambda channel: None)
    received: list[int] = []
    channel = Channel(str(tmp_path / "pipe"), lambda key, kind, text: received.append(key))
    (tmp_path / "pipe").write_text("7:1 R \n")
    try:
        assert channel.wait_for(lambda: received == [7], 0)
    finally:
        channel.close()


def test_waiting_ends_when_the_handler_starts(host: LambdaHost, deploy: Deploy, invoke: Invoke) -> None:
    """The wait may begin before the call."""
    name = deploy("echo")
    waiting = threading.Thread(target=host.wait_for_invocations, args=(name, 1, 30.0))
    waiting.start()
    invoke(name)
    waiting.join(10)
    assert not waiting.is_alive()


def test_config_configures_a_client(host: LambdaHost, deploy: Deploy) -> None:
    """Its keys are valid only for this host."""
    name = deploy("echo", aliases=["live"])
    assert dict(host.config(name, "live")) == {
        "connection.arn": f"arn:aws:lambda:us-east-1:000000000000:function:{name}:live",
        "connection.uri": host.endpoint,
        "credential.access_id": "local",
        "credential.access_key": "local",
    }


@pytest.mark.parametrize("method", ["arn", "config", "invocations"])
def test_unknown_name_raises_with_the_known_ones(host: LambdaHost, deploy: Deploy, method: str) -> None:
    """The error lists the deployed functions."""
    name = deploy("echo")
    with pytest.raises(LookupError, match=f"No function 'unknown' is deployed; the deployed functions are: .*{name}"):
        getattr(host, method)("unknown")


def test_unknown_qualifier_raises_with_the_known_ones(host: LambdaHost, deploy: Deploy) -> None:
    """The error lists the qualifiers of the function."""
    name = deploy("echo", aliases=["live"])
    with pytest.raises(LookupError, match=r"has no qualifier 'old'; its qualifiers are: \$LATEST, 1, live$"):
        host.config(name, "old")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "my.function"}, ValueError, "name: .*'my.function'"),
        ({"name": ""}, ValueError, "name: .*''"),
        ({"name": "x" * 65}, ValueError, "name: "),
        ({"path": APPS / "nowhere"}, FileNotFoundError, "path: there is no .*nowhere"),
        ({"handler": "handler"}, ValueError, "handler: must be 'module.function', not 'handler'"),
        ({"handler": "app."}, ValueError, "handler: must be 'module.function'"),
        ({"handler": "..app.echo"}, ValueError, "handler: must be 'module.function'"),
        ({"handler": "nomodule.echo"}, FileNotFoundError, "handler: there is no module 'nomodule' in .*lambda_apps"),
        ({"path": APPS / "app.py", "handler": "main.echo"}, ValueError, "handler: 'main.echo' is not in app.py"),
        ({"environment": {"A": 1}}, ValueError, "environment: the value of 'A' is not a string"),
        ({"environment": {"AWS_REGION": "x"}}, ValueError, "environment: 'AWS_REGION' is set by Lambda"),
        ({"environment": {"A=B": "x"}}, ValueError, "environment: the name must be .*: 'A=B'"),
        ({"environment": {"": "x"}}, ValueError, "environment: the name must be .*: ''"),
        ({"environment": {"MINE": "\0"}}, ValueError, "environment: the value of 'MINE' contains"),
        ({"environment": {"MINE": "\ud800"}}, ValueError, "environment: the value of 'MINE' contains"),
        ({"timeout": 0}, ValueError, "timeout: .* not 0"),
        ({"timeout": 901}, ValueError, "timeout: .* not 901"),
        ({"timeout": 0.5}, ValueError, "timeout: .* not 0.5"),
        ({"timeout": True}, ValueError, "timeout: .* not True"),
        ({"concurrency": -1}, ValueError, "concurrency: .* not -1"),
        ({"aliases": "live"}, ValueError, "aliases: .* not 'live'"),
        ({"aliases": ["1"]}, ValueError, "aliases: .*"),
    ],
)
def test_wrong_argument_is_named(
    host: LambdaHost, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    """The error names it and says what is valid. Nothing is deployed."""
    with pytest.raises(error, match=message):
        host.deploy(**{"name": "not-deployed", "path": APPS, "handler": "app.echo", **arguments})
    with pytest.raises(LookupError):
        host.arn("not-deployed")


def test_removed_function_does_not_exist(host: LambdaHost, deploy: Deploy, client: Any) -> None:
    """It is not listed, a call is a 404, and its name can be used again."""
    name = deploy("echo")
    arn = host.arn(name)
    assert name in host.functions

    host.remove(name)

    assert name not in host.functions
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke(FunctionName=arn)
    with pytest.raises(LookupError, match=f"No function '{name}' is deployed"):
        host.remove(name)
