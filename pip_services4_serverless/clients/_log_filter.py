"""Masks the secrets of open clients in what the libraries below them log."""

from __future__ import annotations

import logging
import re
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

from .._rules.secrets import Secrets, mask_error, mask_text
from ..connect._connection_params import MASK

_LOGGERS = (
    *(f"botocore.{name}" for name in ("auth", "client", "endpoint", "hooks", "httpsession", "parsers", "retryhandler")),
    *(f"botocore.{name}" for name in ("awsrequest", "regions", "retries.standard", "utils")),
    *(f"urllib3.{name}" for name in ("connection", "connectionpool", "response", "util.retry")),
)

# By their ids; without a lock, which a fork could leave held.
_open: dict[int, weakref.ref[Secrets]] = {}


def hide_in_logs(*secrets: Secrets, loggers: Iterable[str] = ()) -> None:
    """Masks tokens, and these secrets as long as somebody holds them, in what the libraries below log.

    Args:
        loggers: the names of further loggers.
    """
    for held in secrets:
        key = id(held)
        _open[key] = weakref.ref(held, lambda _, key=key: _open.pop(key, None))  # type: ignore[misc]
    for name in (*_LOGGERS, *loggers):
        logging.getLogger(name).addFilter(_mask_record)  # once: a filter that is there is not added again


def hidden(key: str | None) -> Secrets:
    """The secrets of a client with one key, hidden in the logs."""
    secrets = Secrets(key) if key else Secrets()
    hide_in_logs(secrets)
    return secrets


# What identities' libraries quote before they return it: a JSON Web Token, or what stands behind a token's name.
_JWT = r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"
_NAMED = r"""(?P<name>\b(?:access|id|refresh)_token\\?['"]?\s*[:=]\s*\\?['"]?)(?P<token>[^\s'"\\,}&]{6,})"""
_UNKNOWN = re.compile(f"{_NAMED}|{_JWT}")
_TOKEN = re.compile(r"(x-amz-security-token['\"]?\s*[:,=]\s*b?['\"]?)[^\s'\",}]+", re.IGNORECASE)
# Where google-auth puts requests and responses that it logs.
_EXTRAS = ("httpRequest", "httpResponse")


def tokens_in(err: BaseException | None) -> list[str]:
    """What looks like a token in an exception and those behind it: a library quotes one that it cannot use."""
    found: list[str] = []
    seen: list[BaseException] = []
    waiting = [err]
    while waiting:
        item = waiting.pop()
        if item is not None and item not in seen:
            seen.append(item)
            text = f"{item} {item.args} {vars(item)}"  # a `JSONDecodeError` keeps the whole document
            found += (match["token"] or match[0] for match in _UNKNOWN.finditer(text))
            waiting += (item.__cause__, item.__context__)
    return found


def _mask_record(record: logging.LogRecord) -> bool:
    secrets = tuple({secret for known in _open.copy().values() for secret in known() or ()})
    if record.exc_info and record.exc_info[1]:
        mask_error(record.exc_info[1], (*secrets, *tokens_in(record.exc_info[1])))
        if tokens_in(record.exc_info[1]):  # its text is read from a response each time
            record.exc_text = _shown(logging.Formatter().formatException(record.exc_info), secrets)
            record.exc_info = None
    try:
        message = record.getMessage()
    except (
        TypeError,
        ValueError,
        KeyError,
    ):  # a filter that raises would make the library's mistake the call's failure
        message, record.args = str(record.msg), ()
    shown = _shown(message, secrets)
    if shown != message:
        record.msg, record.args = shown, ()
    for name in _EXTRAS:
        if name in vars(record):
            vars(record)[name] = _shown(vars(record)[name], secrets)
    return True


def _shown(value: Any, secrets: tuple[str, ...]) -> Any:
    """A copy without tokens: what is logged may be what is sent."""
    if isinstance(value, Mapping):
        return {key: _shown(item, secrets) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    text = _TOKEN.sub(rf"\g<1>{MASK}", mask_text(value, secrets))
    return _UNKNOWN.sub(lambda match: (match["name"] or "") + MASK, text)
