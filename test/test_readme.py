"""The README's examples run as they are printed, beside the functions that it serves."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.processes import PROGRAM

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
# A block begins with a comment: the name of its file.
FILES = {
    block.partition("\n")[0].removeprefix("# "): block
    for block in re.findall(r"^```(?:python|yaml)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
}
(CONSOLE,) = re.findall(r"^```console\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
COMMANDS = [line.removeprefix("$ ") for line in CONSOLE.splitlines()]
SCRIPTS = [name for name in FILES if name.endswith("_script.py")]
EXAMPLES = [name for name in FILES if name.endswith(("_script.py", "_example.py"))]


def printed(source: str) -> str:
    """What the comments behind an example's print statements say that it prints."""
    return "".join(f"{comment}\n" for comment in re.findall(r"^ *print\(.*\)  # (.*)$", source, re.MULTILINE))


def test_the_readme_is_short() -> None:
    """The rest is in docs/."""
    assert README.count("\n") <= 150


def test_each_block_is_a_file_and_the_providers_have_a_script() -> None:
    """No block is left that nobody runs; the scripts come first, and have at most five lines."""
    assert all(re.fullmatch(r"\w+\.(py|yml)", name) for name in FILES)
    assert {"azure_script.py", "lambda_script.py", "google_script.py"} <= set(SCRIPTS) == set([*FILES][: len(SCRIPTS)])
    assert all(FILES[name].count("\n") <= 5 for name in SCRIPTS)
    assert all(printed(FILES[name]) for name in EXAMPLES)
    assert README.count("```") == 2 * (len(FILES) + 1)  # the console beside them


@pytest.fixture(scope="module")
def ports() -> dict[str, str]:
    """By the ports that the README names, those that are free here."""
    named = sorted(set(re.findall(r"--port (\d+)", CONSOLE)))
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in named]
    free = [str(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return dict(zip(named, free, strict=True))


def here(text: str, ports: dict[str, str]) -> str:
    """With the ports of this test."""
    return re.sub("|".join(ports), lambda match: ports[match[0]], text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, ports: dict[str, str]) -> Iterator[Path]:
    """The README's files, and its functions served by its commands."""
    folder = tmp_path_factory.mktemp("readme")
    for file, source in FILES.items():
        (folder / file).write_text(here(source, ports), "utf-8")
    processes = []
    try:
        for command in COMMANDS:
            program, *arguments = shlex.split(here(command, ports))
            if program == "pip-serverless":
                served = subprocess.Popen([*PROGRAM, *arguments], cwd=folder, stdout=subprocess.PIPE, text=True)
                processes.append(served)
        for served in processes:
            assert served.stdout
            assert any("descriptor" in line for line in served.stdout), "it ended before it served anything"
        yield folder
    finally:
        for served in processes:
            served.terminate()
        for served in processes:
            served.communicate(timeout=20)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_prints_what_it_says(name: str, folder: Path) -> None:
    """In a fresh folder and a fresh interpreter, with the environment that the console gives it, without a warning."""
    command = next((command for command in COMMANDS if command.endswith(f"python {name}")), f"python {name}")
    environment = dict(word.split("=", 1) for word in shlex.split(command) if "=" in word)
    uses_container = "pip_services4_container" in FILES[name]
    if uses_container and sys.version_info >= (3, 13):
        pytest.skip("pip_services4_container does not import on Python 3.13 and later")
    strict = () if uses_container else ("-W", "error")  # the container's own modules warn
    run = subprocess.run(
        [sys.executable, *strict, name],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert run.stdout == printed(FILES[name])
    assert uses_container or run.stderr == ""


def test_the_container_configuration_is_yaml() -> None:
    """With the descriptor that the factory knows."""
    (component,) = yaml.safe_load(FILES["container.yml"])
    assert component["descriptor"].startswith("pip-services:client:commandable-azurefunc:")
