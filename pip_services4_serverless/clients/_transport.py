"""What a provider hands to the base: the way to the function, and what ways have in common."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any, NamedTuple, TypedDict

from .._rules.options import Options
from .._rules.response import MAX_RESPONSE_SIZE


class Transport(NamedTuple):
    """What an open client calls through; a call in flight keeps its own reference."""

    handle: Any  # the provider's
    url: str
    secrets: Sequence[str]
    # What the provider's library raises for an attempt without an answer, and the code. The first match counts.
    errors: Sequence[tuple[tuple[type[Exception], ...], str]]
    own_headers: Set[str] = frozenset()  # in small letters: nobody else may set them


# Headers that frame a request: the wire's business.
RESERVED_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "proxy-authorization"})


class _Limits(TypedDict):
    max_connections: int
    connect_timeout: float
    timeout: float
    idle_timeout: float
    limit: int


def limits_of(options: Options) -> _Limits:
    """The limits of a connection pool; times in seconds."""
    return {
        "max_connections": options.max_connections,
        "connect_timeout": options.connect_timeout / 1000,
        "timeout": options.timeout / 1000,
        "idle_timeout": options.idle_timeout / 1000,
        "limit": MAX_RESPONSE_SIZE,
    }
