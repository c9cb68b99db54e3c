"""Paired rounds: in each, every contestant makes one sample, in turns, so that what the machine does meanwhile meets
all of them; and the figures that are taken from the rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import quantiles
from time import perf_counter
from typing import NamedTuple

Samples = Mapping[str, Sequence[float]]  # by contestant, one for each round


class Spread(NamedTuple):
    """The median, and the quartiles on both sides of it."""

    median: float
    low: float
    high: float
    rounds: int


def spread(values: Sequence[float]) -> Spread:
    """Of one value, all three are that value."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], 1)
    low, median, high = quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high, len(values))


def ratio(samples: Samples, name: str, base: str) -> Spread | None:
    """`name` against `base`, pair by pair; None where one of them is missing."""
    if not samples.get(name) or not samples.get(base):
        return None
    return spread([a / b for a, b in zip(samples[name], samples[base], strict=True)])


def paired(
    samplers: Mapping[str, Callable[[], Sequence[float]]], seconds: float, least: int
) -> list[dict[str, list[float]]]:
    """Rounds for about `seconds`, `least` of them at least; the samples of each number that the samplers give.

    Each round begins with another contestant than the one before.
    """
    names = list(samplers)
    rounds: dict[str, list[Sequence[float]]] = {name: [] for name in names}
    ends_at = perf_counter() + seconds
    longest, done = 0.0, 0
    while names and (done < least or perf_counter() + longest < ends_at):
        begun = perf_counter()
        for name in names:
            rounds[name].append(samplers[name]())
        names.append(names.pop(0))
        longest, done = max(longest, perf_counter() - begun), done + 1
    numbers = len(next(iter(rounds.values()))[0]) if names else 0
    return [{name: [sample[i] for sample in samples] for name, samples in rounds.items()} for i in range(numbers)]
