"""A program that uses LambdaHost, for tests of what is left of it: one function idle, one busy and deaf to signals.

It prints all that its host has: processes, port and folder. Then it does what its argument says.
"""

# ruff: noqa: T201 - printing is how it tells

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

told: "queue.Queue[str]" = queue.Queue()


class Handler(logging.Handler):
    """Takes what the busy function says of its processes."""

    def emit(self, record: logging.LogRecord) -> None:
        told.put(record.getMessage())


def call(host: LambdaHost, name: str, kind: str) -> Any:
    """Call a function, without the time that boto3 takes to import."""
    connection = http.client.HTTPConnection(host.endpoint.removeprefix("http://"))
    connection.request("POST", f"/2015-03-31/functions/{name}/invocations", "{}", {"X-Amz-Invocation-Type": kind})
    return json.loads(connection.getresponse().read() or "null")


def descendants() -> list[int]:
    """The processes that this one has started, those that they have started, and so on."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [os.getpid()]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[1:]


def main(then: str) -> None:
    """Run the functions, tell, and go on as asked."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit that it is ignored
    logger = logging.getLogger("pip_services4_serverless.local.lambda.busy")
    logger.setLevel(logging.INFO)
    logger.addHandler(Handler())
    with LambdaHost() as host:
        host.deploy("idle", Path(__file__).parent, "app.environment")
        host.deploy("busy", Path(__file__).parent, "app.stubborn", timeout=900)
        folder = call(host, "idle", "RequestResponse")["TMPDIR"]
        call(host, "busy", "Event")
        told.get(timeout=10)
        print(json.dumps({"pids": descendants(), "endpoint": host.endpoint, "folder": folder}), flush=True)
        exec(then)  # noqa: S102 - of our own test


if __name__ == "__main__":
    main(sys.argv[1])
