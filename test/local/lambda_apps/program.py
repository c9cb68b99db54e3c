"""A program for tests of what is left of LambdaHost. One of its functions is idle, one is busy and ignores signals.

It prints the processes, the port and the folder of its host. Then it executes its first argument. The second one is the
port.
"""

# ruff: noqa: T201 - the test reads the output

import contextlib
import http.client
import json
import logging
import os
import queue
import signal
import sys
from pathlib import Path
from typing import Any

from pip_services4_serverless.local import LambdaHost

messages: "queue.Queue[str]" = queue.Queue()


class Handler(logging.Handler):
    """Collects what the busy function logs about its processes."""

    def emit(self, record: logging.LogRecord) -> None:
        messages.put(record.getMessage())


def call(host: LambdaHost, name: str, kind: str) -> Any:
    """Calls a function without boto3, whose import is slow."""
    connection = http.client.HTTPConnection(host.endpoint.removeprefix("http://"))
    connection.request("POST", f"/2015-03-31/functions/{name}/invocations", "{}", {"X-Amz-Invocation-Type": kind})
    return json.loads(connection.getresponse().read() or "null")


def descendants() -> list[int]:
    """The child processes of this process, their children, and so on."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [os.getpid()]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[1:]


def main(then: str, port: int) -> None:
    """Runs the functions, prints the information, and executes the argument."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it
    logger = logging.getLogger("pip_services4_serverless.local.lambda.busy")
    logger.setLevel(logging.INFO)
    logger.addHandler(Handler())
    with LambdaHost(port=port) as host:
        host.deploy("idle", Path(__file__).parent, "app.environment")
        host.deploy("busy", Path(__file__).parent, "app.stubborn", timeout=900)
        folder = call(host, "idle", "RequestResponse")["TMPDIR"]
        call(host, "busy", "Event")
        messages.get(timeout=10)
        print(json.dumps({"pids": descendants(), "endpoint": host.endpoint, "folder": folder}), flush=True)
        exec(then)  # noqa: S102 - code of the test


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
