"""A hook of mkdocs that prepares tables and names for small screens. `docs/site.css` has the other half.

- A wide table is marked, and each of its cells gets the title of its column. On a telephone the cells of a row then
  stand one below the other.
- A long name in code breaks after a separator, and not in the middle of a word. A short one, such as an option of the
  command line, does not break. In the first columns of a table no name breaks: the column is as wide as the name.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import Any

TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
ROW = re.compile(r"<tr>.*?</tr>", re.DOTALL)
CELL = re.compile(r"<(t[dh])([^>]*)>(.*?)</\1>", re.DOTALL)
TAG = re.compile(r"<[^>]+>")
# Characters that fit beside each other into a table; into a column of code; into a line; into the last cell of a row.
TABLE_ROOM, CODE_ROOM, LINE_ROOM, CELL_ROOM = 110, 30, 36, 18
MANY = 7  # columns; such a table scrolls, because its rows would be too long one below the other

# Each part is a block of code, a cell of a table with the row's end if it is the last, or what is between them.
PART = re.compile(r"(<pre\b.*?</pre>|<td\b.*?</td>(?:\s*</tr>)?)", re.DOTALL)
NAME = re.compile(r"<code>([^<]+)</code>")
SEPARATOR = re.compile(r"(?<=\w[/._=:])(?=\w)")
SHORT = re.compile(r"[^ ]{1,12}|(?=.*-)[\w -]{1,20}")


def on_page_content(html: str, **_: Any) -> str:
    """Marks tables with `data-stack`, their cells with `data-label`, and names with `<wbr>` or the class `whole`."""
    html = TABLE.sub(lambda table: _stackable(table[0]), html)
    return "".join(_breakable(part) for part in PART.split(html))


def _stackable(table: str) -> str:
    head, *rows = ([TAG.sub("", cell[3]) for cell in CELL.finditer(row)] for row in ROW.findall(table))
    widest = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
    is_wide = sum(widest) > TABLE_ROOM if len(head) > 2 else min(widest) > CODE_ROOM and "<code>" in table
    if len(head) >= MANY or not is_wide:
        return table

    def labelled(row: re.Match[str]) -> str:
        labels = iter(head)

        def label(cell: re.Match[str]) -> str:
            title = next(labels)
            return cell[0].replace("<td", f'<td data-label="{title}"', 1) if title else cell[0]

        return CELL.sub(label, row[0])

    return ROW.sub(labelled, table).replace("<table>", "<table data-stack>", 1)


def _breakable(part: str) -> str:
    if part.startswith("<pre"):
        return part
    is_cell = part.startswith("<td")
    is_first = is_cell and not part.endswith("</tr>")
    room = len(part) if is_first else CELL_ROOM if is_cell else LINE_ROOM

    def mark(name: re.Match[str]) -> str:
        if SHORT.fullmatch(name[1]):
            return f'<code class="whole">{name[1]}</code>'
        return SEPARATOR.sub("<wbr>", name[0]) if len(name[1]) > room else name[0]

    return NAME.sub(mark, part)
