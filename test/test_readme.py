"""The README's examples run as they are printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
# A block begins with a comment: the name of its file.
FILES = {
    block.partition("\n")[0].removeprefix("# "): block
    for block in re.findall(r"^```python\n(.*?)^```$", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
}
EXAMPLES = [name for name in FILES if name.endswith("_example.py")]


def printed(source: str) -> str:
    """What the comments behind an example's print statements say that it prints."""
    return "".join(f"{comment}\n" for comment in re.findall(r"^ *print\(.*\)  # (.*)$", source, re.MULTILINE))


def test_each_block_is_a_file_and_the_providers_have_an_example() -> None:
    """No block is left that nobody runs."""
    assert all(re.fullmatch(r"\w+\.py", name) for name in FILES)
    assert EXAMPLES == ["azure_example.py", "lambda_example.py"]
    assert all(printed(FILES[name]) for name in EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_prints_what_it_says(name: str, tmp_path: Path) -> None:
    """In a fresh folder and a fresh interpreter, without a warning."""
    for file, source in FILES.items():
        (tmp_path / file).write_text(source, "utf-8")
    run = subprocess.run(
        [sys.executable, "-W", "error", name], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert run.returncode == 0, run.stderr
    assert run.stdout == printed(FILES[name])
    assert run.stderr == ""
