"""`make soak`: the long tests of load, interrupts, forks and cancelled calls, and the cost of many open clients.

The program ends by itself after some minutes. Its status is 1 if a promise is broken, or if not all calls, interrupts
or forks were made.
"""

from __future__ import annotations

import argparse
import gc
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from time import monotonic

from support.cancellations import cancel_calls
from support.clients import BASES, config_for, open_client
from support.forks import fork_under_load
from support.interrupts import interrupt_calls
from support.load import TIMEOUT, Resources, Result, load_server, memory, run

from pip_services4_serverless.clients import AsyncAzureFunctionClient, AsyncLambdaClient

WARM_UP = 0.1  # fraction of the calls
MAX_GROWTH = 5.0  # MiB after the warm-up
CLIENTS = 500


def progress_bar(calls: int, unit: str = "calls") -> Callable[[int], None]:
    started, width, printed = monotonic(), 40, [-1]

    def show(done: int) -> None:
        percent = 100 * done // calls
        if not sys.stdout.isatty() and percent // 10 == printed[0] // 10:
            return
        printed[0] = percent
        filled = width * done // calls
        rate = done / max(monotonic() - started, 0.001)
        line = f"[{'#' * filled}{'.' * (width - filled)}] {percent:3} %  {done:,} {unit}, {rate:,.0f}/s"
        print(line, end="\r" if sys.stdout.isatty() and done < calls else "\n", flush=True)  # noqa: T201

    return show


def report(name: str, value: object) -> None:
    print(f"  {name:<32}{value}")  # noqa: T201


def soak(provider: str, calls: int, threads: int, seconds: float) -> bool:
    """Makes many calls, prints a summary, and returns whether every promise was kept."""
    print(f"{provider}: {calls:,} calls from {threads} threads")  # noqa: T201
    before, started = Resources(), monotonic()
    sizes: list[float] = []  # MiB, after warm-up
    show = progress_bar(calls)

    def progress(done: int) -> None:
        if done >= calls * WARM_UP:
            sizes.append(memory())
        show(done)

    with load_server() as server:
        with open_client(provider, server.url, timeout=TIMEOUT) as client:
            load = run(client, calls, threads, seconds, progress)
            growth = max(sizes) - sizes[0] if sizes else 0.0  # at its peak
        executed = server.executed()
    leaked = Resources().more_than(before)
    wrong = load.lost(executed), load.executed_twice(executed), load.count(Result.MIXED_UP)
    report("calls", f"{load.calls:,} in {monotonic() - started:.0f} s")
    report("executions on the server", f"{sum(executed.values()):,}")
    report("returned a result", f"{load.count(Result.RETURNED):,}")
    report("raised: function's error", f"{load.count(Result.FAILED):,}")
    report("raised: response lost", f"{load.count(Result.RESPONSE_LOST):,}")
    report("raised: never executed", f"{load.count(Result.NOT_EXECUTED):,}")
    report("lost, executed twice, mixed up", ", ".join(map(str, wrong)))
    report("leaked", ", ".join(f"{name} {count}" for name, count in leaked.items()))
    report("RSS growth after warm-up", f"{growth:.1f} MiB")
    for error in load.raw[:3]:
        report("raw", repr(error))
    if load.calls < calls:
        report("ended early", f"after {seconds:.0f} s; --seconds allows more")
    return load.calls == calls and not any(wrong) and not any(leaked.values()) and growth < MAX_GROWTH


def interrupt(provider: str, interrupts: int, seconds: float) -> bool:
    """Interrupts calls, prints a summary, and returns whether every promise was kept."""
    print(f"{provider}: {interrupts:,} interrupts by a timer's signal, at random moments of a call")  # noqa: T201
    before, started = Resources(), monotonic()
    with load_server(failing=0) as server:
        with open_client(provider, server.url, timeout=TIMEOUT) as client:
            result = interrupt_calls(client, interrupts, seconds, progress=progress_bar(interrupts, "interrupts"))
        executed = server.executed()
    gc.collect()
    leaked = Resources().more_than(before)
    wrong = result.lost(executed), result.executed_twice(executed), result.mixed_up
    report("interrupts", f"{result.raised:,} in {monotonic() - started:.0f} s, within {result.calls:,} calls")
    report("raised to the caller", f"{result.interrupted:,}")
    report("discarded by Python", f"{result.suppressed:,}")
    report("calls that hung later", result.hung)
    report("lost, executed twice, mixed up", ", ".join(map(str, wrong)))
    report("leaked", ", ".join(f"{name} {count}" for name, count in leaked.items()))
    for error in result.others[:3]:
        report("raw", repr(error))
    if result.raised < interrupts:
        report("ended early", f"after {seconds:.0f} s; --seconds allows more")
    broken = any(wrong) or result.hung or result.others or any(leaked.values())
    return result.raised == interrupts and result.suppressed < 0.02 * result.raised and not broken


