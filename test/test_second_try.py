"""Tests that hold a bound in time get a second try, and no other test does."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

TEST = Path(__file__).parent
TESTS = """
import pytest
tries = []

def passes_at(number, name):
    tries.append(name)
    assert tries.count(name) == number

@pytest.mark.timing
def test_in_time():
    passes_at(1, "in time")

@pytest.mark.timing
def test_late_once():
    passes_at(2, "late once")

@pytest.mark.timing
def test_late_twice():
    passes_at(3, "late twice")

def test_unmarked():
    passes_at(2, "unmarked")
"""


def test_only_a_bound_in_time_gets_a_second_try(tmp_path: Path) -> None:
    """The summary names each test that needed it."""
    shutil.copy(TEST / "conftest.py", tmp_path)
    (tmp_path / "test_tries.py").write_text(TESTS, "utf-8")
    options = ["-c", str(TEST.parent / "pyproject.toml"), "--rootdir", str(tmp_path), "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "1", *options, str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60)

    assert "2 failed, 2 passed, 2 rerun in " in done.stdout
    assert set(re.findall(r"^RERUN test_tries.py::(\w+)", done.stdout, re.MULTILINE)) == {
        "test_late_once",
        "test_late_twice",
    }
    assert set(re.findall(r"^FAILED .*test_tries.py::(\w+)", done.stdout, re.MULTILINE)) == {
        "test_late_twice",
        "test_unmarked",
    }
