"""Loading a function app: its settings, and a description of each HTTP function in it."""

import importlib
import inspect
import json
import logging
import os
import re
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from azure.functions.meta import get_binding_registry
from starlette.requests import Request

from ._azure_modules import AppModules
from ._azure_routes import Route

logger = logging.getLogger("pip_services4_serverless.local.azure")

# A comment, or a string, which may hold what looks like one.
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object with comments, as the Functions tools accept it. Raises `ValueError` that names the file."""
    try:
        content = json.loads(_COMMENT.sub(lambda match: match[1] or "", path.read_text("utf-8-sig")))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: not a JSON object")
    return content


def is_true(setting: str) -> bool:
    """Whether an app setting, which the environment holds, is switched on."""
    value = os.environ.get(setting) or os.environ.get(setting.replace(".", "__")) or ""
    return value.lower() in ("1", "true")


@contextmanager
def app_settings(folder: Path | None, given: Mapping[str, str]) -> Iterator[None]:
    """The values of local.settings.json in the environment; what is there already stays, as with `func start`."""
    values = dict(given)
    if folder is not None and (path := folder / "local.settings.json").exists():
        settings = read_json(path)
        if settings.get("IsEncrypted"):
            logger.warning("%s: encrypted settings are not read", path)
        else:
            values = {**(settings.get("Values") or {}), **values}
    added = {name: str(value) for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def converter(binding: str) -> Any:
    """The SDK's own rules to check, decode and encode what a binding carries."""
    return get_binding_registry().get(binding)  # type: ignore[no-untyped-call]


@dataclass
class Function:
    """One HTTP function: how it is reached, and how it is called."""

    name: str
    call: Callable[..., Any]
    directory: str
    route: Route
    methods: frozenset[str]  # none: all
    auth_level: str
    disabled: bool
    trigger: str  # the parameter that takes the request
    returns: bool  # whether there is a `$return` binding
    http_output: str | None  # the binding that is the answer
    outputs: list[str]  # the parameters that are `azure.functions.Out`
    wants_context: bool
    streams: bool  # takes and returns FastAPI's requests and responses
    invocations: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self) -> None:
        """Note that the function's own code is started, in whichever thread."""
        with self._lock:
            self.invocations += 1

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.call)


@dataclass
class _Declared:
    """A function as its app declares it, in either programming model."""

    name: str
    file: Path
    directory: Path
    load: Callable[[], Callable[..., Any]]
    bindings: list[dict[str, Any]]
    disabled: bool = False
    streams: bool = False


