"""AWS Lambda on this machine, without Docker and without an account."""

import contextlib
import http.client
import importlib.util
import json
import logging
import os
import platform
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Self

from pip_services4_components.config import ConfigParams

from . import _lambda_deployment
from ._lambda_channel import Channel

_SERVER = str(Path(__file__).with_name("_lambda_server.py"))
_OLDEST_MINISTACK = (1, 5, 33)  # 1.4 starts a process for each call, and may run its handler twice
_SERVER_LOG = "ministack.log"
_RESPONSE_TIMEOUT = 20.0
_END_SECONDS = 3.0
_ACCESS_ID, _ACCESS_KEY = "local", "local"

# What could make ministack serve otherwise, or lead a handler to a real account, stays out of their environment.
_KEPT_OUT = re.compile(r"(AWS|MINISTACK|LOCALSTACK|LAMBDA)_|(AUTH|EDGE_PORT|PERSIST_STATE)$")
# How awslambdaric prints a record of `logging`, and an exception, whose lines it ends with \r.
_LEVEL = re.compile(r"\[([A-Z]+)\](?:\t[^\t]*\t[^\t]*\t| )(.*)", re.DOTALL)


@dataclass
class _Function:
    name: str
    handler: str = ""
    timeout: int = 0
    arn: str = ""
    check: str = field(default_factory=lambda: secrets.token_hex(16))
    qualifiers: list[str] = field(default_factory=lambda: ["$LATEST"])
    invocations: int = 0


