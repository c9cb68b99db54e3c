"""Bar charts of the figures, as SVG. They are readable at 400 pixels, in light and in dark mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from .contestants import CONTESTANTS
from .figures import Figures

_WIDTH, _MARGIN = 400, 14
_STYLE = """
  .page { fill: #fafbff }
  text { fill: #22252f }
  .title { font-weight: 700; font-size: 15px }
  .note { fill: #4a4f5c; font-size: 12px }
  .ours { fill: #3949ab }
  .other { fill: #a9b1c6 }
  .spread { stroke: #22252f; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #1d2029 }
    text { fill: #eceff4 }
    .note { fill: #c3c8d4 }
    .ours { fill: #8c9eff }
    .other { fill: #5b6378 }
    .spread { stroke: #eceff4 }
  }
"""


class Panel(NamedTuple):
    """A title, a note, and a median with its quartiles for each client."""

    title: str
    note: str
    bars: Sequence[tuple[str, float, float, float]]  # name, low, median, high


def for_users(figures: Figures) -> str:
    """One call of this client, and of the clients that a user would use instead."""
    compared = {
        "Azure": ("azure-this", "httpx", "requests", "azure-published"),
        "Lambda": ("lambda-this", "boto3", "lambda-published"),
    }
    asynchronous = {"Azure": ("azure-this-async", "aiohttp"), "Lambda": ("lambda-this-async", "aiobotocore")}
    cloud = {"Azure": "Azure Functions", "Lambda": "AWS Lambda"}
    panels = [
        Panel(
            f"{cloud[cell['provider']]}: one call",
            "µs, less is better",
            _bars(cell["seconds"], compared[cell["provider"]]),
        )
        for cell in figures["calls"]
        if (cell["size"], cell["threads"]) == (100, 1)
    ]
    panels += [
        Panel(
            f"{cloud[cell['provider']]}: one asynchronous call",
            "µs of CPU with 64 calls at a time, less is better",
            _bars(cell["cpu_seconds"], asynchronous[cell["provider"]]),
        )
        for cell in figures["tasks"]
        if cell["tasks"] == 64
    ]
    return _svg(panels, "What a call of this client costs, beside requests, httpx, boto3, aiohttp and aiobotocore")


def for_contributors(figures: Figures) -> str:
    """One call, and calls in 16 threads, of all clients."""
    panels = []
    for cell in figures["calls"]:
        names = list(cell["seconds"])
        if cell["size"] == 100 and cell["threads"] == 1:
            panels.append(
                Panel(f"{cell['provider']}: one call of 100 B", "µs, less is better", _bars(cell["seconds"], names))
            )
        elif cell["size"] == 100 and cell["threads"] == 16:
            bars = _bars(cell["seconds"], names, lambda seconds: 1 / seconds)
            panels.append(Panel(f"{cell['provider']}: 16 threads", "calls per second, more is better", bars))
    return _svg(panels, "Time of one call, and calls per second in 16 threads, of all contestants")


def _bars(
    found: Mapping[str, Any], names: Sequence[str], shown: Callable[[float], float] = lambda seconds: seconds * 1e6
) -> list[tuple[str, float, float, float]]:
    bars = []
    for name in names:
        if name in found:
            low, median, high = sorted(shown(found[name][figure]) for figure in ("low", "median", "high"))
            bars.append((name, low, median, high))
    return bars


def _svg(panels: Sequence[Panel], label: str) -> str:
    parts, y = [], 6
    widest = _WIDTH - 2 * _MARGIN - 60  # the value is on the right of its bar
    for title, note, bars in panels:
        y += 22
        parts.append(f'<text class="title" x="{_MARGIN}" y="{y}">{escape(title)}</text>')
        y += 17
        parts.append(f'<text class="note" x="{_MARGIN}" y="{y}">{escape(note)}</text>')
        y += 6
        scale = widest / max((high for *_, high in bars), default=1)
        for name, low, median, high in bars:
            kind = "ours" if "this" in name else "other"
            title = CONTESTANTS[name].title.removesuffix(" (tasks)")
            left, middle, right = (_MARGIN + value * scale for value in (low, median, high))
            parts.append(
                f'<text x="{_MARGIN}" y="{y + 14}">{escape(title)}</text>'
                f'<rect class="{kind}" x="{_MARGIN}" y="{y + 19}" width="{middle - _MARGIN:.1f}" height="12"/>'
                f'<line class="spread" x1="{left:.1f}" x2="{right:.1f}" y1="{y + 25}" y2="{y + 25}"/>'
                f'<text x="{right + 6:.1f}" y="{y + 30}">{median:,.0f}</text>'
            )
            y += 36
        y += 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH * 6 // 5}" height="{y * 6 // 5}" '
        f'viewBox="0 0 {_WIDTH} {y}" role="img" aria-label="{escape(label)}" font-size="13" '
        "font-family=\"system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif\">\n"
        f'<style>{_STYLE}</style>\n<rect class="page" width="{_WIDTH}" height="{y}" rx="8"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )
