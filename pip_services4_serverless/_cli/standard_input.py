"""Parameters that are piped in or redirected, read so that a call never hangs on a pipe that stays open."""

from __future__ import annotations

import os
import select
import stat
import sys
from time import monotonic

from pip_services4_commons.errors import BadRequestException

TO_END = 10  # seconds for the whole document
_LARGEST = 100 * 1024 * 1024  # bytes; no provider accepts more
_WAYS_OUT = "pass `-` to wait for it, or `< /dev/null` to skip it"


def read(asked: bool) -> bytes:
    """All of standard input; empty where nothing is piped in or redirected.

    Args:
        asked: it was asked for by `-`: read whatever it is, for as long as it takes.

    Raises:
        BadRequestException: `WRONG_USAGE`. It is closed though asked for, did not end in time, or is too large.
    """
    descriptor, is_piped = _standard_input()
    if descriptor is None:
        if asked:
            raise _wrong("it is closed")
        return b""
    if not asked and not is_piped:
        return b""
    ends_at = monotonic() + TO_END
    content = bytearray()
    while True:
        left = None if asked else max(0.0, ends_at - monotonic())
        if not select.select([descriptor], [], [], left)[0]:
            # Even with parameters on the command line: a call without those that come late would be another call.
            raise _wrong(f"it did not end within {TO_END} s; {_WAYS_OUT}")
        chunk = os.read(descriptor, 65536)
        if not chunk:
            return bytes(content)
        content += chunk
        if len(content) > _LARGEST:
            raise _wrong(f"it is longer than {_LARGEST} bytes")


def _standard_input() -> tuple[int | None, bool]:
    """Its descriptor, and whether it is a pipe, a socket or a file. A terminal or /dev/null has no parameters."""
    try:
        descriptor = sys.stdin.fileno()
        mode = os.fstat(descriptor).st_mode
    except (AttributeError, OSError, ValueError):  # closed
        return None, False
    return descriptor, stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def _wrong(message: str) -> BadRequestException:
    return BadRequestException(None, "WRONG_USAGE", f"standard input: {message}")
