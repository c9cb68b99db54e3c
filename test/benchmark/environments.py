"""Virtual environments for clients that cannot be installed with the others. They are made once, in the project's."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

_PROJECT = Path(__file__).resolve().parents[2]
_TIMEOUT = 150  # seconds for one run of pip or venv


class Environment(NamedTuple):
    """The environment of a client, or the reason why there is none."""

    python: str
    packages: tuple[str, ...]  # the folders that its packages are imported from
    missing: str = ""


def requirements() -> dict[str, Sequence[str]]:
    """The packages of each environment. Published clients get the HTTP libraries that all others are measured with."""
    requests, urllib3, boto3 = (f"{name}=={version(name)}" for name in ("requests", "urllib3", "boto3"))
    return {
        # Its own dependencies do not include requests.
        "azure": ("pip-services4-azure==0.0.1", requests, urllib3),
        "aws": ("pip-services4-aws==0.0.1", boto3, urllib3),
        "aiobotocore": ("aiobotocore",),
        "aiohttp": ("aiohttp",),
    }


def make(names: Collection[str]) -> Mapping[str, Environment]:
    """The environments with these names. `own` is the environment of this process."""
    wanted = {name: needs for name, needs in requirements().items() if name in names}
    with ThreadPoolExecutor() as pool:
        made = pool.map(_make, wanted, wanted.values())
        own = Environment(sys.executable, (str(_PROJECT), _packages(Path(sys.prefix))))
        return {"own": own, **dict(zip(wanted, made, strict=True))}


def _packages(environment: Path) -> str:
    return sysconfig.get_path("purelib", vars={"base": str(environment)})


def _make(name: str, needs: Sequence[str]) -> Environment:
    folder = Path(sys.prefix) / f"bench-{name}"
    python = str(folder / "bin" / "python")
    made = Environment(python, (_packages(folder),))
    stamp, wanted = folder / "made-for.txt", "\n".join((sys.version, *needs))
    if stamp.exists() and stamp.read_text() == wanted:
        return made
    pip = (python, "-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "30", *needs)
    try:
        for command in (sys.executable, "-m", "venv", "--clear", str(folder)), pip:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_TIMEOUT)
    except subprocess.CalledProcessError as err:
        lines = [line for line in err.stderr.splitlines() if "ERROR" in line] or [f"exit status {err.returncode}"]
        return made._replace(missing=f"its environment could not be made: {lines[0]}")
    except subprocess.TimeoutExpired:
        return made._replace(missing=f"its environment could not be made in {_TIMEOUT} s")
    stamp.write_text(wanted)
    return made
