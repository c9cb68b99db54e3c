"""What is specific to asynchronous clients: event loops and cancelling. Nothing blocks a loop."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvloop
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from pip_services4_commons.errors import ApplicationException, BadRequestException, ConfigException
from pip_services4_components.config import ConfigParams
from pip_services4_components.context import Context, ContextResolver
from support import certificates
from support import fault_server as fault
from support.cancellations import cancel_calls
from support.clients import ARN, config_for
from support.fault_server import FaultServer, Step, full_backlog
from support.load import TIMEOUT, Resources, load_server
from support.processes import wait_until
from support.sockets import socket_to

from pip_services4_serverless.clients import (
    AsyncAzureFunctionClient,
    AsyncCommandableAzureFunctionClient,
    AsyncCommandableLambdaClient,
    AsyncLambdaClient,
)

CLIENTS: dict[str, type[Any]] = {"azure": AsyncCommandableAzureFunctionClient, "lambda": AsyncCommandableLambdaClient}
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
LONGEST_BLOCK = 0.4  # seconds that other processes may delay the loop; the slow operations of the tests take longer
TEST = Path(__file__).parents[1]

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=LOOPS)
def new_loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """The function that makes a loop, of each kind."""
    LOOPS[request.param]().close()  # uvloop's first loop opens descriptors and never closes them
    return LOOPS[request.param]


@pytest.fixture
def run(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> Run:
    """`asyncio.run`, with each kind of loop, in debug mode."""

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(debug=True, loop_factory=new_loop) as runner:
            return runner.run(main)

    run(asyncio.sleep(0))
    return run


@contextmanager
def open_client(provider: str, url: str, kind: type[Any] | None = None, **options: Any) -> Iterator[Any]:
    """An open client, which is closed afterwards."""
    client = (kind or CLIENTS[provider])("dummies")
    client.configure(config_for(provider, url, **options))
    client.open("test")
    try:
        yield client
    finally:
        client.close("test")


async def call_echo(client: Any, number: int) -> None:
    """Calls a server that echoes, and checks that the response belongs to this call."""
    assert (await client._call("echo", "test", {"number": number}))["number"] == number


async def call_many(client: Any, count: int) -> None:
    await asyncio.gather(*(call_echo(client, number) for number in range(count)))


async def code_of(call: Awaitable[Any]) -> str:
    """The code of the error that the call raises."""
    with pytest.raises(ApplicationException) as caught:
        await call
    return str(caught.value.code)


def is_connected(port: int) -> bool:
    """Whether this process has a socket that is connected to the port."""
    with suppress(LookupError), socket_to(port):
        return True
    return False


# --- Loops ---


def test_a_client_works_with_several_loops_in_turn(provider: str, run: Run) -> None:
    """Each test of pytest-asyncio has its own loop. The next call closes the connections of a closed loop."""
    before = Resources()
    with FaultServer() as server, open_client(provider, server.url) as client:
        for rounds in range(1, 4):
            run(call_many(client, 5))
            server.wait_for(connections=5 * rounds, closed=5 * (rounds - 1))
    assert Resources().more_than(before) == {"threads": 0, "sockets": 0, "descriptors": 0}


def test_a_client_works_with_several_loops_at_the_same_time(provider: str, run: Run) -> None:
    """Each loop runs in a thread. `close` closes the connections of all loops."""
    before, interval = Resources(), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with FaultServer() as server, open_client(provider, server.url) as client, ThreadPoolExecutor(8) as threads:
            for done in [threads.submit(lambda: run(call_many(client, 2))) for _ in range(40)]:
                done.result(30)
    finally:
        sys.setswitchinterval(interval)
    assert Resources().more_than(before) == {"threads": 0, "sockets": 0, "descriptors": 0}


@pytest.mark.timing
def test_close_from_another_thread(provider: str, run: Run) -> None:
    """It closes the idle connections of a running loop, and ends a wait between attempts immediately."""

    async def main() -> None:
        await call_many(client, 3)
        server.default = fault.respond(429, headers={"Retry-After": "19"})
        call = asyncio.create_task(code_of(client._call("act", "test")))
        await asyncio.to_thread(server.wait_for, executions=4)
        await asyncio.sleep(0.1)
        started = time.monotonic()
        await asyncio.to_thread(client.close, "test")
        assert await call == "NOT_OPENED"
        assert time.monotonic() - started < 1
        await asyncio.to_thread(server.wait_for, closed=3)
        assert server.executions == 4

    with FaultServer() as server, open_client(provider, server.url) as client:
        run(main())


def test_close_does_not_interrupt_calls_in_flight(provider: str, run: Run) -> None:
    """The calls return their results. After that, their connections are closed."""
    opened = threading.Event()

    def act(connection: fault.Connection) -> None:
        assert opened.wait(30)
        fault.respond(body=b"1").act(connection)

    async def main() -> None:
        calls = [asyncio.create_task(client._call("act", "test")) for _ in range(8)]
        await asyncio.to_thread(server.wait_for, executions=8)
        await asyncio.to_thread(client.close, "test")
        opened.set()
        assert await asyncio.gather(*calls) == [1] * 8
        await asyncio.to_thread(server.wait_for, closed=8)

    with FaultServer() as server, open_client(provider, server.url) as client:
        server.default = Step("gate", act)
        run(main())


def test_at_most_max_connections_are_kept(provider: str, run: Run) -> None:
    """More calls at the same time open more connections, which are closed afterwards."""

    async def main() -> None:
        await call_many(client, 10)
        await asyncio.to_thread(server.wait_for, connections=10, closed=7)
        await call_many(client, 3)
        assert (server.connections, server.closed) == (10, 7)

    with FaultServer() as server, open_client(provider, server.url, max_connections=3) as client:
        run(main())


@pytest.mark.timing
def test_a_thousand_concurrent_calls_need_little_cpu_and_memory(provider: str) -> None:
    """The function takes 1 s. The calls need less than 2 s of CPU time and 30 MiB, and one thread."""
    program = """
