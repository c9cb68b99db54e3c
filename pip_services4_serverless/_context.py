"""The type of the contexts that clients accept: an `IContext`, a trace id as a `str`, or None."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

from pip_services4_components.context import Context, ContextResolver, IContext

MYPY = False  # mypy treats a variable of this name as true
if MYPY:  # pragma: no cover
    # pip-services has no type annotations, so `IContext` is `Any` for mypy, which would accept a dict. This protocol
    # rejects a dict, because a dict is not hashable.
    class _AnyContext(Protocol):
        def get(self, key: str) -> Any: ...

        def __hash__(self) -> int: ...

    CallContext: TypeAlias = _AnyContext | str | None
else:  # other type checkers read the source of pip-services
    CallContext: TypeAlias = IContext | str | None  # pyright: ignore[reportRedeclaration]


def as_context(context: CallContext) -> IContext | None:
    """Converts a context for the loggers and tracers of pip-services, which need a trace id that is a string."""
    if context is None or isinstance(context, str):
        return Context.from_trace_id(context) if context else None
    return (
        context
        if isinstance(ContextResolver.get_trace_id(context), str)
        else Context.from_trace_id(trace_id_of(context))
    )


def trace_id_of(context: CallContext) -> str:
    """The context's trace id as a string. It is empty if the context has no trace id."""
    trace_id = context if isinstance(context, str) else ContextResolver.get_trace_id(context)
    # `str` would return the name of a `(str, Enum)` member, and not its value.
    return str.__str__(trace_id) if isinstance(trace_id, str) else str(trace_id)
