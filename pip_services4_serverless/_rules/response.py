"""What came back from the far side, and how it is read within bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

MAX_RESPONSE_SIZE = 100 * 1024 * 1024  # bytes, counted after decompression
CHUNK_SIZE = 256 * 1024  # bytes to read at a time


class FunctionResponse(NamedTuple):
    """One whole answer of a provider."""

    status: int
    headers: Mapping[str, str]  # names are looked up without regard to case
    body: bytes
    error_name: str = ""  # the provider's own name of its error, as AWS's `TooManyRequestsException`
    function_failed: bool = False  # the provider says that the function raised, whatever the status
    token_rejected: bool = False  # it was sent with a token that was not accepted, and another can be had


class BodyTooLargeError(Exception):
    """Raised while an answer is read, as soon as it is over `MAX_RESPONSE_SIZE`."""


def read_body(chunks: Iterable[bytes], status: int, broken: tuple[type[Exception], ...]) -> bytes:
    """Joins a body. An error's body that breaks off, or off its encoding, counts as none: the status says enough.

    Raises:
        BodyTooLargeError: over `MAX_RESPONSE_SIZE`
    """
    body, size = [], 0
    try:
        for chunk in chunks:
            body.append(chunk)
            size += len(chunk)
            if size > MAX_RESPONSE_SIZE:
                raise BodyTooLargeError(f"The response body is larger than {MAX_RESPONSE_SIZE} bytes")
    except broken:
        if status < 300:
            raise
        return b""
    return body[0] if len(body) == 1 else b"".join(body)
