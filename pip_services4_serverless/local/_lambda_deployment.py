"""Checks the arguments of `LambdaHost.deploy`, and makes the deployment package of a handler."""

import base64
import io
import os
import re
import shlex
import sys
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]+")  # as on AWS
_ALIAS = re.compile(r"(?![0-9]+$)[A-Za-z0-9_-]{1,128}")
_SET_BY_LAMBDA = re.compile(
    r"_HANDLER|_X_AMZN_TRACE_ID|_LAMBDA_.*|LAMBDA_TASK_ROOT"
    r"|AWS_(LAMBDA_.*|ENDPOINT_URL|(DEFAULT_)?REGION|ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN)"
)
_WORKER = str(Path(__file__).with_name("_lambda_worker.py"))


def check(
    name: str, environment: Mapping[str, str], timeout: int, concurrency: int | None, aliases: Collection[str]
) -> None:
    """Raises `ValueError` for the first argument that is wrong."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"name: must be up to 64 letters, digits, '-' and '_', not {name!r}")
    for key, value in environment.items():
        if not isinstance(value, str):
            raise ValueError(f"environment: the value of {key!r} is not a string")
        if _SET_BY_LAMBDA.fullmatch(key):
            raise ValueError(f"environment: {key!r} is set by Lambda")
        if not _VARIABLE.fullmatch(key):
            raise ValueError(f"environment: the name must be letters, digits and '_', and begin with a letter: {key!r}")
        if re.search(r"[\x00\ud800-\udfff]", value):
            raise ValueError(f"environment: the value of {key!r} contains a character that a variable cannot have")
    if type(timeout) is not int or not 1 <= timeout <= 900:
        raise ValueError(f"timeout: must be whole seconds from 1 to 900, not {timeout!r}")
    if concurrency is not None and (type(concurrency) is not int or concurrency < 0):
        raise ValueError(f"concurrency: must be a whole number from 0, not {concurrency!r}")
    if isinstance(aliases, str) or not all(_ALIAS.fullmatch(alias) for alias in aliases):
        raise ValueError(
            f"aliases: must be names of letters, digits, '-' and '_', and not only digits, not {aliases!r}"
        )


def find_folder(path: str | os.PathLike[str], handler: str) -> str:
    """Finds the folder of a handler's module. Raises `ValueError` or `FileNotFoundError` if there is none."""
    place = Path(path).resolve()
    module, _, function = handler.rpartition(".")
    names = re.split("[./]", module)
    if not function or not all(names):
        raise ValueError(f"handler: must be 'module.function', not {handler!r}")
    if not place.exists():
        raise FileNotFoundError(f"path: there is no {place}")
    if place.is_file():
        if place.name != f"{module}.py":
            raise ValueError(f"handler: {handler!r} is not in {place.name}")
        place = place.parent
    base = place.joinpath(*names)
    if not (Path(f"{base}.py").is_file() or (base / "__init__.py").is_file()):
        raise FileNotFoundError(f"handler: there is no module {module!r} in {place}")
    return str(place)


def package(code: str) -> str:
    """Makes a zip archive, in base64. It is a custom runtime that runs the handler named in the file `code`."""
    bootstrap = zipfile.ZipInfo("bootstrap")
    bootstrap.external_attr = 0o755 << 16
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(bootstrap, f"#!/bin/sh\nexec {shlex.join([sys.executable, '-P', _WORKER, code])}\n")
    return base64.b64encode(content.getvalue()).decode()
