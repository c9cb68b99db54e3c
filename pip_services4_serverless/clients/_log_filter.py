"""Masks the secrets of open clients in what the libraries below them log."""

from __future__ import annotations

import logging
import re
import weakref

from .._rules.secrets import Secrets, mask_error, mask_text
from ..connect._connection_params import MASK

_LOGGERS = (
    *(f"botocore.{name}" for name in ("auth", "client", "endpoint", "hooks", "httpsession", "parsers", "retryhandler")),
    *(f"botocore.{name}" for name in ("awsrequest", "regions", "retries.standard", "utils")),
    *(f"urllib3.{name}" for name in ("connection", "connectionpool", "response", "util.retry")),
)

# By their ids; without a lock, which a fork could leave held.
_open: dict[int, weakref.ref[Secrets]] = {}


def hide_in_logs(*secrets: Secrets) -> None:
    """Masks session tokens, and these secrets as long as somebody holds them, in what the libraries below log."""
    for held in secrets:
        key = id(held)
        _open[key] = weakref.ref(held, lambda _, key=key: _open.pop(key, None))  # type: ignore[misc]
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_mask_record)  # once: a filter that is there is not added again


def hidden(key: str | None) -> Secrets:
    """The secrets of a client with one key, hidden in the logs."""
    secrets = Secrets(key) if key else Secrets()
    hide_in_logs(secrets)
    return secrets


_TOKEN = re.compile(r"(x-amz-security-token['\"]?\s*[:,=]\s*b?['\"]?)[^\s'\",}]+", re.IGNORECASE)


def _mask_record(record: logging.LogRecord) -> bool:
    secrets = tuple({secret for known in tuple(_open.values()) for secret in known() or ()})
    if record.exc_info and record.exc_info[1]:
        mask_error(record.exc_info[1], secrets)
    message = record.getMessage()
    shown = _TOKEN.sub(rf"\g<1>{MASK}", mask_text(message, secrets))
    if shown != message:
        record.msg, record.args = shown, ()
    return True