@dataclass
class App:
    """A loaded app: what it serves, what could not be loaded, and what this host has no part for."""

    folder: Path
    prefix: str
    functions: dict[str, Function] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    not_served: list[str] = field(default_factory=list)
    register: Any = None  # v2: the FunctionApp
    keys: dict[str, str] = field(default_factory=dict)  # by function, and the host's `_master` and `default`

    def load_folder(self, stack: ExitStack) -> None:
        """Load the app's folder; `stack` will take its modules back."""
        modules = AppModules(self.folder)
        stack.callback(modules.unload)
        script = self.folder / os.environ.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
        with modules.loading(script.stem):
            if script.exists():
                self._load_v2(script)
            else:
                for path in sorted(self.folder.glob("*/function.json")):
                    self._load_v1(path)

    def load_register(self, register: Any, script: Path | None = None) -> None:
        """Load a FunctionApp."""
        self.register = register
        register.functions_bindings = None  # else it refuses to list its functions for a second host
        functions = register.get_functions()
        streams = any(_takes_stream(function.get_user_function()) for function in functions)
        for function in functions:
            load = function.get_user_function
            file = script or Path(inspect.getfile(load()))
            name, bindings = function.get_function_name(), json.loads(function.get_function_json())["bindings"]
            self._add(_Declared(name, file, file.parent, load, bindings, streams=streams))

    def _load_v2(self, script: Path) -> None:
        try:
            module = importlib.import_module(script.stem)
            apps = [v for v in vars(module).values() if hasattr(v, "get_functions") and not inspect.isclass(v)]
            if len({id(app) for app in apps}) != 1:
                raise ValueError(f"it needs one FunctionApp and has {len(apps)}")
            self.load_register(apps[0], script)
        except Exception as error:
            self._problem(f"{script}: it cannot be loaded", error)

    def _load_v1(self, path: Path) -> None:
        name = path.parent.name
        try:
            content = read_json(path)
            bindings = content.get("bindings")
            if not isinstance(bindings, list) or not all(isinstance(binding, dict) for binding in bindings):
                raise ValueError("'bindings' is not a list of objects")
            script = path.parent / str(content.get("scriptFile") or "__init__.py")
            if not script.exists() and not content.get("scriptFile"):
                script = script.with_name("main.py")
            load = partial(self._v1_function, script, str(content.get("entryPoint") or "main"))
        except ValueError as error:
            self._problem(f"{path}: the function {name!r} cannot be loaded", error)
        else:
            self._add(_Declared(name, path, path.parent, load, bindings, bool(content.get("disabled"))))

    def _v1_function(self, script: Path, entry_point: str) -> Callable[..., Any]:
        if not script.exists():
            raise FileNotFoundError(f"there is no {script}")
        parts = script.resolve().relative_to(self.folder).with_suffix("").parts
        module = importlib.import_module(".".join(("__app__", *parts)).removesuffix(".__init__"))
        function: Callable[..., Any] | None = getattr(module, entry_point, None)
        if not callable(function):
            raise ValueError(f"{script} has no function {entry_point!r}")
        return function

    def _add(self, declared: _Declared) -> None:
        try:
            function = self._describe(declared)
            if function is not None:
                self._check_route(function)
                self.functions[function.name] = function
        except Exception as error:
            self._problem(f"{declared.file}: the function {declared.name!r} cannot be loaded", error)

    def _problem(self, what: str, error: Exception) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        where = [f"{frame.filename}:{frame.lineno}" for frame in frames if frame.filename.startswith(str(self.folder))]
        if isinstance(error, SyntaxError):
            where.append(f"{error.filename}:{error.lineno}")
        self.errors.append(f"{what}: {type(error).__name__}: {error}" + (f" ({where[-1]})" if where else ""))
        logger.error(self.errors[-1])

    def _not_served(self, text: str) -> None:
        self.not_served.append(text)
        logger.warning(text)

    def _check_route(self, function: Function) -> None:
        for other in self.functions.values():
            shared = not other.methods or not function.methods or other.methods & function.methods
            if shared and other.route.template.lower() == function.route.template.lower():
                raise ValueError(f"its route {function.route.template!r} is the one of the function {other.name!r}")

    def _describe(self, declared: _Declared) -> Function | None:
        for binding in declared.bindings:
            if not isinstance(binding.get("type"), str) or not isinstance(binding.get("name"), str):
                raise ValueError(f"the binding {binding} needs a type and a name")
        triggers = [binding for binding in declared.bindings if binding["type"].lower().endswith("trigger")]
        if len(triggers) != 1:
            raise ValueError(f"it needs one trigger and has {len(triggers)}")
        (trigger,) = triggers
        what = f"{declared.file}: the function {declared.name!r} is not served"
        if trigger["type"].lower() != "httptrigger":
            self._not_served(f"{what}: its trigger is a {trigger['type']}")
            return None
        others = [binding for binding in declared.bindings if binding is not trigger]
        for binding in others:
            name, kind = binding["name"], binding["type"]
            if str(binding.get("direction", "in")).lower() != "out":
                raise ValueError(f"it needs the binding {name!r}, and this host cannot read from a {kind}")
            if kind.lower() != "http":
                self._not_served(f"{what} wholly: what its binding {name!r} writes to a {kind} goes nowhere")
        outputs = [binding["name"] for binding in others if binding["name"] != "$return"]
        http_output = next((binding["name"] for binding in others if binding["type"].lower() == "http"), None)

        call = declared.load()
        signature = inspect.signature(call, eval_str=True)
        bound = {trigger["name"], *outputs}
        wants_context = "context" in signature.parameters and "context" not in bound
        if set(signature.parameters) - ({"context"} if wants_context else set()) != bound:
            raise ValueError(f"its parameters {list(signature.parameters)} are not its bindings {sorted(bound)}")
        takes, gives = (
            converter("httpTrigger").check_input_type_annotation,
            converter("http").check_output_type_annotation,
        )
        if not _suits(signature.parameters[trigger["name"]].annotation, _is_stream if declared.streams else takes):
            raise ValueError(f"its parameter {trigger['name']!r} is annotated as no HTTP request")
        if http_output == "$return" and not declared.streams and not _suits(signature.return_annotation, gives):
            raise ValueError("its result is annotated as no HTTP response")
        return Function(
            name=declared.name,
            call=call,
            directory=str(declared.directory),
            route=Route(str(trigger.get("route") or declared.name), self.prefix),
            methods=frozenset(str(method).upper() for method in trigger.get("methods") or ()),
            auth_level=str(trigger.get("authLevel") or "function").lower(),
            disabled=declared.disabled or is_true(f"AzureWebJobs.{declared.name}.Disabled"),
            trigger=trigger["name"],
            returns=len(outputs) < len(others),
            http_output=http_output,
            outputs=outputs,
            wants_context=wants_context,
            streams=declared.streams,
        )


def _is_stream(annotation: type) -> bool:
    """Whether a parameter takes FastAPI's request, which is Starlette's."""
    return issubclass(annotation, Request)


def _takes_stream(call: Callable[..., Any]) -> bool:
    """Whether a function switches its app to HTTP streams: they are for all functions of an app, or for none."""
    try:
        annotations = [p.annotation for p in inspect.signature(call, eval_str=True).parameters.values()]
    except Exception:  # it is told when the function is described
        return False
    return any(inspect.isclass(annotation) and _is_stream(annotation) for annotation in annotations)


def _suits(annotation: Any, check: Callable[[type], bool]) -> bool:
    """Whether an annotation, where there is one, is right. None is not, as in the real worker; unions pass here."""
    if annotation is inspect.Signature.empty:
        return True
    return check(annotation) if inspect.isclass(annotation) else annotation is not None
