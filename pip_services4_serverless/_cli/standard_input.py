"""Reads parameters from standard input, with a time limit, so that a call does not hang on a pipe that stays open."""

from __future__ import annotations

import os
import select
import stat
import sys
from time import monotonic

from pip_services4_commons.errors import BadRequestException

TIMEOUT = 10  # seconds for the whole document
_LARGEST = 100 * 1024 * 1024  # bytes; no provider accepts more
_ADVICE = "pass `-` to wait for it, or `< /dev/null` to skip it"


def read(required: bool) -> bytes:
    """Reads standard input to its end. The result is empty if nothing is piped in or redirected.

    Args:
        required: the argument `-` was given: read standard input even if it is a terminal, without a time limit.

    Raises:
        BadRequestException: `WRONG_USAGE`. It is closed although it is required, does not end in time, or is too large.
    """
    descriptor, is_piped = _standard_input()
    if descriptor is None:
        if required:
            raise _wrong("it is closed")
        return b""
    if not required and not is_piped:
        return b""
    deadline = monotonic() + TIMEOUT
    content = bytearray()
    while True:
        left = None if required else max(0.0, deadline - monotonic())
        if not select.select([descriptor], [], [], left)[0]:
            # This is an error even if the command line has parameters, because others might still arrive.
            raise _wrong(f"it did not end within {TIMEOUT} s; {_ADVICE}")
        chunk = os.read(descriptor, 65536)
        if not chunk:
            return bytes(content)
        content += chunk
        if len(content) > _LARGEST:
            raise _wrong(f"it is longer than {_LARGEST} bytes")


def _standard_input() -> tuple[int | None, bool]:
    """The file descriptor, and whether it may have parameters: a terminal and /dev/null have none."""
    try:
        descriptor = sys.stdin.fileno()
        mode = os.fstat(descriptor).st_mode
    except (AttributeError, OSError, ValueError):  # closed
        return None, False
    return descriptor, stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def _wrong(message: str) -> BadRequestException:
    return BadRequestException(None, "WRONG_USAGE", f"standard input: {message}")
