"""Loggers, counters and tracers of pip-services that record what they receive, and references to them."""

from __future__ import annotations

from typing import Any

from pip_services4_components.context import ContextResolver
from pip_services4_components.refer import Descriptor, References
from pip_services4_observability.count import CachedCounters
from pip_services4_observability.log import Logger, LogLevel
from pip_services4_observability.trace import NullTracer


class RecordingLogger(Logger):
    """`records` has (level, trace id, message, error) of every message, whatever the level of the logger is."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[tuple[LogLevel, str, str, BaseException | None]] = []

    def _write(self, level: LogLevel, context: Any, error: Any, message: Any) -> None:
        self.records.append((level, ContextResolver.get_trace_id(context), message, error))

    def messages(self, level: LogLevel | None = None) -> list[str]:
        """The messages of one level, or of all levels."""
        return [message for at, _, message, _ in self.records if level in (None, at)]


class RecordingCounters(CachedCounters):
    """The counters of pip-services. They stay in memory."""

    def _save(self, counters: Any) -> None:
        pass

    def counts(self) -> dict[str, int]:
        """How often each counter was incremented or timed."""
        return {counter.name: counter.count for counter in self.get_all()}


class RecordingTracer(NullTracer):
    """`traces` has (trace id, component, operation, error)."""

    def __init__(self) -> None:
        self.traces: list[tuple[str, str, str, BaseException | None]] = []

    def trace(self, context: Any, component: str, operation: str, duration: float) -> None:
        self.traces.append((ContextResolver.get_trace_id(context), component, operation, None))

    def failure(self, context: Any, component: str, operation: str, error: Any, duration: float) -> None:
        self.traces.append((ContextResolver.get_trace_id(context), component, operation, error))


def references_to(**components: Any) -> References:
    """References to components by kind: `references_to(logger=..., counters=..., credential_store=...)`."""
    references = References()
    for kind, component in components.items():
        references.put(Descriptor("test", kind.replace("_", "-"), "memory", "default", "1.0"), component)
    return references
