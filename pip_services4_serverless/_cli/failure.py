"""How a command fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pip_services4_commons.errors import ApplicationException

FUNCTION_FAILED = 1
WRONG_USAGE = 2
NO_CONNECTION = 3


class CommandError(Exception):
    """Ends the command with an exit status; the error says why."""

    def __init__(self, status: int, error: ApplicationException) -> None:
        super().__init__(str(error))
        self.status = status
        self.error = error