import asyncio, json, sys, threading, time
from support.load import memory
from clients.test_async import open_client

async def main(client):
    await client._call("act", "test")
    before, started, largest = memory(), time.process_time(), 0
    calls = asyncio.gather(*(client._call("act", "test") for _ in range(1000)))
    while not calls.done():
        await asyncio.sleep(0.05)
        largest = max(largest, memory())
    cpu_time = time.process_time() - started
    assert all(result["id"] == "1" for result in calls.result())
    print(json.dumps([cpu_time, largest - before, threading.active_count()]))

with open_client(sys.argv[1], sys.argv[2]) as client:
    asyncio.run(main(client))
"""
    command = [sys.executable, "-m", "benchmark.server", "-1", "1"]
    environment = {"PYTHONPATH": str(TEST), "AWS_EC2_METADATA_DISABLED": "true"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout
            url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
            done = subprocess.run(
                [sys.executable, "-c", program, provider, url],
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        finally:
            server.kill()
    assert done.returncode == 0, done.stderr
    cpu_time, growth, threads = json.loads(done.stdout)
    assert cpu_time < 2
    assert growth < 30
    assert threads == 1


# --- Cancelling ---


class TaskGroupError(Exception):
    """Cancels the other tasks of a task group."""


async def cancel(call: Coroutine[Any, Any, Any], reached: Callable[[], object]) -> None:
    task = asyncio.create_task(call)
    await asyncio.to_thread(reached)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def time_out(call: Coroutine[Any, Any, Any], reached: Callable[[], object]) -> None:
    with pytest.raises(TimeoutError):  # noqa: PT012
        async with asyncio.timeout(None) as bound:
            asyncio.get_running_loop().run_in_executor(None, reached).add_done_callback(
                lambda _: bound.reschedule(asyncio.get_running_loop().time())
            )
            await call


async def fail_sibling(call: Coroutine[Any, Any, Any], reached: Callable[[], object]) -> None:
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012
        async with asyncio.TaskGroup() as group:
            group.create_task(call)
            await asyncio.to_thread(reached)
            raise TaskGroupError
    assert [type(error) for error in caught.value.exceptions] == [TaskGroupError]


WAYS_TO_CANCEL = {"cancel": cancel, "timeout": time_out, "group": fail_sibling}


@pytest.fixture(params=WAYS_TO_CANCEL)
def cancel_call(request: pytest.FixtureRequest) -> Callable[..., Coroutine[Any, Any, None]]:
    """Cancels a call in each way that asyncio has, as soon as the call has reached some point."""
    return WAYS_TO_CANCEL[request.param]


class Phase(NamedTuple):
    """A phase of a call."""

    step: Step
    executions: int
    size: int = 1  # bytes of parameters
    keeps_connection: bool = False  # whether the connection is kept, because the response is complete


PHASES = {
    "sending": Phase(fault.never_reads(), 0, 5_900_000),
    "waiting": Phase(fault.silent(), 1),
    "reading": Phase(fault.drip("body"), 1),
    "between attempts": Phase(fault.respond(429, headers={"Retry-After": "19"}), 1, keeps_connection=True),
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_cancelled_call_does_not_affect_later_calls(
    provider: str, run: Run, phase: str, cancel_call: Callable[..., Any]
) -> None:
    """Its connection is closed, later calls get their own responses, and nothing is executed twice."""
    step, executions, size, keeps_connection = PHASES[phase]

    async def main() -> None:
        def reached() -> None:
            server.wait_for(steps=1)
            time.sleep(0.1)

        server.script(step)
        await cancel_call(client._call("act", "test", {"text": "x" * size}), reached)
        assert is_connected(server.port) == keeps_connection
        await call_many(client, 20)
        await call_many(client, 20)
        assert server.executions == executions + 40

    # A cancelled call is not retried.
    options: dict[str, Any] = {"idempotent": True, "retries": 5}
    with FaultServer() as server, open_client(provider, server.url, **options) as client:
        run(main())


def test_cancelling_closes_a_socket_that_connects(provider: str, run: Run, cancel_call: Callable[..., Any]) -> None:
    """No socket is left."""

    async def main() -> None:
        await cancel_call(client._call("act", "test"), lambda: time.sleep(0.1))
        assert Resources().sockets <= sockets  # fewer if an earlier test's socket was still open

    async def count() -> int:
        await asyncio.to_thread(time.sleep, 0.001)
        return Resources().sockets

    with full_backlog() as port, open_client(provider, f"http://127.0.0.1:{port}") as client:
        sockets = run(count())
        run(main())


def test_cancelling_closes_a_connection_during_its_handshake(
    provider: str, run: Run, cancel_call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No connection is left."""
    with FaultServer(tls="silent") as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca_bundle))

        async def main() -> None:
            def reached() -> None:
                server.wait_for(connections=1)
                time.sleep(0.1)

            await cancel_call(client._call("act", "test"), reached)
            assert not is_connected(server.port)

        with open_client(provider, server.url) as client:
            run(main())


