"""pip-services' composite logger, counters and tracer, with their faults contained.

`CompositeCounters` and `CompositeTracer` keep what they call on the class, so that all clients of a process would share
it. A tracer may lack a `failure` of its own (`LogTracer` does), so that a call that failed would leave no trace.
"""

from __future__ import annotations

from pip_services4_components.context import IContext
from pip_services4_components.refer import IReferences
from pip_services4_observability.count import CompositeCounters, ICounters
from pip_services4_observability.trace import CompositeTracer, ITracer


class OwnCounters(CompositeCounters):
    """Counters of one client."""

    def __init__(self, references: IReferences | None = None) -> None:
        self._counters: list[ICounters] = []
        super().__init__(references)


class OwnTracer(CompositeTracer):
    """Tracers of one client."""

    def __init__(self, references: IReferences | None = None) -> None:
        self._TRACERS: list[ITracer] = []
        super().__init__(references)

    def failure(
        self, context: IContext | None, component: str, operation: str, error: Exception, duration: float
    ) -> None:
        for tracer in self._TRACERS:
            if getattr(type(tracer), "failure", None) is ITracer.failure:
                tracer.trace(context, component, operation, duration)
            else:
                tracer.failure(context, component, operation, error, duration)
