"""Many calls at once against a server that fails one in ten at random, and the comparing of what each side counted.

Short in test_load.py, long in test/soak.py. `python -m support.load 0.1` is the server: in one process both would share
a lock, and the client's memory could not be told from the server's.
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

TIMEOUT = 1000  # ms: what a silence costs
RESPONSE_LOST = ("NO_RESPONSE", "CALL_TIMEOUT")
NOT_EXECUTED = ("CANNOT_CONNECT", "TOO_MANY_REQUESTS")

_FAILURES = (
    fault.reset_after_read(),
    fault.close_after_read(),
    fault.truncated(body={"question": -1}),
    fault.bad_status_line(),
    fault.wrong_length(5),
    fault.respond(500, b"<h1>No</h1>"),
    fault.respond(400, {"code": "NO", "category": "BadRequest", "message": "No"}),
    fault.silent(),
)
_REFUSALS = (fault.respond(429), fault.respond(503, headers={"Retry-After": "0"}), fault.reset_while_reading())


def serve(failing: float) -> None:
    """Serves until standard input ends, then tells which questions were executed, and how often.

    `failing` is the share of the requests that fail, of 1.
    """
    executed: Counter[int] = Counter()
    lock = threading.Lock()

    def recorded(step: Step) -> Step:
        def act(connection: fault.Connection) -> None:
            assert connection.request
            question = connection.request.json()["question"]
            with lock:
                executed[question] += 1
            step.act(connection)

        return Step(step.name, act)

    good, failures = recorded(fault.echo()), [recorded(step) for step in _FAILURES]

    def choose(_: Request) -> Step:
        if random.random() >= failing:  # noqa: S311
            return good
        return random.choice((*failures, *_REFUSALS))  # noqa: S311

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
        """How often each question was executed; ends the server."""
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
    """What a caller was told of its question."""

    UNKNOWN = 0
    RETURNED = 1
    FAILED = 2  # executed, with an error
    RESPONSE_LOST = 3
    NOT_EXECUTED = 4
    MIXED_UP = 5  # the answer to another question
    CANCELLED = 6  # nothing, for the call was cancelled


class Load:
    """What the callers were told, by question. One byte each, all taken beforehand: it must not look like a leak."""

    def __init__(self, calls: int) -> None:
        self._told = bytearray(calls)
        self.raw: list[BaseException] = []

    def make_call(self, client: FunctionClient, question: int) -> None:
        """One call."""
        with self._told_to(question):
            self._answered(question, client._call("ask", f"trace-{question}", {"question": question}))

    async def make_async_call(self, client: AsyncFunctionClient, question: int) -> None:
        """One call, which may be cancelled."""
        with self._told_to(question):
            self._answered(question, await client._call("ask", f"trace-{question}", {"question": question}))

    def _answered(self, question: int, answer: Mapping[str, Any]) -> None:
        self._told[question] = Result.RETURNED if answer["question"] == question else Result.MIXED_UP

    @contextmanager
    def _told_to(self, question: int) -> Iterator[None]:
        try:
            yield
        except ApplicationException as error:
            if error.trace_id != f"trace-{question}":
                self._told[question] = Result.MIXED_UP
            elif error.code in RESPONSE_LOST:
                self._told[question] = Result.RESPONSE_LOST
            elif error.code in NOT_EXECUTED or error.status == 503:
                self._told[question] = Result.NOT_EXECUTED
            else:
                self._told[question] = Result.FAILED
        except asyncio.CancelledError:
            self._told[question] = Result.CANCELLED
            raise
        except BaseException as error:
            self.raw.append(error)

    def count(self, told: Result) -> int:
        return self._told.count(told)

    @property
    def calls(self) -> int:
        return len(self._told) - self.count(Result.UNKNOWN) + len(self.raw)

    def lost(self, executed: Mapping[int, int], idempotent: bool = False) -> int:
        """How many questions the two sides disagree about, or that ended in no way that was promised.

        `idempotent` calls are told of their last attempt: it may have been refused after another one was executed.
        """
        known = (Result.RETURNED, Result.FAILED, Result.MIXED_UP)
        missing = sum(told in known for question, told in enumerate(self._told) if question not in executed)
        wrong = (Result.UNKNOWN,) if idempotent else (Result.UNKNOWN, Result.NOT_EXECUTED)
        unknown = sum(self._told[question] in wrong for question in executed)
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
    """Asks so many questions from so many threads, or as many as `seconds` allow. `progress` is called now and then."""
    load, questions, ends_at = Load(calls), itertools.count(), monotonic() + seconds

    def work() -> None:
        while monotonic() < ends_at and (question := next(questions)) < calls:
            load.make_call(client, question)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        while worker.is_alive():
            worker.join(0.25)
            progress(load.calls)
    return load


class Resources:
    """The threads, sockets and descriptors of this process, without those that only wait for the garbage collector."""

    def __init__(self) -> None:
        gc.collect()
        self.threads = threading.active_count()
        links = [_link(name) for name in os.listdir("/proc/self/fd")]
        self.descriptors, self.sockets = len(links), sum(link.startswith("socket:") for link in links)

    def more_than(self, before: Resources) -> dict[str, int]:
        """What has come since. What an earlier test left may go meanwhile: fewer than before are no leak."""
        return {name: max(0, count - vars(before)[name]) for name, count in vars(self).items()}


def _link(name: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{name}")
    except OSError:  # the one that listed them
        return ""


def memory() -> float:
    """MiB that this process has in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


if __name__ == "__main__":
    serve(float(sys.argv[1]))
