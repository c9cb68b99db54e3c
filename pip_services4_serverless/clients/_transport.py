"""The transport to a function, which a client opens."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, Any, NamedTuple

from .._rules.options import Options
from .._rules.response import MAX_RESPONSE_SIZE

if TYPE_CHECKING:
    from .._wire.endpoint import PoolLimits
    from ._failures import ErrorTable


class Transport(NamedTuple):
    """Everything that an open client needs to send requests. A call in progress keeps its own reference to it."""

    handle: Any  # depends on the provider
    url: str
    secrets: Sequence[str]
    errors: ErrorTable  # for the exceptions of an attempt without a response
    own_headers: Set[str] = frozenset()  # in lower case; `_attempt_headers` must not set them

    def __repr__(self) -> str:
        return f"Transport({self.url.partition('?')[0]!r})"  # a query may contain a key


# Headers that frame a request. Only the wire sets them.
RESERVED_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "proxy-authorization"})


def pool_limits(options: Options) -> PoolLimits:
    """The limits of a connection pool."""
    from .._wire.endpoint import PoolLimits  # imported late: it imports `ssl`, which only an open client needs

    return PoolLimits(
        max_connections=options.max_connections,
        connect_timeout=options.connect_timeout / 1000,
        timeout=options.timeout / 1000,
        idle_timeout=options.idle_timeout / 1000,
        max_response_size=MAX_RESPONSE_SIZE,
    )
