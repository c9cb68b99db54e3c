"""LambdaHost answers as the Lambda Invoke API does, and tells what its functions did."""

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

from pip_services4_serverless.local import LambdaHost

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
    """Deploy a handler of app.py under the name of the test."""

    def deploy(handler: str, suffix: str = "", **options: Any) -> str:
        name = request.node.originalname + suffix
        host.deploy(name, APPS, f"app.{handler}", **options)
        return str(name)

    return deploy


def client_of(host: LambdaHost, **options: Any) -> Any:
    return boto3.client(
        "lambda",
        endpoint_url=host.endpoint,
        region_name="us-east-1",
        aws_access_key_id="made",
        aws_secret_access_key="up",
        config=Config(retries={"total_max_attempts": 1}, **options),
    )


@pytest.fixture(scope="module")
def client(host: LambdaHost) -> Iterator[Any]:
    client = client_of(host)
    yield client
    client.close()


@pytest.fixture
def invoke(host: LambdaHost, client: Any) -> Invoke:
    """Call a function as boto3 does; the payload comes decoded."""

    def invoke(name: str, event: Any = None, qualifier: str | None = None, **options: Any) -> Any:
        answer = client.invoke(FunctionName=host.arn(name, qualifier), Payload=json.dumps(event), **options)
        body = answer["Payload"].read()
        return {**answer, "Payload": json.loads(body) if body else None}

    return invoke


class Gate:
    """Keeps the handler `gate` waiting until it is opened."""

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
    """The event reaches the handler, in a process of this interpreter, and its result comes back."""
    name = deploy("echo")
    answer = invoke(name, {"a": ["ü", 1]})
    assert answer["StatusCode"] == 200
    assert "FunctionError" not in answer
    assert answer["Payload"] == {
        "event": {"a": ["ü", 1]},
        "version": "$LATEST",
        "arn": host.arn(name),
        "pid": answer["Payload"]["pid"],
        "python": sys.executable,
        "runtime": True,
    }


def test_process_serves_the_next_call_too(deploy: Deploy, invoke: Invoke) -> None:
    """A function starts once for calls that come one after the other, as on AWS."""
    name = deploy("echo")
    assert len({invoke(name)["Payload"]["pid"] for _ in range(3)}) == 1


def test_none_comes_as_null(deploy: Deploy, invoke: Invoke) -> None:
    """A handler that returns None answers with JSON's null."""
    answer = invoke(deploy("nothing"))
    assert answer["StatusCode"] == 200
    assert answer["ResponseMetadata"]["HTTPHeaders"]["content-length"] == "4"
    assert answer["Payload"] is None


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
    """A function that fails answers with status 200, a FunctionError and Lambda's error document."""
    host.deploy("failing", APPS, handler, timeout=1)
    answer = invoke("failing", event)
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert answer["Payload"]["errorType"] == error_type
    assert answer["Payload"]["errorMessage"] == message


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        ("app.missing", "Runtime.HandlerNotFound: Handler 'missing' missing on module 'app'"),
        ("unimportable.handler", "Runtime.ImportModuleError: Unable to import .*: No module named 'no_such_package'"),
        ("unwritten.handler", r"Runtime.UserCodeSyntaxError: Syntax error in module .* \(unwritten.py, line 1\)"),
        ("careless.handler", "KeyError: 'NO_SUCH_VARIABLE'"),
        ("rude.handler", ".*bootstrap exited during init with code 3"),
    ],
)
def test_handler_that_cannot_be_imported_is_told(
    host: LambdaHost, tmp_path: Path, caplog: pytest.LogCaptureFixture, handler: str, message: str
) -> None:
    """`check` says what is wrong with it, before anybody calls it. The log has no empty lines."""
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
    "unwritten": "def handler(event, context)",
    "careless": "import os\nos.environ['NO_SUCH_VARIABLE']",
    "rude": "import os\nos._exit(3)",
}


def test_check_calls_no_handler(host: LambdaHost, deploy: Deploy, invoke: Invoke) -> None:
    """It imports in the function's process, which then serves the calls, and does not count."""
    name = deploy("fail")
    host.check(name)
    host.check(name)
    assert host.invocations(name) == 0
    name = deploy("echo")
    host.check(name)
    assert invoke(name, {"a": 1})["Payload"]["event"] == {"a": 1}
    assert host.invocations(name) == 1
    with pytest.raises(LookupError, match="No function 'nobody' is deployed"):
        host.check("nobody")


