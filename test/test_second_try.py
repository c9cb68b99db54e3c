"""Tests that hold a bound in time get a second try, and no other test does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TEST = Path(__file__).parent
FAILS_ONCE = """
import pytest
tries = []

@pytest.mark.{mark}
def test_it():
    tries.append(1)
    assert len(tries) == {passes}
"""


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("mark", "passes", "outcome"),
    [
        ("timing", 1, "1 passed"),
        ("timing", 2, "1 passed, 1 rerun"),
        ("timing", 3, "1 failed, 1 rerun"),
        ("defect(1)", 2, "1 failed"),
    ],
)
def test_who_gets_a_second_try(mark: str, passes: int, outcome: str, workers: int, tmp_path: Path) -> None:
    """A test that fails at its first try and passes at its second is named in the summary."""
    shutil.copy(TEST / "conftest.py", tmp_path)
    (tmp_path / "test_once.py").write_text(FAILS_ONCE.format(mark=mark, passes=passes), "utf-8")
    options = ["-c", str(TEST.parent / "pyproject.toml"), "--rootdir", str(tmp_path), "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(workers), *options, str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60)

    assert f"{outcome} in " in done.stdout
    assert ("RERUN test_once.py::test_it" in done.stdout) == ("rerun" in outcome)
