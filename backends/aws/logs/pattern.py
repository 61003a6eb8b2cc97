"""Filter patterns: terms, `{ JSON conditions }` and `[space, delimited, fields]`.

Source: CloudWatch Logs user guide, "Filter pattern syntax". A pattern is compiled once; asked with a message it gives the
values that it extracted, or None when the message does not match.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from backends.aws.logs import scope
from backends.core import errors
from backends.core.grammar import Language

if TYPE_CHECKING:
    from collections.abc import Callable

    Extracted = dict[str, str]
    Condition = Callable[[Any], bool]

MAX_DEPTH = 64
TERM = re.compile(r'([?-]?)(?:"((?:[^"\\]|\\.)*)"|(\w+))(?=\s|$)')
# Bounded, so that no message makes it look ahead to its end again and again.
FIELD = re.compile(r'\[([^\]]{0,1024})\]|"((?:[^"\\]|\\.){0,4096})"|(\S+)')
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
GRAMMAR = r"""
    json: "{" any "}"
    fields: "[" field ("," field)* "]"
    field: -> unnamed
         | ELLIPSIS -> ellipsis
         | NAME -> plain
         | conditions -> tested
    ?conditions: both | conditions "||" both -> either
    ?both: simple | both "&&" simple -> all_of
    ?simple: NAME OPERATOR value -> compare_field
           | "(" conditions ")"
    ?any: all | any "||" all -> either
    ?all: test | all "&&" test -> all_of
    ?test: SELECTOR OPERATOR value -> compare
         | SELECTOR _IS CONSTANT -> constant
         | SELECTOR _NOT _EXISTS -> absent
         | SELECTOR _EXISTS -> present
         | "(" any ")"
    value: QUOTED | NUMBERLIKE | BARE | NAME
    SELECTOR: /\$(\.[\w-]+|\.\*|\[\d+\]|\[\*\])+/
    OPERATOR: "=" | "!=" | "<=" | ">=" | "<" | ">"
    _IS: "IS"
    _NOT: "NOT"
    _EXISTS: "EXISTS"
    CONSTANT: "NULL" | "TRUE" | "FALSE"
    ELLIPSIS: "..."
    QUOTED: /"([^"\\]|\\.)*"/
    NUMBERLIKE: /[+-]?\d+(\.\d*)?([eE][+-]?\d+)?(?=[\s,&|)}\]]|$)/
    NAME.-1: /[A-Za-z_]\w*(?=[\s,&|)}\]=!<>]|$)/
    BARE.-2: /[^\s"(){}\[\],&|=<>!]+/
    %ignore /\s+/
"""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern: `match(message)` gives what it extracted, None when the message does not match."""

    match: Callable[[str], Extracted | None]
    by_fields: bool = False


@lru_cache(512)
def compile_pattern(text: str) -> Pattern:
    """Compile a pattern; InvalidParameterException for what is none."""
    text = text.strip()
    if text.startswith("%") and text.endswith("%"):
        raise errors.not_implemented("logs: regular expressions in filter patterns")
    if text[:1] in {"{", "["}:
        return _structured(text)
    return Pattern(_terms(text))


def _terms(text: str) -> Callable[[str], Extracted | None]:
    wanted: dict[str, list[str]] = {"": [], "-": [], "?": []}
    place = 0
    while place < len(text):
        matched = TERM.match(text, place)
        if matched is None:
            raise scope.invalid("Invalid filter pattern")
        sign, quoted, word = matched.groups()
        wanted[sign].append(word if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        place = matched.end()
        place += len(text[place:]) - len(text[place:].lstrip())
    # The guide: `?` is ignored where other terms stand beside it.
    optional = [] if wanted[""] or wanted["-"] else wanted["?"]

    def match(message: str) -> Extracted | None:
        if not all(term in message for term in wanted[""]) or any(term in message for term in wanted["-"]):
            return None
        return {} if not optional or any(term in message for term in optional) else None

    return match


def _structured(text: str) -> Pattern:
    if text.count("(") > MAX_DEPTH or text.count("||") + text.count("&&") > MAX_DEPTH:
        raise scope.invalid("Invalid filter pattern")
    refusal = scope.invalid("Invalid filter pattern")
    parsed: Pattern = LANGUAGE.parse(text, refusal, start="json" if text[0] == "{" else "fields")
    return parsed


def select(document: Any, selector: str) -> list[Any]:
    """Return the values that a selector (`$.a.b[0]`, `$.a[*].b`) finds in a JSON document."""
    level = [document]
    for name, place in re.findall(r"\.([\w*-]+)|\[(\d+|\*)\]", selector):
        following: list[Any] = []
        for value in level:
            if name == "*" and isinstance(value, dict):
                following += value.values()
            elif name and isinstance(value, dict) and name in value:
                following.append(value[name])
            elif place == "*" and isinstance(value, list):
                following += value
            elif place and place != "*" and isinstance(value, list) and int(place) < len(value):
                following.append(value[int(place)])
        level = following
    return level


def as_text(value: Any) -> str:
    """Write a JSON value as patterns compare it and as metrics are read from it."""
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def read_json(message: str) -> Any:
    """Read a message that is a JSON object or array; None for any other."""
    if message.lstrip()[:1] not in {"{", "["}:
        return None
    try:
        return orjson.loads(message)
    except orjson.JSONDecodeError:
        return None


def _tester(operator: str, literal: str, *, quoted: bool) -> Callable[[str], bool]:
    """Compare the text of a value: by number where both are numbers, else by text that `*` may begin and end."""
    if not quoted and NUMBER.fullmatch(literal):
        wanted = float(literal)
        return lambda text: NUMBER.fullmatch(text) is not None and _number(operator, float(text), wanted)
    if operator not in {"=", "!="}:
        raise scope.invalid("Invalid filter pattern")
    same = _like(literal)
    return lambda text: same(text) == (operator == "=")


def _like(literal: str) -> Callable[[str], bool]:
    core = literal.removeprefix("*").removesuffix("*")
    if literal.startswith("*") and literal.endswith("*"):
        return lambda text: core in text
    if literal.startswith("*"):
        return lambda text: text.endswith(core)
    if literal.endswith("*"):
        return lambda text: text.startswith(core)
    return lambda text: text == literal


def _number(operator: str, left: float, right: float) -> bool:
    return {
        "=": left == right,
        "!=": left != right,
        "<": left < right,
        ">": left > right,
        "<=": left <= right,
        ">=": left >= right,
    }[operator]


def _value(tokens: list[Any]) -> tuple[str, bool]:
    text = str(tokens[0])
    return (re.sub(r"\\(.)", r"\1", text[1:-1]), True) if text[0] == '"' else (text, False)


@dataclass(frozen=True, slots=True)
class Test:
    """A condition of a structured pattern, and what it names: selectors, or fields."""

    holds: Condition
    names: tuple[str, ...] = ()


def _compare(tokens: list[Any]) -> Test:
    selector, (literal, quoted) = str(tokens[0]), tokens[2]
    test = _tester(str(tokens[1]), literal, quoted=quoted)
    # What is an object or an array is no value: such an event does not have the format of the pattern.
    return Test(
        lambda document: any(test(as_text(v)) for v in select(document, selector) if not isinstance(v, dict | list)),
        (selector,),
    )


def _compare_field(tokens: list[Any]) -> Test:
    name, (literal, quoted) = str(tokens[0]), tokens[2]
    test = _tester(str(tokens[1]), literal, quoted=quoted)
    return Test(lambda fields: name in fields and test(fields[name]), (name,))


def _constant(tokens: list[Any]) -> Test:
    selector, wanted = str(tokens[0]), {"NULL": None, "TRUE": True, "FALSE": False}[str(tokens[1])]
    return Test(lambda document: any(value is wanted for value in select(document, selector)), (selector,))


def _presence(*, wanted: bool) -> Callable[[list[Any]], Test]:
    def presence(tokens: list[Any]) -> Test:
        selector = str(tokens[0])
        return Test(lambda document: bool(select(document, selector)) == wanted, (selector,))

    return presence


def _join(work: Callable[[list[bool]], bool]) -> Callable[[list[Test]], Test]:
    def join(tokens: list[Test]) -> Test:
        return Test(
            lambda value: work([test.holds(value) for test in tokens]), tuple(n for t in tokens for n in t.names)
        )

    return join


def _json(tokens: list[Test]) -> Pattern:
    test = tokens[0]

    def match(message: str) -> Extracted | None:
        document = read_json(message)
        if document is None or not test.holds(document):
            return None
        return {name: as_text(values[0]) for name in test.names if (values := select(document, name))}

    return Pattern(match)


def _fields(tokens: list[Any]) -> Pattern:
    """Build a pattern of fields; each is a name, a Test, "" (unnamed) or "..." (any number of them, once)."""
    if tokens.count("...") > 1:
        raise scope.invalid("Invalid filter pattern")
    tests = [field for field in tokens if isinstance(field, Test)]
    names = [field.names[0] if isinstance(field, Test) else field for field in tokens]
    gap = names.index("...") if "..." in names else None

    def match(message: str) -> Extracted | None:
        have = [next(part for part in parts if part is not None) for parts in _split(message)]
        few = len(have) < len(names) - 1 if gap is not None else len(have) != len(names)
        if few:
            return None
        named = list(names)
        if gap is not None:
            named[gap : gap + 1] = [""] * (len(have) - len(names) + 1)
        fields = {name or str(place): value for place, (name, value) in enumerate(zip(named, have, strict=True), 1)}
        return {f"${name}": value for name, value in fields.items()} if all(t.holds(fields) for t in tests) else None

    return Pattern(match, by_fields=True)


def _split(message: str) -> list[list[str | None]]:
    return [[matched[1], matched[2], matched[3]] for matched in FIELD.finditer(message)]


RULES: dict[str, Callable[[list[Any]], Any]] = {
    "value": _value,
    "compare": _compare,
    "compare_field": _compare_field,
    "constant": _constant,
    "present": _presence(wanted=True),
    "absent": _presence(wanted=False),
    "all_of": _join(all),
    "either": _join(any),
    "json": _json,
    "unnamed": lambda _found: "",
    "ellipsis": lambda _found: "...",
    "plain": lambda tokens: str(tokens[0]),
    "tested": lambda tokens: tokens[0],
    "fields": _fields,
}
"""What each rule of the grammar becomes."""
LANGUAGE = Language(GRAMMAR, RULES, "json", "fields")
