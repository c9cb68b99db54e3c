"""Reading an answer, within bounds, and decoding it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from ..connect._connection_params import MASK
from ._errors import call_error
from ._transport import Answer

MAX_ANSWER = 100 * 1024 * 1024  # bytes, counted after decompression
CHUNK = 256 * 1024  # bytes to read at a time
_NO_JSON = (b"NaN", b"Infinity", b"-Infinity")  # whatever Python makes of them
_SHORTEST_SECRET = 6  # characters; masking less would garble every answer


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


def pieces(raw: Any, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What urllib3's response `raw` holds: in one piece, which costs less, if it is short and plain, else `chunks`."""
    # None where it is not told, or the response is a tool's; 0 also when a tool has read it already.
    length = getattr(raw, "length_remaining", None)
    if (
        length
        and length <= CHUNK
        and raw.headers.get("content-length") == str(length)  # http.client understands nothing else
        and "content-encoding" not in raw.headers
    ):
        yield raw.read()
    else:
        yield from chunks


def masked(body: bytes, secrets: Iterable[str]) -> bytes:
    """An error's body, as of a far side that shows the request that it was sent, without the secrets of the request."""
    if b"\\" in body:  # JSON may write any character as its code
        with contextlib.suppress(ValueError, RecursionError):
            body = json.dumps(json.loads(body), ensure_ascii=False).encode()
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            for written in (secret, json.dumps(secret)[1:-1]):
                body = body.replace(written.encode(), MASK.encode())
    return body


def decode(answer: Answer, trace_id: str) -> Any:
    """The value of an answer that is no error.

    Raises:
        InvocationException: `DESERIALIZATION_FAILED`
    """
    body = answer.body
    if answer.status == 204 or not body:
        return None
    try:
        if body in _NO_JSON:
            raise ValueError("JSON has no such number")
        return json.loads(body)
    except (ValueError, RecursionError) as err:  # UnicodeDecodeError is a ValueError
        content_type = answer.headers.get("content-type") or ""
        if content_type.partition(";")[0].strip().lower() == "text/plain":
            try:
                return body.decode(_charset(content_type))
            except (ValueError, LookupError):  # not in this character set, or no such set
                pass
        message = f"The answer is no JSON: {len(body)} bytes" + (f" of {content_type}" if content_type else "")
        raise call_error("DESERIALIZATION_FAILED", trace_id, message) from err


def _charset(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'") or "utf-8"
    return "utf-8"
