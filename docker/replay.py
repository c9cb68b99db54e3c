"""Executes the instructions of Dockerfiles without Docker: COPY and RUN in a new folder, then the image's command.

This shows that the commands work with the files of the repository and with this machine's Python and system. It does
not test the base image, and does not switch users. Absolute paths in WORKDIR, COPY and ENV are moved into the folder.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path

CONTEXT = Path(__file__).parent.parent
TIMEOUT = 600  # seconds for a command


def instructions(path: Path) -> list[tuple[str, str]]:
    """The instructions and their arguments, with continued lines joined."""
    text = "\n".join(line for line in path.read_text("utf-8").splitlines() if not line.startswith("#"))
    lines = [line.strip() for line in re.sub(r"\\\n\s*", "", text).splitlines()]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines if line]


class Replay:
    """All stages of a Dockerfile. They share a folder, so files that are copied from an earlier stage exist already."""

    def __init__(self, path: Path, root: Path) -> None:
        self._instructions = instructions(path)
        self._root = root
        self._folder = root
        named = [argument for name, argument in self._instructions if name in ("WORKDIR", "COPY", "ENV")]
        paths = {word for argument in named for word in re.findall(r"(?:^|[ =:])(/\w[\w./-]*)", argument)}
        self._moved = re.compile("|".join(map(re.escape, sorted(paths, key=len, reverse=True))) + r"(?![\w-])")
        base = root / "base"
        subprocess.run([sys.executable, "-m", "venv", base], check=True, timeout=TIMEOUT)
        self._environment = {"PATH": f"{base}/bin:/usr/bin:/bin", "HOME": str(root), "LANG": "C.UTF-8"}

    def run(self) -> None:
        """Executes all instructions, and then the command that the image starts."""
        last = {}
        for name, argument in self._instructions:
            print(f"  {name} {argument}", flush=True)
            if name == "WORKDIR":
                self._folder = Path(self._move(argument))
                self._folder.mkdir(parents=True, exist_ok=True)
            elif name == "COPY":
                self._copy(shlex.split(argument))
            elif name == "ENV":
                key, _, value = argument.partition("=")
                self._environment[key] = self._move(value).replace(f"${key}", self._environment.get(key, ""))
            elif name == "RUN":
                self._execute(["/bin/sh", "-c", self._move(argument)])
            last[name] = argument
        self._execute([*json.loads(last.get("ENTRYPOINT", "[]")), *json.loads(last.get("CMD", "[]"))])

    def _move(self, text: str) -> str:
        return self._moved.sub(lambda match: f"{self._root}{match[0]}", text)

    def _copy(self, words: list[str]) -> None:
        *sources, target = words
        if sources[0].startswith("--from="):
            if not Path(self._move(target)).exists():
                sys.exit(f"{target}: no earlier stage has created it")
            return
        ignored = [line.removeprefix("**/") for line in (CONTEXT / ".dockerignore").read_text("utf-8").split()]
        for source in sources:
            found = CONTEXT / source
            place = self._folder / (target if len(sources) == 1 else found.name)
            if found.is_dir():
                shutil.copytree(
                    found,
                    place,
                    dirs_exist_ok=True,
                    ignore=lambda _, names: [n for n in names if any(fnmatch(n, pattern) for pattern in ignored)],
                )
            else:
                shutil.copy2(found, place)

    def _execute(self, command: list[str]) -> None:
        subprocess.run(
            command,
            cwd=self._folder,
            env=os.environ | self._environment,
            check=True,
            timeout=TIMEOUT,
            stdin=subprocess.DEVNULL,
        )


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        with tempfile.TemporaryDirectory(prefix="replay-") as folder:
            print(path, flush=True)
            Replay(path, Path(folder)).run()
    print("Every command worked.")
