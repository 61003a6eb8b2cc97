"""Conditions, in both spellings that there are: the SDK's and the schema's.

Source: SDK v2 `workflow/conditions.py`; sagemaker-model-building-pipeline-definition-JSON-schema.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from backends.pipelines.expressions import evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from backends.pipelines.expressions import Scope

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "NotEquals": operator.ne,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
MEMBERSHIP = {"In": True, "NotIn": False}


class IncomparableError(TypeError):
    """Two values of which neither is more; the message says which."""


def problems(condition: Any) -> Iterator[str]:
    """Yield what a condition lacks."""
    kind = condition.get("Type") if isinstance(condition, dict) else None
    match kind:
        case "Not":
            yield from problems(_negated(condition))
        case "Or":
            inner = condition.get("Conditions")
            if not isinstance(inner, list) or not inner:
                yield "An Or condition needs Conditions"
            for each in inner if isinstance(inner, list) else ():
                yield from problems(each)
        case str() if kind in COMPARISONS:
            if "LeftValue" not in condition or "RightValue" not in condition:
                yield f"A condition {kind} needs LeftValue and RightValue"
        case str() if kind in MEMBERSHIP:
            if ("QueryValue" not in condition and "Value" not in condition) or not isinstance(_among(condition), list):
                yield f"A condition {kind} needs QueryValue and Values"
        case _:
            yield f"Unknown condition type {kind!r}"


def all_hold(conditions: list[Any], scope: Scope) -> bool:
    """Return whether all of a step's conditions hold. MissingError, IncomparableError."""
    return all([_holds(condition, scope) for condition in conditions])  # noqa: C419 - all of them: what is unread is read at once


def _holds(condition: Mapping[str, Any], scope: Scope) -> bool:
    kind = condition["Type"]
    if kind == "Not":
        return not _holds(_negated(condition), scope)
    if kind == "Or":
        return any([_holds(each, scope) for each in condition["Conditions"]])  # noqa: C419
    if kind in MEMBERSHIP:
        value = evaluate(condition.get("QueryValue", condition.get("Value")), scope)
        among = evaluate(_among(condition), scope)
        return not scope.unread and any(_compare("Equals", value, each) for each in among) is MEMBERSHIP[kind]
    left, right = evaluate(condition["LeftValue"], scope), evaluate(condition["RightValue"], scope)
    return not scope.unread and _compare(kind, left, right)


def _negated(condition: Mapping[str, Any]) -> Any:
    return condition.get("Condition", condition.get("Expression"))


def _among(condition: Mapping[str, Any]) -> Any:
    return condition.get("Values", condition.get("In"))


def _compare(kind: str, left: Any, right: Any) -> bool:
    """Compare values; a number and a text that is one as numbers, since parameters and step outputs may be either."""
    if type(left) is not type(right):
        left, right = _alike(left, right)
    try:
        return COMPARISONS[kind](left, right)
    except TypeError as error:
        raise IncomparableError(f"{left!r} and {right!r} cannot be compared by {kind}") from error


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    if isinstance(left, bool) or isinstance(right, bool):
        return _boolean(left), _boolean(right)
    try:
        return float(left), float(right)
    except (TypeError, ValueError):
        return left, right


def _boolean(value: Any) -> Any:
    return {"true": True, "false": False}.get(str(value).lower(), value)
