"""What was measured, as the table of goals, Markdown, JSON and a plot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from .calls import AT_ONCE, CELLS, SIZES, TASKS, Burst, Count, Timed
from .contestants import CONTESTANTS
from .rounds import Spread, ratio, spread
from .starts import IMPORTS, OPENINGS, Starts

BEGIN = "<!-- measured: written by `make bench` from here -->"
END = "<!-- measured: to here -->"

_LEFT = 340  # pixels of the plot for the names
_SIZE_NAMES = dict(zip(SIZES, ("100 B", "10 kB", "1 MB"), strict=True))


class Measured(NamedTuple):
    """Everything that a run found out."""

    about: dict[str, Any]
    cells: Mapping[tuple[str, int, int], Timed]  # by provider, size and threads
    peaks: Mapping[tuple[str, int], Mapping[str, float]]  # bytes, by provider and size
    starts: Starts
    counts: Count
    tasks: Mapping[tuple[str, int], Timed]  # by provider and number of tasks
    bursts: Mapping[str, Burst]  # by contestant
    missing: Mapping[str, str]

    def calls(self, provider: str, name: str, base: str, size: int = 100) -> Spread | None:
        """The time of one call against that of another contestant."""
        cell = self.cells.get((provider, size, 1))
        return ratio(cell.wall, name, base) if cell else None

    def awaited(self, provider: str, who: str, base: str, tasks: int) -> Spread | None:
        """The CPU time of one asynchronous call against that of another contestant."""
        cell = self.tasks.get((provider, tasks))
        return ratio(cell.cpu, f"{provider.lower()}-{who}-async", base) if cell else None

    def per_second(self, provider: str, name: str, base: str) -> Spread | None:
        """Calls per second in 16 threads against another contestant's."""
        cell = self.cells.get((provider, 100, 16))
        return ratio(cell.wall, base, name) if cell else None


class Goal(NamedTuple):
    """A row of the table: what is to be reached, and where the figure of `this` or the `published` client is found."""

    what: str
    goal: float
    stretch: float
    figure: Callable[[Measured, str], Spread | None]
    more_is_better: bool = False

    def verdict(self, found: Spread | None) -> str:
        """Reached, or by how much not."""
        if found is None:
            return "not measured"
        median = round(found.median, 2)  # as it is shown
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
        "`import pip_services4_serverless.clients` against `import requests`",
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
        lambda measured, who: measured.awaited("Azure", who, "aiohttp", 1),
    ),
    Goal(
        "the same with 64 tasks",
        *(0.75, 0.50),
        lambda measured, who: measured.awaited("Azure", who, "aiohttp", 64),
    ),
    Goal(
        "the same with 64 tasks, against `httpx.AsyncClient`",
        *(0.05, 0.03),
        lambda measured, who: measured.awaited("Azure", who, "httpx-async", 64),
    ),
    Goal(
        "asynchronous Lambda `_call`, CPU of the process, against `aiobotocore`, 1 task",
        *(0.32, 0.25),
        lambda measured, who: measured.awaited("Lambda", who, "aiobotocore", 1),
    ),
    Goal(
        "the same with 64 tasks",
        *(0.25, 0.15),
        lambda measured, who: measured.awaited("Lambda", who, "aiobotocore", 64),
    ),
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], aligned: bool = False) -> str:
    """A table in Markdown; aligned, for a terminal."""
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) if aligned else 0 for i in range(len(head))]
    text = [f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines]
    rule = "|" + "|".join("-" * (width + 2) if aligned else "---" for width in widths) + "|"
    return "\n".join([text[0], rule, *text[1:]])


def goal_table(measured: Measured, aligned: bool = False) -> str:
    """To reach: what the existing client needs, what this one should, and what it does."""
    rows = []
    for row in GOALS:
        existing, found = row.figure(measured, "published"), row.figure(measured, "this")
        rows.append(
            (
                row.what,
                f"{existing.median:.2f}" if existing else "missing",
                f"{row.goal:.2f}",
                f"{row.stretch:.2f}",
                _with_spread(found),
                row.verdict(found),
            )
        )
    return table(("to reach", "existing client", "goal", "stretch", "measured", ""), rows, aligned)


