"""What a provider hands to the base: the way to the function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Transport(NamedTuple):
    """What an open client calls through; a call in flight keeps its own reference."""

    handle: Any  # the provider's
    url: str
    secrets: Sequence[str]
    # What the provider's library raises for an attempt without an answer, and the code. The first match counts.
    errors: Sequence[tuple[tuple[type[Exception], ...], str]]
