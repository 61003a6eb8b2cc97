"""The Condition element: `{"StringLike": {"s3:prefix": ["home/*"]}}`.

All operators of a statement must hold, all keys of an operator must hold, one of a key's values is enough (for a negated
operator: none of them may match). A key that the request does not carry fails an operator, satisfies a negated one, and
satisfies any `...IfExists` and any `ForAllValues:`; `ForAnyValue:` fails. Keys ignore case.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from backends.core.policy import patterns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Context = Mapping[str, tuple[str, ...]]
    Match = Callable[[str, str, Context, bool], bool]
    """(policy's value, request's value, context, whether variables count): does the one match the other?"""

IF_EXISTS = "IfExists"
SET_OPERATORS = ("ForAllValues:", "ForAnyValue:")


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key. `quantifier` is "", "ForAllValues:" or "ForAnyValue:"."""

    operator: str
    quantifier: str
    if_exists: bool
    key: str
    values: tuple[str, ...]

    def holds(self, context: Context, *, variables: bool) -> bool:
        """Return whether it is true of a request."""
        given = context.get(self.key, ())
        if self.operator == "Null":
            return any((value.lower() == "true") != bool(given) for value in self.values)
        match, negated = OPERATORS[self.operator]
        if not given:
            if self.quantifier:
                return self.quantifier == "ForAllValues:" or self.if_exists
            return negated or self.if_exists

        def matches_one(text: str) -> bool:
            return negated != any(match(value, text, context, variables) for value in self.values)

        if self.quantifier == "ForAnyValue:" or (not self.quantifier and not negated):
            return any(matches_one(text) for text in given)
        return all(matches_one(text) for text in given)


def _string(policy: str, text: str, context: Context, variables: bool) -> bool:
    return _resolved(policy, context, variables) == text


def _string_ignoring_case(policy: str, text: str, context: Context, variables: bool) -> bool:
    resolved = _resolved(policy, context, variables)
    return resolved is not None and resolved.lower() == text.lower()


def _resolved(policy: str, context: Context, variables: bool) -> str | None:
    return patterns.substitute(policy, context) if variables else policy


def _string_like(policy: str, text: str, context: Context, variables: bool) -> bool:
    return patterns.like(policy, text, context, variables=variables)


def _arn_like(policy: str, text: str, context: Context, variables: bool) -> bool:
    return patterns.arn_like(policy, text, context, variables=variables)


def _bool(policy: str, text: str, _context: Context, _variables: bool) -> bool:
    return policy.lower() == text.lower()


def _ip(policy: str, text: str, _context: Context, _variables: bool) -> bool:
    try:
        return ipaddress.ip_address(text) in ipaddress.ip_network(policy, strict=False)
    except ValueError:
        return False


def _binary(policy: str, text: str, _context: Context, _variables: bool) -> bool:
    try:
        return base64.b64decode(policy, validate=True) == base64.b64decode(text, validate=True)
    except binascii.Error:
        return False


def _ordered(read: Callable[[str], float], compare: Callable[[float, float], bool]) -> Match:
    """Compare the request's value with the policy's as numbers; what is none matches nothing."""

    def match(policy: str, text: str, _context: Context, _variables: bool) -> bool:
        try:
            return compare(read(text), read(policy))
        except ValueError:
            return False

    return match


@lru_cache(1024)
def read_date(text: str) -> float:
    """Read an ISO 8601 time or epoch seconds. ValueError for anything else."""
    try:
        return float(text)
    except ValueError:
        date = datetime.fromisoformat(text)
    return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()


COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "Equals": lambda given, policy: given == policy,
    "LessThan": lambda given, policy: given < policy,
    "LessThanEquals": lambda given, policy: given <= policy,
    "GreaterThan": lambda given, policy: given > policy,
    "GreaterThanEquals": lambda given, policy: given >= policy,
}
_ORDERED: dict[str, Callable[[str], float]] = {"Numeric": float, "Date": read_date}
OPERATORS: dict[str, tuple[Match, bool]] = {
    "StringEquals": (_string, False),
    "StringNotEquals": (_string, True),
    "StringEqualsIgnoreCase": (_string_ignoring_case, False),
    "StringNotEqualsIgnoreCase": (_string_ignoring_case, True),
    "StringLike": (_string_like, False),
    "StringNotLike": (_string_like, True),
    "ArnEquals": (_arn_like, False),  # the guide: ArnEquals and ArnLike behave identically
    "ArnNotEquals": (_arn_like, True),
    "ArnLike": (_arn_like, False),
    "ArnNotLike": (_arn_like, True),
    "Bool": (_bool, False),
    "BinaryEquals": (_binary, False),
    "IpAddress": (_ip, False),
    "NotIpAddress": (_ip, True),
    **{
        f"{kind}{name}": (_ordered(read, compare), False)
        for kind, read in _ORDERED.items()
        for name, compare in COMPARISONS.items()
    },
    **{f"{kind}NotEquals": (_ordered(read, COMPARISONS["Equals"]), True) for kind, read in _ORDERED.items()},
}
"""Operator -> how it matches, and whether it is the negation of that. `Null` stands apart."""


def read_operator(name: str) -> tuple[str, str, bool] | None:
    """Take `ForAnyValue:StringLikeIfExists` apart: operator, quantifier, IfExists. None for one that AWS does not know."""
    quantifier = next((prefix for prefix in SET_OPERATORS if name.startswith(prefix)), "")
    operator = name.removeprefix(quantifier)
    if operator == "Null":
        return operator, quantifier, False
    plain = operator.removesuffix(IF_EXISTS)
    return (plain, quantifier, plain != operator) if plain in OPERATORS else None
