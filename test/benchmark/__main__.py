"""Measures everything, writes `docs/performance.*` and `docs/benchmark.*`, and prints the table of goals."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from . import picture, report
from .calls import BURST_CALLS, CELLS, SIZES, TASKS, Burst, Timed, Workers, count
from .contestants import CONTESTANTS
from .environments import Environment, make
from .figures import Figures, Measured, as_json
from .machine import Process, cores, description, pinned
from .starts import measure

_DOCS = Path(__file__).resolve().parents[2] / "docs"
_JSON = "performance.json"
_TIME_LIMIT = 440  # seconds


def main() -> None:
    """Runs the benchmark, which takes less than eight minutes, including the environments."""
    options = argparse.ArgumentParser(prog="make bench", description=__doc__)
    options.add_argument("--smoke", action="store_true", help="one round of small calls, without instructions")
    options.add_argument("--only", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS), help="only these clients")
    options.add_argument("--docs", type=Path, default=_DOCS, help="the folder of performance.md and benchmark.md")
    options.add_argument("--pages", action="store_true", help=f"only write the pages, from {_JSON}")
    chosen = options.parse_args()
    if chosen.pages:
        write(json.loads((chosen.docs / _JSON).read_text()), chosen.docs)
        return
    started = time.perf_counter()
    show("environments")
    environments = make({CONTESTANTS[name].environment for name in chosen.only})
    measured = run(chosen.only, environments, chosen.smoke, ends_at=started + _TIME_LIMIT)
    measured.about["seconds"] = time.perf_counter() - started
    figures = as_json(measured)
    (chosen.docs / _JSON).write_text(json.dumps(figures, indent=1) + "\n")
    write(figures, chosen.docs)
    show(*(f"missing: {line}" for line in report.missing_lines(figures)))
    show("", report.goal_table(figures, aligned=True))


def run(names: Collection[str], environments: Mapping[str, Environment], smoke: bool, ends_at: float) -> Measured:
    """All measurements, one after the other. The last one uses the remaining time."""
    share, rounds, sizes = (0.0, 1, SIZES[:1]) if smoke else (1.0, 5, SIZES)
    server_core, client_core = cores()
    server = Process(sys.executable, "-m", "benchmark.server", str(server_core))
    try:
        url = f"http://127.0.0.1:{server.read()}"
        cells, peaks = {}, {}
        with pinned(client_core):
            workers = Workers(names, environments, url)
            try:
                for size, threads, azure_seconds, lambda_seconds in CELLS:
                    if size not in sizes:
                        continue
                    for provider, seconds in (("Azure", azure_seconds), ("Lambda", lambda_seconds)):
                        show(f"{provider}: {size} bytes, {threads} threads")
                        cells[provider, size, threads] = workers.time(provider, size, threads, seconds * share, rounds)
                tasks: dict[tuple[str, int], Timed] = {}
                for number, seconds in TASKS:
                    for provider in ("Azure", "Lambda"):
                        show(f"{provider}: {number} tasks")
                        tasks[provider, number] = workers.time(provider, 100, number, seconds * share, rounds, True)
                for size in sizes:
                    for provider in ("Azure", "Lambda"):
                        peaks[provider, size] = workers.peak_memory(provider, size)
            finally:
                workers.close()
            async_names = [name for name in workers.names if CONTESTANTS[name].is_async]
            bursts = measure_burst(async_names, environments, server_core)
            show("imports and openings")
            starts = measure(names, environments, (25 * share, 45 * share), rounds, 2 if smoke else 99)
        names_to_count = workers.names_for("Azure", (100, 1)) + workers.names_for("Lambda", (100, 1))
        show("instructions and allocations")
        counts = count([] if smoke else names_to_count, environments, url, 100, ends_at - time.perf_counter())
    finally:
        server.close()
    about: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": description(),
        "cores": f"server on core {server_core}, client on core {client_core}"
        if client_core >= 0
        else "no core pinned",
        "versions": {name: found for name in _REPORTED if (found := _version(name))},
    }
    return Measured(
        about, cells, peaks, starts, counts, tasks, bursts, {**workers.missing, **starts.missing, **counts.missing}
    )


def measure_burst(names: Collection[str], environments: Mapping[str, Environment], core: int) -> dict[str, Burst]:
    """Measures many concurrent calls of each asynchronous client, to a function that takes 1 s."""
    show(f"{BURST_CALLS} concurrent calls")
    server = Process(sys.executable, "-m", "benchmark.server", str(core), "1")
    try:
        workers = Workers(names, environments, f"http://127.0.0.1:{server.read()}")
        try:
            return workers.burst()
        finally:
            workers.close()
    finally:
        server.close()


_REPORTED = ("pip-services4-serverless", "requests", "urllib3", "boto3", "httpx")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def write(figures: Figures, docs: Path) -> None:
    """Writes the pictures, and the generated parts of the two pages."""
    (docs / "performance.svg").write_text(picture.for_users(figures))
    (docs / "benchmark.svg").write_text(picture.for_contributors(figures))
    generated = {
        "performance.md": report.for_users(figures),
        "benchmark.md": report.for_contributors(figures, "benchmark.svg"),
    }
    for name, text in generated.items():
        page = docs / name
        page.write_text(report.replace_generated(page.read_text(), text))


def show(*lines: str) -> None:
    """Prints lines."""
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
