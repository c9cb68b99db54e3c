"""The figures as Markdown: a page for users, a page for contributors, and the table of goals for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .calls import BURST_CALLS, CELLS, SIZES, TASKS
from .contestants import CONTESTANTS
from .figures import BASES, Figures
from .starts import IMPORTS, OPENINGS

BEGIN = "<!-- measured: written by `make bench` from here -->"
END = "<!-- measured: to here -->"

_SIZE_NAMES = dict(zip(SIZES, ("100 B", "10 kB", "1 MB"), strict=True))
_SECOND = 1000  # calls per second of the service in the users' table


def table(head: Sequence[str], rows: Sequence[Sequence[str]], aligned: bool = False) -> str:
    """A table in Markdown. `aligned` pads its columns, for a terminal."""
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) if aligned else 0 for i in range(len(head))]
    text = [f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines]
    rule = "|" + "|".join("-" * (width + 2) if aligned else "---" for width in widths) + "|"
    return "\n".join([text[0], rule, *text[1:]])


def replace_generated(document: str, generated: str) -> str:
    """The document with a new generated part. The text around it is kept.

    Raises:
        ValueError: the document has no markers.
    """
    before, after = document.index(BEGIN) + len(BEGIN), document.index(END)
    return f"{document[:before]}\n\n{generated}\n\n{document[after:]}"


# --- For users ---


def for_users(figures: Figures) -> str:
    """The cost of a call compared with other clients, and what it means for a service."""
    rows: list[list[str]] = []
    for provider, base in BASES.items():
        ours = f"{provider.lower()}-this"
        for size in SIZES:
            rows += _row(f"{provider}, {_SIZE_NAMES[size]}", _wall(figures, provider, size, 1), ours, base)
        rows += _row(f"{provider}, 16 threads", _wall(figures, provider, 100, 16), ours, base)
    for provider, others in _ASYNC_CLIENTS.items():
        found, ours = _task_cpu(figures, provider, 64), f"{provider.lower()}-this-async"
        for who in others:
            rows += _row(f"{provider}, asynchronous", found, ours, who)
    first, following, memory = (figures[key] for key in ("first_open", "next_opens", "client_bytes"))
    starts = [
        *_row("import", figures["imports"], "azure-this", "requests", _MILLISECONDS),
        *_row("first Azure client, including the import", first, "azure-this", "requests", _MILLISECONDS),
        *_row("first Lambda client, including the import", first, "lambda-this", "boto3", _MILLISECONDS),
        *_row("each further Lambda client", following, "lambda-this", "boto3", _MILLISECONDS),
        *_row("memory of each further Lambda client", memory, "lambda-this", "boto3", _KIBIBYTES),
    ]
    head = ("", "this client", "what you would use")
    return "\n\n".join(
        (
            table(("one call", *head[1:]), rows),
            "The sizes are those of the parameters. The number in brackets is this client's time divided by the other "
            "client's. With 16 threads, the time is that of the whole process divided by the number of calls, which "
            "have parameters of 100 B. Asynchronous calls are made 64 at a time, and their time is CPU time.",
            "## What it means for a service",
            f"This is the share of one processor core that a service needs for {_SECOND:,} calls a second, with "
            "parameters of 100 B:",
            table(head, _cores(figures)),
            "## Starting",
            table(head, starts),
            f"Measured on {figures['about']['date']} on loopback, without TLS, with {figures['about']['machine']}. "
            f"{_versions(figures)}.",
        )
    )


_ASYNC_CLIENTS = {"Azure": ("aiohttp", "httpx-async"), "Lambda": ("aiobotocore",)}
# The name of a unit with a no-break space, how many of it are in a second or a byte, and the digits after the point.
_Unit = tuple[str, float, int]
_MICROSECONDS: _Unit = ("\N{NO-BREAK SPACE}µs", 1e6, 0)
_MILLISECONDS: _Unit = ("\N{NO-BREAK SPACE}ms", 1e3, 1)
_KIBIBYTES: _Unit = ("\N{NO-BREAK SPACE}KiB", 2**-10, 0)


def _row(what: str, found: Mapping[str, Any], ours: str, who: str, unit: _Unit = _MICROSECONDS) -> list[list[str]]:
    """A row, if both clients were measured."""
    if who not in found or ours not in found:
        return []
    name, scale, digits = unit
    own, theirs = (found[one]["median"] * scale for one in (ours, who))
    share = f" ({own / theirs:.2f})" if theirs else ""
    return [[what, f"{own:,.{digits}f}{name}{share}", f"{theirs:,.{digits}f}{name}, `{who.removesuffix('-async')}`"]]


def _cores(figures: Figures) -> list[list[str]]:
    rows = []
    for provider, others in {"Azure": ("requests", "httpx"), "Lambda": ("boto3",)}.items():
        found = _cell(figures, provider, 100, 1).get("cpu_seconds", {})
        rows += [(provider, found, f"{provider.lower()}-this", who) for who in others]
    for provider, others in _ASYNC_CLIENTS.items():
        found = _task_cpu(figures, provider, 64)
        rows += [(f"{provider}, asynchronous", found, f"{provider.lower()}-this-async", who) for who in others]
    return [
        [
            what,
            f"{found[ours]['median'] * _SECOND:.0%}",
            f"{found[who]['median'] * _SECOND:.0%}, `{who.removesuffix('-async')}`",
        ]
        for what, found, ours, who in rows
        if ours in found and who in found
    ]


# --- For contributors ---


def goal_table(figures: Figures, aligned: bool = False) -> str:
    """The goals: the figure of the earlier client, the goal, and the figure of this client."""
    rows = [
        (
            row["what"],
            f"{row['existing']['median']:.2f}" if row["existing"] else "missing",
            f"{row['goal']:.2f}",
            f"{row['stretch']:.2f}",
            _with_spread(row["measured"]),
            row["verdict"],
        )
        for row in figures["goals"]
    ]
    return table(("what is compared", "earlier client", "goal", "stretch", "measured", "result"), rows, aligned)


def for_contributors(figures: Figures, plot: str) -> str:
    """All figures."""
    about = figures["about"]
    parts = [
        f"Measured on {about['date']} in {about['seconds']:.0f} s: {about['machine']}; {about['cores']}. "
        f"{_versions(figures)}.",
        "The figures are ratios: the median, and the quartiles in brackets. A smaller ratio is better, except for "
        "calls per second.",
        goal_table(figures),
        f"![Time of one call, and calls per second in 16 threads]({plot})",
        "### One call, and threads",
        "The figures are the microseconds that one call takes. With threads, they are the time of the whole process "
        "divided by the number of calls. *CPU* is the processor time of the client's process for a call with "
        "parameters of 100 B. The ratios in brackets compare with `requests` and `boto3`.",
        *(_calls_table(figures, provider) for provider in BASES),
        *("### Asynchronous calls", _tasks_table(figures)),
        *("### What a call takes", _cost_table(figures)),
        *("### Importing and opening", _imports_table(figures), _openings_table(figures)),
    ]
    if figures["missing"]:
        parts += ["### Missing", "\n".join(f"- {line}" for line in missing_lines(figures))]
    return "\n\n".join(parts)


def missing_lines(figures: Figures) -> list[str]:
    """What was not measured, grouped by reason."""
    by_reason: dict[str, list[str]] = {}
    for name, why in figures["missing"].items():
        by_reason.setdefault(why, []).append(name)
    return [f"{', '.join(names)}: {why}" for why, names in by_reason.items()]


def _calls_table(figures: Figures, provider: str) -> str:
    cells = {(size, threads): _wall(figures, provider, size, threads) for size, threads, *_ in CELLS}
    heads = [f"{_SIZE_NAMES[size]}" if threads == 1 else f"{threads} threads" for size, threads in cells]
    cpu = _cell(figures, provider, 100, 1).get("cpu_seconds", {})
    rows = []
    for name in _names_of(provider):
        row = [CONTESTANTS[name].title]
        for found in cells.values():
            against = found.get(name, {}).get("ratio")
            shown = f"{found[name]['median'] * 1e6:,.0f}" if name in found else ""
            row.append(shown + (f" ({against['median']:.2f})" if against else ""))
        row.append(f"{cpu[name]['median'] * 1e6:,.0f}" if name in cpu else "")
        rows.append(row)
    return table((provider, *heads, "CPU"), rows)


def _tasks_table(figures: Figures) -> str:
    rows = []
    for name in (*_names_of("Azure", is_async=True), *_names_of("Lambda", is_async=True)):
        provider, title, *_ = CONTESTANTS[name]
        found = [_task_cpu(figures, provider, number) for number, _ in TASKS]
        burst = figures["at_once"].get(name)
        rows.append(
            [f"{provider}, {title}"]
            + [f"{cpu[name]['median'] * 1e6:,.0f}" if name in cpu else "" for cpu in found]
            + ([f"{burst['wall']:.2f}", f"{burst['cpu']:.2f}", f"{burst['memory'] / 2**20:.0f}"] if burst else [""] * 3)
        )
    numbers = (f"CPU, µs, {number} task{'s' * (number > 1)}" for number, _ in TASKS)
    return table(("", *numbers, f"{BURST_CALLS:,} concurrent calls of 1 s each, s", "their CPU, s", "MiB"), rows)


def _cost_table(figures: Figures) -> str:
    peaks_of = {(cell["provider"], cell["size"]): cell["bytes"] for cell in figures["peak_bytes"]}
    rows = []
    for provider in BASES:
        for name in _names_of(provider):
            peaks = [peaks_of.get((provider, size), {}).get(name) for size in SIZES]
            counts = [figures["instructions"].get(name), figures["allocations"].get(name)]
            if any(value is not None for value in (*peaks, *counts)):
                rows.append(
                    [f"{provider}, {CONTESTANTS[name].title}"]
                    + [f"{value:,.0f}" if value is not None else "" for value in counts]
                    + [f"{value / 1024:,.0f}" if value is not None else "" for value in peaks]
                )
    return table(("", "instructions", "allocations", *(f"peak KiB, {_SIZE_NAMES[size]}" for size in SIZES)), rows)


def _imports_table(figures: Figures) -> str:
    rows = [
        (f"`{IMPORTS[name].title}`", f"{found['median'] * 1e3:.1f}", _with_spread(found.get("ratio")))
        for name, found in figures["imports"].items()
    ]
    return table(("", "ms", "ratio to `import requests`"), rows)


def _openings_table(figures: Figures) -> str:
    rows = []
    for name, found in figures["first_open"].items():
        memory = figures["client_bytes"][name]["median"]
        rows.append(
            (
                OPENINGS[name].title,
                f"{found['median'] * 1e3:.1f}",
                f"{_with_spread(found.get('ratio'))} {found.get('against', '')}".rstrip(),
                f"{figures['next_opens'][name]['median'] * 1e3:.1f}",
                f"{memory / 2**20:.3f}" if memory else "",
            )
        )
    return table(("", "first, including the import, ms", "ratio", "each of the next 99, ms", "MiB each"), rows)


# --- Figures that both pages use ---


def _cell(figures: Figures, provider: str, size: int, threads: int) -> Mapping[str, Any]:
    wanted = (provider, size, threads)
    cells = (cell for cell in figures["calls"] if (cell["provider"], cell["size"], cell["threads"]) == wanted)
    return next(cells, {})


def _wall(figures: Figures, provider: str, size: int, threads: int) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _cell(figures, provider, size, threads).get("seconds", {})
    return found


def _task_cpu(figures: Figures, provider: str, tasks: int) -> Mapping[str, Any]:
    for cell in figures["tasks"]:
        if (cell["provider"], cell["tasks"]) == (provider, tasks):
            found: Mapping[str, Any] = cell["cpu_seconds"]
            return found
    return {}


def _versions(figures: Figures) -> str:
    return ", ".join(f"{name} {version}" for name, version in figures["about"]["versions"].items())


def _names_of(provider: str, is_async: bool = False) -> list[str]:
    return [
        name
        for name, contestant in CONTESTANTS.items()
        if contestant.provider == provider and contestant.is_async == is_async
    ]


def _with_spread(found: Mapping[str, float] | None) -> str:
    return f"{found['median']:.2f} [{found['low']:.2f}–{found['high']:.2f}]" if found else "missing"  # noqa: RUF001
