"""A hook of mkdocs that says where names in code may break at the end of a line.

A long name breaks after a separator, and not in the middle of a word. A short name with hyphens, such as an option of
the command line, does not break. In the first columns of a table no name breaks: the column is as wide as the name.
"""

from __future__ import annotations

import re
from typing import Any

# Each part is a block of code, a cell of a table, or what is between them.
PART = re.compile(r"(<pre\b.*?</pre>|<td\b.*?</td>(?:\s*</tr>)?)", re.DOTALL)
NAME = re.compile(r"<code>([^<]+)</code>")
SEPARATOR = re.compile(r"(?<=\w[/._=:])(?=\w)")
HYPHENATED = re.compile(r"(?=.*-)[\w -]{1,20}")
LINE, CELL = 36, 18  # characters for which there is room on a telephone


def on_page_content(html: str, **_: Any) -> str:
    """Marks the places with `<wbr>`, and short names with a class of `docs/site.css`."""
    return "".join(_marked(part) for part in PART.split(html))


def _marked(part: str) -> str:
    if part.startswith("<pre"):
        return part
    is_cell = part.startswith("<td")
    is_first = is_cell and not part.endswith("</tr>")
    room = len(part) if is_first else CELL if is_cell else LINE

    def mark(name: re.Match[str]) -> str:
        if HYPHENATED.fullmatch(name[1]):
            return f'<code class="whole">{name[1]}</code>'
        return SEPARATOR.sub("<wbr>", name[0]) if len(name[1]) > room else name[0]

    return NAME.sub(mark, part)
