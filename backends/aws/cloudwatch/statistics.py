"""What one period of a metric says: the five plain statistics, and those that need every value.

Source: CloudWatch user guide, "CloudWatch statistics definitions". A percentile is the largest of the values that are left
when those above it are ignored, as that page says of p99. Values below zero or statistic sets rule them all out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
_NUMBER = r"\d+(?:\.\d{1,10})?"
_SHORT = re.compile(rf"(p|tm|tc|ts|wm)({_NUMBER})")
_RANGE = re.compile(rf"(TM|TC|TS|WM|PR)\(({_NUMBER})?(%)?:({_NUMBER})?(%)?\)")


@dataclass(slots=True)
class Period:
    """The sums of one period, and its values with their weights while every point of it was a plain value."""

    samples: float = 0.0
    total: float = 0.0
    minimum: float = float("inf")
    maximum: float = float("-inf")
    weighted: list[tuple[float, float]] = field(default_factory=list)
    exact: bool = True

    def add(self, value: float, samples: float, total: float | None, low: float | None, high: float | None) -> None:
        """Add a point as the table has it."""
        self.samples += samples
        self.total += value * samples if total is None else total
        self.minimum = min(self.minimum, value if low is None else low)
        self.maximum = max(self.maximum, value if high is None else high)
        if total is None:
            self.weighted.append((value, samples))
        else:
            self.exact = False

    def merge(self, other: Period) -> None:
        """Add what another period, of another unit, holds."""
        self.samples += other.samples
        self.total += other.total
        self.minimum, self.maximum = min(self.minimum, other.minimum), max(self.maximum, other.maximum)
        self.weighted += other.weighted
        self.exact = self.exact and other.exact


def plain(name: str, period: Period) -> float:
    """Compute one of PLAIN."""
    if name == "Average":
        return period.total / period.samples
    return {
        "SampleCount": period.samples,
        "Sum": period.total,
        "Minimum": period.minimum,
        "Maximum": period.maximum,
    }[name]


@lru_cache(256)
def reader(name: str) -> Callable[[Period], float | None] | None:
    """Return the function of a statistic by its name; None for a name that is none. It gives None where it has no value."""
    if name in PLAIN:
        return lambda period: plain(name, period)
    compute = _extended(name)
    if compute is None:
        return None

    def read(period: Period) -> float | None:
        if not period.exact or period.minimum < 0:
            return None
        return compute(sorted(period.weighted), period.samples)

    return read


Weighted = list[tuple[float, float]]


def _extended(name: str) -> Callable[[Weighted, float], float | None] | None:
    if name == "IQM":
        return _trimmed("TM", 25, 75)
    short = _SHORT.fullmatch(name)
    if short is None:
        matched = _RANGE.fullmatch(name)
        return None if matched is None else _ranged(*matched.groups())
    kind, share = short[1], float(short[2])
    if share > 100:
        return None
    return (lambda w, n: percentile(w, n, share)) if kind == "p" else _trimmed(kind.upper(), 0, share)


def _ranged(
    kind: str, low: str | None, low_sign: str | None, high: str | None, high_sign: str | None
) -> Callable[[Weighted, float], float | None] | None:
    """Read `TM(low:high)`: both numbers, or the one that is there, with a percent sign or without."""
    signs = {sign for number, sign in ((low, low_sign), (high, high_sign)) if number is not None}
    strays = (low is None and low_sign) or (high is None and high_sign)
    first, last = (None if text is None else float(text) for text in (low, high))
    if len(signs) != 1 or strays or (first is not None and last is not None and first >= last):
        return None
    if signs == {None}:
        return _between(kind, first, last)
    if kind == "PR" or max(first or 0, last or 0) > 100:
        return None
    return _trimmed(kind, first or 0, 100 if last is None else last)


def percentile(weighted: Weighted, samples: float, share: float) -> float:
    """Return the smallest value that `share` percent of the samples do not exceed."""
    passed = 0.0
    for value, weight in weighted:
        passed += weight
        if passed >= samples * share / 100 - 1e-9 * samples:
            return value
    return weighted[-1][0]


def _trimmed(kind: str, low: float, high: float) -> Callable[[Weighted, float], float | None]:
    """Cut at percentiles; the sample that a cut goes through counts for the part of it that is inside."""

    def compute(weighted: Weighted, samples: float) -> float | None:
        first, last = samples * low / 100, samples * high / 100
        passed = 0.0
        kept: Weighted = []
        for value, weight in weighted:
            inside = min(passed + weight, last) - max(passed, first)
            if inside > 0:
                kept.append((value, inside))
            passed += weight
        edges = (percentile(weighted, samples, low), percentile(weighted, samples, high))
        return _summary(kind, kept, first * edges[0] + (samples - last) * edges[1], samples)

    return compute


def _between(kind: str, low: float | None, high: float | None) -> Callable[[Weighted, float], float | None]:
    """Cut at values: above `low`, up to and with `high`."""

    def compute(weighted: Weighted, samples: float) -> float | None:
        below = sum(weight for value, weight in weighted if low is not None and value <= low)
        above = sum(weight for value, weight in weighted if high is not None and value > high)
        kept = [(v, w) for v, w in weighted if (low is None or v > low) and (high is None or v <= high)]
        if kind == "PR":
            return 100 * sum(weight for _, weight in kept) / samples
        return _summary(kind, kept, below * (low or 0) + above * (high or 0), samples)

    return compute


def _summary(kind: str, kept: Weighted, moved: float, samples: float) -> float | None:
    """Sum up. `moved`: the sum of what lies outside, taken to the edges, for the winsorized mean."""
    count = sum(weight for _, weight in kept)
    total = sum(value * weight for value, weight in kept)
    if kind == "TC":
        return count
    if kind == "TS":
        return total
    if kind == "WM":
        return (total + moved) / samples
    return total / count if count else None
