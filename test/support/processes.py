"""The command line in processes of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROGRAM = (sys.executable, "-m", "pip_services4_serverless")
END_OF_CONFIG = re.compile("auth_code|auth_token|access_key")  # the last line that `serve` prints of a function


def wait_until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.01)


class Process:
    """A command in a process of its own, whose children and temporary files can be told from all others."""

    def __init__(self, folder: Path, *arguments: str, program: tuple[str, ...] = PROGRAM) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self._mark = f"PIP_SERVERLESS_TEST={folder}"
        name, _, value = self._mark.partition("=")
        # Python's own switches would hide what is not flushed, and bytecode that is out of date.
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
        """What is printed, up to the line with the pattern."""
        assert self.process.stdout
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if re.search(pattern, line):
                return "".join(lines)
        raise AssertionError(f"it ended and printed {lines!r} and {self.errors.read_text()!r}")

    def read_config(self) -> str:
        """What `serve` prints for the first function."""
        return self.read_until(END_OF_CONFIG.pattern)

    def end(self, number: int) -> tuple[int, str]:
        """Its exit status and what it said on standard error, after this signal."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        assert self.process.stdout
        with self.process.stdout:
            status = self.process.wait(30)
        return status, self.errors.read_text()

    def left(self) -> tuple[list[str], list[str]]:
        """The processes that were started, and the temporary files, that are still there."""
        processes = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    processes.append((folder / "cmdline").read_text())
            except OSError:  # ended meanwhile, or another user's
                continue
        return processes, os.listdir(self.temporary)
