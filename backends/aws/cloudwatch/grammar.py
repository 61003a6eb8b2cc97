"""Metric math as text: a grammar for lark, which gives a tree of `Node`s. Names of functions are upper case, ids lower.

Source: CloudWatch user guide, "Metric math syntax and functions".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from backends.aws.cloudwatch import refusals
from backends.core.grammar import Language

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH = 100
GRAMMAR = r"""
    ?start: any
    ?any: all | any _OR all -> logical_or
    ?all: test | all _AND test -> logical_and
    ?test: sum | test COMPARISON sum -> binary
    ?sum: product | sum SIGN product -> binary
    ?product: unary | product TIMES unary -> binary
    ?unary: power | SIGN unary -> unary
    ?power: atom | atom POWER unary -> binary
    ?atom: NUMBER -> number
         | ID -> name
         | STRING -> text
         | NAME -> word
         | NAME "(" [any ("," any)*] ")" -> call
         | "[" any ("," any)* "]" -> array
         | "(" any ")"
    _OR: "OR" | "||"
    _AND: "AND" | "&&"
    COMPARISON: "==" | "!=" | "<=" | ">=" | "<" | ">"
    SIGN: "+" | "-"
    TIMES: "*" | "/"
    POWER: "^"
    ID: /[a-z][a-zA-Z0-9_]*/
    NAME: /[A-Z][A-Z0-9_]*/
    STRING: /"[^"]*"/ | /'[^']*'/
    NUMBER: /(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?/
    %ignore /\s+/
"""


@dataclass(frozen=True, slots=True)
class Node:
    """One node: `kind` is number, name, text, word, call, array, unary or binary; `value` its number, name or operator."""

    kind: str
    value: Any = None
    parts: tuple[Node, ...] = ()
    depth: int = 1


def _node(kind: str, value: Any, *parts: Node) -> Node:
    return Node(kind, value, parts, 1 + max((part.depth for part in parts), default=0))


RULES: dict[str, Callable[[list[Any]], Node]] = {
    "number": lambda tokens: _node("number", float(tokens[0])),
    "name": lambda tokens: _node("name", str(tokens[0])),
    "text": lambda tokens: _node("text", str(tokens[0])[1:-1]),
    "word": lambda tokens: _node("word", str(tokens[0])),
    "call": lambda tokens: _node("call", str(tokens[0]), *tokens[1:]),
    "array": lambda tokens: _node("array", None, *tokens),
    "unary": lambda tokens: _node("unary", str(tokens[0]), tokens[1]),
    "binary": lambda tokens: _node("binary", str(tokens[1]), tokens[0], tokens[2]),
    "logical_and": lambda tokens: _node("binary", "&&", *tokens),
    "logical_or": lambda tokens: _node("binary", "||", *tokens),
}
"""What each rule of the grammar becomes."""
LANGUAGE = Language(GRAMMAR, RULES)


@lru_cache(512)
def parse(expression: str) -> Node:
    """Read an expression. ValidationError for what is none."""
    refusal = refusals.validation(f"Invalid syntax in expression {expression!r}.")  # Unverified: wording
    tree: Node = LANGUAGE.parse(expression, refusal)
    if tree.depth > MAX_DEPTH:
        raise refusals.validation("The expression is nested too deeply.")
    return tree


def names_in(tree: Node) -> set[str]:
    """Return the ids that an expression names itself (METRICS() names every metric)."""
    names, level = set(), [tree]
    while level:
        names |= {part.value for part in level if part.kind == "name"}
        level = [inner for part in level for inner in part.parts]
    return names


def functions_in(tree: Node) -> set[str]:
    """Return the functions that an expression calls."""
    functions, level = set(), [tree]
    while level:
        functions |= {part.value for part in level if part.kind == "call"}
        level = [inner for part in level for inner in part.parts]
    return functions
