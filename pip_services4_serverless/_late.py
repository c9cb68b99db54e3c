from __future__ import annotations

from importlib import import_module
from typing import Any


def import_class(package: str, name: str) -> Any:
    """A public class of a package, whose module has the same name in snake case.

    The packages import their classes when these are first asked for, so that a program loads only what it uses.
    """
    module = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return getattr(import_module(f"{package}.{module[1:]}"), name)
