"""A logging filter that masks the secrets of open clients in the log records of the libraries that the clients use."""

from __future__ import annotations

import logging
import re
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

from .._rules.interrupts import is_interrupt
from .._rules.secrets import MASK, Secrets, mask_error, mask_text

_LOGGERS = (
    *(f"botocore.{name}" for name in ("auth", "client", "endpoint", "hooks", "httpsession", "parsers", "retryhandler")),
    *(f"botocore.{name}" for name in ("awsrequest", "regions", "retries.standard", "utils")),
    *(f"urllib3.{name}" for name in ("connection", "connectionpool", "response", "util.retry")),
)

# The secrets to mask, by id. There is no lock, because a fork could leave a lock locked.
_registered: dict[int, weakref.ref[Secrets]] = {}

# Tokens that a library may log before any client knows them: AWS session tokens, JSON Web Tokens, and values after the
# name of a token.
_SESSION_TOKEN = re.compile(r"(x-amz-security-token['\"]?\s*[:,=]\s*b?['\"]?)[^\s'\",}]+", re.IGNORECASE)
_JWT = r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"
_NAMED = r"""(?P<name>\b(?:access|id|refresh)_token\\?['"]?\s*[:=]\s*\\?['"]?)(?P<token>[^\s'"\\,}&]{6,})"""
_TOKEN = re.compile(f"{_NAMED}|{_JWT}")
# The attributes of log records in which google-auth stores requests and responses.
_EXTRAS = ("httpRequest", "httpResponse")


def mask_in_logs(*secrets: Secrets, loggers: Iterable[str] = ()) -> None:
    """Masks secrets and tokens in the log records of the libraries.

    Args:
        secrets: masked until they are garbage-collected.
        loggers: the names of further loggers.
    """
    for item in secrets:
        key = id(item)
        _registered[key] = weakref.ref(item, lambda _, key=key: _registered.pop(key, None))  # type: ignore[misc]
    for name in (*_LOGGERS, *loggers):
        logging.getLogger(name).addFilter(_mask_record)  # does nothing if the logger already has the filter


def mask_keys_in_logs(*keys: str | None) -> Secrets:
    """Masks the keys of a client in the log records of the libraries. Returns the client's secrets."""
    secrets = Secrets(*filter(None, keys))
    mask_in_logs(secrets)
    return secrets


def find_tokens(err: BaseException | None) -> list[str]:
    """Everything that looks like a token in an exception, its causes and its contexts.

    A library may quote a token that it received but could not use.
    """
    found: list[str] = []
    seen: list[BaseException] = []
    pending = [err]
    while pending:
        item = pending.pop()
        if item is not None and item not in seen:
            seen.append(item)
            text = f"{item} {item.args} {vars(item)}"  # for example, a `JSONDecodeError` contains the whole document
            found += (match["token"] or match[0] for match in _TOKEN.finditer(text))
            pending += (item.__cause__, item.__context__)
    return found


def _mask_record(record: logging.LogRecord) -> bool:
    """The filter. It changes the record and never rejects it."""
    secrets = tuple({secret for reference in _registered.copy().values() for secret in reference() or ()})
    # An exception from a filter would make the call of the library fail.
    if record.exc_info and (error := record.exc_info[1]):
        try:
            mask_error(error, (*secrets, *find_tokens(error)))
            # Some exceptions read their text from a response each time, and cannot be masked: only the text is logged.
            if find_tokens(error):
                record.exc_text = _mask_value(logging.Formatter().formatException(record.exc_info), secrets)
                record.exc_info = None
        except Exception as err:
            if is_interrupt(err):
                raise
            record.exc_text = f"{type(error).__name__}, whose text cannot be read"
            record.exc_info = None
    try:
        message = record.getMessage()
    except Exception as err:  # the arguments do not match the message, or cannot be shown
        if is_interrupt(err):
            raise
        message = record.msg = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        record.args = ()
    masked = _mask_value(message, secrets)
    if masked != message:
        record.msg, record.args = masked, ()
    for name in _EXTRAS:
        if name in vars(record):
            vars(record)[name] = _mask_value(vars(record)[name], secrets)
    return True


def _mask_value(value: Any, secrets: tuple[str, ...]) -> Any:
    """A masked copy. The value itself is not changed, because it may be the headers of a request."""
    if isinstance(value, Mapping):
        return {key: _mask_value(item, secrets) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    text = _SESSION_TOKEN.sub(rf"\g<1>{MASK}", mask_text(value, secrets))
    return _TOKEN.sub(lambda match: (match["name"] or "") + MASK, text)
