"""The context of a call: an `IContext`, a trace id, or None."""

from __future__ import annotations

import pytest
from pip_services4_components.context import Context, ContextResolver

from pip_services4_serverless._context import as_context, trace_id_of


@pytest.mark.defect(14)
def test_a_str_is_a_trace_id() -> None:
    """The examples of the reference call `open("123")`."""
    context = as_context("123")

    assert ContextResolver.get_trace_id(context) == "123"
    assert trace_id_of("123") == "123"


def test_a_context_is_not_copied() -> None:
    """Loggers see the caller's own context."""
    context = Context.from_tuples("trace_id", "T", "user", "u1")

    assert as_context(context) is context


def test_none_is_no_context() -> None:
    """It has no trace id."""
    assert as_context(None) is None
    assert trace_id_of(None) == ""


@pytest.mark.defect(19)
@pytest.mark.parametrize(
    ("context", "trace_id"),
    [
        (Context.from_trace_id("T"), "T"),
        (Context.from_tuples("trace_id", "T", "user", "u1"), "T"),
        (Context.from_tuples("traceId", "T"), "T"),
        (Context.from_tuples("trace_id", 123), "123"),
        (Context.from_tuples("user", "u1"), ""),
        (Context.from_trace_id(""), ""),
        (Context({}), ""),
        ("", ""),
    ],
)
def test_the_trace_id_is_a_string(context: Context | str, trace_id: str) -> None:
    """It contains nothing else of the context, such as its user."""
    assert trace_id_of(context) == trace_id


def test_a_trace_id_of_another_type_becomes_a_string() -> None:
    """The console logger of pip-services fails with other types."""
    context = as_context(Context.from_tuples("trace_id", 123))

    assert context is not None
    assert context.get("trace_id") == "123"
