"""Forks while threads call, or open clients; each child makes a call. A program, for its forks copy the whole process.

`python -m support.forks call azure http://127.0.0.1:8080 50` forks 50 times and writes what became of the children as
JSON. With `open` the threads, and each child before its call, open clients of their own.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pip_services4_serverless.clients import FunctionClient

from .clients import open_client

THREADS = 4
PATIENCE = 30  # seconds after which a child hangs: three times the timeout of its call
ENOUGH = 3  # children that hang
FIRST_CHILD = 1_000_000  # their questions begin here


class Forks(NamedTuple):
    """What became of the children, and of the parent's calls meanwhile."""

    children: int
    failed: int  # without the answer to their question
    hung: int
    calls: int
    wrong: int  # of them, without the answer to their question


def fork_under_load(provider: str, url: str, forks: int, seconds: float, under: str = "call") -> Forks:
    """Forks so many times, in another process, while threads `call` or `open`.

    Raises:
        subprocess.TimeoutExpired: not done after `seconds`.
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "support.forks", under, provider, url, str(forks)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, timeout=seconds, check=True)
    return Forks(**json.loads(done.stdout))


def _right(client: FunctionClient, question: int) -> bool:
    try:
        return bool(client._call("ask", f"trace-{question}", {"question": question})["question"] == question)
    except Exception as err:
        print(f"{type(err).__name__}: {err}", file=sys.stderr)  # noqa: T201
        return False


def _child(ask: Callable[[int], bool], question: int) -> None:
    status = 2
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends the process, whatever it waits for
        signal.alarm(PATIENCE)
        status = 0 if ask(question) else 1
    finally:
        os._exit(status)


def _fork(ask: Callable[[int], bool], forks: int) -> Forks:
    stop, children, failed, hung = threading.Event(), 0, 0, 0
    questions, right = itertools.count(), itertools.count()

    def work() -> None:
        while not stop.is_set():
            if ask(next(questions)):
                next(right)

    workers = [threading.Thread(target=work) for _ in range(THREADS)]
    for worker in workers:
        worker.start()
    try:
        for number in range(forks):
            child = os.fork()
            if child == 0:
                _child(ask, FIRST_CHILD + number)
            ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            children += 1
            hung += ended == -signal.SIGALRM
            failed += ended not in (0, -signal.SIGALRM)
            if hung == ENOUGH:
                break
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    calls = next(questions)
    return Forks(children, failed, hung, calls, calls - next(right))


def _main(under: str, provider: str, url: str, forks: str) -> None:
    def with_own(question: int) -> bool:
        with open_client(provider, url, timeout=10_000) as own:
            return _right(own, question)

    with open_client(provider, url, timeout=10_000) as client:
        ask = with_own if under == "open" else lambda question: _right(client, question)
        ask(FIRST_CHILD - 1)  # imports what is imported late: Python cannot import it in a child of a fork meanwhile
        print(json.dumps(_fork(ask, int(forks))._asdict()))  # noqa: T201


if __name__ == "__main__":
    # Python 3.12 and later warn of what this is about: a fork of a process with threads.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    _main(*sys.argv[1:])
