"""The structure of the package: what an import loads, and what is public."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import pip_services4_serverless

ROOT = Path(pip_services4_serverless.__file__).parent
SUBPACKAGES = [f"{ROOT.name}.{path.parent.name}" for path in sorted(ROOT.glob("[a-z]*/__init__.py"))]


def run_python(code: str) -> str:
    """The output of a new interpreter that treats warnings as errors."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return run.stdout


HEAVY = {"boto3", "botocore", "requests", "urllib3", "azure", "starlette", "uvicorn", "ministack", "awslambdaric"}


@pytest.mark.defect(1)
@pytest.mark.parametrize(
    "line",
    [
        "from pip_services4_serverless.clients import AzureFunctionClient, LambdaClient, "
        "CommandableAzureFunctionClient, CommandableLambdaClient, FunctionClient",
        "from pip_services4_serverless.connect import AzureConnectionParams, AzureConnectionResolver, "
        "AwsConnectionParams, AwsConnectionResolver",
        "import pip_services4_serverless.local",
    ],
    ids=["clients", "connect", "local"],
)
def test_imports_load_no_provider(line: str) -> None:
    """A client imports its provider's library when it opens, and a host when it starts. There is no warning."""
    assert run_python(f"{line}; import sys; print(sorted({HEAVY!r} & set(sys.modules)))") == "[]\n"


def test_importing_the_clients_loads_only_what_the_import_needs() -> None:
    """Each of them would take 2 % of the time or more. Clients that need one import it when they are made or open."""
    code = """import sys
before = set(sys.modules)
from pip_services4_serverless.clients import (
    CommandableAzureFunctionClient, CommandableCloudFunctionClient, CommandableLambdaClient
)
print(sorted({"asyncio", "logging", "pip_services4_config"} & (set(sys.modules) - before)))"""
    assert run_python(code) == "[]\n"


@pytest.mark.parametrize(
    ("client", "other"), [("AzureFunctionClient", "lambda|aws|google|gcp|cloud"), ("LambdaClient", "azure|http|google")]
)
def test_importing_a_client_loads_no_other(client: str, other: str) -> None:
    """It loads no client of another provider, no asynchronous or commandable client, and not the factory."""
    code = f"""import sys
from pip_services4_serverless.clients import {client}
print(*(name for name in sys.modules if name.startswith("pip_services4_serverless.")))"""
    loaded = run_python(code).split()

    assert f"pip_services4_serverless.clients.{module_of(client)}" in loaded
    assert not [name for name in loaded if re.search(rf"{other}|async|commandable|\.(build|local|_cli)", name)]


def test_threads_can_import_and_make_clients_at_the_same_time() -> None:
    """Each thread takes a client from the package in a new interpreter. No thread sees an incomplete module."""
    code = """import sys, threading
from concurrent.futures import ThreadPoolExecutor
import pip_services4_serverless as package
sys.setswitchinterval(1e-6)
names = [name for name in package.__all__ if name.endswith(("AzureFunctionClient", "LambdaClient"))] * 2
barrier = threading.Barrier(len(names))
def make(name):
    barrier.wait(30)
    return type(getattr(package, name)()).__name__ == name
with ThreadPoolExecutor(len(names)) as pool:
    print(all(pool.map(make, names)))"""
    assert run_python(code) == "True\n"


def test_the_factory_loads_the_clients_that_it_creates() -> None:
    """A container without asynchronous clients does not import asyncio."""
    code = """import sys
from pip_services4_components.refer import Descriptor
from pip_services4_serverless.build import DefaultServerlessFactory
factory = DefaultServerlessFactory()
client = factory.create(Descriptor("pip-services", "client", "commandable-azurefunc", "orders", "1.0"))
print(type(client).__name__, "asyncio" in sys.modules)"""
    assert run_python(code) == "CommandableAzureFunctionClient False\n"


def test_the_hosts_can_be_imported() -> None:
    """There is no warning."""
    run_python("from pip_services4_serverless.local import AzureFunctionHost, LambdaHost")


@pytest.mark.parametrize(
    ("client", "others"),
    [
        ("AzureFunctionClient", {"boto3", "botocore", "azure.identity", "google.auth"}),
        ("LambdaClient", {"boto3", "requests", "azure.identity"}),
    ],
)
def test_open_loads_only_its_own_provider(client: str, others: set[str]) -> None:
    """A client of Azure never imports botocore. A client of AWS never imports requests or all of boto3."""
    code = f"""
import sys
from pip_services4_components.config import ConfigParams
from pip_services4_serverless.clients import {client}
client = {client}()
client.configure(ConfigParams.from_tuples(
    "connection.uri", "http://127.0.0.1:9/f", "connection.arn", "f", "connection.region", "eu-west-1",
    "credential.access_id", "I", "credential.access_key", "K"))
client.open("T")
client.close("T")
print(sorted({others!r} & set(sys.modules)))
"""

    assert run_python(code) == "[]\n"


def test_the_package_is_marked_as_typed() -> None:
    """Type checkers look for this file."""
    assert (ROOT / "py.typed").is_file()


def test_the_version_is_in_one_place() -> None:
    """The distribution reads it from the package."""
    version = pip_services4_serverless.__version__

    assert re.fullmatch(r"\d+\.\d+\.\d+([ab]\d+|rc\d+)?", version)
    assert importlib.metadata.version("pip-services4-serverless") == version


@pytest.fixture(params=SUBPACKAGES)
def subpackage(request: pytest.FixtureRequest) -> ModuleType:
    """Each subpackage."""
    return importlib.import_module(request.param)


def module_of(name: str) -> str:
    """The module name for a class name: `AzureFunctionClient` -> `azure_function_client`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def test_each_public_name_is_in_a_module_of_its_own(subpackage: ModuleType) -> None:
    """`__all__` is sorted, and each module has the name of its class."""
    assert subpackage.__all__ == sorted(subpackage.__all__)
    assert subpackage.__all__
    assert set(subpackage.__all__) <= set(dir(subpackage))
    for name in subpackage.__all__:
        assert getattr(subpackage, name).__module__ == f"{subpackage.__name__}.{module_of(name)}"


def test_each_public_module_is_in_all(subpackage: ModuleType) -> None:
    """A module without an underscore has a class of its name, which is in `__all__`."""
    found = []
    for path in Path(subpackage.__file__ or "").parent.glob("[!_]*.py"):
        nodes = [node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.ClassDef)]
        found += [node.name for node in nodes if module_of(node.name) == path.stem]

    assert sorted(found) == subpackage.__all__


def public_members(cls: type) -> dict[str, Any]:
    """The callable members without an underscore that the class itself defines."""
    return {name: member for name, member in vars(cls).items() if name[0] != "_" and callable(member)}


def test_each_public_class_and_method_is_documented(subpackage: ModuleType) -> None:
    """Methods may inherit their docstring."""
    assert inspect.getdoc(subpackage)
    for name in subpackage.__all__:
        cls = getattr(subpackage, name)
        assert cls.__doc__, name
        for method, member in public_members(cls).items():
            inherited = next((vars(base)[method] for base in cls.__mro__[1:] if method in vars(base)), None)
            documented = inspect.getdoc(member) or inspect.getdoc(inherited)
            assert documented, f"{name}.{method}"
