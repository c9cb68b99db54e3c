"""Runs the command line in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROGRAM = (sys.executable, "-m", "pip_services4_serverless")
END_OF_CONFIG = re.compile("auth_code|auth_token|access_key")  # in the last line that `serve` prints for a function


def wait_until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "the condition was not true after 30 s"
        time.sleep(0.01)


def new_threads(before: set[threading.Thread]) -> set[threading.Thread]:
    """The threads that were not in `threading.enumerate()` before. Counts cannot be compared, because a thread of an
    earlier test may still have been ending."""
    return set(threading.enumerate()) - before


class Process:
    """A command in its own process. Its child processes and temporary files can be identified."""

    def __init__(self, folder: Path, *arguments: str, program: tuple[str, ...] = PROGRAM) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self._mark = f"PIP_SERVERLESS_TEST={folder}"
        name, _, value = self._mark.partition("=")
        # Python's variables could hide output that is not flushed, and outdated bytecode.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        environment |= {name: value, "TMPDIR": str(self.temporary), "AWS_ACCESS_KEY_ID": "made"}
        environment["AWS_SECRET_ACCESS_KEY"] = "up"
        self.errors = folder / "errors"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [*program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                env=environment,
                text=True,
            )

    def read_until(self, pattern: str) -> str:
        """Reads the output up to the first line with this pattern."""
        assert self.process.stdout
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if re.search(pattern, line):
                return "".join(lines)
        raise AssertionError(f"the process ended and printed {lines!r} and {self.errors.read_text()!r}")

    def read_config(self) -> str:
        """The configuration that `serve` prints for the first function."""
        return self.read_until(END_OF_CONFIG.pattern)

    def end(self, number: int) -> tuple[int, str]:
        """Sends this signal, and returns the exit status and the text of standard error."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        assert self.process.stdout
        with self.process.stdout:
            status = self.process.wait(30)
        return status, self.errors.read_text()

    def left(self) -> tuple[list[str], list[str]]:
        """The processes that it started and that still run, and the temporary files that still exist."""
        processes = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    processes.append((folder / "cmdline").read_text())
            except OSError:  # the process has ended, or belongs to another user
                continue
        return processes, os.listdir(self.temporary)
