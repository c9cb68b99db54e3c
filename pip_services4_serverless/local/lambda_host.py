"""LambdaHost: runs AWS Lambda functions on this machine, without Docker and without an account."""

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
from ._listener import listen

_SERVER = str(Path(__file__).with_name("_lambda_server.py"))
_OLDEST_MINISTACK = (1, 5, 33)  # 1.4 starts a process for each call, and may run its handler twice
_SERVER_LOG = "ministack.log"
_RESPONSE_TIMEOUT = 20.0  # seconds
_END_TIMEOUT = 3.0  # seconds
_ACCESS_ID, _ACCESS_KEY = "local", "local"

# ministack and the handlers do not get these variables, because they could change how ministack serves, or make a
# handler use a real account.
_EXCLUDED_VARIABLES = re.compile(r"(AWS|MINISTACK|LOCALSTACK|LAMBDA)_|(AUTH|EDGE_PORT|PERSIST_STATE)$")
# The format in which awslambdaric prints a log record, or an exception, whose lines it ends with \r.
_LOG_RECORD = re.compile(r"\[([A-Z]+)\](?:\t[^\t]*\t[^\t]*\t| )(.*)", re.DOTALL)


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
    """Runs AWS Lambda functions written in Python on 127.0.0.1, to develop and test clients without a cloud account.

    Each function has its own processes, which use this interpreter and its packages. They run the handler with AWS's
    own runtime client, `awslambdaric`. The package `ministack` serves the Lambda API. What a handler and its child
    processes write to standard output and error, and what the handler logs, is logged line by line by the logger
    `pip_services4_serverless.local.lambda.<name>`, before the call returns.

    `stop` or the end of the `with` block ends all processes, those that handlers have started included, closes the
    port, and removes the temporary folder. The same happens when this process ends, even if it is killed.

    `ministack` keeps about 4 KiB of logs and metrics for each call until the host stops, so 4 GB for a million calls.

    Args:
        port: the port on 127.0.0.1. 0 means a free port.
        region: the AWS region in the ARNs of the functions.

    Raises:
        ValueError: the port is not a whole number from 0 to 65535.

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
        self._requested_port = port
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
        """Starts the host. It does nothing if the host is started already.

        Raises:
            ModuleNotFoundError: a package of the extra `local` is missing.
            OSError: the port is in use.
            RuntimeError: ministack is too old, or did not start. The message has its output.
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
        # The port is opened here, so that a port in use is an error immediately, and requests can wait for ministack.
        with listen("LambdaHost", self._requested_port) as listener, Path(folder, _SERVER_LOG).open("wb") as output:
            self._port = listener.getsockname()[1]
            self._process = subprocess.Popen(
                [sys.executable, "-P", _SERVER, str(listener.fileno()), folder, str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
                env=self._environment(),
                cwd=folder,
                start_new_session=True,  # Ctrl-C only reaches this process, and the others can be killed as a group
            )
            self._cleanup.callback(_end_process, self._process)
        self._request("GET", "/_ministack/health", problem="ministack did not start")

    def _environment(self) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if not _EXCLUDED_VARIABLES.match(name)}
        if paths := environment.get("PYTHONPATH"):
            environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, paths.split(os.pathsep)))
        environment |= {
            "AWS_ENDPOINT_URL": self.endpoint,
            "DOCKER_HOST": "unix:///nowhere",  # otherwise ministack removes Docker containers
            "GATEWAY_PORT": str(self._port),
            "IOT_MTLS_ENABLED": "0",  # otherwise ministack opens another port
            "LOG_LEVEL": "WARNING",
            "MINISTACK_REGION": self._region,
            "SERVICES": "lambda",
            "TMPDIR": self._folder,
        }
        return environment

    def stop(self) -> None:
        """Ends the processes, closes the port and removes the temporary folder. It can be called more than once."""
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
        """Creates a function from a handler. It replaces an earlier function of that name, and ends its processes.

        The code is not copied: each process of the function imports the handler from its folder when it starts.

        Args:
            name: the name of the function: letters, digits, `-` and `_`.
            path: the folder of the handler's module, or the file of the module.
            handler: `module.function`, or `package.module.function`.
            environment: environment variables of the handler, in addition to those of this process.
            timeout: seconds after which a call is ended with an error, 1 to 900. 3 is the default of AWS.
            concurrency: the maximum number of calls at the same time. Others get status 429. 0 rejects every call.
            aliases: the names of aliases of this function. If there are any, a version 1 is published too.

        Returns:
            The ARN of the function.

        Raises:
            ValueError: an argument is wrong. The message names it.
            FileNotFoundError: the path or the handler's module does not exist.
            RuntimeError: the host is not started, or ministack rejected the function, has ended or does not respond.
        """
        folder = _lambda_deployment.find_folder(path, handler)
        _lambda_deployment.check(name, environment or {}, timeout, concurrency, aliases)
        if not self._port:
            raise RuntimeError("LambdaHost is not started")
        if name in self._functions:
            self.remove(name)
        function = _Function(name, handler, timeout)
        self._deployments.append(function)
        # Each process reads this file when it starts, because ministack retries an `Event` with the package of its
        # first attempt, even if the function was deployed again meanwhile.
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
        """Imports the handler of a function, without calling it. No invocation is counted.

        The handler is imported in a process of the function, which is then used for the first call.

        Raises:
            RuntimeError: the handler cannot be imported, or the function allows no calls. The message says why.
            LookupError: there is no such function. The message lists the deployed ones.
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
        """Removes a function.

        Raises:
            LookupError: there is no such function. The message lists the deployed ones.
        """
        self._function(name)
        self._request("DELETE", f"/2015-03-31/functions/{name}")
        del self._functions[name]

    def arn(self, name: str, qualifier: str | None = None) -> str:
        """The ARN of a function, or of an alias or a version of it.

        Raises:
            LookupError: there is no such function or qualifier. The message lists the existing ones.
        """
        function = self._function(name)
        if qualifier is None:
            return function.arn
        if qualifier not in function.qualifiers:
            qualifiers = ", ".join(function.qualifiers)
            raise LookupError(f"The function {name!r} has no qualifier {qualifier!r}; its qualifiers are: {qualifiers}")
        return f"{function.arn}:{qualifier}"

    def config(self, name: str, qualifier: str | None = None) -> ConfigParams:
        """The configuration of a client of a function: its ARN, the endpoint, and keys, which the host does not check.

        Raises:
            LookupError: there is no such function or qualifier. The message lists the existing ones.
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
        """How often the handler of a function was started since the function was deployed.

        An invocation is counted just before the handler starts, even if the client has given up already. A one-way call
        that fails is retried twice, as on AWS, but after 1 and 2 s. Each attempt is counted. When this method returns,
        everything that finished calls have logged is in the log.

        Raises:
            LookupError: there is no such function. The message lists the deployed ones.
        """
        function = self._function(name)
        if self._channel is not None:
            self._channel.read()
        return function.invocations

    def wait_for_invocations(self, name: str, count: int, timeout: float = 5.0) -> None:
        """Waits until the handler of a function was started at least `count` times.

        Args:
            name: the name of the function.
            count: the number of invocations since the function was deployed.
            timeout: the maximum time to wait, in seconds.

        Raises:
            TimeoutError: there were fewer invocations. The message has their number.
            LookupError: there is no such function. The message lists the deployed ones.
        """
        function = self._function(name)
        if self._channel is None or not self._channel.wait_for(lambda: function.invocations >= count, timeout):
            raise TimeoutError(f"{name!r} was invoked {function.invocations} times in {timeout} s, not {count}")

    def _function(self, name: str) -> _Function:
        if name not in self._functions:
            names = ", ".join(self._functions) or "none"
            raise LookupError(f"No function {name!r} is deployed; the deployed functions are: {names}")
        return self._functions[name]

    def _receive(self, key: int, kind: str, text: str) -> None:
        function = self._deployments[key]
        if kind == "R":
            function.invocations += 1
            return
        level, message = logging.INFO, text.rstrip("\r").replace("\r", "\n")
        if match := _LOG_RECORD.fullmatch(message):
            level, message = logging.getLevelNamesMapping().get(match[1], level), match[2]
        logging.getLogger(f"pip_services4_serverless.local.lambda.{function.name}").log(level, "%s", message)

    def _request(
        self, method: str, path: str, *, problem: str = "", seconds: float = _RESPONSE_TIMEOUT, **body: Any
    ) -> Any:
        scope = f"{_ACCESS_ID}/20260101/{self._region}/lambda/aws4_request"  # ministack only reads the region
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"}
        address = self.endpoint.removeprefix("http://")
        try:
            with contextlib.closing(http.client.HTTPConnection(address, timeout=seconds)) as connection:
                connection.request(method, path, json.dumps(body) if body else None, headers)
                response = connection.getresponse()
                content = response.read()
        except (OSError, http.client.HTTPException) as error:
            log = Path(self._folder, _SERVER_LOG).read_text(errors="replace").strip()
            raise RuntimeError(f"{problem or self._find_problem()}: {log or error}") from error
        if response.status >= 400:
            raise RuntimeError(f"ministack rejected {method} {path}: {content.decode(errors='replace')}")
        return json.loads(content or b"null")

    def _find_problem(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self._process is not None and self._process.wait(_END_TIMEOUT) is not None:
                return "ministack has ended; stop the host and start it again"
        return "ministack did not respond"


def _check_packages() -> None:
    if platform.system() != "Linux":
        raise RuntimeError("LambdaHost needs Linux, because AWS's runtime client, awslambdaric, only supports Linux")
    for package in ("awslambdaric", "ministack"):
        if importlib.util.find_spec(package) is None:
            command = 'pip install "pip-services4-serverless[local]"'
            raise ModuleNotFoundError(f"LambdaHost needs the package {package!r}: {command}", name=package)
    version = metadata.version("ministack")
    if tuple(map(int, re.findall(r"\d+", version)[:3])) < _OLDEST_MINISTACK:
        raise RuntimeError(f"LambdaHost needs ministack {'.'.join(map(str, _OLDEST_MINISTACK))}, not {version}")


def _end_process(process: subprocess.Popen[bytes]) -> None:
    """Ends ministack and the processes of the functions. If `_lambda_server.py` does not do it in time, kills them."""
    try:
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), process.stdin:  # the process has ended already
                process.stdin.write(b".")  # closing is not enough, because a forked child may have the pipe open
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END_TIMEOUT)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
