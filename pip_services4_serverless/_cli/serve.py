"""`serve`: serves functions on this machine until Ctrl-C. `demo`: runs the demonstration."""

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
import traceback
from _thread import start_new_thread
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from pip_services4_commons.errors import ConfigException, InvocationException
from pip_services4_components.config import ConfigParams

from .failure import FUNCTION_FAILED, CommandError

if TYPE_CHECKING:
    from ..local import AzureFunctionHost

KEYS_VARIABLE = "PIP_SERVERLESS_KEYS"
_POLL_SECONDS = 0.3  # how often `--reload` looks for changes
_WATCHED = (".py", ".json", ".yml", ".yaml")  # not all files, because a function may write a log
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LAMBDA_FUNCTION = re.compile(r"([^=]+)=(?:(.+):)?([^:]+)")
_GOOGLE_FUNCTION = re.compile(r"([^=/]+)=(.+?)(?::(\w+))?")
_CANNOT_SERVE = (OSError, ValueError, RuntimeError, ImportError, LookupError)


def serve(arguments: argparse.Namespace) -> int:
    """Serves until a signal.

    Raises:
        KeyboardInterrupt: a signal has ended the command.
        ConfigException: the usage is wrong, or the host cannot start.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    if arguments.reload:
        # For the processes of Lambda functions. Python would use old bytecode if the source has changed within a second
        # and has kept its size.
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    servers: dict[str, Callable[[argparse.Namespace], _Server]]
    servers = {"azure": _AzureServer, "google": _GoogleServer, "lambda": _LambdaServer}
    server = servers[arguments.provider](arguments)
    with _reserved_output() as server.out, _interrupted_by_signals():
        watch = Watch(server.folders) if arguments.reload else None
        try:
            with _host_errors():
                server.load()
            server.announce()
            while True:
                time.sleep(_POLL_SECONDS)
                if watch and watch.changed():
                    server.reload()
        finally:
            server.stop()


def demo() -> int:
    """Runs the demonstration. Returns 0 if every response was as expected, and otherwise raises `CommandError`."""
    with _interrupted_by_signals():
        with _host_errors():
            from ..local._demo.__main__ import main
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)  # shows progress while it runs, even if the output is a pipe
        try:
            return main()
        except Exception as err:
            _raise_interrupt(err)
            raise CommandError(FUNCTION_FAILED, InvocationException("demo", "DEMO_FAILED", str(err))) from err


def _raise_interrupt(error: BaseException | None) -> None:
    """Raises the interrupt that the error follows, if there is one, because an error in the clean-up would hide it."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            raise error
        error = error.__context__


class Watch:
    """Finds out whether code or settings in some folders have changed. Hidden folders are ignored."""

    def __init__(self, folders: set[str]) -> None:
        self._folders = folders
        self._seen = self._scan()

    def changed(self) -> bool:
        """True once after each change."""
        before, self._seen = self._seen, self._scan()
        return before != self._seen

    def _scan(self) -> dict[str, tuple[int, int]]:
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
    """A local host, and the YAML that describes it: URLs and keys in comments, and components for clients."""

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
        """Stops the host."""

    @abstractmethod
    def header(self) -> Iterator[str]:
        """The URLs and keys, one per line."""

    @abstractmethod
    def configs(self) -> Iterator[tuple[str, ConfigParams | str]]:
        """The configuration of a client for each function, or the reason why there is none."""

    def table(self, names: list[str]) -> Iterator[str]:
        """The rows of a table of functions, if their configuration does not show everything."""
        yield from ()

    def announce(self) -> None:
        """Prints the functions that have not been printed yet."""
        lines = [] if self._announced else [f"# {line}" for line in self.header()]
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
        """Reloads the functions. If that fails, logs the reason, and serves again after the next change."""
        try:
            with _host_errors():
                self.load()
        except ConfigException as err:
            logging.getLogger(__name__).error("Not reloaded: %s", err)
        else:
            self.announce()
            logging.getLogger(__name__).info("Reloaded")


