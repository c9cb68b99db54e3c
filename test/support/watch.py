"""Collects everything that a client shows, which is logs, counters, traces and errors, and searches it for secrets."""

from __future__ import annotations

import base64
import json
import logging
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from pip_services4_commons.errors import ApplicationException, ErrorDescriptionFactory
from pip_services4_components.context import IContext
from pip_services4_components.refer import Descriptor, References
from pip_services4_observability.count import CachedCounters, Counter
from pip_services4_observability.log import Logger, LogLevel
from pip_services4_observability.trace import ITracer

from pip_services4_serverless.clients import FunctionClient

URL_KEY = "UrlKey-hunter2-D"
PROXY_USER = "proxyuser:ProxyPassword-hunter2-E"
PROXY_BASIC = base64.b64encode(PROXY_USER.encode()).decode()
MARK = "hunter2"  # in every secret, and in no other text
LOGGERS = ("", "urllib3", "requests", "botocore", "boto", "boto3", "http")


class Watch(Logger, logging.Handler, CachedCounters, ITracer):
    """Records everything that is logged, counted or traced, as text."""

    def __init__(self) -> None:
        Logger.__init__(self)
        logging.Handler.__init__(self, logging.DEBUG)
        CachedCounters.__init__(self)
        self.seen: list[str] = []
        self.warnings = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.seen += (self.format(record), repr(vars(record)))

    def log(self, *args: Any) -> None:
        """The method of pip-services' logger. `Handler` has no method of this name."""
        self._format_and_write(*args)

    def _write(self, level: LogLevel, context: IContext | None, error: Exception | None, message: str | None) -> None:
        self.warnings += level == LogLevel.Warn
        self.seen.append(f"{level} {context} {message} {self._compose_error(error) if error else ''}")

    def trace(self, context: IContext | None, component: str, operation: str, duration: float) -> None:
        self.seen.append(f"{component} {operation}")

    def failure(
        self, context: IContext | None, component: str, operation: str, error: Exception, duration: float
    ) -> None:
        self.seen.append(f"{component} {operation} {error!r}")

    def _save(self, counters: list[Counter]) -> None:
        self.seen += (repr(vars(counter)) for counter in counters)

    def references(self) -> References:
        kinds = ("logger", "counters", "tracer")
        return References.from_tuples(
            *(part for kind in kinds for part in (Descriptor("test", kind, "watch", "default", "1.0"), self))
        )

    def note(self, error: BaseException | None) -> None:
        """Records everything that can be printed about an exception and its causes."""
        while error is not None:
            self.seen += (str(error), repr(error), repr(error.args), repr(vars(error)))
            self.seen += traceback.format_exception(error)
            if isinstance(error, ApplicationException):
                self.seen.append(json.dumps(error.to_json(), default=str))
                self.seen.append(repr(vars(ErrorDescriptionFactory.create(error))))
            error = error.__cause__ or error.__context__

    def note_client(self, client: FunctionClient) -> None:
        connection = client._connection
        self.seen += (repr(client), str(client), repr(connection), str(connection), connection.to_string())
        self.seen += (repr(client._connection_resolver), repr(vars(client._connection_resolver).get("_references")))

    def leaks(self) -> list[str]:
        self._save(self.get_all())
        return [text for text in self.seen if MARK in text or PROXY_BASIC in text]


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Records everything that is logged at any level."""
    result = Watch()
    result.set_level(LogLevel.Trace)
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    logging.getLogger().addHandler(result)
    yield result
    logging.getLogger().removeHandler(result)
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)
