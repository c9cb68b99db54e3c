"""mypy and pyright take what users write, and refuse their slips: a dict as context, wrong options, a wrong client."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = ("user_code.py", "fixtures.py", "refused.py")


def output_of(*command: str | Path) -> str:
    """What a type checker, run in this folder as a user would run it, prints."""
    environment = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}  # it would look for a newer release
    run = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=HERE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode in (0, 1), run.stdout + run.stderr  # more: it could not check
    assert run.stdout, run.stderr
    return run.stdout


def by_mypy(cache: Path) -> dict[str, set[int]]:
    """The lines with errors, by file."""
    found: dict[str, set[int]] = {name: set() for name in FILES}
    output = output_of("mypy", "--config-file", "mypy.ini", "--cache-dir", cache, *FILES)
    for name, line in re.findall(r"^(\S+):(\d+): error:", output, re.MULTILINE):
        found[name].add(int(line))
    return found


def by_pyright(_: Path) -> dict[str, set[int]]:
    """The same; it counts lines from 0."""
    found: dict[str, set[int]] = {name: set() for name in FILES}
    report = json.loads(output_of("pyright", "--project", ".", "--pythonpath", sys.executable, "--outputjson"))
    assert report["summary"]["filesAnalyzed"] >= len(FILES)
    for diagnostic in report["generalDiagnostics"]:
        name = Path(diagnostic["file"]).name
        found.setdefault(name, set()).add(diagnostic["range"]["start"]["line"] + 1)
    return found


@pytest.fixture(scope="module", params=[by_mypy, by_pyright], ids=["mypy", "pyright"])
def lines(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[int]]:
    """The lines with errors, by file."""
    found: dict[str, set[int]] = request.param(tmp_path_factory.mktemp("cache"))
    return found


def test_what_users_write_is_clean(lines: dict[str, set[int]]) -> None:
    """A subclass, calls for both providers, contexts of all kinds, a script, an asynchronous client, options."""
    assert lines["user_code.py"] == set()


def test_slips_are_refused(lines: dict[str, set[int]]) -> None:
    """Each of them, and nothing beside them."""
    for name in FILES[1:]:
        text = (HERE / name).read_text("utf-8").splitlines()
        refused = {number for number, line in enumerate(text, 1) if "  # refused" in line}
        assert refused
        assert lines[name] == refused
