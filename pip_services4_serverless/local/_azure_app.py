"""Loads a function app: its settings, and a description of each HTTP function in it."""

import importlib
import inspect
import json
import logging
import os
import re
import threading
import traceback
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from azure.functions import Context, FunctionRegister
from azure.functions.meta import get_binding_registry
from starlette.requests import Request

from ._app_modules import AppModules
from ._azure_routes import Route

logger = logging.getLogger("pip_services4_serverless.local.azure")

# A comment; or a string, which is matched because it may contain what looks like a comment.
_STRING_OR_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object, with comments as Azure's tools accept them. Raises `ValueError`, which names the file."""
    try:
        content = json.loads(_STRING_OR_COMMENT.sub(lambda match: match[1] or "", path.read_text("utf-8-sig")))
    except OSError as error:
        raise ValueError(f"{path}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: it is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: it is not a JSON object")
    return content


def is_true(setting: str) -> bool:
    """Whether an app setting, which is an environment variable, is true."""
    value = os.environ.get(setting) or os.environ.get(setting.replace(".", "__")) or ""
    return value.lower() in ("1", "true")


@contextmanager
def app_settings(folder: Path | None, given: Mapping[str, str]) -> Iterator[None]:
    """Sets environment variables from local.settings.json. Existing variables stay, as with `func start`."""
    values = dict(given)
    if folder is not None and (path := folder / "local.settings.json").exists():
        settings = read_json(path)
        if settings.get("IsEncrypted"):
            logger.warning("%s: encrypted settings are not read", path)
        else:
            stored = settings.get("Values") or {}
            if not isinstance(stored, dict):
                raise ValueError(f"{path}: 'Values' is not a JSON object")
            values = {**stored, **values}
    added = {name: str(value) for name, value in values.items() if name not in os.environ and value is not None}
    try:
        for name, text in added.items():
            try:
                os.environ[name] = text
            except (OSError, ValueError) as error:
                raise ValueError(f"the setting {name!r} cannot be an environment variable: {error}") from error
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def converter(binding: str) -> Any:
    """The SDK's class that checks, decodes and encodes the values of a binding."""
    return get_binding_registry().get(binding)  # type: ignore[no-untyped-call]


@dataclass
class Function:
    """One HTTP function: its route, its bindings, and how it is called."""

    name: str
    call: Callable[..., Any]
    directory: str
    route: Route
    methods: frozenset[str]  # empty: all methods
    auth_level: str
    disabled: bool
    trigger: str  # the parameter that takes the request
    returns: bool  # whether there is a `$return` binding
    http_output: str | None  # the name of the binding of the response
    outputs: list[str]  # the parameters that are `azure.functions.Out`
    wants_context: bool
    streams: bool  # it takes FastAPI's request and returns its response
    load_error: Exception | None = None  # if set, every call gets status 500
    invocations: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self) -> None:
        """Counts a start of the function's code, in any thread."""
        with self._lock:
            self.invocations += 1

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.call)


@dataclass
class _Declaration:
    """A function as its app declares it, in programming model v1 or v2."""

    name: str
    file: Path
    directory: Path
    load: Callable[[], Callable[..., Any]]
    bindings: list[dict[str, Any]]
    disabled: bool = False
    streams: bool = False
    keeps_route: bool = False  # it has a route even if its code cannot be loaded


