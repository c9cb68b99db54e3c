"""What stands for a context in this library: an `IContext`, a plain trace id, or None."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

from pip_services4_components.context import Context, ContextResolver, IContext


class AnyContext(Protocol):
    """An `IContext`, for type checkers: pip-services has no types, and its class is `Any` to mypy.

    A dict is none, as its `get` takes no `key` by keyword.
    """

    def get(self, key: str) -> Any: ...


CallContext: TypeAlias = AnyContext | str | None


def as_context(context: CallContext) -> IContext | None:
    """The context as pip-services' loggers and tracers take it: they fail with a trace id that is no string."""
    if context is None or isinstance(context, str):
        return Context.from_trace_id(context) if context else None
    return (
        context
        if isinstance(ContextResolver.get_trace_id(context), str)
        else Context.from_trace_id(trace_id_of(context))
    )


def trace_id_of(context: CallContext) -> str:
    """The context's trace id, always a string; empty where it has none."""
    return str(context if isinstance(context, str) else ContextResolver.get_trace_id(context))
