"""The client's log of one call, for `--verbose`."""

from __future__ import annotations

import sys
from typing import Any

from pip_services4_observability.log import Logger, LogLevel, LogLevelConverter

from .failure import one_line


class StandardErrorLogger(Logger):
    """Writes each entry as one line to standard error, because standard output is for the response."""

    def __init__(self) -> None:
        super().__init__()
        self.set_level(LogLevel.Trace)

    def _write(self, level: LogLevel, context: Any, error: Exception | None, message: str | None) -> None:
        text = one_line(f"{message or ''}{': ' if message and error else ''}{error or ''}")
        sys.stderr.write(f"pip-serverless: {LogLevelConverter.to_string(level).lower()}: {text}\n")
