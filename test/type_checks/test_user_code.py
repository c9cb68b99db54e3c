"""mypy and pyright accept what users write, and report their mistakes, such as a dict as context or wrong options."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = ("user_code.py", "fixtures.py", "wrong_code.py")


def output_of(*command: str | Path) -> str:
    """The output of a type checker that runs in this folder as for a user."""
    environment = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}  # else it looks for a newer release
    run = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=HERE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode in (0, 1), run.stdout + run.stderr  # other codes: the check itself failed
    assert run.stdout, run.stderr
    return run.stdout


def mypy_errors(cache: Path) -> dict[str, set[int]]:
    """The lines with errors, by file."""
    found: dict[str, set[int]] = {name: set() for name in FILES}
    output = output_of("mypy", "--config-file", "mypy.ini", "--cache-dir", cache, *FILES)
    for name, line in re.findall(r"^(\S+):(\d+): error:", output, re.MULTILINE):
        found[name].add(int(line))
    return found


def pyright_errors(_: Path) -> dict[str, set[int]]:
    """The lines with errors, by file. pyright counts lines from 0."""
    found: dict[str, set[int]] = {name: set() for name in FILES}
    report = json.loads(output_of("pyright", "--project", ".", "--pythonpath", sys.executable, "--outputjson"))
    assert report["summary"]["filesAnalyzed"] >= len(FILES)
    for diagnostic in report["generalDiagnostics"]:
        name = Path(diagnostic["file"]).name
        found.setdefault(name, set()).add(diagnostic["range"]["start"]["line"] + 1)
    return found


@pytest.fixture(scope="module", params=[mypy_errors, pyright_errors], ids=["mypy", "pyright"])
def error_lines(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[int]]:
    """The lines with errors, by file."""
    found: dict[str, set[int]] = request.param(tmp_path_factory.mktemp("cache"))
    return found


def test_correct_code_has_no_errors(error_lines: dict[str, set[int]]) -> None:
    """It has subclasses, calls of both providers, all kinds of contexts, scripts, asynchronous clients and options."""
    assert error_lines["user_code.py"] == set()


def test_each_mistake_is_an_error(error_lines: dict[str, set[int]]) -> None:
    """No other line has an error."""
    for name in FILES[1:]:
        text = (HERE / name).read_text("utf-8").splitlines()
        expected = {number for number, line in enumerate(text, 1) if "  # error" in line}
        assert expected
        assert error_lines[name] == expected