def markdown(measured: Measured, plot: str) -> str:
    """The generated part of the document."""
    about = measured.about
    parts = [
        f"Measured on {about['date']} in {about['seconds']:.0f} s: {about['machine']}; {about['cores']}. "
        f"{', '.join(f'{name} {version}' for name, version in about['versions'].items())}.",
        "Medians, in brackets the quartiles. Ratios are taken pair by pair. Less is better, but for calls per second.",
        goal_table(measured),
        f"![Time of one call, and calls per second in 16 threads]({plot})",
        "### One call, and threads",
        "Microseconds for one call by the clock; in threads, of the whole process for each call. *CPU* is the client "
        "process's own processor time for a call of 100 B. Ratios are against "
        "`requests` and `boto3`.",
    ]
    parts += [_calls_table(measured, provider, base) for provider, base in (("Azure", "requests"), ("Lambda", "boto3"))]
    parts += ["### Asynchronous calls", _tasks_table(measured)]
    parts += ["### What a call takes", _cost_table(measured)]
    parts += ["### Importing and opening", _imports_table(measured.starts), _openings_table(measured.starts)]
    if measured.missing:
        parts += ["### Missing", "\n".join(f"- {line}" for line in missing_lines(measured))]
    return "\n\n".join(parts)


def missing_lines(measured: Measured) -> list[str]:
    """What could not be measured, by its reason."""
    by_reason: dict[str, list[str]] = {}
    for name, why in measured.missing.items():
        by_reason.setdefault(why, []).append(name)
    return [f"{', '.join(names)}: {why}" for why, names in by_reason.items()]


def _calls_table(measured: Measured, provider: str, base: str) -> str:
    cells = {(size, threads): measured.cells.get((provider, size, threads)) for size, threads, *_ in CELLS}
    heads = [f"{_SIZE_NAMES[size]}" if threads == 1 else f"{threads} threads" for size, threads in cells]
    rows = []
    for name in _of(provider):
        row = [CONTESTANTS[name].title]
        for cell in cells.values():
            if cell is None or name not in cell.wall:
                row.append("")
                continue
            against = ratio(cell.wall, name, base)
            row.append(f"{spread(cell.wall[name]).median * 1e6:,.0f}" + (f" ({against.median:.2f})" if against else ""))
        first = cells[100, 1]
        row.append(f"{spread(first.cpu[name]).median * 1e6:,.0f}" if first and name in first.cpu else "")
        rows.append(row)
    return table((provider, *heads, "CPU"), rows)


def _tasks_table(measured: Measured) -> str:
    rows = []
    for name in (*_of("Azure", awaited=True), *_of("Lambda", awaited=True)):
        provider, title, *_ = CONTESTANTS[name]
        cells = [measured.tasks.get((provider, number)) for number, _ in TASKS]
        burst = measured.bursts.get(name)
        rows.append(
            [f"{provider}, {title}"]
            + [f"{spread(cell.cpu[name]).median * 1e6:,.0f}" if cell and name in cell.cpu else "" for cell in cells]
            + ([f"{burst.wall:.2f}", f"{burst.cpu:.2f}", f"{burst.memory / 2**20:.0f}"] if burst else [""] * 3)
        )
    numbers = (f"CPU, µs, {number} task{'s' * (number > 1)}" for number, _ in TASKS)
    return table(("", *numbers, f"{AT_ONCE:,} calls of 1 s at once, s", "their CPU, s", "MiB"), rows)


def _cost_table(measured: Measured) -> str:
    rows = []
    for provider in ("Azure", "Lambda"):
        for name in _of(provider):
            peaks = [measured.peaks.get((provider, size), {}).get(name) for size in SIZES]
            counts = [measured.counts.instructions.get(name), measured.counts.allocations.get(name)]
            if any(value is not None for value in (*peaks, *counts)):
                rows.append(
                    [f"{provider}, {CONTESTANTS[name].title}"]
                    + [f"{value:,.0f}" if value is not None else "" for value in counts]
                    + [f"{value / 1024:,.0f}" if value is not None else "" for value in peaks]
                )
    return table(("", "instructions", "allocations", *(f"peak KiB, {_SIZE_NAMES[size]}" for size in SIZES)), rows)


