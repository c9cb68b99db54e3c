"""Writes the head of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .endpoint import Endpoint
from .errors import NotSentError


def request_head(endpoint: Endpoint, method: str, target: str, headers: Mapping[Any, Any], length: int) -> bytes:
    """The request line and the headers. Names and values may be bytes, as in requests.

    Raises:
        NotSentError: a header contains a line break, a null character, or a character outside Latin-1.
    """
    line = f"{method} {target} HTTP/1.1"
    try:
        lines = [line, *map(": ".join, headers.items())]
    except TypeError:  # a header is bytes
        lines = [line, *(f"{_text(name)}: {_text(value)}" for name, value in headers.items())]
    text = "\n".join(lines).lower()
    if text.count("\n") >= len(lines) or "\r" in text or "\0" in text:
        raise NotSentError("A header cannot be sent: it contains a line break or a null character")
    if "\nhost:" not in text:
        lines.insert(1, f"Host: {endpoint.authority}")
    if "\ncontent-length:" not in text:
        lines.append(f"Content-Length: {length}")
    if endpoint.sends_whole_url and endpoint.proxy and endpoint.proxy.authorization:
        lines.append(f"Proxy-Authorization: {endpoint.proxy.authorization}")
    head = "\r\n".join((*lines, "", ""))
    try:
        return head.encode("latin-1")
    except UnicodeEncodeError:
        raise NotSentError("A header cannot be sent: it contains a character outside Latin-1") from None


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
