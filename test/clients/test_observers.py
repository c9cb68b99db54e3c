"""pip-services' composite counters and tracer, kept to one client each."""

from __future__ import annotations

from typing import Any

import pytest
from pip_services4_components.context import IContext
from pip_services4_components.refer import Descriptor, References
from pip_services4_observability.count import CachedCounters, CompositeCounters, Counter, CounterType
from pip_services4_observability.trace import CompositeTracer, ITracer, LogTracer

from pip_services4_serverless.clients._observers import ClientCounters, ClientTracer


class MemoryCounters(CachedCounters):
    """Counters that stay in memory."""

    def _save(self, counters: list[Counter]) -> None:
        """There is nowhere to save them to."""

    def count(self, name: str) -> int:
        return int(self.get(name, CounterType.Increment).count or 0)


class HalfTracer(ITracer):
    """Knows success alone, as pip-services' `LogTracer`."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def trace(self, context: IContext | None, component: str, operation: str, duration: float) -> None:
        self.seen.append(("trace", component, operation, duration))


class WholeTracer(HalfTracer):
    """Knows failures too."""

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
    """Their counters are their own, though the component behind them is one."""
    component = MemoryCounters()
    first, second = ClientCounters(references(component)), ClientCounters(references(component))

    first.increment_one("calls")

    assert component.count("calls") == 1
    second.increment_one("calls")
    assert component.count("calls") == 2


@pytest.mark.defect(36)
def test_the_class_of_the_toolkit_is_left_alone() -> None:
    """Other components of the process do not count this client's calls."""
    before = list(CompositeCounters._counters), list(CompositeTracer._TRACERS)

    ClientCounters(references(MemoryCounters()))
    ClientTracer(references(WholeTracer()))

    assert (CompositeCounters._counters, CompositeTracer._TRACERS) == before


def test_counters_reach_all_that_are_referenced() -> None:
    """They stay composite."""
    components = MemoryCounters(), MemoryCounters()

    ClientCounters(references(*components)).increment("bytes", 5)

    assert [component.count("bytes") for component in components] == [5, 5]


def test_without_references_nothing_is_observed() -> None:
    """And nothing fails."""
    ClientCounters().increment_one("calls")
    ClientTracer().trace(None, "c", "o", 1)
    ClientTracer().failure(None, "c", "o", ValueError(), 1)
    timing = ClientTracer().begin_trace(None, "c", "o")
    timing.end_trace()
    timing.end_failure(ValueError())
    assert timing is ClientTracer().begin_trace(None, "c", "o")  # the time is not measured


@pytest.mark.defect(36)
def test_two_clients_trace_a_call_once() -> None:
    """As they count it."""
    tracer = WholeTracer()
    first, _second = ClientTracer(references(tracer)), ClientTracer(references(tracer))

    first.begin_trace(None, "orders", "get").end_trace()

    assert [entry[:3] for entry in tracer.seen] == [("trace", "orders", "get")]


def test_a_failure_is_traced_as_one() -> None:
    """With the error."""
    tracer, error = WholeTracer(), ValueError("no")

    ClientTracer(references(tracer)).failure(None, "orders", "get", error, 12)

    assert tracer.seen == [("failure", "orders", "get", error, 12)]


def test_a_tracer_without_failures_gets_a_trace() -> None:
    """It inherits an empty method, as pip-services' `LogTracer` does: a failed call would leave no trace."""
    assert LogTracer.failure is ITracer.failure
    half = HalfTracer()

    ClientTracer(references(half)).failure(None, "orders", "get", ValueError("no"), 12)

    assert half.seen == [("trace", "orders", "get", 12)]
