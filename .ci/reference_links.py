"""A hook of mkdocs. It links names of public classes and methods that are written as code to the reference."""

from __future__ import annotations

import re
from typing import Any

from pip_services4_serverless import build, clients, connect, local

IDENTIFIERS = {
    name: f"{cls.__module__}.{name}"
    for package in (build, clients, connect, local)
    for name in package.__all__
    for cls in [getattr(package, name)]
}
# Names in links, headings and blocks of code are not linked.
NOT_LINKED = re.compile(r"(<a\b.*?</a>|<h\d\b.*?</h\d>|<pre\b.*?</pre>|<autoref\b.*?</autoref>)", re.DOTALL)
NAME = re.compile(rf"<code>((?:{'|'.join(IDENTIFIERS)})(?:\.\w+)?)</code>")


def on_page_content(html: str, **_: Any) -> str:
    """Marks the names. When all pages are known, the plugin autorefs makes the links; it ignores unknown names."""
    parts = NOT_LINKED.split(html)
    parts[::2] = [NAME.sub(_mark, part) for part in parts[::2]]
    return "".join(parts)


def _mark(name: re.Match[str]) -> str:
    cls, _, member = name[1].partition(".")
    identifier = ".".join(filter(None, (IDENTIFIERS[cls], member)))
    return f'<autoref optional identifier="{identifier}">{name[0]}</autoref>'