def _imports_table(starts: Starts) -> str:
    rows = [
        (f"`{IMPORTS[name].title}`", _milliseconds(samples), _with_spread(ratio(starts.imports, name, "requests")))
        for name, samples in starts.imports.items()
    ]
    return table(("", "ms", "against `import requests`"), rows)


def _openings_table(starts: Starts) -> str:
    rows = []
    for name, samples in starts.first.items():
        base = "boto3" if name in ("boto3", "lambda-this", "lambda-published") else "requests"
        memory = starts.memory[name]
        rows.append(
            (
                OPENINGS[name].title,
                _milliseconds(samples),
                f"{_with_spread(ratio(starts.first, name, base))} {base}",
                _milliseconds(starts.following[name]),
                f"{spread(memory).median / 2**20:.3f}" if any(memory) else "",
            )
        )
    return table(("", "first, with its import, ms", "against", "each of the next 99, ms", "MiB each"), rows)


def as_json(measured: Measured) -> dict[str, Any]:
    """All medians and quartiles, in seconds and bytes; ratios with them."""

    def samples_of(samples: Mapping[str, Sequence[float]], base: str = "") -> dict[str, Any]:
        return {
            name: {
                **spread(values)._asdict(),
                **({"against": base, "ratio": against._asdict()} if (against := ratio(samples, name, base)) else {}),
            }
            for name, values in samples.items()
        }

    bases = {"Azure": "requests", "Lambda": "boto3"}
    return {
        "about": measured.about,
        "goals": [_goal_as_json(row, measured) for row in GOALS],
        "calls": [
            {
                "provider": provider,
                "size": size,
                "threads": threads,
                "seconds": samples_of(timed.wall, bases[provider]),
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
        "first_open": samples_of(measured.starts.first),
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


def svg(measured: Measured) -> str:
    """Bars of one call and of 16 threads for both providers; the whiskers are the quartiles."""
    panels = []
    for provider in ("Azure", "Lambda"):
        for threads, title in ((1, "one call of 100 B, µs"), (16, "16 threads, calls per second")):
            cell = measured.cells.get((provider, 100, threads))
            if cell is None:
                continue
            samples = {
                name: [1e6 * value if threads == 1 else 1 / value for value in values]
                for name, values in cell.wall.items()
            }
            better = "less" if threads == 1 else "more"
            panels.append((f"{provider}: {title} ({better} is better)", samples))
    parts, y = [], 10
    for title, samples in panels:
        parts.append(f'<text x="10" y="{y + 14}" font-weight="bold">{escape(title)}</text>')
        y += 24
        spreads = {name: spread(values) for name, values in samples.items()}
        scale = 350 / max((found.high for found in spreads.values()), default=1)
        for name, found in spreads.items():
            colour = "#1f77b4" if "this" in name else "#b0b7bf"
            low, middle, high = (_LEFT + value * scale for value in (found.low, found.median, found.high))
            parts.append(
                f'<text x="{_LEFT - 10}" y="{y + 13}" text-anchor="end">{escape(CONTESTANTS[name].title)}</text>'
                f'<rect x="{_LEFT}" y="{y + 2}" width="{middle - _LEFT:.1f}" height="14" fill="{colour}"/>'
                f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y + 9}" y2="{y + 9}" stroke="#222"/>'
                f'<text x="{high + 6:.1f}" y="{y + 13}">{found.median:,.0f}</text>'
            )
            y += 20
        y += 12
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="780" height="{y}" viewBox="0 0 780 {y}" '
        'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="#fff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def replaced(document: str, generated: str) -> str:
    """The document with its generated part replaced; what people wrote around it stays.

    Raises:
        ValueError: the document has no markers.
    """
    before, after = document.index(BEGIN) + len(BEGIN), document.index(END)
    return f"{document[:before]}\n\n{generated}\n\n{document[after:]}"


def _of(provider: str, awaited: bool = False) -> list[str]:
    return [
        name
        for name, contestant in CONTESTANTS.items()
        if contestant.provider == provider and contestant.is_awaited == awaited
    ]


def _with_spread(found: Spread | None) -> str:
    return f"{found.median:.2f} [{found.low:.2f}–{found.high:.2f}]" if found else "missing"  # noqa: RUF001


def _milliseconds(samples: Sequence[float]) -> str:
    return f"{spread(samples).median * 1e3:.1f}"