class LambdaHost:
    """Runs AWS Lambda functions written in Python on loopback, to develop and test their clients against.

    Handlers run in processes of their own, with this interpreter and the packages that it sees, under AWS's own
    runtime client, `awslambdaric`; the package `ministack` serves the Lambda API in front of them. Everything that a
    handler and its child processes write to standard output and error, and what the handler logs, goes line by line to
    the logger `pip_services4_serverless.local.lambda.<name>`, before the call returns.

    A context manager: leaving it ends the processes and the port and removes the temporary folder. So does the end
    of this process, however it comes. Processes that handlers have started end with it.

    `ministack` keeps about 4 KiB of each call, logs and metrics, until the host stops: 4 GB after a million calls.

    Args:
        port: The port on 127.0.0.1; 0 takes a free one.
        region: The AWS region that the functions pretend to be in.

    Raises:
        ValueError: The port is not a whole number from 0 to 65535.

    ```python
    client = CommandableLambdaClient("greeter")
    with LambdaHost() as host:
        host.deploy("greeter", "functions/greeter", "app.handler")
        client.configure(host.config("greeter"))
        client.open("123")
        assert client.call_command("greet", "123", {"name": "Ada"}) == {"greeting": "Hello, Ada!"}
        client.close("123")
    ```
    """

    def __init__(self, *, port: int = 0, region: str = "us-east-1") -> None:
        if type(port) is not int or not 0 <= port <= 65535:
            raise ValueError(f"port: must be a whole number from 0 to 65535, not {port!r}")
        self._wanted_port = port
        self._region = region
        self._port = 0
        self._folder = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._cleanup = contextlib.ExitStack()
        self._functions: dict[str, _Function] = {}
        self._deployments: list[_Function] = []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Start to serve; nothing happens when it serves already.

        Raises:
            ModuleNotFoundError: A package of the extra `local` is missing.
            OSError: The port is taken.
            RuntimeError: ministack is too old, or did not start; the message has its output.
        """
        if not self._port:
            _check_packages()
            try:
                self._start()
            except BaseException:
                self.stop()
                raise
        return self

    def _start(self) -> None:
        folder = self._folder = tempfile.mkdtemp(prefix="pip-lambda-")
        self._cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        self._channel = Channel(os.path.join(folder, "channel"), self._receive)
        self._cleanup.callback(self._channel.close)
        with _listen(self._wanted_port) as listener, Path(folder, _SERVER_LOG).open("wb") as output:
            self._port = listener.getsockname()[1]
            self._process = subprocess.Popen(
                [sys.executable, "-P", _SERVER, str(listener.fileno()), folder, str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
                env=self._environment(),
                cwd=folder,
                start_new_session=True,  # Ctrl-C goes to this process only, and the others can be ended as a group
            )
            self._cleanup.callback(_end, self._process)
        self._request("GET", "/_ministack/health", lost="ministack did not start")

    def _environment(self) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if not _KEPT_OUT.match(name)}
        if paths := environment.get("PYTHONPATH"):
            environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, paths.split(os.pathsep)))
        environment |= {
            "AWS_ENDPOINT_URL": self.endpoint,
            "DOCKER_HOST": "unix:///nowhere",  # ministack would remove containers
            "GATEWAY_PORT": str(self._port),
            "IOT_MTLS_ENABLED": "0",  # another port
            "LOG_LEVEL": "WARNING",
            "MINISTACK_REGION": self._region,
            "SERVICES": "lambda",
            "TMPDIR": self._folder,
        }
        return environment

    def stop(self) -> None:
        """End the processes, the port and the temporary folder; nothing happens when there are none."""
        try:
            self._cleanup.close()
        finally:
            self._port = 0
            self._channel = None
            self._functions.clear()
            self._deployments.clear()

    @property
    def endpoint(self) -> str:
        """The URL of the Lambda API, for example `http://127.0.0.1:40123`."""
        if not self._port:
            raise RuntimeError("LambdaHost is not started")
        return f"http://127.0.0.1:{self._port}"

    def deploy(
        self,
        name: str,
        path: str | os.PathLike[str],
        handler: str,
        *,
        environment: Mapping[str, str] | None = None,
        timeout: int = 3,
        concurrency: int | None = None,
        aliases: Collection[str] = (),
    ) -> str:
        """Make a function of a handler, in place of an earlier function of that name.

        The code stays where it is: a process of the function imports what the folder holds when it starts, and
        `deploy` ends the function's earlier processes.

        Args:
            name: The function's name: letters, digits, `-` and `_`.
            path: The folder that the handler's module is in, or the module's file.
            handler: `module.function`, or `package.module.function`.
            environment: Variables that the handler sees beside those of this process.
            timeout: Seconds after which a call is ended with an error, 1 to 900; 3 is AWS's own default.
            concurrency: Calls that may run at once; more get status 429. 0 rejects every call.
            aliases: Qualifiers that name this deployment, which with any of them is also version 1.

        Returns:
            The function's ARN.

        Raises:
            ValueError: An argument is wrong; the message names it.
            FileNotFoundError: The path or the handler's module does not exist.
            RuntimeError: The host is not started, or ministack rejected the function, has ended or does not respond.
        """
        folder = _lambda_deployment.find_folder(path, handler)
        _lambda_deployment.check(name, environment or {}, timeout, concurrency, aliases)
        if not self._port:
            raise RuntimeError("LambdaHost is not started")
        if name in self._functions:
            self.remove(name)
        function = _Function(name, handler, timeout)
        self._deployments.append(function)
        # Looked up by each process that starts: ministack repeats an `Event` with the package that it began with.
        code = Path(self._folder, f"{name}.json")
        channel = str(code.with_name("channel"))
        code.write_text(json.dumps([channel, len(self._deployments) - 1, folder, handler, function.check]))
        created = self._request(
            "POST",
            "/2015-03-31/functions",
            FunctionName=name,
            Runtime="provided.al2023",
            Role="arn:aws:iam::000000000000:role/local",
            Handler=handler,
            Code={"ZipFile": _lambda_deployment.package(str(code))},
            Timeout=timeout,
            Environment={"Variables": dict(environment or {})},
        )
        function.arn = created["FunctionArn"]
        self._functions[name] = function
        if concurrency is not None:
            path = f"/2017-10-31/functions/{name}/concurrency"
            self._request("PUT", path, ReservedConcurrentExecutions=concurrency)
        if aliases:
            version = self._request("POST", f"/2015-03-31/functions/{name}/versions")["Version"]
            for alias in aliases:
                self._request("POST", f"/2015-03-31/functions/{name}/aliases", Name=alias, FunctionVersion=version)
            function.qualifiers += [version, *aliases]
        return function.arn

    def check(self, name: str) -> None:
        """Import a function's handler in a process of the function, which stays for its first call.

        The handler is not called, and no invocation is counted.

        Raises:
            RuntimeError: The handler cannot be imported; the message says why. Or the function allows no calls.
            LookupError: There is no such function; the message has those that there are.
        """
        function = self._function(name)
        path = f"/2015-03-31/functions/{name}/invocations"
        error = self._request("POST", path, seconds=function.timeout + _RESPONSE_TIMEOUT, check=function.check)
        if error is not None:
            reason = f"{error.get('errorType')}: {error.get('errorMessage')}"
            raise RuntimeError(f"{function.handler!r} of {name!r} cannot be imported: {reason}")

    @property
    def functions(self) -> list[str]:
        """The names of the functions that are deployed."""
        return list(self._functions)

    def remove(self, name: str) -> None:
        """Takes a function away.

        Raises:
            LookupError: There is no such function; the message names those that there are.
        """
        self._function(name)
        self._request("DELETE", f"/2015-03-31/functions/{name}")
        del self._functions[name]

    def arn(self, name: str, qualifier: str | None = None) -> str:
        """The ARN of a function, or of an alias or a version of it.

        Raises:
            LookupError: There is no such function or qualifier; the message has those that there are.
        """
        function = self._function(name)
        if qualifier is None:
            return function.arn
        if qualifier not in function.qualifiers:
            raise LookupError(f"No qualifier {qualifier!r} of {name!r}; there are: {', '.join(function.qualifiers)}")
        return f"{function.arn}:{qualifier}"

    def config(self, name: str, qualifier: str | None = None) -> ConfigParams:
        """What to configure a client of a function with: its ARN, the endpoint and made-up keys.

        Raises:
            LookupError: There is no such function or qualifier; the message has those that there are.
        """
        return ConfigParams(
            {
                "connection.arn": self.arn(name, qualifier),
                "connection.uri": self.endpoint,
                "credential.access_id": _ACCESS_ID,
                "credential.access_key": _ACCESS_KEY,
            }
        )

    def invocations(self, name: str) -> int:
        """How often the function's handler was started since it was deployed.

        It is counted in the function's process, just before the handler: also for a caller that has given up, and
        for each attempt at an `Event` that fails (three, as on AWS, after waits of 1 and 2 s). What the handler of an
        finished call has logged is in the log when this returns.

        Raises:
            LookupError: There is no such function; the message has those that there are.
        """
        function = self._function(name)
        if self._channel is not None:
            self._channel.read()
        return function.invocations

    def wait_for_invocations(self, name: str, count: int, timeout: float = 5.0) -> None:
        """Wait until the function's handler was started so often, or more often.

        Args:
            name: The function's name.
            count: The invocations to wait for, counted from the deployment.
            timeout: Seconds to wait.

        Raises:
            TimeoutError: It was not in time; the message says how often it was.
            LookupError: There is no such function; the message has those that there are.
        """
        function = self._function(name)
        if self._channel is None or not self._channel.wait_for(lambda: function.invocations >= count, timeout):
            raise TimeoutError(f"{name!r} was invoked {function.invocations} times in {timeout} s, not {count}")

    def _function(self, name: str) -> _Function:
        if name not in self._functions:
            raise LookupError(f"No function {name!r} is deployed; there are: {', '.join(self._functions) or 'none'}")
        return self._functions[name]

    def _receive(self, key: int, kind: str, text: str) -> None:
        function = self._deployments[key]
        if kind == "R":
            function.invocations += 1
            return
        level, message = logging.INFO, text.replace("\r", "\n")
        if match := _LEVEL.fullmatch(message):
            level, message = logging.getLevelNamesMapping().get(match[1], level), match[2]
        logging.getLogger(f"pip_services4_serverless.local.lambda.{function.name}").log(level, "%s", message)

    def _request(
        self, method: str, path: str, *, lost: str = "", seconds: float = _RESPONSE_TIMEOUT, **body: Any
    ) -> Any:
        scope = f"{_ACCESS_ID}/20260101/{self._region}/lambda/aws4_request"  # only the region in it is used
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"}
        address = self.endpoint.removeprefix("http://")
        try:
            with contextlib.closing(http.client.HTTPConnection(address, timeout=seconds)) as connection:
                connection.request(method, path, json.dumps(body) if body else None, headers)
                response = connection.getresponse()
                content = response.read()
        except (OSError, http.client.HTTPException) as error:
            said = Path(self._folder, _SERVER_LOG).read_text(errors="replace").strip()
            raise RuntimeError(f"{lost or self._what_is_lost()}: {said or error}") from error
        if response.status >= 400:
            raise RuntimeError(f"ministack rejected {method} {path}: {content.decode(errors='replace')}")
        return json.loads(content or b"null")

    def _what_is_lost(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self._process is not None and self._process.wait(_END_SECONDS) is not None:
                return "ministack has ended; stop the host and start it again"
        return "ministack did not respond"


def _check_packages() -> None:
    if platform.system() != "Linux":
        raise RuntimeError("LambdaHost needs Linux: AWS's runtime client, awslambdaric, exists for nothing else")
    for package in ("awslambdaric", "ministack"):
        if importlib.util.find_spec(package) is None:
            advice = "pip install 'pip-services4-serverless[local]'"
            raise ModuleNotFoundError(f"LambdaHost needs the package {package!r}: {advice}", name=package)
    version = metadata.version("ministack")
    if tuple(map(int, re.findall(r"\d+", version)[:3])) < _OLDEST_MINISTACK:
        raise RuntimeError(f"LambdaHost needs ministack {'.'.join(map(str, _OLDEST_MINISTACK))}, not {version}")


def _listen(port: int) -> socket.socket:
    """Opens the port here, so that a port in use fails immediately, and requests can wait for ministack."""
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"LambdaHost cannot listen on 127.0.0.1:{port}: {error.strerror}") from error
    return listener


def _end(process: subprocess.Popen[bytes]) -> None:
    """End ministack and the functions' processes: `_lambda_server.py` does it by itself, else by force."""
    try:
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), process.stdin:  # it has ended already
                process.stdin.write(b".")  # closing is not enough: a forked child of this process may have it open
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
