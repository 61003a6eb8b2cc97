"""SEARCH: `SEARCH('{Namespace,Dimension} MetricName="a" OR term', 'Average', 300)`.

Source: CloudWatch user guide, "Search expression syntax": a bare term matches a whole word of a namespace, a name or a
dimension, without regard to case, where words are parted at signs and inside CamelCase; a quoted one matches a whole value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from backends.aws.cloudwatch import refusals
from backends.core.grammar import Language

if TYPE_CHECKING:
    from collections.abc import Callable

    Holds = Callable[["Candidate"], bool]

MOST_FOUND = 500
MAX_LENGTH = 1024
GRAMMAR = r"""
    start: schema? any?
    schema: "{" item ("," item)* "}"
    item: QUOTED | WORD
    ?any: all | any "OR" all -> either
    ?all: no+ -> every
    ?no: "NOT" no -> negation
       | "AND" no -> also
       | "(" any ")"
       | (WORD | QUOTED) "=" value -> property
       | value -> anywhere
    value: QUOTED | WORD
    QUOTED: /"[^"]*"/
    WORD: /[^\s"{}(),=]+/
    %ignore /\s+/
"""
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A metric that may be found."""

    namespace: str
    name: str
    dimensions: dict[str, str]

    def of(self, designator: str) -> list[str]:
        """Return what stands under `Namespace`, `MetricName`, or a dimension's name."""
        if designator == "MetricName":
            return [self.name]
        if designator == "Namespace":
            return [self.namespace]
        return [self.dimensions[designator]] if designator in self.dimensions else []

    def everything(self) -> list[str]:
        """Return every text of it."""
        return [self.namespace, self.name, *self.dimensions, *self.dimensions.values()]


def _plain(token: Any) -> str:
    text = str(token)
    return text[1:-1] if text.startswith('"') else text


def _matcher(token: Any) -> Callable[[str], bool]:
    text = str(token)
    if text.startswith('"'):
        return lambda value: value == text[1:-1]
    wanted = words(text)

    def match(value: str) -> bool:
        have = words(value)
        return bool(wanted) and any(have[i : i + len(wanted)] == wanted for i in range(len(have)))

    return match


def words(text: str) -> list[str]:
    """Part a text into its words, in lower case."""
    return [word.lower() for word in WORDS.findall(text)]


def _property(parts: list[Any]) -> Holds:
    designator, match = _plain(parts[0]), parts[1]
    return lambda candidate: any(match(value) for value in candidate.of(designator))


def _schema(parts: list[str]) -> tuple[str, frozenset[str]]:
    return parts[0], frozenset(parts[1:])


def _start(parts: list[Any]) -> Holds:
    schemas = [part for part in parts if isinstance(part, tuple)]
    tests = [part for part in parts if not isinstance(part, tuple)]

    def holds(candidate: Candidate) -> bool:
        fits = all((candidate.namespace, frozenset(candidate.dimensions)) == schema for schema in schemas)
        return fits and all(test(candidate) for test in tests)

    return holds


RULES: dict[str, Callable[[list[Any]], Any]] = {
    "start": _start,
    "schema": _schema,
    "item": lambda parts: _plain(parts[0]),
    "value": lambda parts: _matcher(parts[0]),
    "either": lambda tests: lambda candidate: any(test(candidate) for test in tests),
    "every": lambda tests: lambda candidate: all(test(candidate) for test in tests),
    "negation": lambda tests: lambda candidate: not tests[0](candidate),
    "also": lambda tests: tests[0],
    "property": _property,
    "anywhere": lambda parts: lambda candidate: any(parts[0](text) for text in candidate.everything()),
}
LANGUAGE = Language(GRAMMAR, RULES)


@lru_cache(256)
def parse(text: str) -> Holds:
    """Read a search. ValidationError for what is none."""
    if len(text) > MAX_LENGTH or text.count("(") + text.count("NOT") > 50:
        raise refusals.validation("The search expression is too long.")
    refusal = refusals.validation(f"Invalid search expression {text!r}.")  # Unverified: wording
    holds: Holds = LANGUAGE.parse(text, refusal)
    return holds
