"""Makes pytest show the line of the user's test, and not one of this package, when a call in the test fails."""

from __future__ import annotations

from typing import Any

from pip_services4_commons.errors import ApplicationException


def hide_failures(excinfo: Any) -> bool:
    """Whether pytest hides the frames of a module in a traceback: only if the exception is an `ApplicationException`.

    These are the exceptions that calls and configurations are documented to raise. Any other exception is a bug in this
    package, so its whole traceback is shown. `pytest --full-trace` always shows everything.

    A module uses this function with `__tracebackhide__ = hide_failures`, which adds nothing to the time of a call.
    """
    return excinfo is not None and isinstance(excinfo.value, ApplicationException)
