"""A hook of mkdocs that lists pages for contributors below the pages for users in the results of a search."""

from __future__ import annotations

from typing import Any

FOR_CONTRIBUTORS = "For contributors"


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Sets the page's factor for the plugin `search`."""
    if page.parent and page.parent.title == FOR_CONTRIBUTORS:
        page.meta["search"] = {"boost": 0.2}
    return markdown
