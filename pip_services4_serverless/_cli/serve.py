"""`serve`: functions on this machine until Ctrl-C, and `demo`."""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import re
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from pip_services4_commons.errors import ConfigException, InvocationException
from pip_services4_components.config import ConfigParams

from .failure import FUNCTION_FAILED, WRONG_USAGE, CommandError

if TYPE_CHECKING:
    from ..local import AzureFunctionHost

KEYS_VARIABLE = "PIP_SERVERLESS_KEYS"
_POLL_SECONDS = 0.3
_WATCHED = (".py", ".json", ".yml", ".yaml")  # not all files: a log may be among them
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_FUNCTION = re.compile(r"([^=]+)=(?:(.+):)?([^:]+)")
_GOOGLE_FUNCTION = re.compile(r"([^=/]+)=(.+?)(?::(\w+))?")
_CANNOT_SERVE = (OSError, ValueError, RuntimeError, ImportError, LookupError)


def serve(arguments: argparse.Namespace) -> int:
    """Serves until a signal ends it, which leaves by `KeyboardInterrupt`. Raises `CommandError` if it cannot start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    if arguments.reload:
        # In the processes of Lambda functions: Python takes bytecode for current whose source has changed within a
        # second and kept its size.
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    servers: dict[str, Callable[[argparse.Namespace], _Server]]
    servers = {"azure": _AzureServer, "google": _GoogleServer, "lambda": _LambdaServer}
    server = servers[arguments.provider](arguments)
    with _own_output() as server.out, _ended_by_signals():
        watch = Watch(server.folders) if arguments.reload else None
        try:
            with _errors():
                server.load()
            server.announce()
            while True:
                time.sleep(_POLL_SECONDS)
                if watch and watch.changed():
                    server.reload()
        finally:
            server.stop()


def demo() -> int:
    """Runs the demonstration; returns 0 only if all of it held."""
    with _ended_by_signals():
        with _errors():
            from ..local._demo.__main__ import main
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)  # it takes seconds: show progress, also through a pipe
        try:
            return main()
        except Exception as err:
            _raise_interrupt(err)
            raise CommandError(FUNCTION_FAILED, InvocationException("demo", "DEMO_FAILED", str(err))) from err


def _raise_interrupt(error: BaseException | None) -> None:
    """Raises the interrupt that an error followed, if there is one: clean-up that fails after it is not the result."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            raise error
        error = error.__context__


class Watch:
    """Tells whether code and settings under some folders have changed, hidden folders aside."""

    def __init__(self, folders: set[str]) -> None:
        self._folders = folders
        self._seen = self._look()

    def changed(self) -> bool:
        """True once after each change."""
        before, self._seen = self._seen, self._look()
        return before != self._seen

    def _look(self) -> dict[str, tuple[int, int]]:
        seen = {}
        for folder in self._folders:
            for place, folders, files in os.walk(folder):
                folders[:] = [name for name in folders if not name.startswith(".")]
                for path in (os.path.join(place, name) for name in files if name.endswith(_WATCHED)):
                    try:
                        status = os.stat(path)
                    except OSError:  # removed meanwhile
                        continue
                    seen[path] = status.st_mtime_ns, status.st_size
        return seen


class _Server(ABC):
    """A local host and its output: one YAML file with facts in comments and with components."""

    folders: set[str]
    kind: str

    def __init__(self) -> None:
        self.out: TextIO = sys.stdout
        self._announced: set[str] = set()

    @abstractmethod
    def load(self) -> None:
        """Starts the host, or reloads what it serves."""

    @abstractmethod
    def stop(self) -> None:
        """Leaves nothing behind."""

    @abstractmethod
    def facts(self) -> Iterator[str]:
        """URLs and keys."""

    @abstractmethod
    def configs(self) -> Iterator[tuple[str, ConfigParams | str]]:
        """What clients are configured with by function, or why there is nothing."""

    def table(self, names: list[str]) -> Iterator[str]:
        """The rows of a table of some functions, if there is more to tell than their configuration."""
        yield from ()

    def announce(self) -> None:
        """Prints what has not been printed yet."""
        lines = [] if self._announced else [f"# {fact}" for fact in self.facts()]
        new = {name: config for name, config in self.configs() if name not in self._announced}
        lines += [f"# {row}".rstrip() for row in self.table(list(new))]
        self._announced |= new.keys()
        for name, config in new.items():
            if isinstance(config, str):
                lines += ["", f"# {name}: {config}"]
            else:
                lines += ["", *self._component(name, config)]
        if lines:
            self.out.write("\n".join(lines) + "\n")
            self.out.flush()

    def _component(self, name: str, config: ConfigParams) -> Iterator[str]:
        yield f'- descriptor: "pip-services:client:{self.kind}:{name}:1.0"'
        for section in config.get_section_names():
            yield f"  {section}:"
            for key, value in config.get_section(section).items():
                yield f"    {key}: {json.dumps(value)}"

    def reload(self) -> None:
        """Takes the changes in, or says why not and waits for the next ones."""
        try:
            with _errors():
                self.load()
        except CommandError as err:
            logging.getLogger(__name__).error("Not loaded: %s", err)
        else:
            self.announce()
            logging.getLogger(__name__).info("Loaded again")


