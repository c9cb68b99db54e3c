"""What a provider hands to the base: the way to the function, and what came back on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Transport(NamedTuple):
    """What an open client calls through; a call in flight keeps its own reference."""

    handle: Any  # the provider's
    url: str
    secrets: Sequence[str]
    # What the provider's library raises for an attempt without an answer, and the code. The first match counts.
    errors: Sequence[tuple[tuple[type[Exception], ...], str]]


class Answer(NamedTuple):
    """One whole answer of a provider."""

    status: int
    headers: Mapping[str, str]  # names are looked up without regard to case
    body: bytes
    error_name: str = ""  # the provider's own name of its error, as AWS's `TooManyRequestsException`
    function_failed: bool = False  # the provider says that the function raised, whatever the status
