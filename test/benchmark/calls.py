"""What a call costs: time, by size and by threads; memory at its height; instructions and allocations."""

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
# Tasks of one event loop, and seconds to measure for each provider; all of 100 bytes.
TASKS = ((1, 8), (64, 12))
AT_ONCE = 1000  # calls
_BLOCK = 0.03  # seconds that a sample is to take, so that starting and stopping the clock are nothing beside it


class Timed(NamedTuple):
    """Seconds for one call: by the clock, and of the client process's CPU."""

    wall: Samples
    cpu: Samples


class Burst(NamedTuple):
    """Of many calls at once, each to a function that takes 1 s."""

    wall: float  # seconds
    cpu: float  # seconds
    memory: float  # bytes, at their height


class Workers:
    """The contestants' processes, all alive at once and one at work."""

    def __init__(self, names: Collection[str], environments: Mapping[str, Environment], url: str) -> None:
        self.missing: dict[str, str] = {}  # who could not be made to work, and why
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
    def able(self) -> list[str]:
        """Who works."""
        return list(self._processes)

    def close(self) -> None:
        """Ends them all."""
        for process in self._processes.values():
            process.close()

    def present(self, provider: str, cell: tuple[int, int], awaited: bool = False) -> list[str]:
        """Who of a provider's contestants takes part in a cell, of threads or of tasks."""
        return [
            name
            for name in self._processes
            if CONTESTANTS[name].provider == provider
            and CONTESTANTS[name].is_awaited == awaited
            and cell in (CONTESTANTS[name].cells or (cell,))
        ]

    def time(self, provider: str, size: int, threads: int, seconds: float, least: int, awaited: bool = False) -> Timed:
        """Paired rounds of one cell, of threads or of tasks."""

        def sampler(name: str) -> Callable[[], Sequence[float]]:
            process, order = self._processes[name], {"measure": "time", "size": size, "threads": threads}
            process.ask(**order, calls=1)
            once = process.ask(**order, calls=3)[0] / 3
            calls = max(1, round(_BLOCK * max(1, threads / 4) / once))
            return lambda: [taken / calls / threads for taken in process.ask(**order, calls=calls)]

        samplers = {name: sampler(name) for name in self.present(provider, (size, threads), awaited)}
        wall, cpu = paired(samplers, seconds, least) or [{}, {}]
        return Timed(wall, cpu)

    def at_once(self) -> dict[str, Burst]:
        """What many calls at once took."""
        return {
            name: Burst(*process.ask(measure="at once", size=100, calls=AT_ONCE))
            for name, process in self._processes.items()
        }

    def peak_memory(self, provider: str, size: int) -> dict[str, float]:
        """Bytes that a call takes at its height."""
        names = self.present(provider, (size, 1))
        return {name: self._processes[name].ask(measure="peak", size=size) for name in names}


class Count(NamedTuple):
    """What the user's part of one call of 100 B does, as valgrind counts it."""

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
    """Instructions and allocations of a call, for as many contestants as there is time for.

    These hardly move with the machine's noise, so that it may be busy: they are counted two at a time.
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
            # Python's own allocator asks for whole arenas: without it, valgrind sees each allocation.
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
