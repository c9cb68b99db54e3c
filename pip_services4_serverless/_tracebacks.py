"""Makes pytest show a user's failing test at the user's own line."""

from __future__ import annotations

from typing import Any

from pip_services4_commons.errors import ApplicationException


def hide_failures(excinfo: Any) -> bool:
    """Hides a module's frames in pytest's tracebacks of errors that calls and configurations are documented to raise.

    A module says so by `__tracebackhide__ = hide_failures`, which costs a call nothing. Other exceptions are faults of
    this package, and are shown whole; so is everything with `pytest --full-trace`.
    """
    return excinfo is not None and isinstance(excinfo.value, ApplicationException)
