"""Processor cores, and processes with a clean environment."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TEST = str(Path(__file__).resolve().parents[1])
_TIMEOUT = 60  # seconds for one response of a worker


def cores() -> tuple[int, int]:
    """The cores of the server and of the client, or -1 if there is only one core or the system cannot pin processes."""
    if not hasattr(os, "sched_getaffinity"):
        return -1, -1
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[-1]) if len(allowed) > 1 else (-1, -1)


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Keeps this process, and the processes that it starts in this context, on one core."""
    if core < 0:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def environment_variables() -> dict[str, str]:
    """The environment of every measured process, without proxies, settings or keys of the user, and without a cloud."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": _TEST,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def description() -> str:
    """The processor, its cores, the system and the Python version."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {sys.version.split()[0]}"


class Process:
    """A child process that responds to each line with one line."""

    def __init__(self, *command: str) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment_variables(),
        )

    def read(self) -> Any:
        """The next line, decoded.

        Raises:
            RuntimeError: the process has ended. The message is the last line of its standard error.
        """
        line = self._process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            self._process.wait(_TIMEOUT)
            self._errors.seek(0)
            lines = self._errors.read().strip().splitlines() or [f"exit status {self._process.returncode}"]
            raise RuntimeError(lines[-1])
        return json.loads(line)

    def request(self, **command: Any) -> Any:
        """Sends a command and returns the response."""
        stdin = self._process.stdin
        stdin.write(json.dumps(command) + "\n")  # type: ignore[union-attr]
        stdin.flush()  # type: ignore[union-attr]
        return self.read()

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()


def output_of(command: Sequence[str], timeout: float) -> str:
    """The output of a process.

    Raises:
        RuntimeError: it failed, or took more than `timeout` seconds. The message is the last line of standard error.
    """
    try:
        return subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=timeout, env=environment_variables()
        ).stdout
    except subprocess.CalledProcessError as err:
        raise RuntimeError((err.stderr.strip().splitlines() or [f"exit status {err.returncode}"])[-1]) from err
    except subprocess.TimeoutExpired as err:
        raise RuntimeError(f"not finished in {timeout:.0f} s") from err
