"""The documentation shows the files of the container example, and the example runs with all providers."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from support.container import needs_container

from pip_services4_serverless.local import AzureFunctionHost

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "container"
PAGE = (ROOT / "docs" / "containers.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
FILES = {text.partition("\n")[0].removeprefix("# "): text for _, text in BLOCKS if text.startswith("# ")}


def test_the_page_shows_the_files() -> None:
    """It shows each file of the example completely."""
    assert {path.name: path.read_text("utf-8") for path in EXAMPLE.iterdir() if path.is_file()} == FILES


def test_only_the_yaml_files_name_the_provider() -> None:
    """The code of the service names none."""
    assert not re.search(r"azurefunc|lambda|aws|cloudfunc|google", FILES["shop.py"].partition('"""\n')[2].lower())


@needs_container
def test_the_example_runs_with_each_provider(tmp_path: Path) -> None:
    """The command of the page prints what the page shows."""
    command = re.findall(r"^python (docs/examples/container/(.*))$", PAGE, re.MULTILINE)
    assert len(command) == 1
    assert (ROOT / command[0][0]).is_file()
    shutil.copytree(EXAMPLE, tmp_path / "container")
    run = subprocess.run(
        [sys.executable, command[0][1]],
        cwd=tmp_path / "container",
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert [run.stdout] == [text for language, text in BLOCKS if language == "text"]


def test_the_page_shows_how_to_create_a_client_without_a_container() -> None:
    """Its code runs as it is shown."""
    (source,) = [text for language, text in BLOCKS if language == "python" and not text.startswith("# ")]
    names: dict[str, object] = {}
    exec(compile(source, "containers.md", "exec"), names)  # noqa: S102 (code of this repository)
    assert names["client"]._connection.get_auth_code() == "KEY"  # type: ignore[attr-defined]


@needs_container
def test_a_process_container_runs_until_ctrl_c(tmp_path: Path) -> None:
    """It reads `--config` and the environment, keeps its client open, and closes it at Ctrl-C."""
    shutil.copytree(EXAMPLE, tmp_path / "container")
    with AzureFunctionHost(tmp_path / "container") as host:
        settings = {
            "STOCK_URL": host.function_url("stock"),
            "STOCK_KEY": host.function_key("stock"),
            "LOG_LEVEL": "debug",
            "PYTHONPATH": str(tmp_path / "container"),
            "PYTHONUNBUFFERED": "1",
        }
        script = str(Path(__file__).with_name("process.py"))
        with subprocess.Popen(
            [sys.executable, script, "--config", str(tmp_path / "container" / "azure.yml")],
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                printed = []
                for line in process.stdout:
                    printed.append(line)
                    if "Press Control-C" in line:
                        interrupt(process)
            finally:
                process.kill()
    text = "".join(printed)
    assert process.returncode == 0
    assert "Sold 2 tea, 3 left" in text
    assert text.index("Goodbye!") < text.index("Closed CommandableAzureFunctionClient")


def interrupt(process: subprocess.Popen[str]) -> None:
    """The container loses a signal that arrives before it waits, or between two waits. So this sends several."""
    for _ in range(10):
        time.sleep(0.5)  # so that the container is in a wait, which lasts a second
        process.send_signal(signal.SIGINT)
        try:
            process.wait(3)
            return
        except subprocess.TimeoutExpired:
            pass
    raise AssertionError("the process does not end")