def fork(provider: str, forks: int, seconds: float) -> bool:
    """Forks while threads make calls, prints a summary, and returns whether all calls succeeded."""
    print(f"{provider}: {forks:,} forks while threads call")  # noqa: T201
    started = monotonic()
    with load_server(failing=0) as server:
        result = fork_under_load(provider, server.url, forks, seconds)
        executed = server.executed()
    executed_twice = sum(count > 1 for count in executed.values())
    report("forks", f"{result.children:,} in {monotonic() - started:.0f} s, among {result.calls:,} calls")
    report("children failed, hung", f"{result.failed}, {result.hung}")
    report("failed, executed twice", f"{result.wrong}, {executed_twice}")
    return result.children == forks and not (result.failed or result.hung or result.wrong or executed_twice)


def cancel(provider: str, calls: int, seconds: float) -> bool:
    """Cancels many calls of many tasks, prints a summary, and returns whether every promise was kept."""
    print(f"{provider}: {calls:,} calls from 64 tasks, many of them cancelled at random moments")  # noqa: T201
    before, started = Resources(), monotonic()
    client = {"azure": AsyncAzureFunctionClient, "lambda": AsyncLambdaClient}[provider]()
    with load_server() as server:
        client.configure(config_for(provider, server.url, timeout=TIMEOUT))
        client.open("test")
        load = cancel_calls(client, calls, seconds, progress=progress_bar(calls))
        client.close("test")
        executed = server.executed()
    gc.collect()
    leaked = Resources().more_than(before)
    wrong = load.lost(executed), load.executed_twice(executed), load.mixed_up
    report("calls", f"{load.calls:,} in {monotonic() - started:.0f} s")
    report("executions on the server", f"{sum(executed.values()):,}")
    report("cancelled", f"{load.cancelled:,}")
    report("returned a result", f"{load.count(Result.RETURNED):,}")
    report("lost, executed twice, mixed up", ", ".join(map(str, wrong)))
    report("leaked", ", ".join(f"{name} {count}" for name, count in leaked.items()))
    for error in load.raw[:3]:
        report("raw", repr(error))
    if load.calls < calls:
        report("ended early", f"after {seconds:.0f} s; --seconds allows more")
    enough = load.calls == calls and load.cancelled > 0.2 * calls
    return enough and not any(wrong) and not any(leaked.values())


def many_clients(provider: str) -> None:
    """Prints the cost of a client that is open and idle."""
    with ExitStack() as clients:
        clients.enter_context(open_client(provider, "http://127.0.0.1:9"))  # creates what all clients share
        gc.collect()
        before, started = memory(), monotonic()
        for number in range(CLIENTS):
            clients.enter_context(open_client(provider, "http://127.0.0.1:9", f"tenant{number}"))
        cost, took = (memory() - before) * 1024 / CLIENTS, (monotonic() - started) * 1000 / CLIENTS
    print(f"{provider}: {CLIENTS} open clients cost {cost:.0f} KiB and {took:.2f} ms each")  # noqa: T201


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200_000, help="calls of each provider")
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=600, help="maximum for each test of a provider")
    parser.add_argument("--interrupts", type=int, default=100_000, help="interrupts of each provider's calls")
    parser.add_argument("--forks", type=int, default=500, help="forks for each provider")
    parser.add_argument("--cancelling", type=int, default=50_000, help="calls of each provider, many of them cancelled")
    options = parser.parse_args()
    for provider in BASES:
        many_clients(provider)
    results = [soak(provider, options.calls, options.threads, options.seconds) for provider in BASES]
    results += [interrupt(provider, options.interrupts, options.seconds) for provider in BASES]
    results += [fork(provider, options.forks, options.seconds) for provider in BASES]
    results += [cancel(provider, options.cancelling, options.seconds) for provider in BASES]
    print("every promise was kept" if all(results) else "A PROMISE WAS BROKEN, OR NOT TESTED COMPLETELY")  # noqa: T201
    return int(not all(results) or threading.active_count() > 1)


if __name__ == "__main__":
    sys.exit(main())
