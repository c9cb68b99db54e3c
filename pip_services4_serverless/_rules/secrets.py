"""Masks the secrets of a client in texts, in response bodies, and in exceptions with their causes and contexts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

MASK = "***"
# Bytes or characters. Masking this much takes up to 0.2 s for each secret, and no timeout limits this time. The rest of
# an error body is dropped, and so is a longer text in an exception.
MAX_LENGTH = 256 * 1024
_MIN_LENGTH = 6  # characters; shorter values are not masked, because they occur in ordinary text
_ANCHOR = 6  # the number of characters to search for; the following ones of a long token are compared one by one
# A match begins only at the first of several backslashes, so that a body of backslashes does not take long to search.
_BEGIN = r"(?:(?!\\)|(?<!\\)(?<!\\\x00)(?<!\\\x00\x00\x00))"
# Between two characters: the null bytes of UTF-16 and UTF-32, also as `repr` shows them. All repetitions are bounded,
# for the same reason.
_GAP = r"(?:\x00|\\x00|\\u0000){0,3}"
_BACKSLASHES = rf"(?:\\{_GAP}){{1,8}}"  # JSON in JSON in JSON
_NAMED = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
# Attributes that exceptions written in C keep outside of `args` and `__dict__`.
_SLOTS = ("object", "reason", "strerror", "filename")


class Secrets(Sequence[str]):
    """The secret values of a client. Its `repr` does not show them."""

    def __init__(self, *known: str) -> None:
        self._known: tuple[str, ...] = known

    def __getitem__(self, index: Any) -> Any:
        return self._known[index]

    def __len__(self) -> int:
        return len(self._known)


def mask_text(text: str, secrets: Iterable[str]) -> str:
    """Masks the secrets in a text, also where they are escaped as in JSON, URLs, HTML, UTF-16 or `repr`."""
    for secret in secrets:
        if len(secret) >= _MIN_LENGTH:
            for form in {secret, json.dumps(secret)[1:-1]}:
                text = text.replace(form, MASK)
            if any(mark in text for mark in "\\%&\0"):
                text = _mask_encoded(text, secret)
    return text


def mask_bytes(body: bytes, secrets: Iterable[str]) -> bytes:
    """Masks the secrets in bytes of any encoding."""
    for secret in secrets:
        if len(secret) >= _MIN_LENGTH:
            for form in {secret, json.dumps(secret)[1:-1]}:
                body = body.replace(form.encode(), MASK.encode())
            if any(mark in body for mark in (b"\\", b"%", b"&", b"\0")):
                body = _mask_encoded(body.decode("latin-1"), secret).encode("latin-1")
    return body


def mask_error_body(body: bytes, secrets: Iterable[str]) -> bytes:
    """Masks the body of an error response. Only the beginning of a long body is returned."""
    masked = mask_bytes(body[:MAX_LENGTH], secrets)
    # If the body was shortened, its end may be a part of a secret, which is not recognized.
    return masked if len(body) <= MAX_LENGTH else masked[: len(masked) // 2]


def mask_error(error: BaseException | None, secrets: Iterable[str], *excluded: BaseException | None) -> None:
    """Masks an exception, its causes and its contexts in place, except for those in `excluded`."""
    secrets = tuple(secret for secret in secrets if len(secret) >= _MIN_LENGTH)
    pending: list[Any] = [error] if secrets else []
    seen = {id(None), *map(id, excluded)}

    def mask(value: Any) -> Any:
        if isinstance(value, str | bytes) and len(value) > MAX_LENGTH:
            return value[:0]  # usually a whole response; if it were shortened, it could end with a part of a secret
        if isinstance(value, str):
            return mask_text(value, secrets)
        if isinstance(value, bytes):
            return mask_bytes(value, secrets)
        if type(value) is tuple:
            return tuple(map(mask, value))
        if isinstance(value, dict | list | BaseException):
            pending.append(value)  # not masked here, because a recursion could be too deep for Python's stack
        return value

    while pending:
        item = pending.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, dict):
            fields = {mask(key): mask(value) for key, value in item.items()}
            if fields != item:
                item.clear()
                item.update(fields)
        elif isinstance(item, list):
            item[:] = map(mask, item)
        else:
            _mask_fields(item, mask)
            pending += (vars(item), item.__cause__, item.__context__)


def clear_locals(error: BaseException, *excluded: BaseException | None) -> None:
    """Clears the local variables in the tracebacks of an exception, its causes and its contexts.

    Crash reports show local variables, and those of a failed call contain the request with its key. The tracebacks of
    the exceptions in `excluded` are not changed.
    """
    from traceback import clear_frames  # imported late: few calls fail

    pending: list[BaseException | None] = [error]
    seen = {id(None), *map(id, excluded)}
    while pending:
        item = pending.pop()
        if item is not None and id(item) not in seen:
            seen.add(id(item))
            clear_frames(item.__traceback__)
            pending += (item.__cause__, item.__context__)


def _mask_fields(error: BaseException, mask: Any) -> None:
    for name in ("args", *_SLOTS):
        value = getattr(error, name, None)
        if isinstance(value, str | bytes | tuple):
            masked = mask(value)
            if masked != value:
                setattr(error, name, masked)


def _mask_encoded(text: str, secret: str) -> str:
    if not secret.isascii():
        return text
    units = re.findall(r"\\+|[^\\]", secret)
    anchor = re.compile(_BEGIN + _GAP.join(map(_escaped_forms, units[:_ANCHOR])))
    first_gap = re.compile(r"[^\\%&](?P<gap>\x00*)")
    rest = [_next_character(unit) for unit in units[_ANCHOR:]]
    parts: list[str] = []
    begin = position = 0
    while found := anchor.search(text, position):
        position = found.end()
        for character in rest:
            match = character.match(text, position)
            if match is None:
                position = found.start() + 1
                break
            position = match.end()
        else:
            gap = first_gap.match(text, found.start())
            # The mask gets the same null bytes between its characters, so that the text is still valid in its encoding.
            parts += (text[begin : found.start()], (gap["gap"] if gap else "").join(MASK))
            begin = position
    return "".join((*parts, text[begin:])) if parts else text


@cache
def _next_character(unit: str) -> re.Pattern[str]:
    return re.compile(_GAP + _escaped_forms(unit))


@cache
def _escaped_forms(unit: str) -> str:
    """A regular expression for all escaped forms of an ASCII character, or of a sequence of backslashes."""
    character = unit[0]
    code = [f"[{digit}{digit.upper()}]" for digit in f"{ord(character):02x}"]
    forms = [
        re.escape(character),
        *(_BACKSLASHES + _GAP.join(escape) for escape in (("u", "0", "0", *code), ("x", *code))),
        _GAP.join(("%", *code)),
        _GAP.join(("&", "#", "0{0,4}", *str(ord(character)), ";")),
        _GAP.join(("&", "#", "[xX]", "0{0,4}", *code, ";")),
    ]
    if character == "\\":
        return f"(?:(?:{'|'.join(forms)}){_GAP}){{1,{8 * len(unit)}}}"
    if character in _NAMED:
        forms.append(_GAP.join(("&", *_NAMED[character], ";")))
    if not character.isalnum():
        forms.append(_BACKSLASHES + re.escape(character))
    return f"(?:{'|'.join(forms)})"