def test_exception_comes_with_its_stack(deploy: Deploy, invoke: Invoke) -> None:
    """The error document of a Python exception has the handler's stack."""
    payload = invoke(deploy("fail"), {"type": "KeyError", "message": "x"})["Payload"]
    assert "app.py" in payload["stackTrace"][0]


def test_function_goes_on_after_a_crash(deploy: Deploy, invoke: Invoke) -> None:
    """The call after a crash is served by a new process."""
    name = deploy("crash")
    invoke(name, {"crash": True})
    assert invoke(name, {})["Payload"] == "alive"


def test_function_that_is_not_there_is_answered_with_404(client: Any) -> None:
    """Lambda's own error comes for a name that nothing was deployed under."""
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke(FunctionName="nobody")


def test_call_over_the_limit_is_answered_with_429(host: LambdaHost, deploy: Deploy, gate: Gate, invoke: Invoke) -> None:
    """While as many calls run as are allowed, another is refused before its handler runs, and later ones are not."""
    name = deploy("gate", concurrency=1, environment=gate.environment)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(invoke, name)
        host.wait_for_invocations(name, 1)
        with pytest.raises(ClientError) as refused:
            invoke(name)
        gate.open()
        assert running.result()["Payload"] == "open"
    assert refused.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert host.invocations(name) == 1


def test_limit_of_zero_refuses_every_call(host: LambdaHost, deploy: Deploy, invoke: Invoke) -> None:
    """A function with no concurrency at all is always throttled."""
    name = deploy("echo", concurrency=0)
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        invoke(name)
    assert host.invocations(name) == 0


def test_alias_leads_to_the_published_version(host: LambdaHost, deploy: Deploy, invoke: Invoke) -> None:
    """A call by an alias runs version 1, whose context knows both."""
    name = deploy("echo", aliases=["live", "next"])
    answer = invoke(name, qualifier="live")
    assert answer["ExecutedVersion"] == "1"
    assert answer["Payload"]["version"] == "1"
    assert answer["Payload"]["arn"] == f"{host.arn(name)}:live"
    assert host.arn(name, "1") == f"{host.arn(name)}:1"
    assert host.invocations(name) == 1


def test_environment_is_the_functions_own(deploy: Deploy, invoke: Invoke) -> None:
    """Two functions of one handler differ in their environment."""
    names = [deploy("environment", suffix, environment={"MINE": suffix}) for suffix in ("a", "b")]
    assert [invoke(name)["Payload"]["MINE"] for name in names] == ["a", "b"]


def test_deploying_again_replaces(host: LambdaHost, deploy: Deploy, invoke: Invoke) -> None:
    """The name then means the new handler with only its own settings, and its invocations count from 0."""
    name = deploy("echo", concurrency=0, aliases=["old"])
    name = deploy("echo")
    invoke(name)
    deploy("other")
    assert host.invocations(name) == 0
    assert invoke(name)["Payload"] == "other"
    assert host.invocations(name) == 1


def test_code_that_was_changed_is_seen_after_deploying_again(host: LambdaHost, tmp_path: Path, invoke: Invoke) -> None:
    """A running process keeps its code; the next deployment has the folder's."""
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
    """A module in a package is named with dots, or with slashes as on AWS."""
    host.deploy("packaged", APPS, handler)
    assert invoke("packaged")["Payload"] == "package"


def test_functions_can_call_each_other(deploy: Deploy, invoke: Invoke) -> None:
    """A handler's boto3 finds this host, without any setting."""
    callee = deploy("echo", "callee")
    answer = invoke(deploy("call"), {"function": callee})
    assert answer["Payload"]["event"] == {"from": "test_functions_can_call_each_other"}


def test_logs_reach_this_process(
    host: LambdaHost, deploy: Deploy, caplog: pytest.LogCaptureFixture, invoke: Invoke
) -> None:
    """What a handler prints and logs is logged here, under the function's name and with its level."""
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
    """What a function's answered calls have logged."""
    host.invocations(name)
    return [record.getMessage() for record in caplog.records if record.name == f"{LOGS}.{name}"]


