"""Measures calls: their time, by size and by threads, their peak memory, and their instructions and allocations."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from .contestants import CONTESTANTS
from .environments import Environment
from .machine import Process, output_of
from .rounds import Samples, paired

SIZES = (100, 10_000, 1_000_000)
# Size in bytes, threads, and seconds to measure for each of Azure and Lambda.
CELLS = ((100, 1, 25, 20), (10_000, 1, 10, 8), (1_000_000, 1, 16, 12), (100, 4, 10, 8), (100, 16, 16, 12))
# Tasks of one event loop, and seconds to measure for each provider. All calls have 100 bytes.
TASKS = ((1, 8), (64, 12))
BURST_CALLS = 1000
_SAMPLE = 0.03  # seconds of a sample, long compared with the time to read the clock


class Timed(NamedTuple):
    """The time of one call, in seconds: wall time, and CPU time of the client's process."""

    wall: Samples
    cpu: Samples


class Burst(NamedTuple):
    """The cost of many concurrent calls to a function that takes 1 s."""

    wall: float  # seconds
    cpu: float  # seconds
    memory: float  # bytes, at its peak


class Workers:
    """The processes of the clients. All of them exist at the same time, and one of them works."""

    def __init__(self, names: Collection[str], environments: Mapping[str, Environment], url: str) -> None:
        self.missing: dict[str, str] = {}  # the clients that do not work, and the reasons
        self._processes: dict[str, Process] = {}
        for name in names:
            environment = environments[CONTESTANTS[name].environment]
            if environment.missing:
                self.missing[name] = environment.missing
                continue
            process = Process(environment.python, "-m", "benchmark.worker", name, url)
            try:
                process.read()
            except RuntimeError as err:
                self.missing[name] = str(err)
                process.close()
            else:
                self._processes[name] = process

    @property
    def names(self) -> list[str]:
        """The clients that work."""
        return list(self._processes)

    def close(self) -> None:
        """Ends all processes."""
        for process in self._processes.values():
            process.close()

    def names_for(self, provider: str, cell: tuple[int, int], is_async: bool = False) -> list[str]:
        """The clients of a provider that take part in a cell, of threads or of tasks."""
        return [
            name
            for name in self._processes
            if CONTESTANTS[name].provider == provider
            and CONTESTANTS[name].is_async == is_async
            and cell in (CONTESTANTS[name].cells or (cell,))
        ]

    def time(self, provider: str, size: int, threads: int, seconds: float, rounds: int, tasks: bool = False) -> Timed:
        """The times of one cell, of threads or of tasks, in paired rounds."""

        def sampler(name: str) -> Callable[[], Sequence[float]]:
            process, command = self._processes[name], {"measure": "time", "size": size, "threads": threads}
            process.request(**command, calls=1)
            once = process.request(**command, calls=3)[0] / 3
            calls = max(1, round(_SAMPLE * max(1, threads / 4) / once))
            return lambda: [taken / calls / threads for taken in process.request(**command, calls=calls)]

        samplers = {name: sampler(name) for name in self.names_for(provider, (size, threads), tasks)}
        wall, cpu = paired(samplers, seconds, rounds) or [{}, {}]
        return Timed(wall, cpu)

    def burst(self) -> dict[str, Burst]:
        """The cost of many concurrent calls."""
        return {
            name: Burst(*process.request(measure="burst", size=100, calls=BURST_CALLS))
            for name, process in self._processes.items()
        }

    def peak_memory(self, provider: str, size: int) -> dict[str, float]:
        """The peak memory of a call, in bytes."""
        names = self.names_for(provider, (size, 1))
        return {name: self._processes[name].request(measure="peak", size=size) for name in names}


class Count(NamedTuple):
    """The instructions and allocations of the client in one call of 100 B, as valgrind counts them."""

    instructions: Mapping[str, float]
    allocations: Mapping[str, float]
    missing: Mapping[str, str]


_FIRST_COUNTED = ("azure-this", "requests", "lambda-this", "boto3")
_TOOLS = {
    "instructions": (
        ("--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file={out}/%p"),
        re.compile(r"^summary: ([\d,]+)", re.MULTILINE),
    ),
    "allocations": (
        ("--tool=memcheck", "--undef-value-errors=no", "--leak-check=no", "--log-file={out}/%p"),
        re.compile(r"total heap usage: ([\d,]+) allocs"),
    ),
}


def count(
    names: Collection[str], environments: Mapping[str, Environment], url: str, calls: int, seconds: float
) -> Count:
    """The instructions and allocations of a call, for as many clients as there is time for.

    Other work of the machine hardly changes these numbers, so two clients are counted at the same time.
    """
    found: dict[str, dict[str, float]] = {what: {} for what in _TOOLS}
    missing: dict[str, str] = {}
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        return Count(**found, missing={"instructions and allocations": "valgrind is not installed"})
    ends_at = perf_counter() + seconds

    def count_one(job: tuple[str, str]) -> None:
        what, name = job
        left = ends_at - perf_counter()
        if left <= 0:
            missing[f"{what} of {name}"] = "no time was left"
            return
        options, pattern = _TOOLS[what]
        with tempfile.TemporaryDirectory() as out:
            # Python's own allocator allocates whole arenas. Without it, valgrind sees each allocation.
            variables = ("PYTHONHASHSEED=0", "PYTHONMALLOC=" + ("malloc" if what == "allocations" else "pymalloc"))
            command = ("env", *variables, valgrind, *(option.format(out=out) for option in options))
            python = environments[CONTESTANTS[name].environment].python
            try:
                printed = output_of((*command, python, "-m", "benchmark.worker", name, url, str(calls)), left + 5)
                fewer, more = (
                    int(pattern.findall((Path(out) / child).read_text())[-1].replace(",", ""))
                    for child in printed.split()
                )
            except (RuntimeError, OSError, ValueError, IndexError) as err:
                missing[f"{what} of {name}"] = str(err)
            else:
                found[what][name] = (more - fewer) / calls

    ordered = sorted(names, key=lambda name: name not in _FIRST_COUNTED)
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        list(pool.map(count_one, [(what, name) for what in _TOOLS for name in ordered]))
    return Count(**found, missing=missing)
