"""From data points to an alarm's state: a pure decision.

Source: CloudWatch user guide, "Evaluating an alarm" and "How alarm state is evaluated when data is missing".
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

OK, ALARM, INSUFFICIENT = "OK", "ALARM", "INSUFFICIENT_DATA"
COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
EXTRA_PERIODS = 2
"""How many more periods are read than are evaluated: as in the guide's table (5 for 3), whatever the period."""


@dataclass(frozen=True, slots=True)
class Rule:
    """M out of N: how many of the last periods must breach, and what a missing one counts as."""

    periods: int
    to_alarm: int
    missing: str = "missing"


def judge(breaching: Sequence[bool | None], rule: Rule, current: str) -> str:
    """Return the new state. `breaching`: the periods of the evaluation range, oldest first; None for one without data."""
    real = [is_breaching for is_breaching in breaching if is_breaching is not None]
    if len(real) >= rule.periods:
        return _count(sum(real[-rule.periods :]), rule)
    if rule.missing == "breaching":
        return _count(sum(real) + rule.periods - len(real), rule)
    if rule.missing == "notBreaching":
        return _count(sum(real), rule)
    if not all(real) or sum(real) >= rule.to_alarm:
        return _count(sum(real), rule)
    # Nothing but breaching points, too few of them: those that are old enough speak for the gap that follows them.
    if rule.missing == "ignore":
        return current
    oldest = next((age for age, is_breaching in enumerate(breaching) if is_breaching), len(breaching))
    return ALARM if real and len(breaching) - oldest >= rule.to_alarm else INSUFFICIENT


def _count(breached: int, rule: Rule) -> str:
    return ALARM if breached >= rule.to_alarm else OK
