"""The codes and the exit statuses of failed commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pip_services4_commons.errors import ApplicationException

CODES: Mapping[str, str] = {
    "WRONG_USAGE": "an option, an argument or a parameter is wrong",
    "WRONG_CONFIG": "the file of `--config` cannot be read, or is not a valid configuration",
    "NO_CLIENT": "the file has no such client, or more than one matches",
    "NO_PROVIDER": "the section of the client does not say whether it is for Azure, Google or Lambda",
    "NO_AUTH_CODE": "the file of `--auth-code-file` cannot be read, or is empty",
    "NO_AUTH_TOKEN": "the file of `--auth-token-file` cannot be read, or is empty",
    "CANNOT_SERVE": "a local host cannot start",
    "DEMO_FAILED": "a response in the demonstration was not as expected",
}
FUNCTION_FAILED = 1
WRONG_USAGE = 2
NO_CONNECTION = 3


class CommandError(Exception):
    """Ends the command with an exit status. `error` is printed."""

    def __init__(self, status: int, error: ApplicationException) -> None:
        super().__init__(str(error))
        self.status = status
        self.error = error


def one_line(text: str) -> str:
    """Removes line breaks and terminal codes from a text."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
