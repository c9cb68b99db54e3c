"""What can be told of the images without an engine. `make lint` checks their form, `make docker-check` the commands."""

from __future__ import annotations

import json
import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml

import pip_services4_serverless

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted((ROOT / "docker").glob("Dockerfile*"))


def arguments(path: Path, instruction: str) -> list[str]:
    """Of each such instruction."""
    return re.findall(rf"^{instruction} (.*)$", path.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_nothing_runs_as_root(path: Path) -> None:
    """By number, so that an orchestrator can tell without looking into the image."""
    assert int(arguments(path, "USER")[-1]) > 0


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_what_is_copied_is_there(path: Path) -> None:
    """In the sources, or beside the package where it is installed; and is not left out of the context."""
    folders = ROOT, Path(pip_services4_serverless.__file__).parents[1]
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    for argument in arguments(path, r"COPY(?! --from)"):
        for source in argument.split()[:-1]:
            assert any((folder / source).exists() for folder in folders), source
            assert source not in ignored


def test_the_images_start_what_is_installed() -> None:
    """The command line's script."""
    command = json.loads(arguments(ROOT / "docker" / "Dockerfile", "ENTRYPOINT")[0])
    assert len(entry_points(group="console_scripts", name=command[0])) == 1


def test_compose_builds_the_tests() -> None:
    """By the service that users of pip-services know."""
    path = ROOT / "docker" / "docker-compose.test.yml"
    build = yaml.safe_load(path.read_text("utf-8"))["services"]["test"]["build"]
    context = path.parent / build["context"]
    assert context.resolve() == ROOT.resolve()
    assert (context / build["dockerfile"]).is_file()
