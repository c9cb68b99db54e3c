"""Imports the modules of a function app or a function, and removes them when it is no longer served."""

import importlib
import os
import site
import sys
import sysconfig
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import ClassVar


class AppModules:
    """The modules of one app.

    Apps share this process, and often names of modules, such as `function_app` or `main`. While an app is loaded, the
    modules of the other apps are not in `sys.modules`. If two running apps have a module of the same name, and a
    function imports it only when it is called, it gets the module of the app that was started last.
    """

    _lock = threading.RLock()
    _running: ClassVar[list["AppModules"]] = []
    _replaced: ClassVar[dict[str, ModuleType]] = {}

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder) + os.sep
        packages = folder / ".python_packages" / "lib" / "site-packages"
        self._paths = [str(folder), *([str(packages)] if packages.is_dir() else [])]
        self._added_paths: list[str] = []  # to sys.path, by this class and by the app
        self._other_names: set[str] = set()
        self._own: dict[str, ModuleType] = {}
        self._finder = _InstalledFirst(folder)

    @property
    def shadowed(self) -> dict[str, str]:
        """The modules and packages in the app's folder that installed ones replace, and the files of those."""
        return self._finder.replaced

    @property
    def own(self) -> list[ModuleType]:
        """The modules that this app had imported when it was loaded or last hidden."""
        return list(self._own.values())

    @contextmanager
    def loading(self, script: str) -> Iterator[None]:
        """A context in which the app is imported. `script` is the name of its main module."""
        with self._lock:
            for other in self._running:
                other._hide()
            outside = sys.modules.get(script)
            if outside is not None and not self._is_own(outside):
                self._replaced[script] = sys.modules.pop(script)
            self._other_names = set(sys.modules)
            self._running.append(self)
            paths = Counter(sys.path)
            sys.path[:0] = self._paths
            sys.meta_path.insert(0, self._finder)
            root = ModuleType("__app__")  # the package that the real worker imports v1 functions from
            root.__path__ = self._paths[:1]
            sys.modules["__app__"] = root
            importlib.invalidate_caches()
            sys.dont_write_bytecode, writes = True, sys.dont_write_bytecode
            try:
                yield
            finally:
                sys.dont_write_bytecode = writes
                added = (Counter(sys.path) - paths).elements()
                self._added_paths = [path for path in added if f"{path}{os.sep}".startswith(self._folder)]
                self._collect()
                self._restore()

    def unload(self) -> None:
        """Removes the modules from `sys.modules`, and the paths from `sys.path`."""
        with self._lock:
            if self in self._running:
                self._hide()
                self._running.remove(self)
                sys.meta_path.remove(self._finder)
                for path in self._added_paths:
                    with suppress(ValueError):  # the app has removed it
                        sys.path.remove(path)
                    sys.path_importer_cache.pop(path, None)
                self._restore()

    def _is_own(self, module: ModuleType) -> bool:
        paths = [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or ())]
        relative = [f"{path}{os.sep}".removeprefix(self._folder) for path in paths if path]
        return any(not os.path.isabs(path) and "site-packages" not in path for path in relative)

    def _collect(self) -> None:
        """Adds what this app has imported since it was loaded, which may be during a call."""
        others = {id(module) for other in self._running if other is not self for module in other._own.values()}
        for name, module in list(sys.modules.items()):
            if name not in self._other_names and id(module) not in others and self._is_own(module):
                self._own[name] = module

    def _hide(self) -> None:
        """Removes the modules from `sys.modules`, until `_restore` or `unload`."""
        self._collect()
        for name, module in self._own.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]

    @classmethod
    def _restore(cls) -> None:
        for running in reversed(cls._running):
            for name, module in running._own.items():
                sys.modules.setdefault(name, module)
        for name, module in cls._replaced.items():
            sys.modules.setdefault(name, module)
        if not cls._running:
            cls._replaced.clear()


class _InstalledFirst(MetaPathFinder):
    """Finds the installed package if the app's folder has a module of the same name.

    The real worker has the app's folder last on `sys.path`. Here the folder comes first, because `sys.path` also has
    the folders of the program that runs the host, such as that of the tests.
    """

    def __init__(self, folder: Path) -> None:
        packages = folder / ".python_packages" / "lib" / "site-packages"
        standard = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
        installed = {str(packages), *standard, *site.getsitepackages(), site.getusersitepackages()}
        installed |= {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        self._search_paths = [str(packages), *(path for path in sys.path if path in installed)]
        self.replaced: dict[str, str] = {}
        for path in sorted(folder.iterdir()):
            name = path.stem if path.suffix == ".py" else path.name
            is_code = path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py")))
            # A folder with function.json is imported as a part of `__app__`, which no installed package can replace.
            if is_code and name.isidentifier() and not (path / "function.json").exists():
                found = PathFinder.find_spec(name, self._search_paths)
                if found is not None and found.origin is not None:  # otherwise it is a namespace package
                    self.replaced[name] = found.origin

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(fullname, self._search_paths, target) if fullname in self.replaced else None