def test_cancelling_at_random_moments_loses_no_call(provider: str) -> None:
    """The server fails one call in ten. The results of the calls agree with the server's counts."""
    before = Resources()
    with load_server() as server:
        with open_client(provider, server.url, timeout=TIMEOUT) as client:
            load = cancel_calls(client, calls=1500, seconds=30)
        executed = server.executed()
    gc.collect()
    assert load.calls == 1500
    assert load.cancelled > 200
    assert (load.lost(executed), load.executed_twice(executed), load.mixed_up, load.raw) == (0, 0, 0, [])
    assert Resources().more_than(before) == {"threads": 0, "sockets": 0, "descriptors": 0}


# --- Warnings ---


@pytest.mark.parametrize("loop", LOOPS)
def test_debug_mode_logs_no_warning(provider: str, loop: str) -> None:
    """Nothing is left open, and no exception or coroutine is forgotten. Calls succeeded, failed and were cancelled.
    Clients and loops were abandoned."""
    program = """
import asyncio, gc, logging, sys, uvloop
from contextlib import suppress
from clients.test_async import CLIENTS, LOOPS, open_client
from pip_services4_commons.errors import ApplicationException
from support import fault_server as fault
from support.clients import config_for

logging.basicConfig(level=logging.WARNING)
provider, loop = sys.argv[1:]
SLOW = 5.0  # seconds; the tests with a `heartbeat` show that the loop is not held

def opened_client(**options):
    client = CLIENTS[provider]("dummies")
    client.configure(config_for(provider, server.url, **options))
    client.open("test")
    return client

async def call(client, number=1):
    asyncio.get_running_loop().slow_callback_duration = SLOW
    with suppress(ApplicationException, TimeoutError):
        async with asyncio.timeout(0.05):
            await client._call("act", "test", {"number": number})

async def main():
    asyncio.get_running_loop().slow_callback_duration = SLOW
    server.script(fault.silent(), fault.drip("body"), fault.reset_after_read(), fault.truncated())
    async with await asyncio.to_thread(opened_client, retries=0) as client:
        for _ in range(3):
            await asyncio.gather(*(call(client, number) for number in range(20)))
    await call(await asyncio.to_thread(opened_client))  # not closed
    gc.collect()
    left.append(await asyncio.to_thread(opened_client))
    await call(left[0])

async def abandoned(client):
    asyncio.get_running_loop().slow_callback_duration = SLOW
    server.script(fault.silent())
    task = asyncio.create_task(client._call("act", "test"))
    await asyncio.to_thread(server.wait_for, steps=server.steps.total() + 1)

with fault.FaultServer() as server:
    left = []
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())
    left[0].close("test")  # after its loop
    left.append(opened_client())
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(call(left[1]))
    left.clear()  # not closed, after its loop
    gc.collect()
    client = opened_client()
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(abandoned(client))
    client.close("test")
    gc.collect()
"""
    ignored = ("-W", "ignore::DeprecationWarning:pip_services4_(?!serverless)")
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", *ignored, "-c", program, provider, loop],
        env={"PYTHONPATH": str(TEST), "PYTHONASYNCIODEBUG": "1", "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_client_that_was_not_closed_closes_its_connections(provider: str, run: Run) -> None:
    """It does so when it is deleted, even while its loop is running."""

    async def main() -> None:
        client = CLIENTS[provider]("dummies")
        client.configure(config_for(provider, server.url))
        client.open("test")
        await call_many(client, 5)
        del client
        gc.collect()
        await asyncio.to_thread(server.wait_for, closed=5)
        assert not is_connected(server.port)

    with FaultServer() as server:
        run(main())


def test_an_idle_connection_does_not_keep_the_context_variables_of_its_first_call(provider: str, run: Run) -> None:
    """A web framework may store large objects there, such as the request."""
    variable: ContextVar[Any] = ContextVar("variable")

    class Large:
        pass

    async def call(client: Any) -> weakref.ref[Large]:
        large = Large()
        variable.set(large)
        await client._call("act", "test")
        return weakref.ref(large)

    async def main() -> None:
        with open_client(provider, server.url) as client:
            reference = await asyncio.create_task(call(client))  # a task has its own context
            await asyncio.sleep(0)
            gc.collect()
            assert reference() is None
            assert is_connected(server.port)

    with FaultServer() as server:
        run(main())


@pytest.mark.parametrize("phase", ["sending", "waiting", "between attempts"])
def test_closing_a_loop_during_a_call_frees_its_resources(
    provider: str, new_loop: Callable[[], asyncio.AbstractEventLoop], phase: str
) -> None:
    """The call never ends. No exception is raised, and asyncio reports the task."""
    step, executions, size, _ = PHASES[phase]
    reported: list[str] = []

    def leave(client: Any) -> None:
        loop = new_loop()
        loop.set_exception_handler(lambda loop, context: reported.append(context["message"]))

        async def main() -> None:
            task = loop.create_task(client._call("act", "test", {"text": "x" * size}))
            await asyncio.to_thread(server.wait_for, steps=1)
            await asyncio.sleep(0.1)
            assert not task.done()

        loop.run_until_complete(main())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    before = Resources()
    with FaultServer() as server:
        with open_client(provider, server.url) as client:
            server.default = step
            leave(client)
        gc.collect()
        wait_until(lambda: not is_connected(server.port))
        assert server.executions == executions
    assert reported == ["Task was destroyed but it is pending!"]
    assert Resources().more_than(before) == {"threads": 0, "sockets": 0, "descriptors": 0}


# --- Nothing blocks the loop ---


@asynccontextmanager
async def heartbeat() -> AsyncIterator[None]:
    """Fails if something blocks the loop."""
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.002)
            now = time.monotonic()
            longest, last = max(longest, now - last), now

    task = asyncio.create_task(beat())
    await asyncio.sleep(0.01)
    try:
        yield
        await asyncio.sleep(0.01)
    finally:
        task.cancel()
    assert longest < LONGEST_BLOCK


