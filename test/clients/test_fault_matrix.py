"""The fault matrix: provider, fault, idempotent or not; in each cell the error, the executions counted, the time, and
that no secret was shown."""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path

import pytest
from pip_services4_commons.errors import ApplicationException, ConnectionException
from pip_services4_components.config import ConfigParams
from support import fault_server as server
from support.clients import KINDS, SENT_SECRETS, every_kind, failure, open_client
from support.fault_server import FaultServer
from support.faults import DOCS, FAULTS, LONG, Fault, Outcome, Variant, call, stage, with_table
from support.watch import URL_KEY, Watch

from pip_services4_serverless.clients import FunctionClient

provider = every_kind

SLACK = 0.5  # seconds that a busy machine may add to an attempt
BACKOFF = 0.1  # seconds at most before the second attempt

CELLS = [
    pytest.param(fault, kind, idempotent, id=f"{fault.name}-{kind.id}-{'idempotent' if idempotent else 'default'}")
    for fault in FAULTS
    for kind in KINDS
    for idempotent in (False, True)
    if fault.outcomes(kind)
]


@pytest.mark.defect(6)
@pytest.mark.defect(24)
@pytest.mark.timing
@pytest.mark.parametrize(("fault", "provider", "idempotent"), CELLS)
def test_a_fault_comes_to_what_the_table_says(fault: Fault, provider: str, idempotent: bool, watch: Watch) -> None:
    """The error, the executions on the far side, the attempts and the time; and the next call gets its response.

    No secret is in logs, errors, their causes, tracebacks, texts, traces or counters, and the far side did get it.
    """

    def prepare(client: FunctionClient, config: ConfigParams) -> None:
        client.set_references(watch.references())
        if provider == "azure":
            config.put("connection.uri", config.get_as_string("connection.uri") + f"?code={URL_KEY}")

    outcomes = fault.outcomes(provider)
    assert outcomes
    if fault.params:
        # Its debug log shows the whole payload several times, which takes longer than the bound of an attempt.
        logging.getLogger("botocore").setLevel(logging.INFO)
    expected = outcomes.idempotent if idempotent else outcomes.default
    with stage(fault, provider, idempotent, prepare) as staged:
        for variant in fault.variants or (Variant(()),):
            if variant.steps:
                staged.respond_with(variant)
            executed, made = staged.executed(), len(staged.attempts)
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
            assert len(staged.attempts) - made == expected.attempts
            check_time(seconds, fault, expected)
        if staged.server and fault.variants:
            staged.server.default = server.respond(body=b"1")
            assert is_answered(staged.client)
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
    """A fault that hangs ends at its bound, neither earlier nor later; any other ends long before it."""
    if fault.ends == "immediately":
        assert seconds < LONG / 1000 / 2
    else:
        hanging = sum((expected.error is not None, expected.attempts == 2)) if expected.error else 1
        assert hanging * fault.bound - 0.01 <= seconds
        assert seconds <= hanging * (fault.bound + SLACK) + BACKOFF


def is_answered(client: FunctionClient) -> bool:
    """Tried again where the short bound of a fault that hangs was too short for a busy machine."""
    for _ in range(3):
        with contextlib.suppress(ConnectionException):
            return bool(client._call("next", "test") == 1)
    return False


def test_a_decompression_bomb_fills_no_memory(provider: str) -> None:
    """400 MiB in 2 MB: reading it ends at the bound, and never holds much more."""
    bomb = server.gzip_bomb(400 << 20)
    with FaultServer() as far_side, open_client(provider, far_side.url) as client:
        far_side.default = bomb
        Path("/proc/self/clear_refs").write_text("5")  # from here on the peak is counted anew
        before = peak()
        assert failure(client).code == "RESPONSE_TOO_LARGE"
        assert peak() - before < 200


def peak() -> int:
    """MiB that this process had in memory at most."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


def test_the_matrix_in_the_documentation_is_this_one() -> None:
    """`PYTHONPATH=test python -m support.faults` writes it."""
    page = DOCS.read_text("utf-8")
    assert page == with_table(page)


def test_the_retry_table_is_that_of_the_errors_page() -> None:
    """It is told in two places, in the same words."""
    tables = []
    for page in (DOCS, DOCS.with_name("errors.md")):
        section = page.read_text("utf-8").partition("## What is retried")[2]
        tables.append([line for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")])
    assert len(tables[0]) == 9
    assert tables[0] == tables[1]
