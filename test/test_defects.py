"""Each bug of the earlier Python clients has a test that it is fixed here.

Such a test is marked with `@pytest.mark.defect(number)`. `docs/defects.md` lists the bugs and their tests.
"""

from __future__ import annotations

import ast
import functools
import logging
import re
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.clients import open_client
from support.fault_server import Connection, FaultServer, Step, response_bytes

TESTS = Path(__file__).parent
DOCUMENT = TESTS.parent / "docs" / "defects.md"
BUGS = set(range(1, 42))


@functools.cache
def marked_tests() -> dict[int, set[str]]:
    """The tests that are marked with each number, as `file::test`."""
    found = defaultdict(set)
    for path in TESTS.rglob("test_*.py"):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(function, ast.FunctionDef):
                continue
            for decorator in function.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.defect":
                    found[ast.literal_eval(decorator.args[0])].add(f"{path.relative_to(TESTS)}::{function.name}")
    return found


def documented_tests() -> dict[int, set[str]]:
    """The tests that the document lists for each number."""
    rows = re.findall(r"^\| (\d+) \| [^|]+ \| ([^|]+) \|$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    assert len(rows) == len({number for number, _ in rows})
    return {int(number): set(re.findall(r"`(\S+::\w+)`", tests)) for number, tests in rows}


def test_each_bug_has_a_test() -> None:
    """No test is marked with another number."""
    assert set(marked_tests()) == BUGS


def test_the_document_lists_each_bug() -> None:
    """It lists one or more tests for each, which are marked with its number."""
    listed, marked = documented_tests(), marked_tests()

    assert set(listed) == BUGS
    assert all(listed.values())
    assert {number: tests - marked[number] for number, tests in listed.items() if tests - marked[number]} == {}


@pytest.mark.defect(40)
def test_calls_beyond_the_pool_open_more_connections_without_a_warning(
    provider: str, caplog: pytest.LogCaptureFixture
) -> None:
    """32 threads use a pool of 4: 28 connections are closed after use, and 4 are reused."""
    caplog.set_level(logging.DEBUG)
    together = threading.Barrier(32)

    def act(connection: Connection) -> None:
        together.wait(30)
        connection.send(b"".join(response_bytes()))

    with (
        FaultServer() as server,
        open_client(provider, server.url, max_connections=4) as client,
        ThreadPoolExecutor(32) as threads,
    ):
        server.script(*[Step("together", act)] * 32)
        for call in [threads.submit(client.call_command, "get", "T") for _ in range(32)]:
            assert call.result(timeout=30) == {}
        server.wait_for(closed=28)
        for _ in range(4):
            client.call_command("get", "T")

        assert (server.executions, server.connections, server.closed) == (36, 32, 28)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
