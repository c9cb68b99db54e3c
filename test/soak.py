"""`make soak`: the long form of the tests of load, interrupts, forks and cancelling, and what many open clients cost.

Ends by itself, in some minutes; with status 1 when a promise is broken, or when not all calls, interrupts or forks were
made.
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

WARM_UP = 0.1  # of the calls
GROWTH = 5.0  # MiB allowed after it
CLIENTS = 500


def bar(calls: int, unit: str = "calls") -> Callable[[int], None]:
    started, width, told = monotonic(), 40, [-1]

    def show(done: int) -> None:
        percent = 100 * done // calls
        if not sys.stdout.isatty() and percent // 10 == told[0] // 10:
            return
        told[0] = percent
        filled = width * done // calls
        rate = done / max(monotonic() - started, 0.001)
        line = f"[{'#' * filled}{'.' * (width - filled)}] {percent:3} %  {done:,} {unit}, {rate:,.0f}/s"
        print(line, end="\r" if sys.stdout.isatty() and done < calls else "\n", flush=True)  # noqa: T201

    return show


def say(name: str, value: object) -> None:
    print(f"  {name:<30}{value}")  # noqa: T201


def soak(provider: str, calls: int, threads: int, seconds: float) -> bool:
    """Runs the load and prints its summary; whether every promise held."""
    print(f"{provider}: {calls:,} calls from {threads} threads")  # noqa: T201
    before, started = Resources(), monotonic()
    sizes: list[float] = []  # MiB, after warm-up
    show = bar(calls)

    def progress(done: int) -> None:
        if done >= calls * WARM_UP:
            sizes.append(memory())
        show(done)

    with load_server() as server:
        with open_client(provider, server.url, timeout=TIMEOUT) as client:
            load = run(client, calls, threads, seconds, progress)
            growth = max(sizes) - sizes[0] if sizes else 0.0  # at its largest
        executed = server.executed()
    leaked = Resources().more_than(before)
    wrong = load.lost(executed), load.executed_twice(executed), load.count(Result.MIXED_UP)
    say("calls", f"{load.calls:,} in {monotonic() - started:.0f} s")
    say("executions on the server", f"{sum(executed.values()):,}")
    say("returned a result", f"{load.count(Result.RETURNED):,}")
    say("raised: function's error", f"{load.count(Result.FAILED):,}")
    say("raised: response lost", f"{load.count(Result.RESPONSE_LOST):,}")
    say("raised: never executed", f"{load.count(Result.NOT_EXECUTED):,}")
    say("lost, doubled, mixed up", ", ".join(map(str, wrong)))
    say("leaked", ", ".join(f"{name} {count}" for name, count in leaked.items()))
    say("RSS growth after warm-up", f"{growth:.1f} MiB")
    for error in load.raw[:3]:
        say("raw", repr(error))
    if load.calls < calls:
        say("ended early", f"after {seconds:.0f} s; --seconds allows more")
    return load.calls == calls and not any(wrong) and not any(leaked.values()) and growth < GROWTH


def interrupt(provider: str, interrupts: int, seconds: float) -> bool:
    """Interrupts calls and prints what became of them; whether every promise held."""
    print(f"{provider}: {interrupts:,} interrupts by a timer's signal, at random moments of a call")  # noqa: T201
    before, started = Resources(), monotonic()
    with load_server(failing=0) as server:
        with open_client(provider, server.url, timeout=TIMEOUT) as client:
            seen = interrupt_calls(client, interrupts, seconds, progress=bar(interrupts, "interrupts"))
        executed = server.executed()
    gc.collect()
    leaked = Resources().more_than(before)
    wrong = seen.lost(executed), seen.executed_twice(executed), seen.mixed_up
    say("interrupts", f"{seen.raised:,} in {monotonic() - started:.0f} s, within {seen.calls:,} calls")
    say("raised to the caller", f"{seen.interrupted:,}")
    say("discarded by Python", f"{seen.suppressed:,}")
    say("calls that hung later", seen.hung)
    say("lost, doubled, mixed up", ", ".join(map(str, wrong)))
    say("leaked", ", ".join(f"{name} {count}" for name, count in leaked.items()))
    for error in seen.others[:3]:
        say("raw", repr(error))
    if seen.raised < interrupts:
        say("ended early", f"after {seconds:.0f} s; --seconds allows more")
    broken = any(wrong) or seen.hung or seen.others or any(leaked.values())
    return seen.raised == interrupts and seen.suppressed < 0.02 * seen.raised and not broken


def fork(provider: str, forks: int, seconds: float) -> bool:
    """Forks under load and prints what became of the children; whether each one called."""
    print(f"{provider}: {forks:,} forks while threads call")  # noqa: T201
    started = monotonic()
    with load_server(failing=0) as server:
        seen = fork_under_load(provider, server.url, forks, seconds)
        executed = server.executed()
    doubled = sum(count > 1 for count in executed.values())
    say("forks", f"{seen.children:,} in {monotonic() - started:.0f} s, among {seen.calls:,} calls")
    say("children failed, hung", f"{seen.failed}, {seen.hung}")
    say("wrong, doubled", f"{seen.wrong}, {doubled}")
    return seen.children == forks and not (seen.failed or seen.hung or seen.wrong or doubled)


def cancel(provider: str, calls: int, seconds: float) -> bool:
    """Cancels many of the calls of many tasks and prints what became of all; whether every promise held."""
    print(f"{provider}: {calls:,} calls from 64 tasks, many of them cancelled at random moments")  # noqa: T201
    before, started = Resources(), monotonic()
    client = {"azure": AsyncAzureFunctionClient, "lambda": AsyncLambdaClient}[provider]()
    with load_server() as server:
        client.configure(config_for(provider, server.url, timeout=TIMEOUT))
        client.open("test")
        load = cancel_calls(client, calls, seconds, progress=bar(calls))
        client.close("test")
        executed = server.executed()
    gc.collect()
    leaked = Resources().more_than(before)
    wrong = load.lost(executed), load.executed_twice(executed), load.mixed_up
    say("calls", f"{load.calls:,} in {monotonic() - started:.0f} s")
    say("executions on the server", f"{sum(executed.values()):,}")
    say("cancelled", f"{load.cancelled:,}")
    say("returned a result", f"{load.count(Result.RETURNED):,}")
    say("lost, doubled, mixed up", ", ".join(map(str, wrong)))
    say("leaked", ", ".join(f"{name} {count}" for name, count in leaked.items()))
    for error in load.raw[:3]:
        say("raw", repr(error))
    if load.calls < calls:
        say("ended early", f"after {seconds:.0f} s; --seconds allows more")
    enough = load.calls == calls and load.cancelled > 0.2 * calls
    return enough and not any(wrong) and not any(leaked.values())


def many_clients(provider: str) -> None:
    """Prints what a client costs that is open and idle."""
    with ExitStack() as clients:
        clients.enter_context(open_client(provider, "http://127.0.0.1:9"))  # pays for what all share
        gc.collect()
        before, started = memory(), monotonic()
        for number in range(CLIENTS):
            clients.enter_context(open_client(provider, "http://127.0.0.1:9", f"tenant{number}"))
        cost, took = (memory() - before) * 1024 / CLIENTS, (monotonic() - started) * 1000 / CLIENTS
    print(f"{provider}: {CLIENTS} open clients cost {cost:.0f} KiB and {took:.2f} ms each")  # noqa: T201


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200_000, help="of each provider")
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=600, help="at most, for each part of a provider")
    parser.add_argument("--interrupts", type=int, default=100_000, help="of each provider's calls")
    parser.add_argument("--forks", type=int, default=500, help="for each provider")
    parser.add_argument("--cancelling", type=int, default=50_000, help="calls of each provider, many of them cancelled")
    options = parser.parse_args()
    for provider in BASES:
        many_clients(provider)
    kept = [soak(provider, options.calls, options.threads, options.seconds) for provider in BASES]
    kept += [interrupt(provider, options.interrupts, options.seconds) for provider in BASES]
    kept += [fork(provider, options.forks, options.seconds) for provider in BASES]
    kept += [cancel(provider, options.cancelling, options.seconds) for provider in BASES]
    print("every promise held" if all(kept) else "NOT EVERY PROMISE WAS SHOWN TO HOLD")  # noqa: T201
    return int(not all(kept) or threading.active_count() > 1)


if __name__ == "__main__":
    sys.exit(main())
