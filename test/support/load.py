"""Makes many concurrent calls to a server that fails at random, and compares the results with the server's counts.

test_load.py runs it for a short time, and test/soak.py for a long time. `python -m support.load 0.1` is the server: in
one process, both would share a lock, and the client's memory could not be measured.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from time import monotonic
from typing import Any

from pip_services4_commons.errors import ApplicationException

from pip_services4_serverless.clients import AsyncFunctionClient, FunctionClient

from . import fault_server as fault
from .fault_server import FaultServer, Request, Step

TIMEOUT = 1000  # ms
RESPONSE_LOST = ("NO_RESPONSE", "CALL_TIMEOUT")
NOT_EXECUTED = ("CANNOT_CONNECT", "TOO_MANY_REQUESTS")

_FAILURES = (
    fault.reset_after_read(),
    fault.close_after_read(),
    fault.truncated(body={"number": -1}),
    fault.bad_status_line(),
    fault.wrong_length(5),
    fault.respond(500, b"<h1>No</h1>"),
    fault.respond(400, {"code": "NO", "category": "BadRequest", "message": "No"}),
    fault.silent(),
)
_REJECTIONS = (fault.respond(429), fault.respond(503, headers={"Retry-After": "0"}), fault.reset_while_reading())


def serve(failing: float) -> None:
    """Serves until standard input ends, and then prints how often each call was executed.

    `failing` is the fraction of the requests that fail, from 0 to 1.
    """
    executed: Counter[int] = Counter()
    lock = threading.Lock()

    def recorded(step: Step) -> Step:
        def act(connection: fault.Connection) -> None:
            assert connection.request
            number = connection.request.json()["number"]
            with lock:
                executed[number] += 1
            step.act(connection)

        return Step(step.name, act)

    good, failures = recorded(fault.echo()), [recorded(step) for step in _FAILURES]

    def choose(_: Request) -> Step:
        if random.random() >= failing:  # noqa: S311
            return good
        return random.choice((*failures, *_REJECTIONS))  # noqa: S311

    with FaultServer(keep=0) as server:
        server.default = choose
        print(server.url, flush=True)  # noqa: T201
        sys.stdin.read()
        print(json.dumps(list(executed.items())))  # noqa: T201


class LoadServer:
    """`serve` in another process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout
        self.url = process.stdout.readline().strip()

    def executed(self) -> dict[int, int]:
        """Ends the server, and returns how often each call was executed."""
        output, _ = self._process.communicate("", timeout=60)
        return dict(json.loads(output))


@contextmanager
def load_server(failing: float = 0.1) -> Iterator[LoadServer]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "support.load", str(failing)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield LoadServer(process)
        finally:
            process.kill()


class Result(IntEnum):
    """The result of a call."""

    UNKNOWN = 0
    RETURNED = 1
    FAILED = 2  # the function raised an error
    RESPONSE_LOST = 3
    NOT_EXECUTED = 4
    MIXED_UP = 5  # the response or the error of another call
    CANCELLED = 6


class Load:
    """The results by call. All memory is allocated before the calls, so that it does not look like a leak."""

    def __init__(self, calls: int) -> None:
        self._results = bytearray(calls)
        self.raw: list[BaseException] = []

    def make_call(self, client: FunctionClient, number: int) -> None:
        """Makes one call."""
        with self._recorded(number):
            self._returned(number, client._call("echo", f"trace-{number}", {"number": number}))

    async def make_async_call(self, client: AsyncFunctionClient, number: int) -> None:
        """Makes one call, which may be cancelled."""
        with self._recorded(number):
            self._returned(number, await client._call("echo", f"trace-{number}", {"number": number}))

    def _returned(self, number: int, response: Mapping[str, Any]) -> None:
        self._results[number] = Result.RETURNED if response["number"] == number else Result.MIXED_UP

    @contextmanager
    def _recorded(self, number: int) -> Iterator[None]:
        try:
            yield
        except ApplicationException as error:
            if error.trace_id != f"trace-{number}":
                self._results[number] = Result.MIXED_UP
            elif error.code in RESPONSE_LOST:
                self._results[number] = Result.RESPONSE_LOST
            elif error.code in NOT_EXECUTED or error.status == 503:
                self._results[number] = Result.NOT_EXECUTED
            else:
                self._results[number] = Result.FAILED
        except asyncio.CancelledError:
            self._results[number] = Result.CANCELLED
            raise
        except BaseException as error:
            self.raw.append(error)

    def count(self, result: Result) -> int:
        return self._results.count(result)

    @property
    def calls(self) -> int:
        return len(self._results) - self.count(Result.UNKNOWN) + len(self.raw)

    def lost(self, executed: Mapping[int, int], idempotent: bool = False) -> int:
        """The number of calls about which client and server disagree, or whose result is none of those allowed.

        The result of an idempotent call is that of its last attempt, which may not run although an earlier attempt did.
        """
        known = (Result.RETURNED, Result.FAILED, Result.MIXED_UP)
        missing = sum(result in known for number, result in enumerate(self._results) if number not in executed)
        wrong = (Result.UNKNOWN,) if idempotent else (Result.UNKNOWN, Result.NOT_EXECUTED)
        unknown = sum(self._results[number] in wrong for number in executed)
        return missing + unknown + len(self.raw)

    def executed_twice(self, executed: Mapping[int, int]) -> int:
        return sum(count > 1 for count in executed.values())


def run(
    client: FunctionClient,
    calls: int,
    threads: int = 64,
    seconds: float = 60,
    progress: Callable[[int], Any] = lambda done: None,
) -> Load:
    """Makes this many calls from several threads, or as many as `seconds` allow, and calls `progress` regularly."""
    load, numbers, ends_at = Load(calls), itertools.count(), monotonic() + seconds

    def work() -> None:
        while monotonic() < ends_at and (number := next(numbers)) < calls:
            load.make_call(client, number)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        while worker.is_alive():
            worker.join(0.25)
            progress(load.calls)
    return load


class Resources:
    """The threads, sockets and descriptors of this process after a garbage collection."""

    def __init__(self) -> None:
        gc.collect()
        self.threads = threading.active_count()
        links = [_link(name) for name in os.listdir("/proc/self/fd")]
        self.descriptors, self.sockets = len(links), sum(link.startswith("socket:") for link in links)

    def more_than(self, before: Resources) -> dict[str, int]:
        """The increase since `before`. A decrease counts as 0, because an earlier test may have left something open."""
        return {name: max(0, count - vars(before)[name]) for name, count in vars(self).items()}


def _link(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:  # the descriptor that listed the folder
        return ""


def memory() -> float:
    """The memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


if __name__ == "__main__":
    serve(float(sys.argv[1]))
