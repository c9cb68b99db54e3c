"""One contestant in its own process: `python -m benchmark.worker CONTESTANT URL [CALLS]`.

Takes orders as lines of JSON and answers each with one. With CALLS it takes none, and lets two children, one making
CALLS more calls than the other, be counted by whatever it runs under.
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
from .server import ANSWER


def peak_memory(caller: Caller, size: int) -> int:
    """Bytes of Python's memory that a call takes at its height, beyond what was held before."""
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


def counted(caller: Caller, calls: int) -> None:
    """Forks the two children and prints their process ids."""
    params = parameters(100)
    caller.timed(params, 10, 1)
    gc.collect()
    for more in (0, calls):
        child = os.fork()
        if not child:
            caller.timed(params, 10 + more, 1)  # the first of them may have to connect anew
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            raise SystemExit("a child failed")
        sys.stdout.write(f"{child}\n")


def main() -> None:
    """Opens the contestant, sees that it works, and measures what it is told to."""
    # The local hosts bring it; requests would use it, which most users do not have, and be slower.
    sys.modules["simplejson"] = None  # type: ignore[assignment]
    # Full pools make urllib3 warn; writing that down is not part of a call.
    logging.getLogger().addHandler(logging.NullHandler())
    name, url = sys.argv[1:3]
    caller = CONTESTANTS[name].open(url)
    if (answer := caller.call(parameters(100))) != ANSWER:
        raise SystemExit(f"{name} got {answer!r}")
    if len(sys.argv) > 3:
        counted(caller, int(sys.argv[3]))
        return
    say("ready")
    for line in sys.stdin:
        order = json.loads(line)
        if order["measure"] == "time":
            say(caller.timed(parameters(order["size"]), order["calls"], order["threads"]))
        elif order["measure"] == "at once":
            say(caller.at_once(parameters(order["size"]), order["calls"]))
        else:
            say(peak_memory(caller, order["size"]))


def say(value: Any) -> None:
    """Answers an order."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
