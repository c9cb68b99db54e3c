"""Masks the secrets of a client in whatever quotes its far side: bodies, and errors with what is behind them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from ..connect._connection_params import MASK

_SHORTEST = 6  # characters; masking less would garble every answer
_ANCHOR = 6  # characters by which a place is found; the others are compared one by one, as tokens are long
# Between the characters: those of UTF-16 and UTF-32, read as bytes, and as `repr` shows them. All repetitions are
# bounded, and of backslashes only the first is a place to begin: a far side that sends nothing else must not take time.
_BEGIN = r"(?:(?!\\)|(?<!\\)(?<!\\\x00)(?<!\\\x00\x00\x00))"
_GAP = r"(?:\x00|\\x00|\\u0000){0,3}"
_BACKSLASHES = rf"(?:\\{_GAP}){{1,8}}"  # JSON in JSON in JSON
_NAMED = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
# What exceptions written in C keep outside of `args` and `__dict__`.
_SLOTS = ("object", "reason", "strerror", "filename")


class Secrets(Sequence[str]):
    """The values that a client must not show, its own text included."""

    def __init__(self, *known: str) -> None:
        self._known: tuple[str, ...] = known

    def __getitem__(self, index: Any) -> Any:
        return self._known[index]

    def __len__(self) -> int:
        return len(self._known)


def mask_text(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, however JSON, a URL, HTML, UTF-16 or `repr` wrote them."""
    for secret in secrets:
        if len(secret) >= _SHORTEST:
            for form in {secret, json.dumps(secret)[1:-1]}:
                text = text.replace(form, MASK)
            if any(mark in text for mark in "\\%&\0"):
                text = _mask_encoded(text, secret)
    return text


def mask_bytes(body: bytes, secrets: Iterable[str]) -> bytes:
    """The same for bytes, in whatever encoding."""
    for secret in secrets:
        if len(secret) >= _SHORTEST:
            for form in {secret, json.dumps(secret)[1:-1]}:
                body = body.replace(form.encode(), MASK.encode())
            if any(mark in body for mark in (b"\\", b"%", b"&", b"\0")):
                body = _mask_encoded(body.decode("latin-1"), secret).encode("latin-1")
    return body


def mask_error(error: BaseException | None, secrets: Iterable[str], *spared: BaseException | None) -> None:
    """Masks an exception and those behind it in place, but the `spared` ones and what is behind them."""
    secrets = tuple(secret for secret in secrets if len(secret) >= _SHORTEST)
    waiting: list[Any] = [error] if secrets else []
    seen = {id(None), *map(id, spared)}

    def masked(value: Any) -> Any:
        if isinstance(value, str):
            return mask_text(value, secrets)
        if isinstance(value, bytes):
            return mask_bytes(value, secrets)
        if type(value) is tuple:
            return tuple(map(masked, value))
        if isinstance(value, dict | list | BaseException):
            waiting.append(value)  # not at once: what came as JSON may be nested deeper than Python's stack
        return value

    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, dict):
            fields = {masked(key): masked(value) for key, value in item.items()}
            if fields != item:
                item.clear()
                item.update(fields)
        elif isinstance(item, list):
            item[:] = map(masked, item)
        else:
            _mask_fields(item, masked)
            waiting += (vars(item), item.__cause__, item.__context__)


def _mask_fields(error: BaseException, masked: Any) -> None:
    for name in ("args", *_SLOTS):
        value = getattr(error, name, None)
        if isinstance(value, str | bytes | tuple):
            shown = masked(value)
            if shown != value:
                setattr(error, name, shown)


def _mask_encoded(text: str, secret: str) -> str:
    if not secret.isascii():
        return text
    units = re.findall(r"\\+|[^\\]", secret)
    anchor = re.compile(_BEGIN + _GAP.join(map(_forms_of, units[:_ANCHOR])))
    rest = [_character(unit) for unit in units[_ANCHOR:]]
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
            gap = _FIRST_GAP.match(text, found.start())
            # With the same gaps, so that what comes after is still read in its encoding.
            parts += (text[begin : found.start()], (gap["gap"] if gap else "").join(MASK))
            begin = position
    return "".join((*parts, text[begin:])) if parts else text


_FIRST_GAP = re.compile(r"[^\\%&](?P<gap>\x00*)")


@cache
def _character(unit: str) -> re.Pattern[str]:
    return re.compile(_GAP + _forms_of(unit))


@cache
def _forms_of(unit: str) -> str:
    """The ways to write an ASCII character, or some backslashes, as a regular expression."""
    character = unit[0]
    code = [f"[{digit}{digit.upper()}]" for digit in f"{ord(character):02x}"]
    ways = [
        re.escape(character),
        *(_BACKSLASHES + _GAP.join(escape) for escape in (("u", "0", "0", *code), ("x", *code))),
        _GAP.join(("%", *code)),
        _GAP.join(("&", "#", "0{0,4}", *str(ord(character)), ";")),
        _GAP.join(("&", "#", "[xX]", "0{0,4}", *code, ";")),
    ]
    if character == "\\":
        return f"(?:(?:{'|'.join(ways)}){_GAP}){{1,{8 * len(unit)}}}"
    if character in _NAMED:
        ways.append(_GAP.join(("&", *_NAMED[character], ";")))
    if not character.isalnum():
        ways.append(_BACKSLASHES + re.escape(character))
    return f"(?:{'|'.join(ways)})"
