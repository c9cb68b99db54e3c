"""LambdaHost leaves nothing behind, however it ends, and tells why when it cannot begin."""

import contextlib
import http.client
import importlib.metadata
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pip_services4_serverless.local import LambdaHost

APPS = Path(__file__).with_name("lambda_apps")
ROOT = Path(__file__).parents[2]


def call(host: LambdaHost, name: str, region: str = "us-east-1") -> Any:
    """Call a function by plain HTTP."""
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential=made/20260101/{region}/lambda/aws4_request, Signature=up"}
    connection = http.client.HTTPConnection(host.endpoint.removeprefix("http://"), timeout=30)
    connection.request("POST", f"/2015-03-31/functions/{name}/invocations", "{}", headers)
    body = connection.getresponse().read()
    connection.close()
    return json.loads(body)


def assert_nothing_left(left: dict[str, Any], seconds: float = 5.0) -> None:
    """Wait for the processes' ends, and look for the port and the folder."""
    for pid in left["pids"]:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        ended, _, _ = select.select([descriptor], [], [], seconds)
        os.close(descriptor)
        assert ended, f"process {pid} still runs"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(left["endpoint"].rpartition(":")[2])))
    assert not Path(left["folder"]).exists()


@pytest.fixture
def run() -> Iterator[Callable[[str], tuple[subprocess.Popen[str], dict[str, Any]]]]:
    """Run the program until it has told what there is."""
    with contextlib.ExitStack() as stack:

        def run(then: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, APPS / "program.py", then],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                )
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            return process, json.loads(process.stdout.readline())

        yield run


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_nothing_is_left_when_the_process_is_ended(run: Callable[..., Any], name: str) -> None:
    """Not even when it has no time to clean up, and a handler is busy and deaf to signals."""
    # Not signal.pause: a signal that comes just before it would go unseen.
    process, left = run("import time\nwhile True: time.sleep(0.1)")
    process.send_signal(getattr(signal, name))
    process.wait(30)
    assert_nothing_left(left)


def test_nothing_is_left_when_a_forked_child_of_the_process_lives_on(run: Callable[..., Any]) -> None:
    """It is the end of the process that started the host which counts, not of those that share its descriptors."""
    process, left = run("import time\nprint(os.fork() or time.sleep(60), flush=True)\nwhile True: time.sleep(0.1)")
    forked = int(process.stdout.readline())
    try:
        process.kill()
        process.wait(30)
        assert_nothing_left(left)
    finally:
        os.kill(forked, signal.SIGKILL)


@pytest.mark.parametrize("how", ["stop", "end"])
def test_process_in_a_session_of_its_own_is_ended(run: Callable[..., Any], how: str) -> None:
    """A process that a handler started ends with the host, though it has a session and its parent has ended."""
    start = (
        "import subprocess, time\n"
        "host.deploy('daemon', Path(__file__).parent, 'app.daemon')\n"
        "print(call(host, 'daemon', 'RequestResponse'), flush=True)\n"
        f"{'host.stop()' if how == 'stop' else 'os._exit(0)'}\n"
        "print('stopped', flush=True)\n"
        "while True: time.sleep(0.1)"
    )
    process, left = run(start)
    daemon = int(process.stdout.readline())
    try:
        if how == "stop":
            assert process.stdout.readline() == "stopped\n"
            assert not Path(f"/proc/{daemon}").exists()
        assert_nothing_left({**left, "pids": [*left["pids"], daemon]})
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(daemon, signal.SIGKILL)


