"""Rules of composite alarms: `ALARM("a") AND NOT (OK(b) OR TRUE)`. Source: CloudWatch API reference, PutCompositeAlarm."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from backends.aws.cloudwatch import refusals
from backends.core import arn as arns
from backends.core.grammar import Language

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_CHILDREN = 100
MAX_DEPTH = 100
GRAMMAR = r"""
    ?start: any
    ?any: all | any "OR"i all -> logical_or
    ?all: test | all "AND"i test -> logical_and
    ?test: "NOT"i test -> negation
         | "(" any ")"
         | "TRUE"i -> true
         | "FALSE"i -> false
         | STATE "(" (QUOTED | PLAIN) ")" -> child
    STATE: "ALARM"i | "OK"i | "INSUFFICIENT_DATA"i
    QUOTED: /"[^"]*"/ | /'[^']*'/
    PLAIN: /[^"'()\s]+/
    %ignore /\s+/
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: `holds(states)` for the states by alarm names, the children it names, and how deep it is nested."""

    holds: Callable[[Mapping[str, str]], bool]
    children: frozenset[str] = frozenset()
    depth: int = 1


def _child(parts: list[Any]) -> Rule:
    state, text = str(parts[0]).upper(), str(parts[1])
    name = text[1:-1] if text[0] in "\"'" else text
    named = arns.parse(name)
    name = name if named is None else named.resource.removeprefix("alarm:")
    return Rule(lambda states: states.get(name) == state, frozenset({name}))


def _join(work: Callable[[list[bool]], bool]) -> Callable[[list[Rule]], Rule]:
    def join(rules: list[Rule]) -> Rule:
        children = frozenset().union(*(rule.children for rule in rules))
        return Rule(
            lambda states: work([rule.holds(states) for rule in rules]), children, 1 + max(r.depth for r in rules)
        )

    return join


RULES: dict[str, Callable[[list[Any]], Rule]] = {
    "child": _child,
    "true": lambda _found: Rule(lambda _states: True),
    "false": lambda _found: Rule(lambda _states: False),
    "negation": _join(lambda held: not held[0]),
    "logical_and": _join(all),
    "logical_or": _join(any),
}
LANGUAGE = Language(GRAMMAR, RULES)


@lru_cache(256)
def parse(text: str) -> Rule:
    """Read a rule. ValidationError for what is none."""
    refusal = refusals.validation(f"AlarmRule must not contain: {text}")  # Unverified: wording
    rule: Rule = LANGUAGE.parse(text, refusal)
    if rule.depth > MAX_DEPTH or len(rule.children) > MAX_CHILDREN:
        raise refusals.validation(f"AlarmRule must name at most {MAX_CHILDREN} alarms and be nested no deeper.")
    return rule
