"""The imported modules of one function app, which are taken back when its host stops."""

import importlib
import os
import site
import sys
import sysconfig
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import ClassVar


class AppModules:
    """Apps share this process, and often module names such as `function_app`: the others' step aside while one loads.

    A module that two running apps have, and that a function imports only when it is called, is the one of the app that
    was started last.
    """

    _lock = threading.RLock()
    _running: ClassVar[list["AppModules"]] = []
    _displaced: ClassVar[dict[str, ModuleType]] = {}

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder) + os.sep
        packages = folder / ".python_packages" / "lib" / "site-packages"
        self._paths = [str(folder), *([str(packages)] if packages.is_dir() else [])]
        self._before: set[str] = set()
        self._own: dict[str, ModuleType] = {}
        self._installed = _InstalledFirst(folder)

    @property
    def shadowed(self) -> dict[str, str]:
        """The modules and packages of the app's folder that installed ones win over, and where those are."""
        return self._installed.names

    @contextmanager
    def loading(self, script: str) -> Iterator[None]:
        """Import within this; `script` is the name of the app's main module."""
        with self._lock:
            for other in self._running:
                other._step_aside()
            outside = sys.modules.get(script)
            if outside is not None and not self._is_own(outside):
                self._displaced[script] = sys.modules.pop(script)
            self._before = set(sys.modules)
            self._running.append(self)
            sys.path[:0] = self._paths
            sys.meta_path.insert(0, self._installed)
            root = ModuleType("__app__")  # the package that the real worker imports v1 functions from
            root.__path__ = self._paths[:1]
            sys.modules["__app__"] = root
            importlib.invalidate_caches()
            sys.dont_write_bytecode, writes = True, sys.dont_write_bytecode
            try:
                yield
            finally:
                sys.dont_write_bytecode = writes
                self._collect()
                self._put_back()

    def unload(self) -> None:
        """Take the modules and the paths back."""
        with self._lock:
            if self in self._running:
                self._step_aside()
                self._running.remove(self)
                sys.meta_path.remove(self._installed)
                for path in self._paths:
                    sys.path.remove(path)
                    sys.path_importer_cache.pop(path, None)
                self._put_back()

    def _is_own(self, module: ModuleType) -> bool:
        places = [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or ())]
        inside = [f"{place}{os.sep}".removeprefix(self._folder) for place in places if place]
        return any(not os.path.isabs(place) and "site-packages" not in place for place in inside)

    def _collect(self) -> None:
        others = {id(module) for other in self._running if other is not self for module in other._own.values()}
        for name, module in list(sys.modules.items()):
            if name not in self._before and id(module) not in others and self._is_own(module):
                self._own[name] = module

    def _step_aside(self) -> None:
        self._collect()
        for name, module in self._own.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]

    @classmethod
    def _put_back(cls) -> None:
        for running in reversed(cls._running):
            for name, module in running._own.items():
                sys.modules.setdefault(name, module)
        for name, module in cls._displaced.items():
            sys.modules.setdefault(name, module)
        if not cls._running:
            cls._displaced.clear()


class _InstalledFirst(MetaPathFinder):
    """Lets installed packages win over those of an app's folder.

    The real worker has the folder last on `sys.path`. It cannot be last here: the folders of whoever runs the host are
    there as well, such as that of the tests.
    """

    def __init__(self, folder: Path) -> None:
        packages = folder / ".python_packages" / "lib" / "site-packages"
        standard = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
        places = {str(packages), *standard, *site.getsitepackages(), site.getusersitepackages()}
        places |= {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        self._places = [str(packages), *(path for path in sys.path if path in places)]
        self.names: dict[str, str] = {}
        for path in sorted(folder.iterdir()):
            name = path.stem if path.suffix == ".py" else path.name
            is_code = path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py")))
            # A folder with function.json is imported as a part of `__app__`, where nothing else is.
            if is_code and name.isidentifier() and not (path / "function.json").exists():
                found = PathFinder.find_spec(name, self._places)
                if found is not None and found.origin is not None:  # else it is a namespace package
                    self.names[name] = found.origin

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(fullname, self._places, target) if fullname in self.names else None