@pytest.mark.parametrize("by", ["print", "stderr", "first stdout", "descriptor", "child", "/dev/stdout"])
def test_output_without_a_newline_is_its_own_calls(
    host: LambdaHost, deploy: Deploy, invoke: Invoke, caplog: pytest.LogCaptureFixture, by: str
) -> None:
    """Whoever writes it and where to, it is in the log when the call is answered, apart from the next call's."""
    name = deploy("say")
    caplog.set_level(logging.INFO, LOGS)
    for number in range(2):
        tail = invoke(name, {"by": by, "text": f"first\nrést {number}"}, LogType="Tail")["LogResult"]
        assert logged(host, caplog, name) == ["first", f"rést {number}"]
        assert base64.b64decode(tail).decode().endswith(f"Version: $LATEST\nfirst\nrést {number}")
        caplog.clear()


@pytest.mark.parametrize("by", ["print", "descriptor", "child"])
@pytest.mark.parametrize("then", ["exit", "hang", "raise"])
def test_output_of_a_call_that_fails_is_whole(
    host: LambdaHost, deploy: Deploy, invoke: Invoke, caplog: pytest.LogCaptureFixture, by: str, then: str
) -> None:
    """What was written just before the process ended, was ended, or raised is in the log when the call is answered."""
    name = deploy("say", timeout=1)
    caplog.set_level(logging.INFO, LOGS)
    for number in range(2):
        answer = invoke(name, {"by": by, "text": f"last words {number}", "then": then})
        assert answer["FunctionError"] == "Unhandled"
        assert logged(host, caplog, name)[0] == f"last words {number}"
        caplog.clear()


def test_much_output_of_a_child_is_whole(
    host: LambdaHost, deploy: Deploy, invoke: Invoke, caplog: pytest.LogCaptureFixture
) -> None:
    """More than a pipe holds arrives, in order, before the answer."""
    name = deploy("say")
    caplog.set_level(logging.INFO, LOGS)
    lines = [f"{number:05} {'x' * 100}" for number in range(1_000)]
    invoke(name, {"by": "child", "text": "\n".join(lines)})
    assert logged(host, caplog, name) == lines


@pytest.mark.timing
@pytest.mark.parametrize("ends", [False, True])
def test_output_of_a_child_that_is_left_behind_is_logged(
    host: LambdaHost, deploy: Deploy, invoke: Invoke, caplog: pytest.LogCaptureFixture, ends: bool
) -> None:
    """A child that goes on does not hold the answer back, whether the function's process goes on too or not."""
    name = deploy("leave", timeout=20)
    caplog.set_level(logging.INFO, LOGS)
    started = time.monotonic()
    invoke(name, {"exit": ends})
    assert time.monotonic() - started < 0.9, "ministack waits a second for the end of the output"
    deadline = time.monotonic() + 30
    while not logged(host, caplog, name):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert logged(host, caplog, name) == ["left"]


def test_handler_has_only_its_own_children(deploy: Deploy, invoke: Invoke) -> None:
    """A handler that waits for all of its children does not wait for one of the host's."""
    assert invoke(deploy("wait_for_all"))["Payload"] == "none"


def test_long_line_stays_whole(
    host: LambdaHost, deploy: Deploy, invoke: Invoke, caplog: pytest.LogCaptureFixture
) -> None:
    """A line that is longer than the pipe takes at once is one record all the same."""
    name = deploy("talk")
    caplog.set_level(logging.INFO, LOGS)
    invoke(name, {"length": 100_001})
    host.invocations(name)
    assert "ü" * 100_001 in caplog.messages


def test_exception_of_a_handler_is_logged(
    host: LambdaHost, deploy: Deploy, caplog: pytest.LogCaptureFixture, invoke: Invoke
) -> None:
    """An unhandled exception is one record of level ERROR, with the traceback."""
    name = deploy("fail")
    invoke(name, {"type": "ValueError", "message": "no"})
    host.invocations(name)
    (record,) = [record for record in caplog.records if record.name == f"{LOGS}.{name}"]
    assert record.levelno == logging.ERROR
    assert record.message.startswith("ValueError: no\nTraceback (most recent call last):\n")


def test_every_execution_is_counted(host: LambdaHost, deploy: Deploy, invoke: Invoke) -> None:
    """The count is exact with several processes of a function at once."""
    name = deploy("echo")
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(lambda _: invoke(name), range(20)))) == 20
    assert host.invocations(name) == 20


