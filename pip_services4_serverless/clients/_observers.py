"""pip-services' composite logger, counters and tracer, with their faults contained.

An exception of a logger, counters or a tracer would hide the result of a call that was made, and its caller might
repeat the call. It is written to Python's log instead.

`CompositeCounters` and `CompositeTracer` keep what they call on the class, so that all clients of a process would share
it. A tracer may lack a `failure` of its own (`LogTracer` does), so that a call that failed would leave no trace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pip_services4_components.context import IContext
from pip_services4_components.refer import IReferences
from pip_services4_observability.count import CompositeCounters, ICounters, ICounterTimingCallback
from pip_services4_observability.log import CompositeLogger, LogLevel
from pip_services4_observability.trace import CompositeTracer, ITracer

from .._rules.interrupts import is_interrupt


class OwnLogger(CompositeLogger):
    """Loggers of one client."""

    def _write(
        self, level: LogLevel, context: IContext | None, error: BaseException | None, message: str | None
    ) -> None:
        _observe(super()._write, level, context, error, message)


class OwnCounters(CompositeCounters):
    """Counters of one client."""

    def __init__(self, references: IReferences | None = None) -> None:
        self._counters: list[ICounters] = []
        super().__init__(references)

    def increment_one(self, name: str) -> None:
        for counters in self._counters:
            _observe(counters.increment_one, name)

    def end_timing(self, name: str, elapsed: float) -> None:
        for counters in self._counters:
            if isinstance(counters, ICounterTimingCallback):
                _observe(counters.end_timing, name, elapsed)


class OwnTracer(CompositeTracer):
    """Tracers of one client."""

    def __init__(self, references: IReferences | None = None) -> None:
        self._TRACERS: list[ITracer] = []
        super().__init__(references)

    def trace(self, context: IContext | None, component: str, operation: str, duration: float) -> None:
        for tracer in self._TRACERS:
            _observe(tracer.trace, context, component, operation, duration)

    def failure(
        self, context: IContext | None, component: str, operation: str, error: Exception, duration: float
    ) -> None:
        for tracer in self._TRACERS:
            if getattr(type(tracer), "failure", None) is ITracer.failure:
                _observe(tracer.trace, context, component, operation, duration)
            else:
                _observe(tracer.failure, context, component, operation, error, duration)


def _observe(tell: Callable[..., Any], *args: Any) -> None:
    try:
        tell(*args)
    except Exception as err:
        if is_interrupt(err):
            raise
        import logging  # late: few clients need it

        logger = logging.getLogger("pip_services4_serverless")
        logger.warning("A logger, counters or a tracer failed: %s: %s", type(err).__name__, err, exc_info=True)
