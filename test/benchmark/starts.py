"""Measures starts: importing, the first client of a process, the next clients, and the memory of each of these.

Every sample is a new process that has imported almost nothing when its clock starts. It needs `-S`, because an editable
install, which users do not have, imports much of the standard library when the interpreter starts.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from .contestants import ACCESS_ID, ACCESS_KEY, ARN, AUTH_CODE, AZURE_PATH, REGION
from .environments import Environment
from .machine import output_of
from .rounds import Samples, paired


class Subject(NamedTuple):
    """Import statements, and statements that make one client with the name `client`."""

    title: str
    environment: str
    imports: str
    opening: str = ""


_COMPONENT = f"""
client = Client("dummies")
client.configure(ConfigParams.from_tuples(
    "connection.uri", "http://127.0.0.1:9{AZURE_PATH}", "connection.arn", "{ARN}", "connection.region", "{REGION}",
    "credential.access_id", "{ACCESS_ID}", "credential.access_key", "{ACCESS_KEY}",
    "credential.auth_code", "{AUTH_CODE}"))
client.open(None)
"""
_CONFIG = "from pip_services4_components.config import ConfigParams\n"
_BOTO3 = f"""
client = boto3.client("lambda", region_name="{REGION}", aws_access_key_id="{ACCESS_ID}",
    aws_secret_access_key="{ACCESS_KEY}")
"""

# A client, because this library's packages import their classes when these are asked for.
_THIS = "from pip_services4_serverless.clients import CommandableAzureFunctionClient"
_AZURE = "from pip_services4_azure.clients import CommandableAzureFunctionClient"
_LAMBDA = "from pip_services4_aws.clients import CommandableLambdaClient"
IMPORTS: Mapping[str, Subject] = {
    "azure-this": Subject(_THIS, "own", _THIS),
    "azure-published": Subject(_AZURE, "azure", _AZURE),
    "lambda-published": Subject(_LAMBDA, "aws", _LAMBDA),
    "requests": Subject("import requests", "own", "import requests"),
    "httpx": Subject("import httpx", "own", "import httpx"),
    "boto3": Subject("import boto3", "own", "import boto3"),
}

OPENINGS: Mapping[str, Subject] = {
    "azure-this": Subject(
        "AzureFunctionClient of this library",
        "own",
        _CONFIG + "from pip_services4_serverless.clients import CommandableAzureFunctionClient as Client",
        _COMPONENT,
    ),
    "azure-published": Subject(
        "AzureFunctionClient of pip-services4-azure",
        "azure",
        _CONFIG + "from pip_services4_azure.clients import CommandableAzureFunctionClient as Client",
        _COMPONENT,
    ),
    "requests": Subject("requests.Session", "own", "import requests", "client = requests.Session()"),
    "httpx": Subject("httpx.Client", "own", "import httpx", "client = httpx.Client()"),
    "lambda-this": Subject(
        "LambdaClient of this library",
        "own",
        _CONFIG + "from pip_services4_serverless.clients import CommandableLambdaClient as Client",
        _COMPONENT.replace("connection.uri", "connection.unused"),
    ),
    "lambda-published": Subject(
        "LambdaClient of pip-services4-aws",
        "aws",
        _CONFIG + "from pip_services4_aws.clients import CommandableLambdaClient as Client",
        _COMPONENT.replace("connection.uri", "connection.unused"),
    ),
    "boto3": Subject('boto3.client("lambda")', "own", "import boto3", _BOTO3),
}

# requests imports simplejson if it is installed. The local hosts install it, but most users do not have it.
_BEGIN = """
import os, sys, time
sys.path += {packages}
sys.modules["simplejson"] = None
started = time.perf_counter()
{imports}
imported = time.perf_counter() - started
"""
_IMPORT = _BEGIN + "print([imported])"
_OPEN = (
    _BEGIN
    + """
def make():
{opening}
    return client
clients = [make()]
first = time.perf_counter() - started
def resident():
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
import gc, resource
gc.collect()
before = resident()
started = time.perf_counter()
for _ in range({more}):
    clients.append(make())
each = (time.perf_counter() - started) / {more}
gc.collect()
print([first, each, (resident() - before) / {more}])
"""
)


class Starts(NamedTuple):
    """Seconds, and bytes of resident memory for each client after the first (0 if the system cannot measure it)."""

    imports: Samples
    first: Samples
    following: Samples
    memory: Samples
    missing: Mapping[str, str]


def measure(
    names: Collection[str],
    environments: Mapping[str, Environment],
    seconds: tuple[float, float],
    min_rounds: int,
    more: int = 99,
) -> Starts:
    """Paired rounds of importing, and of opening one client and then `more` clients, for `seconds` each."""
    missing: dict[str, str] = {}

    def samplers(subjects: Mapping[str, Subject], code: str) -> dict[str, Callable[[], Sequence[float]]]:
        working: dict[str, Callable[[], Sequence[float]]] = {}
        for name, subject in subjects.items():
            if name not in names:
                continue
            environment = environments[subject.environment]
            opening = textwrap.indent(subject.opening, "    ")
            program = code.format(
                packages=list(environment.packages), imports=subject.imports, opening=opening, more=more
            )
            sample = partial(_numbers, environment.python, program)
            try:
                if environment.missing:
                    raise RuntimeError(environment.missing)
                sample()  # writes the .pyc files
            except RuntimeError as err:
                missing[subject.title] = str(err)
            else:
                working[name] = sample
        return working

    (imported,) = paired(samplers(IMPORTS, _IMPORT), seconds[0], min_rounds) or [{}]
    first, following, memory = paired(samplers(OPENINGS, _OPEN), seconds[1], min_rounds) or [{}, {}, {}]
    return Starts(imported, first, following, memory, missing)


def _numbers(python: str, program: str) -> Sequence[float]:
    numbers: Sequence[float] = json.loads(output_of((python, "-I", "-S", "-c", program), 60))
    return numbers
