"""The fault matrix: each fault, with each kind of client, idempotent or not.

Each test checks the error, the executions, the attempts, the time, and that no secret is shown.
"""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path

import pytest
from pip_services4_commons.errors import ApplicationException, ConnectionException
from pip_services4_components.config import ConfigParams
from support import fault_server
from support.clients import KINDS, SENT_SECRETS, every_kind, failure, open_client
from support.fault_server import FaultServer
from support.faults import DOCS, FAULTS, LONG, Fault, Outcome, Variant, call, stage, with_table
from support.watch import URL_KEY, Watch

from pip_services4_serverless._rules import attempts
from pip_services4_serverless.clients import FunctionClient

provider = every_kind

SLACK = 0.5  # seconds that a busy machine may add to an attempt
BACKOFF = 0.01  # seconds at most before the second attempt

CELLS = [
    pytest.param(fault, kind, idempotent, id=f"{fault.name}-{kind.id}-{'idempotent' if idempotent else 'default'}")
    for fault in FAULTS
    for kind in KINDS
    for idempotent in (False, True)
    if fault.outcomes(kind)
]


@pytest.fixture(autouse=True)
def _short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backoff would take a quarter of the time of these tests. test/_rules/test_attempts.py tests it."""
    monkeypatch.setattr(attempts, "FIRST_BACKOFF", BACKOFF)


@pytest.mark.defect(6)
@pytest.mark.defect(24)
@pytest.mark.timing
@pytest.mark.parametrize(("fault", "provider", "idempotent"), CELLS)
def test_a_fault_has_the_outcome_of_the_table(fault: Fault, provider: str, idempotent: bool, watch: Watch) -> None:
    """The error, the executions, the attempts and the time are right, and the next call gets its response.

    The server received the secret. No log, error, cause, traceback, text, trace or counter shows it.
    """

    def prepare(client: FunctionClient, config: ConfigParams) -> None:
        client.set_references(watch.references())
        if provider == "azure":
            config.put("connection.uri", config.get_as_string("connection.uri") + f"?code={URL_KEY}")

    outcomes = fault.outcomes(provider)
    assert outcomes
    if fault.params:
        # Its debug log shows the whole payload several times, which takes longer than the timeout of an attempt.
        logging.getLogger("botocore").setLevel(logging.INFO)
    expected = outcomes.idempotent if idempotent else outcomes.default
    with stage(fault, provider, idempotent, prepare) as staged:
        for variant in fault.variants or (Variant(()),):
            if variant.steps:
                staged.respond_with(variant)
            executed, attempted = staged.executed(), len(staged.attempts)
            started = time.monotonic()
            if expected.error is None:
                assert fault.check(call(staged, fault))
                seconds = time.monotonic() - started
            else:
                with pytest.raises(ApplicationException) as caught:
                    call(staged, fault)
                seconds = time.monotonic() - started
                check_error(caught.value, expected, variant)
                watch.note(caught.value)
            assert staged.executed() - executed == expected.executed
            assert len(staged.attempts) - attempted == expected.attempts
            check_time(seconds, fault, expected)
        if staged.server and fault.variants:
            staged.server.default = fault_server.respond(body=b"1")
            assert gets_a_response(staged.client)
        watch.note_client(staged.client)
        if staged.server and staged.server.requests:
            head = staged.server.requests[-1].head.decode()
            assert SENT_SECRETS[provider] in head
            assert URL_KEY not in head
    watch.note_client(staged.client)
    assert watch.leaks() == []
    assert len(watch.seen) > 20


def check_error(error: ApplicationException, expected: Outcome, variant: Variant) -> None:
    assert (type(error), error.code, error.status) == (expected.error, expected.code, expected.status or variant.status)
    assert error.trace_id in ("fault", "theirs")
    assert error.message


def check_time(seconds: float, fault: Fault, expected: Outcome) -> None:
    """A fault that hangs ends at its timeout, neither earlier nor later. Any other fault ends long before."""
    if fault.ends == "immediately":
        assert seconds < LONG / 1000 / 2
    else:
        timeouts = sum((expected.error is not None, expected.attempts == 2)) if expected.error else 1
        assert timeouts * fault.bound - 0.01 <= seconds
        assert seconds <= timeouts * (fault.bound + SLACK) + BACKOFF


def gets_a_response(client: FunctionClient) -> bool:
    """Retries, because the short timeout of a fault that hangs may be too short for a busy machine."""
    for _ in range(3):
        with contextlib.suppress(ConnectionException):
            return bool(client._call("next", "test") == 1)
    return False


def test_a_decompression_bomb_does_not_fill_the_memory(provider: str) -> None:
    """It is 2 MB for 400 MiB. The client stops reading at its limit."""
    bomb = fault_server.gzip_bomb(400 << 20)
    with FaultServer() as server, open_client(provider, server.url) as client:
        server.default = bomb
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        before = peak_memory()
        assert failure(client).code == "RESPONSE_TOO_LARGE"
        assert peak_memory() - before < 200


def peak_memory() -> int:
    """The most memory that this process has used since the reset, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


def test_the_documentation_shows_this_matrix() -> None:
    """`PYTHONPATH=test python -m support.faults` writes it."""
    page = DOCS.read_text("utf-8")
    assert page == with_table(page)


def test_both_pages_have_the_same_retry_table() -> None:
    """The retry table is on two pages, with the same words."""
    tables = []
    for page in (DOCS, DOCS.with_name("errors.md")):
        section = page.read_text("utf-8").partition("## What is retried")[2]
        tables.append([line for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")])
    assert len(tables[0]) == 9
    assert tables[0] == tables[1]
