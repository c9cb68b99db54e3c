"""Settings of all tests: no cloud, no proxy, and no settings of the user."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Generator

import pytest
from support.clients import BASES
from support.watch import watch  # noqa: F401  # a fixture

gc.disable()  # until all tests are collected: their objects live until the end
for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
    del os.environ[name]
# Without this, boto3 looks for credentials at an address of the cloud. Tests must use only loopback.
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"):
    os.environ.pop(name, None)

# A shell ignores SIGINT in programs that it starts in the background. Tests of interrupts need SIGINT, and so do the
# processes that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


# The slowest files, in this order. One process runs all tests of a file, so the slowest files must not start last.
SLOWEST = [
    "test_fault_matrix",
    "test_async",
    "test_function_client",
    "test_identity",
    "test_cli",
    "test_lambda_host",
    "test_examples",
    "test_timeouts",
    "test_call_options",
    "test_wire",
    "test_benchmark",
    "test_lifetime",
    "test_gevent",
    "test_pytest_plugin",
    "test_user_code",
    "test_forks",
    "test_interrupts",
    "test_lambda_processes",
    "test_secrets",
    "test_load",
    "test_tracebacks",
    "test_azure_user_apps",
]

# These files make the most calls. Coverage would add more than half to their CPU time, and the other tests execute the
# same code.
WITHOUT_COVERAGE = {
    "test_async",
    "test_fault_matrix",
    "test_interrupts",
    "test_is_interrupt",
    "test_lifetime",
    "test_load",
    "test_random_responses",
    "test_random_settings",
    "test_secrets",
    "test_timeouts",
    "test_wire",
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measures no coverage in some files. The marker `no_cover` of pytest-cov does nothing in a process of xdist."""
    if item.path.stem not in WITHOUT_COVERAGE:
        return (yield)
    before = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(before[0])
        threading.settrace(before[1])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts the slowest files first. A failed test of a time limit runs once more, and the summary lists it."""
    order = {name: number for number, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))
    for item in items:
        if item.get_closest_marker("timing"):
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows why a test needed its second try."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"first try of {report.nodeid}", sep="-")
        terminalreporter.line(report.longreprtext)


def pytest_collection_finish() -> None:
    """Freezes all objects that exist now, so that the garbage collections of tests do not search them each time."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(params=BASES)
def provider(request: pytest.FixtureRequest) -> str:
    """One provider for each base class, with its blocking client. `every_kind` has all providers and both clients."""
    name: str = request.param
    return name
