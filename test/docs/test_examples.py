"""Each code block of the documentation and of the docstrings is executed, or gives a reason why it is not.

The blocks of a page are executed in order, in one folder and one namespace. A block whose first line is a comment with
a file name is also written to that file. Files named `test_*.py` are run by pytest, after all other blocks. The
comments after `print` calls are the expected output. `<!-- not run: reason -->` before a block excludes it.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

import pip_services4_serverless

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGE = Path(pip_services4_serverless.__file__).parent
# Pages whose blocks another test runs. That test names the page.
ELSEWHERE = {
    "README.md": "test_readme.py",
    "docs/containers.md": "container/test_worked_example.py",
}
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [ROOT / "README.md", ROOT / "test" / "README.md", *DOCS.rglob("*.md")]
    if "```" in path.read_text("utf-8") and str(path.relative_to(ROOT)) not in ELSEWHERE
)
BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>\S[^>]*) -->\n+)?"
    r"^(?P<indent> *)```(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
FILE = re.compile(r"# (\w+\.\w+)\n")
CODE_WIDTH = 100  # characters
PRINTED = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)


class Block(NamedTuple):
    where: str
    language: str
    text: str
    reason: str | None


def blocks(text: str, where: str) -> list[Block]:
    """The blocks of a page, including the indented ones."""
    found = []
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("text")) + 1
        code = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        found.append(Block(f"{where}:{line}", match["language"].split(" ")[0], code, match["reason"]))
    return found


def docstrings(path: Path) -> list[Block]:
    """The blocks in the docstrings of a module, in order."""
    tree = ast.parse(path.read_text("utf-8"))
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    documented = sorted(
        (node for node in ast.walk(tree) if isinstance(node, kinds)), key=lambda n: getattr(n, "lineno", 0)
    )
    return [
        block
        for node in documented
        for block in blocks(ast.get_docstring(node) or "", f"{path.name} {getattr(node, 'name', '')}")
    ]


MODULES = {
    str(path.relative_to(PACKAGE)): found for path in sorted(PACKAGE.rglob("*.py")) if (found := docstrings(path))
}
PRELUDE = blocks((DOCS / "reference" / "index.md").read_text("utf-8"), "reference/index.md")[0].text


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which examples run. Afterwards, modules that were imported from it are removed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    environment = dict(os.environ)
    yield tmp_path
    os.environ.clear()
    os.environ.update(environment)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def run(block: Block, names: dict[str, Any], folder: Path) -> None:
    """Executes a block, or parses it if it is data."""
    file = FILE.match(block.text)
    if file:
        (folder / file[1]).write_text(block.text, "utf-8")
    if block.language == "python" and file and file[1].startswith("test_"):
        return
    if block.language == "python":
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(block.text, block.where, "exec", dont_inherit=True), names)  # noqa: S102
        expected = PRINTED.findall(block.text)
        assert not expected or printed.getvalue().splitlines() == expected, block.where
    elif block.language in ("yaml", "yml"):
        assert yaml.safe_load(block.text), block.where
    elif block.language == "json":
        json.loads(block.text)
    else:
        assert block.language in ("text", "toml", "ini"), f"{block.where}: it is not run, and has no reason"


def run_tests(folder: Path) -> None:
    """Runs the test files of the examples with pytest, like their reader."""
    scope = "asyncio_default_fixture_loop_scope=function"  # pytest-asyncio warns if it is not set
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "-o", scope]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_run(page: str, folder: Path) -> None:
    """They run in order. Those that do not run have a reason."""
    names: dict[str, Any] = {"__name__": "example"}
    for block in blocks((ROOT / page).read_text("utf-8"), page):
        if block.reason is None:
            run(block, names, folder)
    if any(folder.glob("test_*.py")):
        run_tests(folder)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_run(module: str, folder: Path) -> None:
    """They use the imports on the first page of the reference."""
    shutil.copytree(Path(__file__).parent / "functions", folder / "functions")
    names: dict[str, Any] = {"__name__": "example"}
    exec(PRELUDE, names)  # noqa: S102
    tests = ""
    for block in MODULES[module]:
        assert block.language == "python", block.where
        assert block.reason is None, block.where
        if re.match(r"def test_\w+\(", block.text):
            tests += f"\n\n{block.text}"
        else:
            run(block, names, folder)
    if tests:
        (folder / "test_example.py").write_text(PRELUDE + tests, "utf-8")
        run_tests(folder)


@pytest.mark.parametrize(("page", "test"), ELSEWHERE.items())
def test_the_other_pages_have_another_test(page: str, test: str) -> None:
    """That test names the page."""
    assert Path(page).name in (ROOT / "test" / test).read_text("utf-8")


def test_every_block_is_found() -> None:
    """Each opening fence belongs to a block."""
    for page in PAGES:
        text = (ROOT / page).read_text("utf-8")
        fences = re.findall(r"^ *```", text, re.MULTILINE)
        assert len(fences) == 2 * len(blocks(text, page)), page


def test_lines_of_code_fit_into_the_page() -> None:
    """The column of the site has 100 characters. Messages and commands may be longer."""
    pages = [path for path in DOCS.rglob("*.md") if "```" in path.read_text("utf-8")]
    found = [block for path in pages for block in blocks(path.read_text("utf-8"), path.name)]
    found += [block for modules in MODULES.values() for block in modules]
    is_code = [block for block in found if block.language in ("python", "yaml", "ini")]
    assert len(is_code) > 100
    assert [
        (block.where, line) for block in is_code for line in block.text.splitlines() if len(line) > CODE_WIDTH
    ] == []


def test_each_public_class_has_an_example() -> None:
    """It is in the docstring. The fixtures of the pytest plugin have one too."""
    public = [name for name in MODULES if not Path(name).name.startswith("_")]
    assert sorted(public) == sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.glob("[!_]*/[!_]*.py"))
