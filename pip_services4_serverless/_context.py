"""What stands for a context in this library: an `IContext`, a plain trace id, or None."""

from __future__ import annotations

from typing import TypeAlias

from pip_services4_components.context import Context, ContextResolver, IContext

CallContext: TypeAlias = IContext | str | None


def as_context(context: CallContext) -> IContext | None:
    """The context as pip-services' loggers and tracers take it."""
    return Context.from_trace_id(context) if isinstance(context, str) else context


def trace_id_of(context: CallContext) -> str | None:
    """The context's trace id, always a string; None where it has none."""
    trace_id = context if isinstance(context, str) else ContextResolver.get_trace_id(context)
    return str(trace_id) if trace_id else None
