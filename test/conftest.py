"""What holds for every test: no cloud, no proxy, no settings of the machine's user."""

from __future__ import annotations

import gc
import os
import signal

import pytest
from support.clients import BASES
from support.watch import watch  # noqa: F401  # a fixture

for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
    del os.environ[name]
# Loopback only: without this, AWS's credential chain asks an address of the cloud.
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"):
    os.environ.pop(name, None)

# A shell starts what it leaves in the background with SIGINT ignored; the tests of interrupts need it, as do processes
# that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


# The files that take longest, in this order. Each is run by one process as a whole, so none of them must begin last.
LONGEST = [
    "test_async",
    "test_fault_matrix",
    "test_wire",
    "test_cli",
    "test_examples",
    "test_lifetime",
    "test_benchmark",
    "test_gevent",
    "test_pytest_plugin",
    "test_user_code",
    "test_forks",
    "test_interrupts",
    "test_outside",
    "test_lambda_host",
    "test_lambda_processes",
    "test_secrets",
    "test_load",
    "test_tracebacks",
    "test_identity",
    "test_azure_people",
]

# These files make the most calls. Coverage would add more than half to their CPU time, and the other tests execute the
# same code.
WITHOUT_COVERAGE = {
    "test_any_answer",
    "test_any_setting",
    "test_async",
    "test_fault_matrix",
    "test_identity",
    "test_interrupts",
    "test_is_interrupt",
    "test_lifetime",
    "test_load",
    "test_secrets",
    "test_time",
    "test_wire",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first. Only tests that hold a bound in time get a second try; the summary names each that
    needed it."""
    order = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))
    for item in items:
        if item.get_closest_marker("timing"):
            item.add_marker(pytest.mark.flaky(reruns=1))
        if item.path.stem in WITHOUT_COVERAGE:
            item.add_marker(pytest.mark.no_cover)


def pytest_collection_finish() -> None:
    """What is imported and collected by now stays: tests that collect garbage need not look through it each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(params=BASES)
def provider(request: pytest.FixtureRequest) -> str:
    """One provider for each base, with its blocking client; `every_kind` has them all, and the asynchronous ones."""
    name: str = request.param
    return name
