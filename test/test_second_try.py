"""Only tests of time limits are run again if they fail."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

TEST = Path(__file__).parent
MEASURED = re.compile(
    r"(monotonic|process_time|thread_time|perf_counter|best_of)\(|\b(took|seconds|longest)\b|\.time -"
)
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


def test_only_tests_of_time_limits_are_run_again(tmp_path: Path) -> None:
    """The summary names each of them, and shows why it failed at first."""
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
    for name in ("test_late_once", "test_late_twice"):
        assert f"- first try of test_tries.py::{name} -" in done.stdout
    assert "assert 1 == 3" in done.stdout  # the failure of the second try is "assert 2 == 3"


def checks_a_time_limit(test: ast.AST) -> bool:
    """Whether an assertion compares a measured time with a maximum."""
    compared = [node for found in ast.walk(test) if isinstance(found, ast.Assert) for node in ast.walk(found)]
    uppers = [
        (ast.unparse(node.comparators[-1]), ast.unparse(node))
        for node in compared
        if isinstance(node, ast.Compare) and isinstance(node.ops[-1], ast.Lt | ast.LtE)
    ]
    return any(re.match(r"[\d(A-Z]", bound) and MEASURED.search(text) for bound, text in uppers)


def test_each_test_of_a_time_limit_is_marked() -> None:
    """It is run again if it fails, and `make test-fast` leaves it out."""
    unmarked = [
        f"{path.name}::{test.name}"
        for path in TEST.rglob("test_*.py")
        for test in ast.parse(path.read_text("utf-8")).body
        if isinstance(test, ast.FunctionDef) and test.name.startswith("test_") and checks_a_time_limit(test)
        if "pytest.mark.timing" not in map(ast.unparse, test.decorator_list)
    ]
    assert unmarked == []
