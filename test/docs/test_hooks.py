"""The hooks with which mkdocs prepares pages for small screens and for the search."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

CI = Path(__file__).parents[2] / ".ci"
small_screens = runpy.run_path(str(CI / "small_screens.py"))["on_page_content"]
search_order = runpy.run_path(str(CI / "search_order.py"))["on_page_markdown"]


def table(*rows: str) -> str:
    """A table as Markdown writes it; cells are separated by `|`, and the first row has the titles."""
    lines = []
    for index, row in enumerate(rows):
        kind = "td" if index else "th"
        cells = "\n".join(f"<{kind}>{cell}</{kind}>" for cell in row.split("|"))
        lines.append(f"<tr>\n{cells}\n</tr>")
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def test_each_cell_of_a_wide_table_has_the_title_of_its_column() -> None:
    """Without the tags in the title; a column without a title stays without one."""
    page = small_screens(table("|<em>when</em>|why", f"NO_COMMAND|{'word ' * 20}|{'word ' * 10}"))
    assert page.startswith("<table data-stack>")
    assert "<td>NO_COMMAND</td>" in page
    assert '<td data-label="when">word' in page
    assert '<td data-label="why">word' in page


@pytest.mark.parametrize(
    "page",
    [
        table("key|value", f"retries|{'word ' * 40}"),
        table("|Azure|Lambda", "calls|200,000|200,000"),
        table("|".join("abcdefg"), "|".join(["word word word word"] * 7)),
        "<pre><code>pip_services4_serverless.clients.LambdaClient</code></pre>",
    ],
    ids=["two columns of text", "figures", "many columns", "a block of code"],
)
def test_other_parts_stay_as_they_are(page: str) -> None:
    """A table that fits or scrolls, and a block of code."""
    assert small_screens(page) == page


def test_a_long_name_breaks_after_its_separators() -> None:
    """In a paragraph if it is longer than a line, in the last column if it is longer than that."""
    assert small_screens("<p><code>connect/gcp_connection_params.py</code></p>").count("<wbr>") == 0
    assert small_screens("<p><code>pip_services4_serverless/connect/gcp.py</code></p>").count("<wbr>") == 5
    row = small_screens(table("step|file", "<code>connect_timeout_x.y</code>|<code>test/support/faults.py</code>"))
    assert "<code>connect_timeout_x.y</code>" in row
    assert "<code>test/<wbr>support/<wbr>faults.<wbr>py</code>" in row


def test_a_short_name_does_not_break_at_its_hyphens() -> None:
    """Such as an option of the command line."""
    assert small_screens("<p><code>--total-timeout</code></p>") == '<p><code class="whole">--total-timeout</code></p>'


@pytest.mark.parametrize(("section", "meta"), [("For contributors", {"search": {"boost": 0.2}}), ("Guides", {})])
def test_pages_for_contributors_come_last_in_a_search(section: str, meta: dict[str, Any]) -> None:
    """The text of the page does not change."""
    page = SimpleNamespace(parent=SimpleNamespace(title=section), meta={})
    assert search_order("# Title", page=page) == "# Title"
    assert page.meta == meta
    assert f"  - {section}:\n" in (CI.parent / ".mkdocs.yml").read_text("utf-8")