@pytest.fixture
def slow_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of AWS's chain gives keys after half a second. They expire so soon that each call renews them."""
    keys = tmp_path / "keys.json"
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    content = {"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "S", "SessionToken": "T", "Expiration": soon}
    keys.write_text(json.dumps(content))
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = sh -c 'sleep 0.5; cat {keys}'\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    return keys


def lambda_client(url: str, **options: Any) -> Any:
    client = AsyncLambdaClient()
    client.configure(ConfigParams.from_tuples("connection.uri", url, "connection.arn", ARN))
    for name, value in options.items():
        setattr(client, f"_{name}", value)
    return client


@pytest.mark.timing
def test_keys_are_found_and_renewed_in_a_thread(slow_keys: Path, run: Run) -> None:
    """`async with` finds them, and each call renews them if necessary."""

    async def main() -> None:
        async with heartbeat(), lambda_client(server.url) as client:
            await asyncio.gather(call_echo(client, 1), call_echo(client, 2))

    with FaultServer() as server:
        run(main())
        assert server.executions == 2


def test_a_call_that_is_cancelled_during_a_renewal_of_keys_sends_nothing(
    slow_keys: Path, run: Run, cancel_call: Callable[..., Any]
) -> None:
    """It sends nothing afterwards either."""

    async def main() -> None:
        async with lambda_client(server.url) as client:
            await cancel_call(client._call("act", "test"), lambda: time.sleep(0.1))
            await call_echo(client, 1)
            assert server.connections == server.executions == 1

    with FaultServer() as server:
        run(main())


@pytest.mark.timing
def test_a_call_without_renewed_keys_fails_at_its_timeout(slow_keys: Path, run: Run) -> None:
    """Nothing is sent, and the error gives the reason."""

    async def main() -> None:
        async with lambda_client(server.url, timeout=200, retries=0) as client:
            with pytest.raises(ConfigException) as caught:
                await client._call("act", "test")
            assert caught.value.code == "NO_CREDENTIALS"
            assert "in time" in caught.value.message

    with FaultServer() as server:
        run(main())
        assert server.connections == 0


@pytest.mark.timing
def test_a_failed_renewal_of_keys_fails_the_call(slow_keys: Path, run: Run) -> None:
    """The same is true of blocking clients. Here it does not block the loop."""

    async def main() -> None:
        async with lambda_client(server.url, retries=0) as client:
            slow_keys.unlink()
            async with heartbeat():
                assert await code_of(client._call("act", "test")) == "NO_CREDENTIALS"

    with FaultServer() as server:
        run(main())


@pytest.mark.parametrize("needed_for", ["a name", "a CA bundle", "keys"])
def test_a_call_that_cannot_start_a_thread_fails_before_anything_is_sent(
    needed_for: str, slow_keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread looks a name up, reads a CA bundle, and renews keys. A later call succeeds.

    The calls run in their own process. If CPython 3.11 could not start a thread, it keeps that thread's state, and then
    `PyThreadState_SetAsyncExc`, which other tests use, no longer interrupts the thread that tried to start it.
    """
    program = """
import asyncio, json, sys, threading
from pip_services4_serverless import clients

async def main(client):
    client.open("test")
    before = threading.stack_size(1 << 46)  # no system can start such a thread
    try:
        await client._call("act", "T", retries=1)
    except Exception as err:
        print(json.dumps([err.code, err.trace_id, str(err)]))
    threading.stack_size(before)
    await client._call("act", "T")
    client.close("test")

client = getattr(clients, sys.argv[1])()
client.configure(json.loads(sys.argv[2]))
asyncio.run(main(client))
"""
    with FaultServer("good" if needed_for == "a CA bundle" else None) as server, certificates.ca_bundle() as bundle:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
        url = server.url.replace("127.0.0.1", "localhost") if needed_for == "a name" else server.url
        name, config = "AsyncAzureFunctionClient", {"connection.uri": url}
        if needed_for == "keys":
            name, config = "AsyncLambdaClient", {"connection.uri": url, "connection.arn": ARN}
        command = [sys.executable, "-c", program, name, json.dumps(config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert server.executions == 1
    code, trace_id, message = json.loads(done.stdout)
    assert (code, trace_id) == ("NO_CREDENTIALS" if needed_for == "keys" else "CANNOT_CONNECT", "T")
    assert "can't start new thread" in message


@pytest.mark.timing
def test_host_names_are_resolved_in_a_thread(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`connect_timeout` includes a slow resolver. uvloop has its own resolver."""
    look_up = socket.getaddrinfo

    def slow(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == "localhost" and not (len(arguments) > 4 and arguments[4] & socket.AI_NUMERICHOST):
            time.sleep(0.5)
            host = "127.0.0.1"
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)

    async def main(client: Any) -> None:
        async with heartbeat():
            await call_echo(client, 1)

    async def fail(client: Any) -> None:
        started = time.monotonic()
        assert await code_of(client._call("act", "test")) == "CANNOT_CONNECT"
        assert time.monotonic() - started < 0.4

    with FaultServer() as server:
        url = f"http://localhost:{server.port}"
        with open_client(provider, url) as client:
            asyncio.run(main(client))
        with open_client(provider, url, connect_timeout=100, retries=0) as client:
            asyncio.run(fail(client))


@pytest.mark.timing
def test_a_large_ca_bundle_is_read_in_a_thread(provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading it takes half a second. Both kinds of loops use the same threads."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(certificates.authority().cert_pem.bytes() * 4000)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))

    async def main() -> None:
        async with heartbeat():
            await call_many(client, 4)

    with FaultServer(tls="good") as server, open_client(provider, server.url) as client:
        asyncio.run(main())


@pytest.mark.timing
def test_open_does_not_block_the_loop(provider: str) -> None:
    """In a new process, a thread imports requests or botocore."""
    program = f"""
import asyncio, sys, time
from pip_services4_components.config import ConfigParams
from pip_services4_serverless.clients import {CLIENTS[provider].__name__} as Client
config = {dict(config_for(provider, "http://127.0.0.1:9"))!r}

async def main():
    client, longest, last = Client("dummies"), 0, time.monotonic()
    client.configure(ConfigParams(config))

    async def beat():
        nonlocal longest, last
        while True:
            await asyncio.sleep(0.002)
            now = time.monotonic()
            longest, last = max(longest, now - last), now

    task = asyncio.create_task(beat())
    started = time.monotonic()
    async with client:
        pass
    task.cancel()
    print(longest, time.monotonic() - started)

assert not {{"botocore", "requests"}} & set(sys.modules)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    longest, whole = map(float, done.stdout.split())
    assert longest < whole / 2  # imports hold Python's global lock for a while


# --- Headers of an attempt ---


@pytest.mark.parametrize("kind", [AsyncAzureFunctionClient, AsyncLambdaClient])
def test_each_attempt_sends_its_own_headers(kind: type[Any], run: Run) -> None:
    """`_attempt_headers` is called for each attempt, with the context of the call."""
    provider = "azure" if kind is AsyncAzureFunctionClient else "lambda"
    trace_ids: list[Any] = []

    class Client(kind):
        def _attempt_headers(self, context: Any) -> Mapping[str, str]:
            trace_ids.append(ContextResolver.get_trace_id(context))
            return {"x-attempt": str(len(trace_ids))}

    with FaultServer() as server, open_client(provider, server.url, Client) as client:
        server.script(fault.respond(429, headers={"Retry-After": "0"}))
        run(client._call("act", Context.from_trace_id("one")))
        run(client._call("act", "two"))
        assert [request.headers["x-attempt"] for request in server.requests] == ["1", "2", "3"]
    assert trace_ids == ["one", "one", "two"]


RESERVED_HEADERS = {
    "azure": ["X-Functions-Key", "content-type", "User-Agent", "accept-encoding", "Content-Length", "HOST"],
    "lambda": [
        *("authorization", "X-Amz-Date", "x-amz-security-token", "X-Amz-Invocation-Type", "user-agent", "Host"),
        "X-Amz-Tenant-Id",
    ],
}


@pytest.mark.parametrize(
    ("provider", "header"), [(name, header) for name in RESERVED_HEADERS for header in RESERVED_HEADERS[name]]
)
def test_a_subclass_cannot_set_the_clients_headers(provider: str, header: str) -> None:
    """Upper and lower case do not matter. Nothing is sent."""
    base: Any = CLIENTS[provider]

    class Client(base):
        def _attempt_headers(self, context: Any) -> Mapping[str, str]:
            return {header: "mine"}

    with FaultServer() as server, open_client(provider, server.url, Client) as client:
        with pytest.raises(BadRequestException) as caught:
            asyncio.run(client._call("act", "test"))
        assert (caught.value.code, caught.value.trace_id) == ("WRONG_HEADER", "test")
        assert header in caught.value.message
        assert server.connections == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("X-A", value) for value in ("a\r\nX-B: b", "\0", "\u20ac", "\ud800", None, 5, b"bytes")],
        *[(name, "v") for name in ("", "a b", "a:b", "a\n", "\xe9", 5, b"X-A")],
    ],
)
def test_a_header_that_cannot_be_sent_is_rejected(provider: str, name: Any, value: Any) -> None:
    """Nothing is sent, and nothing is retried. The value is not shown, because it may be a token."""
    base: Any = CLIENTS[provider]

    class Client(base):
        def _attempt_headers(self, context: Any) -> Mapping[str, str]:
            return {name: value}

    with FaultServer() as server, open_client(provider, server.url, Client) as client:
        with pytest.raises(BadRequestException) as caught:
            asyncio.run(client._call("act", "test"))
        assert (caught.value.code, caught.value.trace_id) == ("WRONG_HEADER", "test")
        assert repr(name) in caught.value.message
        assert server.connections == 0


def test_a_subclass_can_send_the_trace_of_opentelemetry(provider: str, run: Run) -> None:
    """`_attempt_headers` writes `traceparent`. Each task has its own span."""
    base: Any = CLIENTS[provider]

    class Client(base):
        def _attempt_headers(self, context: Any) -> Mapping[str, str]:
            headers: dict[str, str] = {}
            propagate.inject(headers)
            return headers

    tracer = TracerProvider().get_tracer("test")

    async def call(number: int) -> tuple[int, int]:
        with tracer.start_as_current_span("call") as span:
            await call_echo(client, number)
            return number, span.get_span_context().trace_id

    async def main() -> list[tuple[int, int]]:
        assert trace.get_current_span().get_span_context().trace_id == 0
        return await asyncio.gather(*(call(number) for number in range(10)))

    with FaultServer() as server, open_client(provider, server.url, Client) as client:
        spans = run(main())
        seen = {
            request.json()["number"]: int(request.headers["traceparent"].split("-")[1], 16)
            for request in server.requests
        }
    assert seen == dict(spans)