@dataclass
class App:
    """A loaded app: its functions, what could not be loaded, and what this host does not support."""

    folder: Path
    prefix: str
    functions: dict[str, Function] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    not_served: list[str] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)  # the files and patterns in which functions were looked for
    register: Any = None  # the FunctionApp, in model v2
    keys: dict[str, str] = field(default_factory=dict)  # of functions, and `_master` and `default`

    def load_folder(self, stack: ExitStack) -> None:
        """Loads the app's folder. Closing `stack` unloads its modules."""
        modules = AppModules(self.folder)
        stack.callback(modules.unload)
        script = self.folder / os.environ.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
        self.searched.append(script.name)
        with modules.loading(script.stem):
            for name, other in modules.shadowed.items():
                logger.warning(
                    "%s: 'import %s' gives the installed %s instead, as in Azure", self.folder / name, name, other
                )
            if script.exists():
                self._load_v2(script)
            else:
                declarations = sorted(self.folder.glob("*/function.json"))
                self.searched += [f"{path.parent.name}/function.json" for path in declarations] or ["*/function.json"]
                for path in declarations:
                    self._load_v1(path)

    def nothing_to_serve(self) -> str:
        """The reason why no function could be loaded, or an empty string."""
        if any(function.load_error is None for function in self.functions.values()):
            return ""
        reasons = [*self.errors, *self.not_served]
        if not reasons and not self.searched:
            return "the app has no functions"
        if not reasons and (self.folder / self.searched[0]).exists():
            reasons = [f"the app in {self.searched[0]} has no functions"]
        reasons = reasons or [f"no {self.searched[0]}, no folder with function.json"]
        return "; ".join(reasons) + f" (looked at: {', '.join(self.searched)})" * bool(self.searched)

    def load_register(self, register: Any, script: Path | None = None) -> None:
        """Loads a FunctionApp. Raises `ValueError` if it is something else."""
        if not issubclass(type(register), FunctionRegister):
            raise ValueError(f"app: must be a folder or a FunctionApp, not {type(register).__name__}")
        self.register = register
        register.functions_bindings = None  # otherwise a second host gets no functions from it
        functions = register.get_functions()
        streams = any(_takes_stream(function.get_user_function()) for function in functions)
        for function in functions:
            load = function.get_user_function
            file = script or Path(inspect.getfile(load()))
            name, bindings = function.get_function_name(), json.loads(function.get_function_json())["bindings"]
            self._add(_Declaration(name, file, file.parent, load, bindings, streams=streams))

    def _load_v2(self, script: Path) -> None:
        try:
            module = importlib.import_module(script.stem)
            # This reads only the type, because a proxy or a mock among the globals may claim to be of any class, or
            # raise. If one app has two names, it is counted twice, as in the worker.
            apps = {name: value for name, value in vars(module).items() if issubclass(type(value), FunctionRegister)}
            if len(apps) != 1:
                names = f": {', '.join(apps)}" if apps else ""
                raise ValueError(f"it needs one FunctionApp and has {len(apps)}{names}")
            (register,) = apps.values()
            self.load_register(register, script)
        except Exception as error:
            self._add_error(f"{script} cannot be loaded", error)

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
            self._add_error(f"{path}: the function {name!r} cannot be loaded", error)
        else:
            disabled = bool(content.get("disabled"))
            self._add(_Declaration(name, path, path.parent, load, bindings, disabled, keeps_route=True))

    def _v1_function(self, script: Path, entry_point: str) -> Callable[..., Any]:
        if not script.exists():
            raise FileNotFoundError(f"there is no {script}")
        parts = script.resolve().relative_to(self.folder).with_suffix("").parts
        module = importlib.import_module(".".join(("__app__", *parts)).removesuffix(".__init__"))
        function: Callable[..., Any] | None = getattr(module, entry_point, None)
        if not callable(function):
            raise ValueError(f"{script} has no function {entry_point!r}")
        return function

    def _add(self, declared: _Declaration) -> None:
        try:
            function = self._describe(declared)
            if function is not None:
                self._check_route(function)
                self.functions[function.name] = function
        except Exception as error:
            self._add_error(f"{declared.file}: the function {declared.name!r} cannot be loaded", error)

    def _add_error(self, what: str, error: Exception) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        where = [
            f"{frame.filename}:{frame.lineno}" for frame in frames if Path(frame.filename).is_relative_to(self.folder)
        ]
        if isinstance(error, SyntaxError):
            where.append(f"{error.filename}:{error.lineno}")
        self.errors.append(f"{what}: {type(error).__name__}: {error}" + (f" ({where[-1]})" if where else ""))
        logger.error(self.errors[-1])

    def _add_not_served(self, text: str) -> None:
        self.not_served.append(text)
        logger.warning(text)

    def _check_route(self, function: Function) -> None:
        for other in self.functions.values():
            shared = not other.methods or not function.methods or other.methods & function.methods
            if shared and other.route.template.lower() == function.route.template.lower():
                raise ValueError(f"the function {other.name!r} has the same route {function.route.template!r}")

    def _describe(self, declared: _Declaration) -> Function | None:
        for binding in declared.bindings:
            if not isinstance(binding.get("type"), str) or not isinstance(binding.get("name"), str):
                raise ValueError(f"the binding {binding} needs a type and a name")
        triggers = [binding for binding in declared.bindings if binding["type"].lower().endswith("trigger")]
        if len(triggers) != 1:
            raise ValueError(f"it needs one trigger and has {len(triggers)}")
        (trigger,) = triggers
        what = f"{declared.file}: the function {declared.name!r} is not served"
        if trigger["type"].lower() != "httptrigger":
            self._add_not_served(f"{what}: its trigger is a {trigger['type']}")
            return None
        others = [binding for binding in declared.bindings if binding is not trigger]
        for binding in others:
            name, kind = binding["name"], binding["type"]
            if name != "$return" and _direction(binding) == "in":
                raise ValueError(f"it needs the binding {name!r}, and this host cannot read from a {kind}")
            if kind.lower() != "http":
                self._add_not_served(f"{what} completely: what its binding {name!r} writes to a {kind} is discarded")
        outputs = [binding["name"] for binding in others if binding["name"] != "$return"]
        function = Function(
            name=declared.name,
            call=_not_loaded,
            directory=str(declared.directory),
            route=Route(str(trigger.get("route") or declared.name), self.prefix),
            methods=frozenset(str(method).upper() for method in trigger.get("methods") or ()),
            auth_level=str(trigger.get("authLevel") or "function").lower(),
            disabled=declared.disabled or is_true(f"AzureWebJobs.{declared.name}.Disabled"),
            trigger=trigger["name"],
            returns=len(outputs) < len(others),
            http_output=next((binding["name"] for binding in others if binding["type"].lower() == "http"), None),
            outputs=outputs,
            wants_context=False,
            streams=declared.streams,
        )
        try:
            self._load_code(function, declared, trigger, others)
        except Exception as error:
            if not declared.keeps_route:
                raise
            function.load_error = error
            self._add_error(f"{declared.file}: the function {declared.name!r} cannot be loaded", error)
        return function

    def _load_code(
        self, function: Function, declared: _Declaration, trigger: dict[str, Any], others: list[dict[str, Any]]
    ) -> None:
        """Imports the function. Raises an exception for what the real worker rejects."""
        for binding in (trigger, *others):
            expected = "in" if binding is trigger else "out"
            if _direction(binding) != expected:
                name, given = binding["name"], binding.get("direction", "in")
                raise ValueError(f"its binding {name!r} has the direction {given!r}, and needs {expected!r}")
        call = function.call = declared.load()
        parameters = set(inspect.signature(call).parameters)
        bound = {function.trigger, *function.outputs}
        function.wants_context = "context" in parameters and "context" not in bound
        if parameters - ({"context"} if function.wants_context else set()) != bound:
            raise ValueError(
                f"its parameters {sorted(parameters)} do not have the names of its bindings {sorted(bound)}"
            )

        annotations = self._annotations(function.name, call)
        if function.wants_context and getattr(annotations.get("context", Context), "__name__", "") != "Context":
            raise ValueError("its parameter 'context' is annotated with something other than azure.functions.Context")
        if function.trigger in annotations:
            takes = _is_stream if function.streams else converter("httpTrigger").check_input_type_annotation
            if not _is_type(annotations[function.trigger], takes):
                raise ValueError(f"its parameter {function.trigger!r} is annotated with something other than a request")
        for binding in others:
            name, check = binding["name"], _output_check(binding["type"])
            if name == "$return" and "return" in annotations:
                if not _is_type(annotations["return"], (lambda _: True) if function.streams else check):
                    raise ValueError(
                        f"its result is annotated with a type that its binding, {binding['type']}, cannot send"
                    )
            elif name in annotations and not _is_output(annotations[name], check):
                expected = f"azure.functions.Out[...] of a type that its binding, {binding['type']}, can write"
                raise ValueError(f"its output {name!r} is annotated with something other than {expected}")

    def _annotations(self, name: str, call: Callable[..., Any]) -> dict[str, Any]:
        try:
            return typing.get_type_hints(call)
        except TypeError:
            if inspect.isroutine(call) or inspect.isclass(call):
                raise
        # An instance with `__call__` works here, but Azure's worker cannot load it.
        logger.warning(
            "The function %r is an instance of %s; Azure's worker cannot load it: make it a function",
            name,
            type(call).__name__,
        )
        return typing.get_type_hints(type(call).__call__)


