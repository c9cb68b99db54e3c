"""The examples of the README run as they are printed, with the functions that the README serves."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from support.fault_server import reserved_port
from support.processes import PROGRAM

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
# The first line of a block is a comment with the name of its file.
FILES = {
    block.partition("\n")[0].removeprefix("# "): block
    for block in re.findall(r"^```(?:python|yaml)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
}
(CONSOLE,) = re.findall(r"^```console\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
COMMANDS = [line.removeprefix("$ ") for line in CONSOLE.splitlines()]
SCRIPTS = [name for name in FILES if name.endswith("_script.py")]
EXAMPLES = [name for name in FILES if name.endswith(("_script.py", "_example.py"))]


def expected_output(source: str) -> str:
    """The output that the comments after the example's `print` calls promise."""
    return "".join(f"{comment}\n" for comment in re.findall(r"^ *print\(.*\)  # (.*)$", source, re.MULTILINE))


def test_the_readme_is_short() -> None:
    """Details belong into docs/."""
    assert README.count("\n") <= 150


def test_each_block_is_a_file_and_each_provider_has_a_script() -> None:
    """Each block is run. The scripts come first, and have at most five lines."""
    assert all(re.fullmatch(r"\w+\.(py|yml)", name) for name in FILES)
    assert {"azure_script.py", "lambda_script.py", "google_script.py"} <= set(SCRIPTS) == set([*FILES][: len(SCRIPTS)])
    assert all(FILES[name].count("\n") <= 5 for name in SCRIPTS)
    assert all(expected_output(FILES[name]) for name in EXAMPLES)
    assert README.count("```") == 2 * (len(FILES) + 1)  # the other one is the console


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, str]]:
    """A port that only this test uses, for each port that the README names."""
    with ExitStack() as reserved:
        named = sorted(set(re.findall(r"--port (\d+)", CONSOLE)))
        yield {port: str(reserved.enter_context(reserved_port())) for port in named}


def with_own_ports(text: str, ports: dict[str, str]) -> str:
    """The text with the ports of this test."""
    return re.sub("|".join(ports), lambda match: ports[match[0]], text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, ports: dict[str, str]) -> Iterator[Path]:
    """A folder with the README's files, whose functions are served by the README's commands."""
    folder = tmp_path_factory.mktemp("readme")
    for file, source in FILES.items():
        (folder / file).write_text(with_own_ports(source, ports), "utf-8")
    processes = []
    try:
        for command in COMMANDS:
            program, *arguments = shlex.split(with_own_ports(command, ports))
            if program == "pip-serverless":
                process = subprocess.Popen([*PROGRAM, *arguments], cwd=folder, stdout=subprocess.PIPE, text=True)
                processes.append(process)
        for process in processes:
            assert process.stdout
            assert any("descriptor" in line for line in process.stdout), "it ended before it served anything"
        yield folder
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.communicate(timeout=20)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_prints_what_the_readme_says(name: str, folder: Path) -> None:
    """It runs in a new interpreter, with the environment of the console block, and without a warning."""
    command = next((command for command in COMMANDS if command.endswith(f"python {name}")), f"python {name}")
    environment = dict(word.split("=", 1) for word in shlex.split(command) if "=" in word)
    uses_container = "pip_services4_container" in FILES[name]
    if uses_container and sys.version_info >= (3, 13):
        pytest.skip("pip_services4_container does not import on Python 3.13 and later")
    strict = () if uses_container else ("-W", "error")  # pip-services' container uses deprecated modules
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
    assert run.stdout == expected_output(FILES[name])
    assert uses_container or run.stderr == ""


def test_the_container_configuration_is_valid() -> None:
    """Its descriptor is known to the factory."""
    (component,) = yaml.safe_load(FILES["container.yml"])
    assert component["descriptor"].startswith("pip-services:client:commandable-azurefunc:")
