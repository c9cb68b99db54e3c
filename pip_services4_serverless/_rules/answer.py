"""What came back from the far side, and how it is read within bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

MAX_ANSWER = 100 * 1024 * 1024  # bytes, counted after decompression
CHUNK = 256 * 1024  # bytes to read at a time


class Answer(NamedTuple):
    """One whole answer of a provider."""

    status: int
    headers: Mapping[str, str]  # names are looked up without regard to case
    body: bytes
    error_name: str = ""  # the provider's own name of its error, as AWS's `TooManyRequestsException`
    function_failed: bool = False  # the provider says that the function raised, whatever the status
    token_refused: bool = False  # it was sent with a token that was not accepted, and another can be had


class AnswerTooLargeError(Exception):
    """Raised while an answer is read, as soon as it is over `MAX_ANSWER`."""


def read_whole(chunks: Iterable[bytes], status: int, broken: tuple[type[Exception], ...]) -> bytes:
    """Joins a body. An error's body that breaks off, or off its encoding, counts as none: the status says enough.

    Raises:
        AnswerTooLargeError: over `MAX_ANSWER`
    """
    body, size = [], 0
    try:
        for chunk in chunks:
            body.append(chunk)
            size += len(chunk)
            if size > MAX_ANSWER:
                raise AnswerTooLargeError(f"{size} bytes and more")
    except broken:
        if status < 300:
            raise
        return b""
    return body[0] if len(body) == 1 else b"".join(body)