class _AzureServer(_Server):
    kind = "commandable-azurefunc"

    def __init__(self, arguments: argparse.Namespace) -> None:
        super().__init__()
        self._path = arguments.app or os.curdir
        self._port = arguments.port
        self._host: AzureFunctionHost | None = None
        self._enforce_keys = not arguments.no_keys
        self._keys = _keys(arguments)
        self.folders = {self._path}

    def load(self) -> None:
        self.stop()
        try:
            host = self._start(self._port, self._keys)
        except ValueError:
            if not self._announced:
                raise
            # A function that has a key may not exist any more, and a host rejects keys of unknown functions. A host on
            # another port, which no client calls, finds out which functions there are.
            names = {"_master", "default", *self._start(0, {}).functions}
            self.stop()
            host = self._start(self._port, {name: key for name, key in self._keys.items() if name in names})
        # The port and the keys stay the same after a reload, so that clients keep working.
        self._port = int(host.url.rpartition(":")[2])
        self._keys |= {"_master": host.master_key, "default": host.host_key}
        self._keys |= {name: host.function_key(name) for name in host.functions}

    def _start(self, port: int, keys: dict[str, str]) -> AzureFunctionHost:
        from ..local import AzureFunctionHost

        self._host = AzureFunctionHost(self._path, port=port, keys=keys, enforce_keys=self._enforce_keys)
        self._host.start()
        return self._host

    def stop(self) -> None:
        if self._host is not None:
            self._host.stop()

    def header(self) -> Iterator[str]:
        if self._host is not None:
            yield f"Azure Functions host: {self._host.url}"
            if self._enforce_keys:
                yield f"host key: {self._host.host_key}"
                yield f"master key: {self._host.master_key}"
            else:
                yield "it requires no keys"

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
                yield name, config if self._enforce_keys else _without_key(config)
            except ValueError as err:  # the route has parameters
                yield name, f"no configuration: {err}"


def _without_key(config: ConfigParams) -> ConfigParams:
    return ConfigParams.from_tuples("connection.uri", config.get_as_string("connection.uri"))


def _keys(arguments: argparse.Namespace) -> dict[str, str]:
    """The given keys. Options take precedence over the file, and the file over the environment."""
    sources = [(KEYS_VARIABLE, os.environ.get(KEYS_VARIABLE, "").split())]
    if arguments.key_file:
        try:
            lines = Path(arguments.key_file).read_text("utf-8-sig").splitlines()
        except (OSError, ValueError) as err:
            reason = err.strerror if isinstance(err, OSError) else "it is not UTF-8 text"
            raise _usage_error(f"--key-file: cannot read {arguments.key_file}: {reason}") from err
        sources.append((f"--key-file {arguments.key_file}", [line.strip() for line in lines if line.strip()]))
    sources.append(("--key", arguments.key))
    keys = {}
    for source, texts in sources:
        for text in texts:
            name, _, key = text.partition("=")
            if not name or not key:
                # The message does not contain the text, which may be a key.
                raise _usage_error(
                    f"{source} needs NAME=VALUE: the name of a function, 'default' or '_master', and a key"
                )
            keys[name] = key
    return keys


class _LambdaServer(_Server):
    kind = "commandable-lambda"

    def __init__(self, arguments: argparse.Namespace) -> None:
        super().__init__()
        self._functions = [_lambda_function(text) for text in arguments.functions]
        _check_names(name for name, _, _ in self._functions)
        self._timeout = arguments.timeout
        with _host_errors():
            from ..local import LambdaHost

            self._host = LambdaHost(port=arguments.port, region=arguments.region)
        self.folders = {_folder(path) for _, path, _ in self._functions}

    def load(self) -> None:
        self._host.start()
        for name, path, handler in self._functions:
            self._host.deploy(name, path, handler, timeout=self._timeout)
        for name in self._host.functions:
            self._host.check(name)

    def stop(self) -> None:
        self._host.stop()

    def header(self) -> Iterator[str]:
        yield f"Lambda host: {self._host.endpoint}"
        yield "it accepts any AWS keys"

    def configs(self) -> Iterator[tuple[str, ConfigParams | str]]:
        for name, _, _ in self._functions:
            yield name, self._host.config(name)


class _GoogleServer(_Server):
    kind = "commandable-cloudfunc"

    def __init__(self, arguments: argparse.Namespace) -> None:
        super().__init__()
        self._functions = [_google_function(text) for text in arguments.functions]
        _check_names(name for name, _, _ in self._functions)
        self._allow_unauthenticated = arguments.allow_unauthenticated
        with _host_errors():
            from ..local import GoogleFunctionHost

            self._host = GoogleFunctionHost(port=arguments.port)
        self.folders = {_folder(path) for _, path, _ in self._functions}

    def load(self) -> None:
        self._host.start()
        for name, path, target in self._functions:
            self._host.deploy(name, path, target, allow_unauthenticated=self._allow_unauthenticated)

    def stop(self) -> None:
        self._host.stop()

    def header(self) -> Iterator[str]:
        yield f"Google Cloud Functions host: {self._host.url}"
        if self._allow_unauthenticated:
            yield "it requires no token"

    def configs(self) -> Iterator[tuple[str, ConfigParams | str]]:
        for name, _, _ in self._functions:
            yield name, self._host.config(name)


