"""A function's response, and a function that reads its body up to a size limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

MAX_RESPONSE_SIZE = 100 * 1024 * 1024  # bytes, counted after decompression
CHUNK_SIZE = 256 * 1024  # bytes that are read at once


class FunctionResponse(NamedTuple):
    """A whole response of a provider."""

    status: int
    headers: Mapping[str, str]  # case-insensitive
    body: bytes
    error_name: str = ""  # the provider's name for its error, for example `TooManyRequestsException`
    function_failed: bool = False  # the provider reports that the function raised; the status may be 200
    token_rejected: bool = False  # the request's token was rejected, and a new one can be fetched


class BodyTooLargeError(Exception):
    """The body is larger than `MAX_RESPONSE_SIZE`. It is raised while the body is read."""


def read_body(chunks: Iterable[bytes], status: int, broken: tuple[type[Exception], ...]) -> bytes:
    """Joins the chunks of a body.

    The body of a non-2xx response counts as empty if it is incomplete or cannot be decompressed: the status is enough.

    Args:
        chunks: the decompressed chunks.
        status: the status of the response.
        broken: the exceptions that `chunks` raises for such a body.

    Raises:
        BodyTooLargeError: the body is larger than `MAX_RESPONSE_SIZE`.
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
