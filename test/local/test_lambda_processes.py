"""LambdaHost leaves nothing behind, however it ends. If it cannot start, the error gives the reason."""

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
from support.fault_server import reserved_port
from support.processes import new_threads, wait_until

from pip_services4_serverless.local import LambdaHost

APPS = Path(__file__).with_name("lambda_apps")
ROOT = Path(__file__).parents[2]


def call(host: LambdaHost, name: str, region: str = "us-east-1") -> Any:
    """Calls a function with plain HTTP."""
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential=test/20260101/{region}/lambda/aws4_request, Signature=test"
    }
    connection = http.client.HTTPConnection(host.endpoint.removeprefix("http://"), timeout=30)
    connection.request("POST", f"/2015-03-31/functions/{name}/invocations", "{}", headers)
    body = connection.getresponse().read()
    connection.close()
    return json.loads(body)


def assert_nothing_left(left: dict[str, Any], seconds: float = 5.0) -> None:
    """Waits until the processes have ended, and checks the port and the folder."""
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
    """Runs the program until it has printed its information."""
    with contextlib.ExitStack() as stack:

        def run(then: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
            port = stack.enter_context(reserved_port())  # refuses connections when the host has ended
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, APPS / "program.py", then, str(port)],
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
    """The process has no time to clean up, and a busy handler ignores signals."""
    # Not signal.pause, which would not notice a signal that arrives just before it.
    process, left = run("import time\nwhile True: time.sleep(0.1)")
    process.send_signal(getattr(signal, name))
    process.wait(30)
    assert_nothing_left(left)


def test_nothing_is_left_although_a_forked_child_still_runs(run: Callable[..., Any]) -> None:
    """The end of the process that started the host counts, although a child has its descriptors."""
    process, left = run("import time\nprint(os.fork() or time.sleep(60), flush=True)\nwhile True: time.sleep(0.1)")
    forked = int(process.stdout.readline())
    try:
        process.kill()
        process.wait(30)
        assert_nothing_left(left)
    finally:
        os.kill(forked, signal.SIGKILL)


@pytest.mark.parametrize("how", ["stop", "end"])
def test_process_in_its_own_session_is_ended(run: Callable[..., Any], how: str) -> None:
    """A handler started the process, and its parent has ended."""
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


def test_ended_orphans_of_handlers_are_not_zombies(host: LambdaHost) -> None:
    """They disappear while the host runs."""
    host.deploy("f", APPS, "app.daemon")
    daemon = call(host, "f", "eu-central-1")
    os.kill(daemon, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{daemon}").exists())


@pytest.mark.parametrize("port", [70_000, -1, "80", True])
def test_invalid_port_raises(port: Any) -> None:
    """It is a ValueError."""
    with pytest.raises(ValueError, match=f"port: must be a whole number from 0 to 65535, not {port!r}"):
        LambdaHost(port=port)


@pytest.mark.parametrize("method", ["deploy", "remove"])
def test_ended_server_raises(method: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error says that ministack has ended, and has its last output. The host can be started again."""
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
            host.deploy("g", APPS, "app.other") if method == "deploy" else host.remove("f")
    with host:
        host.deploy("g", APPS, "app.other")
        assert call(host, "g") == "other"


@pytest.mark.parametrize("then", ["raise ValueError", "os._exit(1)"])
def test_nothing_is_left_when_the_program_fails(run: Callable[..., Any], then: str) -> None:
    """It ends by an exception or by `os._exit`."""
    process, left = run(then)
    assert process.wait(30) == 1
    assert_nothing_left(left)


def test_nothing_is_left_after_stop(run: Callable[..., Any]) -> None:
    """No process, port, folder or thread is left, and no zombie."""
    process, left = run("import threading; host.stop(); print(threading.active_count(), flush=True); sys.stdin.read()")
    assert process.stdout.readline() == "1\n"
    assert len(left["pids"]) == 7, "two of the server, two of each function, and a child of one"
    assert [pid for pid in left["pids"] if Path(f"/proc/{pid}").exists()] == []
    assert_nothing_left(left)


def test_host_can_be_stopped_and_started_again() -> None:
    """Calling start or stop twice does nothing. After a restart, the host has no functions."""
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


def test_deploy_before_the_start_raises() -> None:
    """The error says that the host is not started."""
    with pytest.raises(RuntimeError, match="LambdaHost is not started"):
        LambdaHost().deploy("f", APPS, "app.echo")


@pytest.fixture(scope="module")
def host() -> Iterator[LambdaHost]:
    """A host with a chosen port and another region, in a process that has AWS settings."""
    with reserved_port() as port, pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "OTHER"):
            patch.setenv(name, "real")
        with LambdaHost(port=port, region="eu-central-1") as host:
            assert host.endpoint == f"http://127.0.0.1:{port}"
            yield host


def test_host_listens_on_loopback_only(host: LambdaHost) -> None:
    """The port is open only on 127.0.0.1."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", int(host.endpoint.rpartition(":")[2])))


def test_handlers_have_no_aws_settings(host: LambdaHost) -> None:
    """The AWS settings of this process are removed. Other variables are kept."""
    host.deploy("f", APPS, "app.environment")
    environment = call(host, "f", "eu-central-1")
    assert [name for name, value in environment.items() if value == "real"] == ["OTHER"]
    assert environment["AWS_REGION"] == "eu-central-1"
    assert environment["AWS_ENDPOINT_URL"] == host.endpoint


def test_two_hosts_are_independent(host: LambdaHost) -> None:
    """Each has its own port and functions."""
    host.deploy("f", APPS, "app.nothing")
    with LambdaHost() as other:
        other.deploy("f", APPS, "app.other")
        assert call(other, "f") == "other"
    assert host.invocations("f") == 0
    assert call(host, "f", "eu-central-1") is None
    assert host.arn("f").split(":")[:4] == ["arn", "aws", "lambda", "eu-central-1"]


def test_used_port_raises() -> None:
    """The error has the port. Nothing is started."""
    threads = set(threading.enumerate())
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"LambdaHost cannot listen on 127.0.0.1:{port}: Address already in use"):
            LambdaHost(port=port).start()
    assert not new_threads(threads)


def test_another_operating_system_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """It raises before a package is missing that is only for Linux."""
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    with pytest.raises(RuntimeError, match="LambdaHost needs Linux"):
        LambdaHost().start()


@pytest.mark.parametrize("package", ["ministack", "awslambdaric"])
def test_missing_package_raises(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """The error names the package and the extra that installs it."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=rf"needs the package '{package}': pip install .*\[local\]"):
        LambdaHost().start()


def test_old_ministack_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the needed version and the installed one."""
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "1.4.21")
    with pytest.raises(RuntimeError, match=r"needs ministack 1\.5\.33, not 1\.4\.21"):
        LambdaHost().start()


@pytest.mark.timing
def test_ministack_that_does_not_start_raises(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error has the output of its process. Nothing is left."""
    (tmp_path / "hypercorn.py").write_text("raise SystemError('broken on purpose')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    started = time.monotonic()
    with pytest.raises(RuntimeError, match=r"(?s)ministack did not start: .*broken on purpose"):
        LambdaHost().start()
    assert time.monotonic() - started < 5
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("pip-lambda")] == []
