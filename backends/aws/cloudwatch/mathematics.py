"""Metric math: a tree of `grammar` to numbers, time series and arrays of them.

Source: CloudWatch user guide, "Metric math syntax and functions": a value that is missing on one side counts as 0, a
division by zero drops its data point, and what an expression gives in the end must be time series.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

from backends.aws.cloudwatch import functions
from backends.aws.cloudwatch.series import Points, Scope, Series, as_array, fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.aws.cloudwatch.grammar import Node


def result(tree: Node, scope: Scope) -> list[Series] | Series:
    """Compute a whole expression. ValidationError when it cannot be computed or gives no time series."""
    try:
        value = evaluate(tree, scope)
    except (OverflowError, ValueError) as error:
        raise fail("The expression leads to numbers that are too large.") from error
    if not isinstance(value, list | Series):
        raise fail("The result of an expression must be a time series or an array of them.")  # Unverified: wording
    return value


def evaluate(tree: Node, scope: Scope) -> Any:
    """Compute a tree: a float, a Series or a list of Series. Words (AVG, DESC, ...) stay text, for the functions."""
    if tree.kind in {"number", "text", "word"}:
        return tree.value
    if tree.kind == "name":
        if tree.value not in scope.known:
            raise fail(f"The expression uses {tree.value}, which is the id of no query.")  # Unverified: wording
        return scope.known[tree.value]
    if tree.kind == "call":
        return functions.call(tree.value, (evaluate(part, scope) for part in tree.parts), scope)
    parts = [evaluate(part, scope) for part in tree.parts]
    if tree.kind == "array":
        return [series for part in parts for series in as_array(part, "an array")]
    if tree.kind == "unary":
        return binary("-", 0.0, parts[0]) if tree.value == "-" else parts[0]
    return binary(tree.value, *parts)


def _divide(left: float, right: float) -> float | None:
    return None if right == 0 else left / right


def _power(left: float, right: float) -> float | None:
    try:
        power = left**right
    except (ZeroDivisionError, OverflowError):
        return None
    return None if isinstance(power, complex) else float(power)


OPERATORS: dict[str, Callable[[float, float], float | bool | None]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "^": _power,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "&&": lambda left, right: bool(left and right),
    "||": lambda left, right: bool(left or right),
}


def binary(name: str, left: Any, right: Any) -> Any:
    """Combine two values; arrays with a number or a single time series, member by member."""
    if isinstance(left, str) or isinstance(right, str):
        raise fail(f"Text cannot stand beside {name}.")
    if isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            raise fail(f"The arrays beside {name} are not of one length.")  # Unverified: AWS's table lists no such pair
        return [binary(name, item, other) for item, other in zip(left, right, strict=True)]
    if isinstance(left, list):
        return [binary(name, item, right) for item in left]
    if isinstance(right, list):
        return [binary(name, left, other) for other in right]
    compute = OPERATORS[name]
    if not isinstance(left, Series) and not isinstance(right, Series):
        result = compute(left, right)
        if result is None or not math.isfinite(result):
            raise fail(f"{name} has no result for these numbers.")
        return float(result)
    return _series(compute, left, right)


def _series(compute: Callable[[float, float], Any], left: Any, right: Any) -> Series:
    sides = [side for side in (left, right) if isinstance(side, Series)]
    points: Points = {}
    for at in sorted({at for side in sides for at in side.points}):
        result = compute(*(side.points.get(at, 0.0) if isinstance(side, Series) else side for side in (left, right)))
        if result is not None and math.isfinite(result):
            points[at] = float(result)
    return Series(points, sides[0].period, sides[0].label)