def _not_loaded(**_: object) -> None:
    """Replaces the code of a function until it is loaded."""


def _direction(binding: Mapping[str, Any]) -> str:
    direction = str(binding.get("direction", "in")).lower()
    if direction not in ("in", "out", "inout"):
        raise ValueError(f"its binding {binding['name']!r} has the direction {binding['direction']!r}")
    return direction


def _is_type(annotation: Any, check: Callable[[type], bool]) -> bool:
    """Whether an annotation is an accepted type. The worker does not accept unions."""
    return isinstance(annotation, type) and check(annotation)


def _is_output(annotation: Any, check: Callable[[type], bool]) -> bool:
    """Whether an annotation is `azure.functions.Out[...]` of a type that the binding can write."""
    arguments = typing.get_args(annotation)
    if getattr(typing.get_origin(annotation), "__name__", "") != "Out" or len(arguments) != 1:
        return False
    if arguments[0] in (str, bytes):
        return True
    try:
        return check(arguments[0])
    except TypeError:  # not a type
        return False


def _output_check(kind: str) -> Callable[[type], bool]:
    """A function that says whether a type can be written to a binding. Without a rule of the SDK: text and bytes."""
    sdk_rules = converter("http" if kind.lower() == "http" else kind)
    if hasattr(sdk_rules, "check_output_type_annotation"):
        return typing.cast(Callable[[type], bool], sdk_rules.check_output_type_annotation)
    return lambda annotation: issubclass(annotation, (str, bytes, bytearray))


def _is_stream(annotation: type) -> bool:
    """Whether a parameter takes FastAPI's request, whose class is Starlette's."""
    return issubclass(annotation, Request)


def _takes_stream(call: Callable[..., Any]) -> bool:
    """Whether a function uses HTTP streams. If one does, all functions of its app use them."""
    try:
        annotations = [p.annotation for p in inspect.signature(call, eval_str=True).parameters.values()]
    except Exception:  # `_describe` reports it
        return False
    return any(inspect.isclass(annotation) and _is_stream(annotation) for annotation in annotations)
