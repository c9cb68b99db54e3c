"""What only asynchronous clients have to show: event loops, cancelling, and that no loop is ever held."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
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
from support import fault_server as server
from support.cancellations import cancel_calls
from support.clients import ARN, config_for
from support.fault_server import FaultServer, Step, full_backlog
from support.load import TIMEOUT, Resources, load_server
from support.sockets import socket_to

from pip_services4_serverless.clients import (
    AsyncAzureFunctionClient,
    AsyncCommandableAzureFunctionClient,
    AsyncCommandableLambdaClient,
    AsyncLambdaClient,
)

CLIENTS: dict[str, type[Any]] = {"azure": AsyncCommandableAzureFunctionClient, "lambda": AsyncCommandableLambdaClient}
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
HELD = 0.4  # seconds that the loop may be held by what else this machine does; what is slow takes longer
TEST = Path(__file__).parents[1]

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=CLIENTS)
def provider(request: pytest.FixtureRequest) -> str:
    """Each provider in turn; the clients of this module are asynchronous in any case."""
    name: str = request.param
    return name


@pytest.fixture(params=LOOPS)
def new_loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes each kind of loop."""
    LOOPS[request.param]().close()  # uvloop's first loop takes descriptors that stay
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
    """An open client, closed afterwards."""
    client = (kind or CLIENTS[provider])("dummies")
    client.configure(config_for(provider, url, **options))
    client.open("test")
    try:
        yield client
    finally:
        client.close("test")


async def ask(client: Any, number: int) -> None:
    """Calls a server that echoes, and sees that the answer is this call's."""
    assert (await client._call("ask", "test", {"number": number}))["number"] == number


async def ask_many(client: Any, count: int) -> None:
    await asyncio.gather(*(ask(client, number) for number in range(count)))


async def code_of(call: Awaitable[Any]) -> str:
    """The code of the error that a call ends with."""
    with pytest.raises(ApplicationException) as caught:
        await call
    return str(caught.value.code)


def is_connected(port: int) -> bool:
    """Whether this process has a socket connected to a port."""
    with suppress(LookupError), socket_to(port):
        return True
    return False


def wait_until(condition: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.005)


# --- Loops ---


def test_loops_one_after_the_other(provider: str, run: Run) -> None:
    """As each test of pytest-asyncio has its own; connections of a loop that is closed go when the next one calls."""
    before = Resources()
    with FaultServer() as far_side, open_client(provider, far_side.url) as client:
        for rounds in range(1, 4):
            run(ask_many(client, 5))
            far_side.wait_for(connections=5 * rounds, closed=5 * (rounds - 1))
    assert Resources().more_than(before) == {"threads": 0, "sockets": 0, "descriptors": 0}


def test_loops_at_once(provider: str, run: Run) -> None:
    """Each in a thread, begun and ended while others call; `close` closes the connections of all of them."""
    before, interval = Resources(), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with FaultServer() as far_side, open_client(provider, far_side.url) as client, ThreadPoolExecutor(8) as threads:
            for done in [threads.submit(lambda: run(ask_many(client, 2))) for _ in range(40)]:
                done.result(30)
    finally:
        sys.setswitchinterval(interval)
    assert Resources().more_than(before) == {"threads": 0, "sockets": 0, "descriptors": 0}


@pytest.mark.timing
def test_close_from_another_thread(provider: str, run: Run) -> None:
    """It closes the idle connections of a loop that runs, and ends a wait between attempts at once."""

    async def main() -> None:
        await ask_many(client, 3)
        far_side.default = server.respond(429, headers={"Retry-After": "19"})
        call = asyncio.create_task(code_of(client._call("act", "test")))
        await asyncio.to_thread(far_side.wait_for, executions=4)
        await asyncio.sleep(0.1)
        started = time.monotonic()
        await asyncio.to_thread(client.close, "test")
        assert await call == "NOT_OPENED"
        assert time.monotonic() - started < 1
        await asyncio.to_thread(far_side.wait_for, closed=3)
        assert far_side.executions == 4

    with FaultServer() as far_side, open_client(provider, far_side.url) as client:
        run(main())