def test_crash_is_counted(host: LambdaHost, deploy: Deploy, invoke: Invoke) -> None:
    """A handler that ended its process was executed."""
    name = deploy("crash")
    invoke(name, {"crash": True})
    assert host.invocations(name) == 1


def test_execution_is_counted_when_the_caller_gave_up(host: LambdaHost, deploy: Deploy, gate: Gate) -> None:
    """A call that its client no longer waits for goes on, and counts."""
    name = deploy("gate", environment=gate.environment)
    client = client_of(host, read_timeout=0.3)
    with pytest.raises(ReadTimeoutError):
        client.invoke(FunctionName=name)
    client.close()
    host.wait_for_invocations(name, 1)
    gate.open()
    assert host.invocations(name) == 1


def test_one_way_call_is_answered_before_it_runs(host: LambdaHost, deploy: Deploy, gate: Gate, invoke: Invoke) -> None:
    """An Event call gets 202 at once, and its execution is waited for and counted."""
    name = deploy("gate", environment=gate.environment)
    answer = invoke(name, InvocationType="Event")
    assert (answer["StatusCode"], answer["Payload"]) == (202, None)
    host.wait_for_invocations(name, 1)
    gate.open()
    assert host.invocations(name) == 1


def test_one_way_call_that_fails_is_executed_three_times(host: LambdaHost, deploy: Deploy, invoke: Invoke) -> None:
    """AWS repeats a failed Event twice, and so does the host."""
    name = deploy("fail")
    invoke(name, {"type": "ValueError", "message": "no"}, InvocationType="Event")
    host.wait_for_invocations(name, 3, timeout=30)


def test_waiting_ends_with_the_time(host: LambdaHost, deploy: Deploy, invoke: Invoke) -> None:
    """When too few executions come, the error tells how many there were."""
    name = deploy("echo")
    invoke(name)
    with pytest.raises(TimeoutError, match=r"was invoked 1 times in 0.01 s, not 2"):
        host.wait_for_invocations(name, 2, timeout=0.01)


def test_waiting_ends_with_the_execution(host: LambdaHost, deploy: Deploy, invoke: Invoke) -> None:
    """A wait that began before the call ends when the handler starts."""
    name = deploy("echo")
    waiting = threading.Thread(target=host.wait_for_invocations, args=(name, 1, 30.0))
    waiting.start()
    invoke(name)
    waiting.join(10)
    assert not waiting.is_alive()


def test_config_is_ready_for_a_client(host: LambdaHost, deploy: Deploy) -> None:
    """It has all that a client needs, and keys that are good nowhere else."""
    name = deploy("echo", aliases=["live"])
    assert dict(host.config(name, "live")) == {
        "connection.arn": f"arn:aws:lambda:us-east-1:000000000000:function:{name}:live",
        "connection.uri": host.endpoint,
        "credential.access_id": "local",
        "credential.access_key": "local",
    }


@pytest.mark.parametrize("ask", ["arn", "config", "invocations"])
def test_unknown_name_is_told_with_those_that_exist(host: LambdaHost, deploy: Deploy, ask: str) -> None:
    """Asking for a function that was not deployed names the ones that were."""
    name = deploy("echo")
    with pytest.raises(LookupError, match=f"No function 'nobody' is deployed; the deployed functions are: .*{name}"):
        getattr(host, ask)("nobody")


def test_unknown_qualifier_is_told_with_those_that_exist(host: LambdaHost, deploy: Deploy) -> None:
    """Asking for an alias that a function has not names the ones that it has."""
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
    """deploy tells which argument is wrong and what it should be, and deploys nothing."""
    with pytest.raises(error, match=message):
        host.deploy(**{"name": "unborn", "path": APPS, "handler": "app.echo", **arguments})
    with pytest.raises(LookupError):
        host.arn("unborn")


def test_a_function_that_is_removed_is_gone(host: LambdaHost, deploy: Deploy, client: Any) -> None:
    """Its name is free, is no longer listed, and is not found by a call."""
    name = deploy("echo")
    arn = host.arn(name)
    assert name in host.functions

    host.remove(name)

    assert name not in host.functions
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke(FunctionName=arn)
    with pytest.raises(LookupError, match=f"No function '{name}' is deployed"):
        host.remove(name)