class _AzureServer(_Server):
    kind = "commandable-azurefunc"

    def __init__(self, arguments: argparse.Namespace) -> None:
        super().__init__()
        self._path = arguments.app or os.curdir
        self._port = arguments.port
        self._host: AzureFunctionHost | None = None
        self._asks_for_keys = not arguments.no_keys
        self._keys = _keys(arguments)
        self.folders = {self._path}

    def load(self) -> None:
        self.stop()
        try:
            host = self._start(self._port, self._keys)
        except ValueError:
            if not self._announced:
                raise
            # A function that has a key may be gone; the others keep theirs. A host on another port, which no client
            # calls, tells which there are.
            names = {"_master", "default", *self._start(0, {}).functions}
            self.stop()
            host = self._start(self._port, {name: key for name, key in self._keys.items() if name in names})
        # A client goes on after a reload.
        self._port = int(host.url.rpartition(":")[2])
        self._keys |= {"_master": host.master_key, "default": host.host_key}
        self._keys |= {name: host.function_key(name) for name in host.functions}

    def _start(self, port: int, keys: dict[str, str]) -> AzureFunctionHost:
        from ..local import AzureFunctionHost

        self._host = AzureFunctionHost(self._path, port=port, keys=keys, enforce_keys=self._asks_for_keys)
        self._host.start()
        return self._host

    def stop(self) -> None:
        if self._host is not None:
            self._host.stop()

    def facts(self) -> Iterator[str]:
        if self._host is not None:
            yield f"Azure Functions host: {self._host.url}"
            if self._asks_for_keys:
                yield f"host key: {self._host.host_key}"
                yield f"master key: {self._host.master_key}"
            else:
                yield "it asks for no keys"

    def table(self, names: list[str]) -> Iterator[str]:
        host = self._host
        if host is None or not names:
            return
        rows = [(name, ", ".join(host.methods(name)) or "any", host.url_template(name)) for name in names]
        rows.insert(0, ("function", "methods", "URL"))
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        yield ""
        for name, methods, url in rows:
            yield f"{name:{widths[0]}}  {methods:{widths[1]}}  {url}"

    def configs(self) -> Iterator[tuple[str, ConfigParams | str]]:
        host = self._host
        if host is None:
            return
        for name in host.functions:
            try:
                config = host.config(name)
                yield name, config if self._asks_for_keys else _without_key(config)
            except ValueError as err:  # the route has parameters
                yield name, f"no configuration: {err}"


def _without_key(config: ConfigParams) -> ConfigParams:
    return ConfigParams.from_tuples("connection.uri", config.get_as_string("connection.uri"))


def _keys(arguments: argparse.Namespace) -> dict[str, str]:
    """The given keys. Options override the file, which overrides the environment. No message shows a value."""
    sources = [(KEYS_VARIABLE, os.environ.get(KEYS_VARIABLE, "").split())]
    if arguments.key_file:
        try:
            lines = Path(arguments.key_file).read_text("utf-8").splitlines()
        except (OSError, ValueError) as err:
            message = f"--key-file {arguments.key_file} cannot be read: {type(err).__name__}"
            raise CommandError(WRONG_USAGE, ConfigException(None, "WRONG_USAGE", message)) from err
        sources.append((f"--key-file {arguments.key_file}", [line.strip() for line in lines if line.strip()]))
    sources.append(("--key", arguments.key))
    keys = {}
    for source, texts in sources:
        for text in texts:
            name, _, key = text.partition("=")
            if not name or not key:
                message = f"{source} needs NAME=VALUE, the name of a function, 'default' or '_master' and its key"
                raise CommandError(WRONG_USAGE, ConfigException(None, "WRONG_USAGE", message))
            keys[name] = key
    return keys


