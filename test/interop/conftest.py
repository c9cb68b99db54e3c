"""The Dummy service on the published pip-services packages, deployed to the local hosts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from pip_services4_components.config import ConfigParams

from pip_services4_serverless.local import AzureFunctionHost, GoogleFunctionHost, LambdaHost

SERVICES = Path(__file__).with_name("services")


class Deployment(NamedTuple):
    """A Lambda function: a class of the published package, and a kind of controller in it."""

    function: str
    controller: str


LAMBDA_FUNCTIONS = {
    "commandable_function": Deployment("commandable", ""),
    "commandable_controller": Deployment("controllers", "commandable-lambda"),
    "controller": Deployment("controllers", "lambda"),
}


@pytest.fixture(autouse=True, scope="module")
def _published_packages() -> None:
    if sys.version_info >= (3, 13):
        pytest.skip("the published packages' containers do not import on Python 3.13 and later")


@pytest.fixture(scope="module")
def azure() -> Iterator[AzureFunctionHost]:
    """One function app with a function for each way of building a service."""
    with AzureFunctionHost(SERVICES) as host:
        assert host.load_errors == []
        yield host


@pytest.fixture(scope="module")
def aws() -> Iterator[LambdaHost]:
    """A Lambda function for each way of building a service."""
    with LambdaHost() as host:
        for name, (function, controller) in LAMBDA_FUNCTIONS.items():
            environment = {
                "FUNCTION": function,
                "CONTROLLER": controller,
                "CONFIG_PATH": str(SERVICES / "config.yml"),
            }
            host.deploy(name, SERVICES, "lambda_app.handler", environment=environment, timeout=20)
        yield host


@pytest.fixture(scope="module")
def google() -> Iterator[GoogleFunctionHost]:
    """A Google Cloud Function for each way of building a service, with functions-framework."""
    with GoogleFunctionHost() as host:
        for name in LAMBDA_FUNCTIONS:
            host.deploy(name, SERVICES / "google_app.py")
        yield host


@pytest.fixture(scope="module")
def configs(request: pytest.FixtureRequest) -> dict[str, ConfigParams]:
    """The configuration of a client for each service, by `provider/way`."""
    azure: AzureFunctionHost = request.getfixturevalue("azure")
    aws: LambdaHost = request.getfixturevalue("aws")
    google: GoogleFunctionHost = request.getfixturevalue("google")
    return {
        **{f"azure/{name}": azure.config(name) for name in azure.functions},
        **{f"lambda/{name}": aws.config(name) for name in LAMBDA_FUNCTIONS},
        **{f"google/{name}": google.config(name) for name in google.functions},
    }
