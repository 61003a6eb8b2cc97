"""What metric math computes with: time series, and what an expression can see of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backends.aws.cloudwatch import refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Points = dict[float, float]
MAX_STEPS = 100_800  # what GetMetricData gives at most


@dataclass(slots=True)
class Series:
    """One time series: values by epoch seconds, the period between them, and what it is called."""

    points: Points
    period: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression can see: the range, the results of other queries by id, and which of those are metrics."""

    start: float
    end: float
    period: int
    known: Mapping[str, Any] = field(default_factory=dict)
    metrics: frozenset[str] = frozenset()
    search: Callable[[str, str, int], list[Series]] | None = None
    """Finds metrics: (what, statistic, period) -> their series."""

    def grid(self, period: int) -> list[float]:
        """Return every time of the range at which a period begins."""
        steps = int(-(-(self.end - self.start) // period))
        if steps > MAX_STEPS:
            raise fail(f"The range holds more than {MAX_STEPS:,} periods.")
        return [self.start + step * period for step in range(steps)]


def fail(message: str) -> Exception:
    """Return the error of an expression that cannot be computed."""
    return refusals.validation(message)


def as_array(value: Any, what: str) -> list[Series]:
    """Return time series as a list; an error for a number or a word."""
    if isinstance(value, Series):
        return [value]
    if isinstance(value, list):
        return value
    raise fail(f"Only time series can stand in {what}.")
