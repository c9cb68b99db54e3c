"""Forks a process while its threads make calls or open clients. Each child makes a call.

This is a program, because a fork copies the whole process. `python -m support.forks call azure URL 50` forks 50 times
and prints the results as JSON. With `open` instead of `call`, each thread and child opens its own client.
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
CHILD_TIMEOUT = 30  # seconds; three times the timeout of a call
MAX_HUNG = 3  # children that hang, after which the program stops
FIRST_CHILD = 1_000_000  # the number of the call of the first child


class Forks(NamedTuple):
    """The results of the children, and of the parent's calls during the forks."""

    children: int
    failed: int  # children whose call failed
    hung: int
    calls: int
    wrong: int  # calls of the parent that failed


def fork_under_load(provider: str, url: str, forks: int, seconds: float, under: str = "call") -> Forks:
    """Starts the program, which forks `forks` times while threads `call` or `open`.

    Raises:
        subprocess.TimeoutExpired: the program did not end within `seconds`.
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "support.forks", under, provider, url, str(forks)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, timeout=seconds, check=True)
    return Forks(**json.loads(done.stdout))


def _succeeds(client: FunctionClient, number: int) -> bool:
    try:
        return bool(client._call("echo", f"trace-{number}", {"number": number})["number"] == number)
    except Exception as err:
        print(f"{type(err).__name__}: {err}", file=sys.stderr)  # noqa: T201
        return False


def _child(call: Callable[[int], bool], number: int) -> None:
    status = 2
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, even if it hangs
        signal.alarm(CHILD_TIMEOUT)
        status = 0 if call(number) else 1
    finally:
        os._exit(status)


def _fork(call: Callable[[int], bool], forks: int) -> Forks:
    stop, children, failed, hung = threading.Event(), 0, 0, 0
    numbers, succeeded = itertools.count(), itertools.count()

    def work() -> None:
        while not stop.is_set():
            if call(next(numbers)):
                next(succeeded)

    workers = [threading.Thread(target=work) for _ in range(THREADS)]
    for worker in workers:
        worker.start()
    try:
        for number in range(forks):
            child = os.fork()
            if child == 0:
                _child(call, FIRST_CHILD + number)
            ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            children += 1
            hung += ended == -signal.SIGALRM
            failed += ended not in (0, -signal.SIGALRM)
            if hung == MAX_HUNG:
                break
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    calls = next(numbers)
    return Forks(children, failed, hung, calls, calls - next(succeeded))


def _main(under: str, provider: str, url: str, forks: str) -> None:
    def call_with_new_client(number: int) -> bool:
        with open_client(provider, url, timeout=10_000) as client:
            return _succeeds(client, number)

    with open_client(provider, url, timeout=10_000) as client:
        call = call_with_new_client if under == "open" else lambda number: _succeeds(client, number)
        call(FIRST_CHILD - 1)  # imports what calls need, because a child of a fork could not do it
        print(json.dumps(_fork(call, int(forks))._asdict()))  # noqa: T201


if __name__ == "__main__":
    # Python 3.12 and later warn about forks of a process with threads, which are the purpose here.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    _main(*sys.argv[1:])
