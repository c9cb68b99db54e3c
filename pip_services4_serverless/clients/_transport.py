"""What a provider's client opens: the transport to its function."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any, NamedTuple, TypedDict

from .._rules.options import Options
from .._rules.response import MAX_RESPONSE_SIZE


class Transport(NamedTuple):
    """What an open client calls through. A call in progress keeps its own reference to it."""

    handle: Any  # depends on the provider
    url: str
    secrets: Sequence[str]
    # Exceptions of an attempt without a response, and their error codes. The first match counts.
    errors: Sequence[tuple[tuple[type[Exception], ...], str]]
    own_headers: Set[str] = frozenset()  # in lower case; `_attempt_headers` must not set them


# Headers that frame a request. Only the wire sets them.
RESERVED_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "proxy-authorization"})


class _Limits(TypedDict):
    max_connections: int
    connect_timeout: float
    timeout: float
    idle_timeout: float
    limit: int


def limits_of(options: Options) -> _Limits:
    """The limits of a connection pool, with times in seconds."""
    return {
        "max_connections": options.max_connections,
        "connect_timeout": options.connect_timeout / 1000,
        "timeout": options.timeout / 1000,
        "idle_timeout": options.idle_timeout / 1000,
        "limit": MAX_RESPONSE_SIZE,
    }
