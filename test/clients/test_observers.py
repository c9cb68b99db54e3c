"""This package's counters and tracer, which belong to one client, unlike those of pip-services."""

from __future__ import annotations

from typing import Any

import pytest
from pip_services4_components.context import IContext
from pip_services4_components.refer import Descriptor, References
from pip_services4_observability.count import CachedCounters, CompositeCounters, Counter, CounterType
from pip_services4_observability.trace import CompositeTracer, ITracer, LogTracer

from pip_services4_serverless.clients._observers import ClientCounters, ClientTracer


class MemoryCounters(CachedCounters):
    """Counters that are kept in memory."""

    def _save(self, counters: list[Counter]) -> None:
        """There is nothing to save."""

    def count(self, name: str) -> int:
        return int(self.get(name, CounterType.Increment).count or 0)


class SuccessTracer(ITracer):
    """Traces only successful calls, like pip-services' `LogTracer`."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def trace(self, context: IContext | None, component: str, operation: str, duration: float) -> None:
        self.seen.append(("trace", component, operation, duration))


class FailureTracer(SuccessTracer):
    """Traces failed calls too."""

    def failure(
        self, context: IContext | None, component: str, operation: str, error: Exception, duration: float
    ) -> None:
        self.seen.append(("failure", component, operation, error, duration))


def references(*components: Any) -> References:
    """References to these counters or tracers."""
    result = References()
    for index, component in enumerate(components):
        kind = "counters" if isinstance(component, CachedCounters) else "tracer"
        result.put(Descriptor("test", kind, "memory", str(index), "1.0"), component)
    return result


@pytest.mark.defect(36)
def test_two_clients_count_a_call_once() -> None:
    """Each client has its own counters, although they share the component."""
    component = MemoryCounters()
    first, second = ClientCounters(references(component)), ClientCounters(references(component))

    first.increment_one("calls")

    assert component.count("calls") == 1
    second.increment_one("calls")
    assert component.count("calls") == 2


@pytest.mark.defect(36)
def test_the_classes_of_pip_services_are_not_changed() -> None:
    """Other components of the process do not count the calls of this client."""
    before = list(CompositeCounters._counters), list(CompositeTracer._TRACERS)

    ClientCounters(references(MemoryCounters()))
    ClientTracer(references(FailureTracer()))

    assert (CompositeCounters._counters, CompositeTracer._TRACERS) == before


def test_all_referenced_counters_are_incremented() -> None:
    """They are composite counters."""
    components = MemoryCounters(), MemoryCounters()

    ClientCounters(references(*components)).increment("bytes", 5)

    assert [component.count("bytes") for component in components] == [5, 5]


def test_observers_without_references_do_nothing() -> None:
    """They do not raise."""
    ClientCounters().increment_one("calls")
    ClientTracer().trace(None, "c", "o", 1)
    ClientTracer().failure(None, "c", "o", ValueError(), 1)
    timing = ClientTracer().begin_trace(None, "c", "o")
    timing.end_trace()
    timing.end_failure(ValueError())
    assert timing is ClientTracer().begin_trace(None, "c", "o")  # the time is not measured


@pytest.mark.defect(36)
def test_two_clients_trace_a_call_once() -> None:
    """Each client has its own tracer, although they share the component."""
    tracer = FailureTracer()
    first, _second = ClientTracer(references(tracer)), ClientTracer(references(tracer))

    first.begin_trace(None, "orders", "get").end_trace()

    assert [entry[:3] for entry in tracer.seen] == [("trace", "orders", "get")]


def test_a_failed_call_is_traced_as_a_failure() -> None:
    """The trace has the error."""
    tracer, error = FailureTracer(), ValueError("no")

    ClientTracer(references(tracer)).failure(None, "orders", "get", error, 12)

    assert tracer.seen == [("failure", "orders", "get", error, 12)]


def test_a_tracer_without_failure_traces_a_failed_call() -> None:
    """It inherits an empty `failure` method. Without this rule, a failed call would not be traced."""
    assert LogTracer.failure is ITracer.failure
    tracer = SuccessTracer()

    ClientTracer(references(tracer)).failure(None, "orders", "get", ValueError("no"), 12)

    assert tracer.seen == [("trace", "orders", "get", 12)]
