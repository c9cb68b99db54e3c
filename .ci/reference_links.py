"""A hook of mkdocs that links the names of public classes and their methods, if written as code, to the reference."""

from __future__ import annotations

import re
from typing import Any

from pip_services4_serverless import build, clients, connect, local

PLACES = {
    name: f"{cls.__module__}.{name}"
    for package in (build, clients, connect, local)
    for name in package.__all__
    for cls in [getattr(package, name)]
}
# Names in these are not linked: links, headings and blocks of code.
KEPT = re.compile(r"(<a\b.*?</a>|<h\d\b.*?</h\d>|<pre\b.*?</pre>|<autoref\b.*?</autoref>)", re.DOTALL)
NAME = re.compile(rf"<code>((?:{'|'.join(PLACES)})(?:\.\w+)?)</code>")


def on_page_content(html: str, **_: Any) -> str:
    """Marks the names. When all pages are known, the plugin autorefs makes the links; it ignores unknown names."""
    pieces = KEPT.split(html)
    pieces[::2] = [NAME.sub(_marked, piece) for piece in pieces[::2]]
    return "".join(pieces)


def _marked(name: re.Match[str]) -> str:
    cls, _, member = name[1].partition(".")
    identifier = ".".join(filter(None, (PLACES[cls], member)))
    return f'<autoref optional identifier="{identifier}">{name[0]}</autoref>'
