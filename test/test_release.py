"""Files that describe a release agree with each other."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest
import yaml

from pip_services4_serverless import __version__

ROOT = Path(__file__).parent.parent
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CI = (ROOT / ".ci" / "run").read_text("utf-8")


def search(pattern: str, text: str) -> str:
    """The text of the pattern's group."""
    match = re.search(pattern, text, re.MULTILINE)
    assert match, pattern
    return str(match[1])


PYTHONS = search(r"^for wanted in (.*); do$", (ROOT / ".ci" / "pythons").read_text("utf-8")).split()


def test_the_pythons_are_the_same_everywhere() -> None:
    """CI looks for these versions, the workflow installs them, and the package declares them."""
    setup = next(step["with"] for step in WORKFLOW["jobs"]["ci"]["steps"] if "setup-python" in step.get("uses", ""))
    package = metadata("pip-services4-serverless")
    classifiers = re.findall(r"Python :: (3\.\d+)", "\n".join(package.get_all("Classifier") or []))
    assert sorted(setup["python-version"].split()) == PYTHONS == sorted(classifiers)
    assert package["Requires-Python"] == f">={PYTHONS[0]}"


def test_the_workflow_only_calls_ci() -> None:
    """Before that, it gets the sources and the interpreters."""
    steps = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    assert [step["uses"].partition("@")[0] for step in steps if "uses" in step] == [
        "actions/checkout",
        "actions/setup-python",
    ]


def test_ci_runs_only_targets_of_make() -> None:
    """No command is repeated when it fails."""
    commands = [line for line in CI.splitlines() if line and line[0] != "#"]
    assert [line for line in commands if not re.match(r"set |cd |(exec )?make (--[a-z=3-]+ )*[a-z]", line)] == []
    assert [line for line in commands if "||" in line] == []


def test_the_test_files_in_the_makefile_exist() -> None:
    """Otherwise a renamed file would silently not be tested with other Pythons and with niquests."""
    for name in ("FAST", "ON_NEWEST_PYTHON", "WITH_NIQUESTS"):
        words = search(rf"^{name} = ((?:.*\\\n)*.*)$", MAKEFILE).replace("\\\n", " ").replace("--ignore=", "").split()
        paths = [word for word in words if word.startswith("test/")]
        assert len(paths) > 5
        assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_files_that_conftest_lists_exist() -> None:
    """Otherwise a renamed file would lose its place in the order, or be measured for coverage."""
    names = re.findall(r'^    "(test_\w+)",$', (ROOT / "test" / "conftest.py").read_text("utf-8"), re.MULTILINE)
    assert len(names) > 20
    assert set(names) <= {path.stem for path in (ROOT / "test").rglob("test_*.py")}


@pytest.mark.parametrize(
    "target",
    ["install", "test", "test-fast", "check", "clean", "docs", "docgen", "demo", "bench", "soak", "package", "pythons"],
)
def test_the_makefile_has_the_target(target: str) -> None:
    """Users of pip-services know some of these targets, and the documentation names the others."""
    assert re.search(rf"^([\w-]+ )*{target}( [\w-]+)*:", MAKEFILE, re.MULTILINE)
    assert re.search(rf"^\.PHONY:.* {target}( |$)", MAKEFILE, re.MULTILINE)


def test_the_operating_system_is_the_same_everywhere() -> None:
    """Classifier, README and documentation name the operating system on which the tests run."""
    classifiers = metadata("pip-services4-serverless").get_all("Classifier") or []
    assert [classifier for classifier in classifiers if classifier.startswith("Operating System")] == [
        "Operating System :: POSIX :: Linux"
    ]
    assert WORKFLOW["jobs"]["ci"]["runs-on"].startswith("ubuntu")
    assert "Tested on Linux." in (ROOT / "README.md").read_text("utf-8")
    assert "It is tested on Linux with Python 3.11 to 3.14." in (ROOT / "docs" / "index.md").read_text("utf-8")


def test_pip_install_works_from_a_checkout() -> None:
    """Until a version is published, no page installs the package by its name, and pages mention the checkout."""
    published = "\n## [" in CHANGELOG.partition("## [Unreleased]")[2]
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text("utf-8")
        assert published or not re.search(r'pip install [^`\n]*"?pip-services4-serverless', text), page.name
        assert published or "[local]" not in text or "checkout" in text, page.name


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md"])
def test_github_finds_the_community_file(name: str) -> None:
    """It is in `.github`, and the README links to it."""
    assert (ROOT / ".github" / name).is_file()
    assert f"(.github/{name})" in (ROOT / "README.md").read_text("utf-8")


def test_the_changelog_lists_versions_newest_first() -> None:
    """Each version has a date. Unreleased changes are at the top."""
    headings = re.findall(r"^## (.*)$", CHANGELOG, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading) for heading in headings[1:])
    released = [heading.partition("]")[0].strip("[") for heading in headings[1:]]
    assert released == sorted(released, key=lambda version: [*map(int, version.split("."))], reverse=True)
    assert __version__ not in released[1:]


@pytest.mark.parametrize(
    "field",
    ["Summary", "Description-Content-Type", "License-Expression", "License-File", "Keywords", "Requires-Python"],
)
def test_the_metadata_has_the_field(field: str) -> None:
    """It is read from the installed distribution."""
    assert metadata("pip-services4-serverless")[field]


def test_developers_use_groups_and_not_extras() -> None:
    """Extras are for users of the wheel. Tests, documentation and releases have dependency groups."""
    groups = PYPROJECT["dependency-groups"]
    assert {"test", "docs", "package", "bench"} <= groups.keys()
    assert not groups.keys() & set(metadata("pip-services4-serverless").get_all("Provides-Extra") or [])


@pytest.mark.parametrize("path", ["Makefile", ".ci/package", "docker/Dockerfile.test"])
def test_each_installed_group_is_declared(path: str) -> None:
    """The pip of Python 3.11 does not support groups, so pip is upgraded first."""
    text = (ROOT / path).read_text("utf-8")
    named = re.findall(r"--group[ =](\S+)", text)
    assert named
    assert set(named) <= PYPROJECT["dependency-groups"].keys()
    assert text.index("--upgrade 'pip>=25.1'") < text.index("--group")
    assert "[local,test]" not in text


def test_the_demo_installs_what_users_install() -> None:
    """It does not install the tools of the tests."""
    needs = search(r"^demo: (.*)$", MAKEFILE)
    recipe = search(rf"^{re.escape(needs)}: .*\n((?:\t.*\n)+)", MAKEFILE)
    assert "--editable '.[local]'" in recipe
    assert "--group" not in recipe