def test_orphans_of_handlers_are_not_kept_as_zombies(host: LambdaHost) -> None:
    """A process whose parent has ended goes away when it ends, while the host goes on."""
    host.deploy("f", APPS, "app.daemon")
    daemon = call(host, "f", "eu-central-1")
    os.kill(daemon, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{daemon}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("port", [70_000, -1, "80", True])
def test_port_that_is_none_is_told(port: Any) -> None:
    """As an argument that is wrong."""
    with pytest.raises(ValueError, match=f"port: must be a whole number from 0 to 65535, not {port!r}"):
        LambdaHost(port=port)


@pytest.mark.parametrize("ask", ["deploy", "remove"])
def test_server_that_has_ended_is_told(ask: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error says that ministack has ended, what it said last, and what to do; then a new start serves again."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "def end(*_):\n"
        "    print('killed on purpose', flush=True)\n"
        "    os._exit(3)\n"
        "if '_lambda_server.py' in ' '.join(sys.orig_argv): signal.signal(signal.SIGUSR1, end)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    host = LambdaHost()
    with host:
        host.deploy("f", APPS, "app.environment")
        os.kill(int(call(host, "f")["PARENT"]), signal.SIGUSR1)
        message = r"(?s)ministack has ended; stop the host and start it again: .*killed on purpose"
        with pytest.raises(RuntimeError, match=message):
            host.deploy("g", APPS, "app.other") if ask == "deploy" else host.remove("f")
    with host:
        host.deploy("g", APPS, "app.other")
        assert call(host, "g") == "other"


@pytest.mark.parametrize("then", ["raise ValueError", "os._exit(1)"])
def test_nothing_is_left_when_the_program_fails(run: Callable[..., Any], then: str) -> None:
    """An exception in the context and a hard exit end all that was started."""
    process, left = run(then)
    assert process.wait(30) == 1
    assert_nothing_left(left)


def test_nothing_is_left_after_stop(run: Callable[..., Any]) -> None:
    """Once stop has returned there is no process of it, not even a dead one, and no port, folder or thread."""
    process, left = run("import threading; host.stop(); print(threading.active_count(), flush=True); sys.stdin.read()")
    assert process.stdout.readline() == "1\n"
    assert len(left["pids"]) == 7, "two of the server, two of each function, and a child of one"
    assert [pid for pid in left["pids"] if Path(f"/proc/{pid}").exists()] == []
    assert_nothing_left(left)


def test_host_can_be_stopped_and_started_again() -> None:
    """start and stop can each be called twice, and a stopped host begins anew, without its functions."""
    host = LambdaHost()
    host.stop()
    with host as same:
        assert same is host
        endpoint = host.endpoint
        assert host.start().endpoint == endpoint
        host.deploy("f", APPS, "app.other")
        assert call(host, "f") == "other"
    host.stop()
    with pytest.raises(RuntimeError, match="LambdaHost is not started"):
        _ = host.endpoint
    with host, pytest.raises(LookupError, match="No function 'f' is deployed; the deployed functions are: none"):
        host.arn("f")


def test_host_that_is_not_started_refuses_a_function() -> None:
    """deploy says that the host is to be started first."""
    with pytest.raises(RuntimeError, match="LambdaHost is not started"):
        LambdaHost().deploy("f", APPS, "app.echo")


@pytest.fixture(scope="module")
def host() -> Iterator[LambdaHost]:
    """A host on a port of our choice, in another region, and in a process that has an AWS account."""
    with socket.socket() as probe, pytest.MonkeyPatch.context() as patch:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "OTHER"):
            patch.setenv(name, "real")
        probe.close()
        with LambdaHost(port=port, region="eu-central-1") as host:
            assert host.endpoint == f"http://127.0.0.1:{port}"
            yield host


def test_host_listens_on_loopback_only(host: LambdaHost) -> None:
    """The port is open on 127.0.0.1 and on no other address."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", int(host.endpoint.rpartition(":")[2])))


def test_handlers_see_no_account(host: LambdaHost) -> None:
    """The AWS settings of this process do not reach a handler, its other variables do."""
    host.deploy("f", APPS, "app.environment")
    environment = call(host, "f", "eu-central-1")
    assert [name for name, value in environment.items() if value == "real"] == ["OTHER"]
    assert environment["AWS_REGION"] == "eu-central-1"
    assert environment["AWS_ENDPOINT_URL"] == host.endpoint


def test_hosts_are_apart(host: LambdaHost) -> None:
    """Two hosts at once have ports and functions of their own."""
    host.deploy("f", APPS, "app.nothing")
    with LambdaHost() as other:
        other.deploy("f", APPS, "app.other")
        assert call(other, "f") == "other"
    assert host.invocations("f") == 0
    assert call(host, "f", "eu-central-1") is None
    assert host.arn("f").split(":")[:4] == ["arn", "aws", "lambda", "eu-central-1"]


def test_port_that_is_taken_is_told() -> None:
    """The error names the port, and nothing was started."""
    threads = set(threading.enumerate())
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"LambdaHost cannot listen on 127.0.0.1:{port}: Address already in use"):
            LambdaHost(port=port).start()
    assert set(threading.enumerate()) == threads


def test_another_system_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is missed a package that is not for that system."""
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    with pytest.raises(RuntimeError, match="LambdaHost needs Linux"):
        LambdaHost().start()


@pytest.mark.parametrize("package", ["ministack", "awslambdaric"])
def test_package_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """The error names the package and the extra that has it."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=rf"needs the package '{package}': pip install .*\[local\]"):
        LambdaHost().start()


def test_ministack_that_is_too_old_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the version that is needed and the one that is there."""
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "1.4.21")
    with pytest.raises(RuntimeError, match=r"needs ministack 1\.5\.33, not 1\.4\.21"):
        LambdaHost().start()


@pytest.mark.timing
def test_ministack_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error has what ministack's process said before it ended, and nothing is left."""
    (tmp_path / "hypercorn.py").write_text("raise SystemError('broken on purpose')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    started = time.monotonic()
    with pytest.raises(RuntimeError, match=r"(?s)ministack did not start: .*broken on purpose"):
        LambdaHost().start()
    assert time.monotonic() - started < 5
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("pip-lambda")] == []
