"""Paired rounds, and the figures of their samples. Each client makes one sample per round, in turn, so that other work
of the machine affects all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import quantiles
from time import perf_counter
from typing import NamedTuple

Samples = Mapping[str, Sequence[float]]  # by client, one for each round


class Spread(NamedTuple):
    """The median and the two quartiles."""

    median: float
    low: float
    high: float
    rounds: int


def spread(values: Sequence[float]) -> Spread:
    """The spread of these values. One value is its own median and quartiles."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], 1)
    low, median, high = quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high, len(values))


def ratio(samples: Samples, name: str, base: str) -> Spread | None:
    """The ratio of `name` to `base` in each round, or None if one of them is missing."""
    if not samples.get(name) or not samples.get(base):
        return None
    return spread([a / b for a, b in zip(samples[name], samples[base], strict=True)])


def paired(
    samplers: Mapping[str, Callable[[], Sequence[float]]], seconds: float, min_rounds: int
) -> list[dict[str, list[float]]]:
    """Runs at least `min_rounds`, for about `seconds`. Returns the samples of each number that the samplers return.

    Each round begins with a different client.
    """
    names = list(samplers)
    rounds: dict[str, list[Sequence[float]]] = {name: [] for name in names}
    ends_at = perf_counter() + seconds
    longest, done = 0.0, 0
    while names and (done < min_rounds or perf_counter() + longest < ends_at):
        started = perf_counter()
        for name in names:
            rounds[name].append(samplers[name]())
        names.append(names.pop(0))
        longest, done = max(longest, perf_counter() - started), done + 1
    numbers = len(next(iter(rounds.values()))[0]) if names else 0
    return [{name: [sample[i] for sample in samples] for name, samples in rounds.items()} for i in range(numbers)]