def test_close_while_calls_are_in_flight(provider: str, run: Run) -> None:
    """From another thread: they end with their result, and their connections are closed."""
    opened = threading.Event()

    def act(connection: server.Connection) -> None:
        assert opened.wait(30)
        server.respond(body=b"1").act(connection)

    async def main() -> None:
        calls = [asyncio.create_task(client._call("act", "test")) for _ in range(8)]
        await asyncio.to_thread(far_side.wait_for, executions=8)
        await asyncio.to_thread(client.close, "test")
        opened.set()
        assert await asyncio.gather(*calls) == [1] * 8
        await asyncio.to_thread(far_side.wait_for, closed=8)

    with FaultServer() as far_side, open_client(provider, far_side.url) as client:
        far_side.default = Step("gate", act)
        run(main())


def test_max_connections_are_kept(provider: str, run: Run) -> None:
    """Calls beyond them open more, and drop those afterwards."""

    async def main() -> None:
        await ask_many(client, 10)
        await asyncio.to_thread(far_side.wait_for, connections=10, closed=7)
        await ask_many(client, 3)
        assert (far_side.connections, far_side.closed) == (10, 7)

    with FaultServer() as far_side, open_client(provider, far_side.url, max_connections=3) as client:
        run(main())


@pytest.mark.timing
def test_a_thousand_calls_at_once(provider: str) -> None:
    """To a function that takes 1 s: with under 2 s of work, so in under 3 s; on one thread, in under 30 MiB."""
    program = """
import asyncio, json, sys, threading, time
from support.load import memory
from clients.test_async import open_client

async def main(client):
    await client._call("act", "test")
    before, begun, largest = memory(), time.process_time(), 0
    calls = asyncio.gather(*(client._call("act", "test") for _ in range(1000)))
    while not calls.done():
        await asyncio.sleep(0.05)
        largest = max(largest, memory())
    took = time.process_time() - begun
    assert all(answer["id"] == "1" for answer in calls.result())
    print(json.dumps([took, largest - before, threading.active_count()]))

with open_client(sys.argv[1], sys.argv[2]) as client:
    asyncio.run(main(client))
"""
    command = [sys.executable, "-m", "benchmark.server", "-1", "1"]
    environment = {"PYTHONPATH": str(TEST), "AWS_EC2_METADATA_DISABLED": "true"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as far_side:
        try:
            assert far_side.stdout
            url = f"http://127.0.0.1:{far_side.stdout.readline().strip()}"
            done = subprocess.run(
                [sys.executable, "-c", program, provider, url],
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        finally:
            far_side.kill()
    assert done.returncode == 0, done.stderr
    took, grown, threads = json.loads(done.stdout)
    assert took < 2
    assert grown < 30
    assert threads == 1


# --- Cancelling ---


class Broken(Exception):  # noqa: N818
    """What ends a task group."""


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


async def fail_beside(call: Coroutine[Any, Any, Any], reached: Callable[[], object]) -> None:
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012
        async with asyncio.TaskGroup() as group:
            group.create_task(call)
            await asyncio.to_thread(reached)
            raise Broken
    assert [type(error) for error in caught.value.exceptions] == [Broken]


WAYS = {"cancel": cancel, "timeout": time_out, "group": fail_beside}


@pytest.fixture(params=WAYS)
def break_off(request: pytest.FixtureRequest) -> Callable[..., Coroutine[Any, Any, None]]:
    """Ends a call by each of asyncio's means, as soon as it has reached a point."""
    return WAYS[request.param]


class Phase(NamedTuple):
    """A moment of a call."""

    step: Step
    executions: int
    size: int = 1  # bytes of parameters
    connects: bool = False  # the connection is not to be dropped: the response came whole


PHASES = {
    "sending": Phase(server.never_reads(), 0, 5_900_000),
    "waiting": Phase(server.silent(), 1),
    "reading": Phase(server.drip("body"), 1),
    "between attempts": Phase(server.respond(429, headers={"Retry-After": "19"}), 1, connects=True),
}


@pytest.mark.parametrize("phase", PHASES)
def test_cancelling(provider: str, run: Run, phase: str, break_off: Callable[..., Any]) -> None:
    """The connection is dropped, nothing of it reaches the calls after it, and nothing is executed twice."""
    step, executions, size, connects = PHASES[phase]

    async def main() -> None:
        def reached() -> None:
            far_side.wait_for(steps=1)
            time.sleep(0.1)

        far_side.script(step)
        await break_off(client._call("act", "test", {"text": "x" * size}), reached)
        assert is_connected(far_side.port) == connects
        await ask_many(client, 20)
        await ask_many(client, 20)
        assert far_side.executions == executions + 40

    # Cancelling is no failure that is followed by another attempt.
    options: dict[str, Any] = {"idempotent": True, "retries": 5}
    with FaultServer() as far_side, open_client(provider, far_side.url, **options) as client:
        run(main())


def test_cancelling_while_connecting(provider: str, run: Run, break_off: Callable[..., Any]) -> None:
    """The socket is closed."""

    async def main() -> None:
        await break_off(client._call("act", "test"), lambda: time.sleep(0.1))
        assert Resources().sockets == sockets

    async def count() -> int:
        await asyncio.to_thread(time.sleep, 0.001)
        return Resources().sockets

    with full_backlog() as port, open_client(provider, f"http://127.0.0.1:{port}") as client:
        sockets = run(count())
        run(main())


def test_cancelling_a_handshake(
    provider: str, run: Run, break_off: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is closed."""
    with FaultServer(tls="silent") as far_side:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(far_side.ca_bundle))

        async def main() -> None:
            def reached() -> None:
                far_side.wait_for(connections=1)
                time.sleep(0.1)

            await break_off(client._call("act", "test"), reached)
            assert not is_connected(far_side.port)

        with open_client(provider, far_side.url) as client:
            run(main())


def test_cancelling_at_random(provider: str) -> None:
    """Calls among many others, against a server that fails one in ten: the counts of both sides agree."""
    before = Resources()
    with load_server() as far_side:
        with open_client(provider, far_side.url, timeout=TIMEOUT) as client:
            load = cancel_calls(client, calls=1500, seconds=30)
        executed = far_side.executed()
    gc.collect()
    assert load.calls == 1500
    assert load.cancelled > 200
    assert (load.lost(executed), load.executed_twice(executed), load.mixed_up, load.raw) == (0, 0, 0, [])
    assert Resources().more_than(before) == {"threads": 0, "sockets": 0, "descriptors": 0}


# --- What is left, and warned of ---


@pytest.mark.parametrize("loop", LOOPS)
def test_debug_mode_has_nothing_to_say(provider: str, loop: str) -> None:
    """No warning of what is unclosed, was never retrieved or never awaited, and nothing from a
    destructor: after calls that were answered, failed, and were cancelled, and clients and loops that were left."""
    program = """
import asyncio, gc, logging, sys, uvloop
from contextlib import suppress
from clients.test_async import CLIENTS, LOOPS, open_client
from pip_services4_commons.errors import ApplicationException
from support import fault_server as server
from support.clients import config_for

logging.basicConfig(level=logging.WARNING)
provider, loop = sys.argv[1:]
SLOW = 5.0  # seconds; the tests with a `heartbeat` show that the loop is not held

def opened(**options):
    client = CLIENTS[provider]("dummies")
    client.configure(config_for(provider, far_side.url, **options))
    client.open("test")
    return client

async def call(client, number=1):
    asyncio.get_running_loop().slow_callback_duration = SLOW
    with suppress(ApplicationException, TimeoutError):
        async with asyncio.timeout(0.05):
            await client._call("act", "test", {"number": number})

async def main():
    asyncio.get_running_loop().slow_callback_duration = SLOW
    far_side.script(server.silent(), server.drip("body"), server.reset_after_read(), server.truncated())
    async with await asyncio.to_thread(opened, retries=0) as client:
        for _ in range(3):
            await asyncio.gather(*(call(client, number) for number in range(20)))
    await call(await asyncio.to_thread(opened))  # forgotten
    gc.collect()
    left.append(await asyncio.to_thread(opened))
    await call(left[0])

async def abandoned(client):
    asyncio.get_running_loop().slow_callback_duration = SLOW
    far_side.script(server.silent())
    task = asyncio.create_task(client._call("act", "test"))
    await asyncio.to_thread(far_side.wait_for, steps=far_side.steps.total() + 1)

with server.FaultServer() as far_side:
    left = []
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())
    left[0].close("test")  # after its loop
    left.append(opened())
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(call(left[1]))
    left.clear()  # forgotten, after its loop
    gc.collect()
    client = opened()
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


def test_a_client_that_is_forgotten(provider: str, run: Run) -> None:
    """Its connections are closed, also while its loop runs on."""

    async def main() -> None:
        client = CLIENTS[provider]("dummies")
        client.configure(config_for(provider, far_side.url))
        client.open("test")
        await ask_many(client, 5)
        del client
        gc.collect()
        await asyncio.to_thread(far_side.wait_for, closed=5)
        assert not is_connected(far_side.port)

    with FaultServer() as far_side:
        run(main())


@pytest.mark.parametrize("phase", ["sending", "waiting", "between attempts"])
def test_a_loop_that_is_closed_in_the_middle_of_a_call(
    provider: str, new_loop: Callable[[], asyncio.AbstractEventLoop], phase: str
) -> None:
    """The call can never end. What it held is freed with it, without an exception; asyncio tells of the task."""
    step, executions, size, _ = PHASES[phase]
    told: list[str] = []

    def leave(client: Any) -> None:
        loop = new_loop()
        loop.set_exception_handler(lambda loop, context: told.append(context["message"]))

        async def main() -> None:
            task = loop.create_task(client._call("act", "test", {"text": "x" * size}))
            await asyncio.to_thread(far_side.wait_for, steps=1)
            await asyncio.sleep(0.1)
            assert not task.done()

        loop.run_until_complete(main())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    before = Resources()
    with FaultServer() as far_side:
        with open_client(provider, far_side.url) as client:
            far_side.default = step
            leave(client)
        gc.collect()
        wait_until(lambda: not is_connected(far_side.port))
        assert far_side.executions == executions
    assert told == ["Task was destroyed but it is pending!"]
    assert Resources().more_than(before) == {"threads": 0, "sockets": 0, "descriptors": 0}


# --- The loop is never held ---


@asynccontextmanager
async def heartbeat() -> AsyncIterator[None]:
    """Fails when the loop was held meanwhile."""
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
    assert longest < HELD


@pytest.fixture
def slow_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """AWS's chain finds keys by a program that takes half a second; they end so soon that each call renews them."""
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
    """By `async with` and by each call that has to."""

    async def main() -> None:
        async with heartbeat(), lambda_client(far_side.url) as client:
            await asyncio.gather(ask(client, 1), ask(client, 2))

    with FaultServer() as far_side:
        run(main())
        assert far_side.executions == 2


def test_cancelling_while_keys_are_renewed(slow_keys: Path, run: Run, break_off: Callable[..., Any]) -> None:
    """Nothing is sent, then or later."""

    async def main() -> None:
        async with lambda_client(far_side.url) as client:
            await break_off(client._call("act", "test"), lambda: time.sleep(0.1))
            await ask(client, 1)
            assert far_side.connections == far_side.executions == 1

    with FaultServer() as far_side:
        run(main())


@pytest.mark.timing
def test_keys_not_renewed_in_time(slow_keys: Path, run: Run) -> None:
    """Nothing was sent, and the error says why."""

    async def main() -> None:
        async with lambda_client(far_side.url, timeout=200, retries=0) as client:
            with pytest.raises(ConfigException) as caught:
                await client._call("act", "test")
            assert caught.value.code == "NO_CREDENTIALS"
            assert "in time" in caught.value.message

    with FaultServer() as far_side:
        run(main())
        assert far_side.connections == 0


@pytest.mark.timing
def test_keys_that_cannot_be_renewed(slow_keys: Path, run: Run) -> None:
    """As in blocking clients; the loop is not held by it."""

    async def main() -> None:
        async with lambda_client(far_side.url, retries=0) as client:
            slow_keys.unlink()
            async with heartbeat():
                assert await code_of(client._call("act", "test")) == "NO_CREDENTIALS"

    with FaultServer() as far_side:
        run(main())


@pytest.mark.timing
def test_names_are_looked_up_in_a_thread(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a resolver that takes half a second; and within `connect_timeout`. uvloop has a resolver of its own."""
    look_up = socket.getaddrinfo

    def slow(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == "localhost" and not (len(arguments) > 4 and arguments[4] & socket.AI_NUMERICHOST):
            time.sleep(0.5)
            host = "127.0.0.1"
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)

    async def main(client: Any) -> None:
        async with heartbeat():
            await ask(client, 1)

    async def fail(client: Any) -> None:
        started = time.monotonic()
        assert await code_of(client._call("act", "test")) == "CANNOT_CONNECT"
        assert time.monotonic() - started < 0.4

    with FaultServer() as far_side:
        url = f"http://localhost:{far_side.port}"
        with open_client(provider, url) as client:
            asyncio.run(main(client))
        with open_client(provider, url, connect_timeout=100, retries=0) as client:
            asyncio.run(fail(client))


@pytest.mark.timing
def test_a_large_bundle_of_authorities_is_read_in_a_thread(
    provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes half a second. Both kinds of loops use the same threads."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(certificates.authority().cert_pem.bytes() * 4000)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))

    async def main() -> None:
        async with heartbeat():
            await ask_many(client, 4)

    with FaultServer(tls="good") as far_side, open_client(provider, far_side.url) as client:
        asyncio.run(main())


@pytest.mark.timing
def test_opening_holds_no_loop(provider: str) -> None:
    """In a new process: the first import of requests or botocore happens in a thread too."""
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
    begun = time.monotonic()
    async with client:
        pass
    task.cancel()
    print(longest, time.monotonic() - begun)

assert not {{"botocore", "requests"}} & set(sys.modules)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    longest, whole = map(float, done.stdout.split())
    assert longest < whole / 2  # reading modules holds Python's lock for a while


# --- Headers of an attempt ---


@pytest.mark.parametrize("kind", [AsyncAzureFunctionClient, AsyncLambdaClient])
def test_headers_of_each_attempt(kind: type[Any], run: Run) -> None:
    """They are asked for each attempt, with the call's context, and sent."""
    provider = "azure" if kind is AsyncAzureFunctionClient else "lambda"
    asked: list[Any] = []

    class Client(kind):
        def _attempt_headers(self, context: Any) -> Mapping[str, str]:
            asked.append(ContextResolver.get_trace_id(context))
            return {"x-attempt": str(len(asked))}

    with FaultServer() as far_side, open_client(provider, far_side.url, Client) as client:
        far_side.script(server.respond(429, headers={"Retry-After": "0"}))
        run(client._call("act", Context.from_trace_id("one")))
        run(client._call("act", "two"))
        assert [request.headers["x-attempt"] for request in far_side.requests] == ["1", "2", "3"]
    assert asked == ["one", "one", "two"]


OWN = {
    "azure": ["X-Functions-Key", "content-type", "User-Agent", "accept-encoding", "Content-Length", "HOST"],
    "lambda": [
        *("authorization", "X-Amz-Date", "x-amz-security-token", "X-Amz-Invocation-Type", "user-agent", "Host"),
        "X-Amz-Tenant-Id",
    ],
}


@pytest.mark.parametrize(("provider", "header"), [(name, header) for name in OWN for header in OWN[name]])
def test_the_clients_own_headers_cannot_be_set(provider: str, header: str) -> None:
    """However they are written; nothing is sent."""
    base: Any = CLIENTS[provider]

    class Client(base):
        def _attempt_headers(self, context: Any) -> Mapping[str, str]:
            return {header: "mine"}

    with FaultServer() as far_side, open_client(provider, far_side.url, Client) as client:
        with pytest.raises(BadRequestException) as caught:
            asyncio.run(client._call("act", "test"))
        assert (caught.value.code, caught.value.trace_id) == ("WRONG_HEADER", "test")
        assert header in caught.value.message
        assert far_side.connections == 0


def test_the_trace_of_opentelemetry(provider: str, run: Run) -> None:
    """Its propagator writes `traceparent` by `_attempt_headers`; each task has its own span."""
    base: Any = CLIENTS[provider]

    class Client(base):
        def _attempt_headers(self, context: Any) -> Mapping[str, str]:
            headers: dict[str, str] = {}
            propagate.inject(headers)
            return headers

    tracer = TracerProvider().get_tracer("test")

    async def call(number: int) -> tuple[int, int]:
        with tracer.start_as_current_span("call") as span:
            await ask(client, number)
            return number, span.get_span_context().trace_id

    async def main() -> list[tuple[int, int]]:
        assert trace.get_current_span().get_span_context().trace_id == 0
        return await asyncio.gather(*(call(number) for number in range(10)))

    with FaultServer() as far_side, open_client(provider, far_side.url, Client) as client:
        spans = run(main())
        seen = {
            request.json()["number"]: int(request.headers["traceparent"].split("-")[1], 16)
            for request in far_side.requests
        }
    assert seen == dict(spans)
