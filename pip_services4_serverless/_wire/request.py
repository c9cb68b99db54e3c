"""Writes the head of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .endpoint import Endpoint
from .errors import NotSentError


def request_head(endpoint: Endpoint, method: str, target: str, headers: Mapping[Any, Any], length: int) -> bytes:
    """The request line and the headers. Names and values may be bytes, as in requests.

    Raises:
        NotSentError: a header contains a line break, or a character outside Latin-1.
    """
    lines = [f"{method} {target} HTTP/1.1"]
    needs_host = needs_length = True
    for name, value in headers.items():
        if isinstance(name, bytes) or isinstance(value, bytes):
            name, value = _text(name), _text(value)
        lines.append(f"{name}: {value}")
        if len(name) == 4 and name.lower() == "host":
            needs_host = False
        elif len(name) == 14 and name.lower() == "content-length":
            needs_length = False
    if needs_host:
        lines.insert(1, f"Host: {endpoint.authority}")
    if needs_length:
        lines.append(f"Content-Length: {length}")
    if endpoint.sends_whole_url and endpoint.proxy and endpoint.proxy.authorization:
        lines.append(f"Proxy-Authorization: {endpoint.proxy.authorization}")
    head = "\r\n".join((*lines, "", ""))
    if head.count("\n") != len(lines) + 1 or head.count("\r") != len(lines) + 1 or "\0" in head:
        raise NotSentError("A header cannot be sent: it contains a line break or a null character")
    try:
        return head.encode("latin-1")
    except UnicodeEncodeError:
        raise NotSentError("A header cannot be sent: it contains a character outside Latin-1") from None


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else bytes(value).decode("latin-1")
