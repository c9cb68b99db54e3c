"""The composite logger, counters and tracer of pip-services, without their bugs.

- An exception from a referenced component would replace the result of a call that was executed, and the caller might
  repeat the call. Here it is logged with Python's `logging` instead.
- `CompositeCounters` and `CompositeTracer` store the referenced components in a class attribute. All clients in a
  process would therefore share them, and count and trace each call several times.
- Some tracers, such as `LogTracer`, inherit an empty `failure`. A failed call would therefore not be traced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pip_services4_components.context import IContext
from pip_services4_components.refer import IReferences
from pip_services4_observability.count import CompositeCounters, ICounters, ICounterTimingCallback
from pip_services4_observability.log import CompositeLogger, LogLevel
from pip_services4_observability.trace import CompositeTracer, ITracer, TraceTiming

from .._rules.interrupts import is_interrupt


class ClientLogger(CompositeLogger):
    """The loggers of one client."""

    def _write(
        self, level: LogLevel, context: IContext | None, error: BaseException | None, message: str | None
    ) -> None:
        _notify(super()._write, level, context, error, message)


class ClientCounters(CompositeCounters):
    """The counters of one client."""

    def __init__(self, references: IReferences | None = None) -> None:
        self._counters: list[ICounters] = []
        super().__init__(references)

    def increment_one(self, name: str) -> None:
        for counters in self._counters:
            _notify(counters.increment_one, name)

    def end_timing(self, name: str, elapsed: float) -> None:
        for counters in self._counters:
            if isinstance(counters, ICounterTimingCallback):
                _notify(counters.end_timing, name, elapsed)


_NO_TRACE = TraceTiming(None, "", "")  # it has no tracer, so ending it does nothing


class ClientTracer(CompositeTracer):
    """The tracers of one client."""

    def __init__(self, references: IReferences | None = None) -> None:
        self._TRACERS: list[ITracer] = []
        super().__init__(references)

    def begin_trace(self, context: IContext | None, component: str, operation: str) -> TraceTiming:
        return super().begin_trace(context, component, operation) if self._TRACERS else _NO_TRACE

    def trace(self, context: IContext | None, component: str, operation: str, duration: float) -> None:
        for tracer in self._TRACERS:
            _notify(tracer.trace, context, component, operation, duration)

    def failure(
        self, context: IContext | None, component: str, operation: str, error: Exception, duration: float
    ) -> None:
        for tracer in self._TRACERS:
            if getattr(type(tracer), "failure", None) is ITracer.failure:
                _notify(tracer.trace, context, component, operation, duration)
            else:
                _notify(tracer.failure, context, component, operation, error, duration)


def _notify(method: Callable[..., Any], *args: Any) -> None:
    """Calls a method of a logger, counters or a tracer. Logs an exception, unless it is an interrupt."""
    try:
        method(*args)
    except Exception as err:
        if is_interrupt(err):
            raise
        import logging  # imported late: it is rarely needed

        logger = logging.getLogger("pip_services4_serverless")
        logger.warning("A logger, counters or a tracer failed: %s: %s", type(err).__name__, err, exc_info=True)
