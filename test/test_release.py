"""What is told of a release in several places is the same everywhere."""

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


def found(pattern: str, text: str) -> str:
    """What the pattern's group finds in a text of several lines."""
    match = re.search(pattern, text, re.MULTILINE)
    assert match, pattern
    return str(match[1])


PYTHONS = found(r"^for wanted in (.*); do$", (ROOT / ".ci" / "pythons").read_text("utf-8")).split()


def test_the_pythons_are_the_same_everywhere() -> None:
    """Those that CI looks for, those that the workflow sets up, those that the package is declared for."""
    setup = next(step["with"] for step in WORKFLOW["jobs"]["ci"]["steps"] if "setup-python" in step.get("uses", ""))
    told = metadata("pip-services4-serverless")
    classifiers = re.findall(r"Python :: (3\.\d+)", "\n".join(told.get_all("Classifier") or []))
    assert sorted(setup["python-version"].split()) == PYTHONS == sorted(classifiers)
    assert told["Requires-Python"] == f">={PYTHONS[0]}"


def test_the_workflow_does_what_ci_does() -> None:
    """By calling it, after what brings the sources and the interpreters, and without anything else."""
    steps = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    assert [step["uses"].partition("@")[0] for step in steps if "uses" in step] == [
        "actions/checkout",
        "actions/setup-python",
    ]


def test_ci_does_nothing_that_make_does_not() -> None:
    """Each of its commands is one of targets of the Makefile, and no command is repeated when it fails."""
    commands = [line for line in CI.splitlines() if line and line[0] != "#"]
    assert [line for line in commands if not re.match(r"set |cd |(exec )?make (--[a-z=3-]+ )*[a-z]", line)] == []
    assert [line for line in commands if "||" in line] == []


def test_what_is_tested_elsewhere_is_there() -> None:
    """On the other interpreters, and with niquests: a file that was renamed would not be missed."""
    for name in ("FAST", "ON_NEWEST_PYTHON", "WITH_NIQUESTS"):
        words = found(rf"^{name} = ((?:.*\\\n)*.*)$", MAKEFILE).replace("\\\n", " ").replace("--ignore=", "").split()
        paths = [word for word in words if word.startswith("test/")]
        assert len(paths) > 5
        assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    "target",
    ["install", "test", "test-fast", "check", "clean", "docs", "docgen", "demo", "bench", "soak", "package", "pythons"],
)
def test_a_target_is_there(target: str) -> None:
    """Those that users of pip-services know, and what the documentation names."""
    assert re.search(rf"^([\w-]+ )*{target}( [\w-]+)*:", MAKEFILE, re.MULTILINE)
    assert re.search(rf"^\.PHONY:.* {target}( |$)", MAKEFILE, re.MULTILINE)


def test_the_operating_system_is_the_same_everywhere() -> None:
    """The one that tests run on: classifier, README and documentation."""
    classifiers = metadata("pip-services4-serverless").get_all("Classifier") or []
    assert [each for each in classifiers if each.startswith("Operating System")] == [
        "Operating System :: POSIX :: Linux"
    ]
    assert WORKFLOW["jobs"]["ci"]["runs-on"].startswith("ubuntu")
    assert "Tested on Linux." in (ROOT / "README.md").read_text("utf-8")
    assert "It is tested on Linux with Python 3.11 to 3.14." in (ROOT / "docs" / "index.md").read_text("utf-8")


def test_pip_install_works_from_a_checkout() -> None:
    """As long as nothing is published, no page installs this package by its name; each says that it is a checkout."""
    published = "\n## [" in CHANGELOG.partition("## [Unreleased]")[2]
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text("utf-8")
        assert published or not re.search(r'pip install [^`\n]*"?pip-services4-serverless', text), page.name
        assert published or "[local]" not in text or "checkout" in text, page.name


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md"])
def test_forges_find_what_they_look_for(name: str) -> None:
    """In a folder that needs no file at the top; the README links to it."""
    assert (ROOT / ".github" / name).is_file()
    assert f"(.github/{name})" in (ROOT / "README.md").read_text("utf-8")


def test_the_changelog_has_the_version() -> None:
    """Newest first, each with its day; what is not released yet stands above."""
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
def test_the_metadata_are_complete(field: str) -> None:
    """Of the installed distribution."""
    assert metadata("pip-services4-serverless")[field]


def test_what_developers_need_is_no_extra() -> None:
    """A wheel's extras are for its users; tests, documentation and releases have dependency groups."""
    groups = PYPROJECT["dependency-groups"]
    assert {"test", "docs", "package", "bench"} <= groups.keys()
    assert not groups.keys() & set(metadata("pip-services4-serverless").get_all("Provides-Extra") or [])


@pytest.mark.parametrize("path", ["Makefile", ".ci/package", "docker/Dockerfile.test"])
def test_groups_are_there_for_a_pip_that_knows_them(path: str) -> None:
    """Each that is installed is declared. The pip that Python 3.11 brings is older than groups."""
    text = (ROOT / path).read_text("utf-8")
    named = re.findall(r"--group[ =](\S+)", text)
    assert named
    assert set(named) <= PYPROJECT["dependency-groups"].keys()
    assert text.index("--upgrade 'pip>=25.1'") < text.index("--group")
    assert "[local,test]" not in text


def test_the_demo_installs_what_users_install() -> None:
    """And not the tools of the tests."""
    needs = found(r"^demo: (.*)$", MAKEFILE)
    recipe = found(rf"^{re.escape(needs)}: .*\n((?:\t.*\n)+)", MAKEFILE)
    assert "--editable '.[local]'" in recipe
    assert "--group" not in recipe