class _LambdaServer(_Server):
    kind = "commandable-lambda"

    def __init__(self, arguments: argparse.Namespace) -> None:
        super().__init__()
        self._functions = [_function(text) for text in arguments.functions]
        self._timeout = arguments.timeout
        with _errors():
            from ..local import LambdaHost

            self._host = LambdaHost(port=arguments.port, region=arguments.region)
        self.folders = {path if os.path.isdir(path) else str(Path(path).parent) for _, path, _ in self._functions}

    def load(self) -> None:
        self._host.start()
        for name, path, handler in self._functions:
            self._host.deploy(name, path, handler, timeout=self._timeout)
        for name in self._host.functions:
            self._host.check(name)

    def stop(self) -> None:
        self._host.stop()

    def facts(self) -> Iterator[str]:
        yield f"Lambda host: {self._host.endpoint}"
        yield "its keys are made up: any will do"

    def configs(self) -> Iterator[tuple[str, ConfigParams | str]]:
        for name, _, _ in self._functions:
            yield name, self._host.config(name)


class _GoogleServer(_Server):
    kind = "commandable-cloudfunc"

    def __init__(self, arguments: argparse.Namespace) -> None:
        super().__init__()
        self._functions = [_google_function(text) for text in arguments.functions]
        self._for_everybody = arguments.allow_unauthenticated
        with _errors():
            from ..local import GoogleFunctionHost

            self._host = GoogleFunctionHost(port=arguments.port)
        self.folders = {path if os.path.isdir(path) else str(Path(path).parent) for _, path, _ in self._functions}

    def load(self) -> None:
        self._host.start()
        for name, path, target in self._functions:
            self._host.deploy(name, path, target, allow_unauthenticated=self._for_everybody)

    def stop(self) -> None:
        self._host.stop()

    def facts(self) -> Iterator[str]:
        yield f"Google Cloud Functions host: {self._host.url}"
        if self._for_everybody:
            yield "it asks for no token"

    def configs(self) -> Iterator[tuple[str, ConfigParams | str]]:
        for name, _, _ in self._functions:
            yield name, self._host.config(name)


def _google_function(text: str) -> tuple[str, str, str | None]:
    match = _GOOGLE_FUNCTION.fullmatch(text)
    if not match:
        message = f"expected NAME=PATH[:target], for example orders=functions/orders:take, not {text!r}"
        raise CommandError(WRONG_USAGE, ConfigException(None, "WRONG_USAGE", message))
    return match[1], match[2], match[3]


def _function(text: str) -> tuple[str, str, str]:
    match = _FUNCTION.fullmatch(text)
    if not match:
        message = f"expected NAME=PATH:module.handler, for example orders=functions/orders:app.handler, not {text!r}"
        raise CommandError(WRONG_USAGE, ConfigException(None, "WRONG_USAGE", message))
    return match[1], match[2] or ".", match[3]


@contextmanager
def _errors() -> Iterator[None]:
    """What the hosts raise tells the user enough."""
    try:
        yield
    except _CANNOT_SERVE as err:
        raise CommandError(WRONG_USAGE, ConfigException(None, "CANNOT_SERVE", str(err))) from err


@contextmanager
def _own_output() -> Iterator[TextIO]:
    """Standard output, for what is announced alone.

    What functions print goes to standard error, at once, and so does what their child processes print.
    """
    own = sys.stdout
    own.flush()
    if not _has_descriptor(own, 1) or not _has_descriptor(sys.stderr, 2):  # replaced within this process
        with redirect_stdout(sys.stderr):
            yield own
        return
    with (
        open(os.dup(1), "w", encoding=own.encoding) as kept,
        io.TextIOWrapper(
            open(os.dup(2), "wb", buffering=0),
            encoding=sys.stderr.encoding,
            errors="backslashreplace",
            write_through=True,
        ) as unbuffered,
        redirect_stdout(unbuffered),
    ):
        os.dup2(2, 1)
        try:
            yield kept
        finally:
            os.dup2(kept.fileno(), 1)


def _has_descriptor(stream: TextIO | None, number: int) -> bool:
    with suppress(OSError, ValueError, AttributeError):  # None, closed, or not a file
        return stream.fileno() == number  # type: ignore[union-attr]
    return False


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """The first signal interrupts, with the exit status that shells give it; what cleans up is not interrupted."""

    def end(number: int, _: FrameType | None) -> None:
        for other in _SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        raise KeyboardInterrupt(128 + number)

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        # What `nohup` ignores stays so. A shell lets jobs in the background ignore SIGINT, which must end this.
        if number != signal.SIGHUP or before[number] is not signal.SIG_IGN:
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
