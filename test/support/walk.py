"""Counts the Python functions that a call runs, the libraries that they belong to, and the changes between libraries.

`PYTHONPATH=test python -m support.walk` prints the figures of docs/architecture.md. `-v` also prints each function.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pip_services4_serverless

from .clients import BASES, open_client
from .fault_server import FaultServer

_PACKAGE = Path(pip_services4_serverless.__file__).parent
_LIBRARIES = ("requests", "boto3", "botocore", "urllib3", "http.client")


class Step(NamedTuple):
    """One function that ran."""

    owner: str  # "ours", the name of a library, or "other", such as the standard library
    file: str  # relative to the package for "ours", and absolute for others
    name: str


class Walk(NamedTuple):
    """The functions of one call, in order, and the owners of the deepest call stack, without repetitions."""

    steps: list[Step]
    deepest: list[str]


def walk(provider: str) -> Walk:
    """The functions of one `_call` of a client whose connection is open. The server responds with the payload."""
    steps: list[Step] = []
    deepest: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        nonlocal deepest
        if event != "call":  # functions written in C have events of another name
            return
        steps.append(_step(frame))
        owners: list[str] = []
        outer: FrameType | None = frame
        while outer is not None and outer is not here:
            owner = _step(outer).owner
            if owner != "other" and owners[-1:] != [owner]:
                owners.append(owner)
            outer = outer.f_back
        if len(owners) > len(deepest):
            deepest = owners[::-1]

    here = sys._getframe()
    with FaultServer() as server, open_client(provider, server.url) as client:
        for _ in range(3):
            client._call("get", "trace-1", {"id": 1})
        before = sys.getprofile()
        sys.setprofile(note)
        try:
            client._call("get", "trace-1", {"id": 1})
        finally:
            sys.setprofile(before)
    return Walk(steps, deepest)


def changes(steps: list[Step]) -> int:
    """How often the owner of a function differs from that of the function before it."""
    owners = [step.owner for step in steps if step.owner != "other"]
    return sum(one != other for one, other in pairwise(owners))


def _step(frame: FrameType) -> Step:
    path = Path(frame.f_code.co_filename)
    name = frame.f_code.co_qualname
    if path.is_relative_to(_PACKAGE):
        return Step("ours", str(path.relative_to(_PACKAGE)), name)
    for library in _LIBRARIES:
        if f"/{library.replace('.', '/')}" in str(path.with_suffix("")).partition("/lib/python")[2]:
            return Step(library, str(path), name)
    return Step("other", str(path), name)


def main() -> None:
    """Prints the figures of each provider."""
    for provider in BASES:
        steps, deepest = walk(provider)
        ours = [step for step in steps if step.owner == "ours"]
        lines = [
            f"{provider}: {len(steps)} functions, {changes(steps)} changes of owner, {' → '.join(deepest)}",
            f"  ours: {len(ours)} in {len({step.file for step in ours})} files",
            *(f"  {name}: {sum(step.owner == name for step in steps)}" for name in (*_LIBRARIES, "other")),
        ]
        if "-v" in sys.argv:
            lines += [f"    {step.owner} {step.file} {step.name}" for step in steps]
        sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
