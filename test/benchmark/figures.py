"""The goals, and all figures as the JSON from which the pages are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .calls import Burst, Count, Timed
from .rounds import Spread, ratio, spread
from .starts import Starts

# What `as_json` returns and docs/performance.json holds: medians and quartiles in seconds and bytes, and ratios.
Figures = Mapping[str, Any]

# The client that ratios compare with, unless a page names another one.
BASES = {"Azure": "requests", "Lambda": "boto3"}
OPENING_BASES = {"lambda-this": "boto3", "lambda-published": "boto3", "boto3": "boto3"}  # others: requests


class Measured(NamedTuple):
    """All results of a run."""

    about: dict[str, Any]
    cells: Mapping[tuple[str, int, int], Timed]  # by provider, size and threads
    peaks: Mapping[tuple[str, int], Mapping[str, float]]  # bytes, by provider and size
    starts: Starts
    counts: Count
    tasks: Mapping[tuple[str, int], Timed]  # by provider and number of tasks
    bursts: Mapping[str, Burst]  # by client
    missing: Mapping[str, str]

    def calls(self, provider: str, name: str, base: str, size: int = 100) -> Spread | None:
        """The time of one call, relative to that of another client."""
        cell = self.cells.get((provider, size, 1))
        return ratio(cell.wall, name, base) if cell else None

    def async_calls(self, provider: str, who: str, base: str, tasks: int) -> Spread | None:
        """The CPU time of one asynchronous call, relative to that of another client."""
        cell = self.tasks.get((provider, tasks))
        return ratio(cell.cpu, f"{provider.lower()}-{who}-async", base) if cell else None

    def per_second(self, provider: str, name: str, base: str) -> Spread | None:
        """Calls per second in 16 threads, relative to those of another client."""
        cell = self.cells.get((provider, 100, 16))
        return ratio(cell.wall, base, name) if cell else None


class Goal(NamedTuple):
    """A row of the table: a goal, and how to find the figure of `this` client or of the `published` one."""

    what: str
    goal: float
    stretch: float
    figure: Callable[[Measured, str], Spread | None]
    more_is_better: bool = False

    def verdict(self, found: Spread | None) -> str:
        """Which goal was reached, or the distance to it."""
        if found is None:
            return "not measured"
        median = round(found.median, 2)  # as the table shows it
        for name, bound in (("stretch", self.stretch), ("goal", self.goal)):
            if median >= bound if self.more_is_better else median <= bound:
                return f"{name} reached"
        off = abs(median / self.goal - 1)
        return f"not reached: {off:.0%} {'below' if self.more_is_better else 'above'} the goal"


GOALS = (
    Goal(
        "Azure `_call`, 100 B, against `requests.Session.post(json=, timeout=).json()`",
        *(0.27, 0.20),
        lambda measured, who: measured.calls("Azure", f"azure-{who}", "requests"),
    ),
    Goal(
        "the same through `call_command` with a logger and counters referenced",
        *(0.31, 0.24),
        lambda measured, who: measured.calls("Azure", f"azure-{who}-observed", "requests"),
    ),
    Goal(
        "16 threads, calls per second, Azure against `requests`",
        *(5, 6),
        lambda measured, who: measured.per_second("Azure", f"azure-{who}", "requests"),
        more_is_better=True,
    ),
    Goal(
        "Lambda `_call`, against `boto3` `invoke` + `json.loads`, both default",
        *(0.51, 0.40),
        lambda measured, who: measured.calls("Lambda", f"lambda-{who}", "boto3"),
    ),
    Goal(
        "16 threads, calls per second, Lambda against `boto3`",
        *(2.3, 2.6),
        lambda measured, who: measured.per_second("Lambda", f"lambda-{who}", "boto3"),
        more_is_better=True,
    ),
    Goal(
        "1 MB of parameters, against `json.dumps` + requests post",
        *(0.95, 0.90),
        lambda measured, who: measured.calls("Azure", f"azure-{who}", "requests-dumps", 1_000_000),
    ),
    Goal(
        "importing `CommandableAzureFunctionClient`, against `import requests`",
        *(0.60, 0.50),
        lambda measured, who: ratio(measured.starts.imports, f"azure-{who}", "requests"),
    ),
    Goal(
        "first `LambdaClient` open in a process, against `import boto3; boto3.client('lambda', ...)`",
        *(1.0, 0.9),
        lambda measured, who: ratio(measured.starts.first, f"lambda-{who}", "boto3"),
    ),
    Goal(
        "the 2nd to 100th open of a `LambdaClient`, against `boto3.client('lambda', ...)`",
        *(1.0, 0.5),
        lambda measured, who: ratio(measured.starts.following, f"lambda-{who}", "boto3"),
    ),
    Goal(
        "asynchronous Azure `_call`, CPU of the process, against `aiohttp` by hand, 1 task",
        *(0.75, 0.50),
        lambda measured, who: measured.async_calls("Azure", who, "aiohttp", 1),
    ),
    Goal(
        "the same with 64 tasks",
        *(0.75, 0.50),
        lambda measured, who: measured.async_calls("Azure", who, "aiohttp", 64),
    ),
    Goal(
        "the same with 64 tasks, against `httpx.AsyncClient`",
        *(0.05, 0.03),
        lambda measured, who: measured.async_calls("Azure", who, "httpx-async", 64),
    ),
    Goal(
        "asynchronous Lambda `_call`, CPU of the process, against `aiobotocore`, 1 task",
        *(0.32, 0.25),
        lambda measured, who: measured.async_calls("Lambda", who, "aiobotocore", 1),
    ),
    Goal(
        "the same with 64 tasks",
        *(0.25, 0.15),
        lambda measured, who: measured.async_calls("Lambda", who, "aiobotocore", 64),
    ),
)


def as_json(measured: Measured) -> dict[str, Any]:
    """All medians and quartiles, in seconds and bytes, and their ratios."""

    def samples_of(samples: Mapping[str, Sequence[float]], base: str = "") -> dict[str, Any]:
        return {
            name: {
                **spread(values)._asdict(),
                **({"against": base, "ratio": against._asdict()} if (against := ratio(samples, name, base)) else {}),
            }
            for name, values in samples.items()
        }

    return {
        "about": measured.about,
        "goals": [_goal_as_json(row, measured) for row in GOALS],
        "calls": [
            {
                "provider": provider,
                "size": size,
                "threads": threads,
                "seconds": samples_of(timed.wall, BASES[provider]),
                "cpu_seconds": samples_of(timed.cpu),
            }
            for (provider, size, threads), timed in measured.cells.items()
        ],
        "tasks": [
            {
                "provider": provider,
                "tasks": number,
                "seconds": samples_of(timed.wall),
                "cpu_seconds": samples_of(timed.cpu),
            }
            for (provider, number), timed in measured.tasks.items()
        ],
        "at_once": {name: burst._asdict() for name, burst in measured.bursts.items()},
        "peak_bytes": [
            {"provider": provider, "size": size, "bytes": found} for (provider, size), found in measured.peaks.items()
        ],
        "imports": samples_of(measured.starts.imports, "requests"),
        "first_open": {
            name: samples_of(measured.starts.first, OPENING_BASES.get(name, "requests"))[name]
            for name in measured.starts.first
        },
        "next_opens": samples_of(measured.starts.following),
        "client_bytes": samples_of(measured.starts.memory),
        "instructions": measured.counts.instructions,
        "allocations": measured.counts.allocations,
        "missing": measured.missing,
    }


def _goal_as_json(row: Goal, measured: Measured) -> dict[str, Any]:
    existing, found = row.figure(measured, "published"), row.figure(measured, "this")
    return {
        "what": row.what,
        "existing": existing and existing._asdict(),
        "goal": row.goal,
        "stretch": row.stretch,
        "measured": found and found._asdict(),
        "verdict": row.verdict(found),
    }
