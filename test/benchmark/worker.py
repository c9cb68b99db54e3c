"""One client in its own process: `python -m benchmark.worker CONTESTANT URL [CALLS]`.

It reads commands as lines of JSON and responds to each with one line. With CALLS, it reads no commands. It starts two
children, of which one makes CALLS more calls than the other, so that a tool such as valgrind can count them.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
import tracemalloc
from typing import Any

from .contestants import CONTESTANTS, Caller, parameters
from .server import RESPONSE


def peak_memory(caller: Caller, size: int) -> int:
    """The peak of Python's memory during a call, in bytes, without the memory that was used before."""
    params = parameters(size)
    tracemalloc.start()
    try:
        caller.call(params)
        peaks = []
        for _ in range(3):
            gc.collect()
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            caller.call(params)
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
        return min(peaks)
    finally:
        tracemalloc.stop()


def fork_children_to_count(caller: Caller, calls: int) -> None:
    """Forks the two children and prints their process ids."""
    params = parameters(100)
    caller.timed(params, 10, 1)
    gc.collect()
    for more in (0, calls):
        child = os.fork()
        if not child:
            caller.timed(params, 10 + more, 1)  # the first call may have to open a new connection
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            raise SystemExit("a child failed")
        sys.stdout.write(f"{child}\n")


def main() -> None:
    """Opens the client, checks that it works, and runs the commands."""
    # The local hosts install simplejson. requests would use it and be slower, but most users do not have it.
    sys.modules["simplejson"] = None  # type: ignore[assignment]
    # urllib3 warns about full pools, and writing this warning is not a part of a call.
    logging.getLogger().addHandler(logging.NullHandler())
    name, url = sys.argv[1:3]
    caller = CONTESTANTS[name].open(url)
    if (response := caller.call(parameters(100))) != RESPONSE:
        raise SystemExit(f"{name} got {response!r}")
    if len(sys.argv) > 3:
        fork_children_to_count(caller, int(sys.argv[3]))
        return
    send("ready")
    for line in sys.stdin:
        command = json.loads(line)
        if command["measure"] == "time":
            send(caller.timed(parameters(command["size"]), command["calls"], command["threads"]))
        elif command["measure"] == "burst":
            send(caller.burst(parameters(command["size"]), command["calls"]))
        else:
            send(peak_memory(caller, command["size"]))


def send(value: Any) -> None:
    """Sends the response to a command."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