def _google_function(text: str) -> tuple[str, str, str | None]:
    match = _GOOGLE_FUNCTION.fullmatch(text)
    if not match:
        raise _usage_error(f"expected NAME=PATH[:target], for example orders=functions/orders:take, not {text!r}")
    return match[1], match[2], match[3]


def _lambda_function(text: str) -> tuple[str, str, str]:
    match = _LAMBDA_FUNCTION.fullmatch(text)
    if not match:
        example = "orders=functions/orders:app.handler"
        raise _usage_error(f"expected NAME=[PATH:]module.handler, for example {example}, not {text!r}")
    name, path, handler = match.groups()
    if path is None and handler.endswith(".py"):
        example = f"{text}:{Path(handler).stem}.handler"
        raise _usage_error(f"{handler!r} is a file; give its handler too: {example}")
    return name, path or os.curdir, handler


def _check_names(names: Iterable[str]) -> None:
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise _usage_error(f"{count} functions have the name {name!r}")


def _folder(path: str) -> str:
    return path if os.path.isdir(path) else str(Path(path).parent)


def _usage_error(message: str) -> ConfigException:
    return ConfigException(None, "WRONG_USAGE", message)


@contextmanager
def _host_errors() -> Iterator[None]:
    """Converts the exceptions of the hosts, whose messages are written for users, to `CANNOT_SERVE`."""
    try:
        yield
    except _CANNOT_SERVE as err:
        # Without the number of the error, which `str` adds to the message.
        message = err.strerror if isinstance(err, OSError) and err.strerror and err.filename is None else str(err)
        raise ConfigException(None, "CANNOT_SERVE", message) from err
    except SystemExit as err:
        place = traceback.extract_tb(err.__traceback__)[-1]
        message = f"{place.filename}:{place.lineno} called sys.exit({err.code!r})"
        raise ConfigException(None, "CANNOT_SERVE", message) from err


@contextmanager
def _reserved_output() -> Iterator[TextIO]:
    """A stream to standard output, which nothing else writes to.

    The output of functions and of their child processes goes to standard error, without a buffer.
    """
    stdout = sys.stdout
    stdout.flush()
    if not _has_descriptor(stdout, 1) or not _has_descriptor(sys.stderr, 2):  # replaced in this process
        with redirect_stdout(sys.stderr):
            yield stdout
        return
    with (
        open(os.dup(1), "w", encoding=stdout.encoding) as output,
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
            yield output
        finally:
            os.dup2(output.fileno(), 1)


def _has_descriptor(stream: TextIO | None, number: int) -> bool:
    with suppress(OSError, ValueError, AttributeError):  # None, closed, or not a file
        return stream.fileno() == number  # type: ignore[union-attr]
    return False


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """The first signal raises `KeyboardInterrupt` with an exit status. Later ones do not interrupt the clean-up."""
    interrupt = _Interrupt()
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        # With `nohup`, SIGHUP stays ignored. SIGINT ends the command even in the background, where shells ignore it.
        if number != signal.SIGHUP or before[number] is not signal.SIG_IGN:
            signal.signal(number, interrupt.on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = interrupt.hook


class _Interrupt:
    """Raises `KeyboardInterrupt` when a signal comes. If Python ignores the exception, the signal is sent again.

    Python ignores exceptions in destructors, and passes them to `sys.unraisablehook`, where it ignores them, too.
    """

    def __init__(self) -> None:
        self._is_in_hook = False
        self._is_sent_later = False
        self.hook, sys.unraisablehook = sys.unraisablehook, self._on_ignored

    def on_signal(self, number: int, _: FrameType | None) -> None:
        if self._is_in_hook:
            self._send_later(number)
            return
        for other in _SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        raise KeyboardInterrupt(128 + number)

    def _on_ignored(self, unraisable: sys.UnraisableHookArgs) -> None:
        self._is_in_hook = True
        try:
            if isinstance(unraisable.exc_value, KeyboardInterrupt):
                number = unraisable.exc_value.args[0] - 128
                signal.signal(number, self.on_signal)
                self._send_later(number)
            else:
                self.hook(unraisable)
        finally:
            self._is_in_hook = False

    def _send_later(self, number: int) -> None:
        if not self._is_sent_later:
            self._is_sent_later = True
            start_new_thread(self._send, (number,))  # not `threading`, whose locks the interrupted function may hold

    def _send(self, number: int) -> None:
        time.sleep(0.01)
        self._is_sent_later = False
        os.kill(os.getpid(), number)
