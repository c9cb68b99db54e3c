"""The cores, the processes and their surroundings."""

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
_PATIENCE = 60  # seconds for one answer of a worker


def cores() -> tuple[int, int]:
    """The server's and the client's core; -1 where there are no two, or the system pins nothing."""
    if not hasattr(os, "sched_getaffinity"):
        return -1, -1
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[-1]) if len(allowed) > 1 else (-1, -1)


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Keeps this process, and those that it starts meanwhile, on one core."""
    if core < 0:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def surroundings() -> dict[str, str]:
    """What every measured process has for environment: no proxy, settings or keys of the user's, and no cloud."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": _TEST,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def description() -> str:
    """Processor, cores, system and Python."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {sys.version.split()[0]}"


class Process:
    """A child that answers a line for a line. Ended by `close`."""

    def __init__(self, *command: str) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=surroundings(),
        )

    def read(self) -> Any:
        """The next line, decoded.

        Raises:
            RuntimeError: the process has ended; its last words.
        """
        line = self._process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            self._process.wait(_PATIENCE)
            self._errors.seek(0)
            words = self._errors.read().strip().splitlines() or [f"exit status {self._process.returncode}"]
            raise RuntimeError(words[-1])
        return json.loads(line)

    def ask(self, **order: Any) -> Any:
        """Gives an order; its answer."""
        stdin = self._process.stdin
        stdin.write(json.dumps(order) + "\n")  # type: ignore[union-attr]
        stdin.flush()  # type: ignore[union-attr]
        return self.read()

    def close(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()


def output_of(command: Sequence[str], patience: float) -> str:
    """What a process prints.

    Raises:
        RuntimeError: it failed, or took longer than `patience` seconds; its last words.
    """
    try:
        return subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=patience, env=surroundings()
        ).stdout
    except subprocess.CalledProcessError as err:
        raise RuntimeError((err.stderr.strip().splitlines() or [f"exit status {err.returncode}"])[-1]) from err
    except subprocess.TimeoutExpired as err:
        raise RuntimeError(f"not done in {patience:.0f} s") from err
