r"""Event patterns: the whole language, compiled once per rule.

    pattern := {name: pattern | [match, ...] | "$or": [pattern, pattern, ...]}
    match   := "text" | number | true | false | null
             | {"prefix": text | {"equals-ignore-case": text}}   | {"suffix": the same}
             | {"equals-ignore-case": text} | {"wildcard": text with *, of which \* is one itself}
             | {"exists": true | false} | {"cidr": "10.0.0.0/24"} | {"numeric": [">", 0, "<=", 5]}
             | {"anything-but": text | number | [of them] | {"prefix" | "suffix" | "wildcard" | "equals-ignore-case": text | [texts]}}

All names must match, of a list's matches one. An array in an event matches with one of its items, and what a pattern asks of an
object in an array must be true of one and the same item. Sources: EventBridge User Guide, "Comparison operators" (2026-11), and
the refusals that users report of it. Unverified: the refusals' columns, and that `anything-but` also takes true, false and null.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from backends.aws.events import documents
from backends.core.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Match = Callable[[Any], bool]
    """Judges one scalar of an event."""
    Test = Callable[[Any, "Whole"], bool]
    """Judges what stands at a place of an event, given the event whole."""

OR = "$or"
ABSENT = object()
MOST_DEPTH = 60
COMPARISONS = {
    "=": lambda a, b: a == b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip


class _InvalidError(Exception):
    """What is wrong with a pattern; `near`: the text by which its place is found."""

    def __init__(self, reason: str, near: str = "") -> None:
        super().__init__(reason)
        self.reason, self.near = reason, near


def compiled(text: str) -> Callable[[Mapping[str, Any]], bool]:
    """Return what judges an event by a pattern. InvalidEventPatternException for a pattern that is none."""
    try:
        document = documents.read(text)
    except documents.TooDeepError as error:
        raise _refusal("The pattern is nested too deeply", text, 0) from error
    except ValueError as error:
        raise _refusal("Invalid JSON", text, getattr(error, "pos", 0)) from error
    try:
        test = _object(document, ())
    except _InvalidError as error:
        raise _refusal(error.reason, text, text.find(error.near) + len(error.near)) from error
    return lambda event: test(event, Whole(event))


class Whole:
    """An event, and what was found out about it: a name is looked for once, not for each item of an array that lacks it."""

    __slots__ = ("_event", "_there")

    def __init__(self, event: Any) -> None:
        self._event = event
        self._there: dict[tuple[str, ...], bool] = {}

    def has(self, path: tuple[str, ...]) -> bool:
        """Return whether it has a scalar at a path."""
        answer = self._there.get(path)
        if answer is None:
            answer = self._there[path] = _is_there(self._event, path)
        return answer


def _refusal(reason: str, text: str, position: int) -> AwsError:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    place = f'[Source: (String)"{text}"; line: {line}, column: {column}]'
    return AwsError("InvalidEventPatternException", f"Event pattern is not valid. Reason: {reason} at {place}")


def _object(document: Any, path: tuple[str, ...]) -> Test:
    """Compile an object of a pattern."""
    if not isinstance(document, dict):
        raise _InvalidError("Filter is not an object")
    if not document:
        raise _InvalidError("Empty objects are not allowed", "{}")
    if len(path) > MOST_DEPTH:
        raise _InvalidError("The pattern is nested too deeply")
    either = [_any_of(document[OR], path)] if isinstance(document.get(OR), list) else []
    named = [(name, inner) for name, inner in document.items() if name != OR or not either]
    tests = [(name, _member(inner, (*path, name))) for name, inner in named]

    def test(value: Any, event: Whole) -> bool:
        if isinstance(value, list):
            return any(test(item, event) for item in value) if value else test(ABSENT, event)
        of = value if isinstance(value, dict) else {}
        for name, inner in tests:
            if not inner(of.get(name, ABSENT), event):
                return False
        return all(inner(value, event) for inner in either)

    return test


def _member(inner: Any, path: tuple[str, ...]) -> Test:
    if isinstance(inner, dict):
        return _object(inner, path)
    if isinstance(inner, list):
        return _leaf(inner, path)
    raise _InvalidError(f'"{path[-1]}" must be an object or an array', f'"{path[-1]}"')


def _any_of(patterns: list[Any], path: tuple[str, ...]) -> Test:
    if len(patterns) < 2 or not all(isinstance(inner, dict) for inner in patterns):
        raise _InvalidError("There must have at least 2 Objects in $or relationship", f'"{OR}"')
    tests = [_object(inner, path) for inner in patterns]
    return lambda value, event: any(test(value, event) for test in tests)


def _leaf(values: list[Any], path: tuple[str, ...]) -> Test:
    """Compile a list of matches, of which one must be true."""
    name = f'"{path[-1]}"'
    if not values:
        raise _InvalidError("Empty arrays are not allowed", name)
    matches = [_match(value, name) for value in values]
    equal = frozenset(key for key, _ in matches if key is not None)
    judged = [match for key, match in matches if key is None and match is not None]
    absent = any(key is None and match is None for key, match in matches)

    def one(value: Any) -> bool:
        if isinstance(value, dict) or value is ABSENT:
            return False
        if isinstance(value, list):
            return any(one(item) for item in value)
        return _key(value) in equal or any(match(value) for match in judged)

    def test(value: Any, event: Whole) -> bool:
        return one(value) or (absent and not event.has(path))

    return test


def _is_there(value: Any, path: tuple[str, ...]) -> bool:
    """Return whether an event has a scalar at a path, in an item of any array on the way."""
    if isinstance(value, list):
        return any(_is_there(item, path) for item in value)
    if not path:
        return not isinstance(value, dict)
    return isinstance(value, dict) and path[0] in value and _is_there(value[path[0]], path[1:])


def _key(value: Any) -> Any:
    """Return what equal scalars have in common: 1 and 1.0, but not true."""
    if type(value) is str:
        return value
    if isinstance(value, bool) or value is None:
        return (value,)
    try:
        return (float(value), "number")
    except OverflowError:  # a number longer than any float
        return (value, "number")


def _match(value: Any, name: str) -> tuple[Any, Match | None]:
    """Return the key of a scalar that must be equal, or what judges one; neither for a name that must not be there."""
    if isinstance(value, (str, int, float)) or value is None:
        return _key(value), None
    if not isinstance(value, dict):
        raise _InvalidError("Match value must be String, number, true, false, or null", name)
    if len(value) != 1:
        raise _InvalidError(
            "Only one key allowed in match expression" if value else "Empty objects are not allowed", name
        )
    ((kind, operand),) = value.items()
    if kind == "exists":
        if not isinstance(operand, bool):
            raise _InvalidError("exists match pattern must be either true or false.", f'"{kind}"')
        return None, (lambda _: True) if operand else None
    compile_kind = _KINDS.get(kind)
    if compile_kind is None:
        raise _InvalidError(f"Unrecognized match type {kind}", f'"{kind}"')
    return None, compile_kind(operand, kind)


def _text(operand: Any, kind: str) -> str:
    if not isinstance(operand, str):
        raise _InvalidError(f"{kind} match pattern must be a string", f'"{kind}"')
    return operand


def _affix(operand: Any, kind: str) -> Match:
    """Compile `prefix` or `suffix`, of which an object says to ignore the case."""
    is_lowered = isinstance(operand, dict) and list(operand) == ["equals-ignore-case"]
    text = _text(operand["equals-ignore-case"] if is_lowered else operand, kind)
    text = text.lower() if is_lowered else text

    def match(value: Any) -> bool:
        if type(value) is not str:
            return False
        given = value.lower() if is_lowered else value
        return given.startswith(text) if kind == "prefix" else given.endswith(text)

    return match


def _ignoring_case(operand: Any, kind: str) -> Match:
    text = _text(operand, kind).lower()
    return lambda value: type(value) is str and value.lower() == text


def _wildcard(operand: Any, kind: str) -> Match:
    text, pieces, at = _text(operand, kind), [""], 0
    while at < len(text):
        character = text[at]
        if character == "\\":
            at += 1
            if text[at : at + 1] not in {"*", "\\"}:
                raise _InvalidError(f"Invalid escape character at pos {at - 1}", f'"{kind}"')
            pieces[-1] += text[at]
        elif character == "*":
            if at and text[at - 1] == "*" and text[at - 2 : at - 1] != "\\":
                raise _InvalidError(f"Consecutive wildcard characters at pos {at - 1}", f'"{kind}"')
            pieces.append("")
        else:
            pieces[-1] += character
        at += 1
    return lambda value: type(value) is str and _fits(value, pieces)


def _fits(text: str, pieces: list[str]) -> bool:
    """Return whether a text is the pieces with anything between them: each at its first place, which no regex need find again."""
    if len(pieces) == 1:
        return text == pieces[0]
    first, *between, last = pieces
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in between:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def _cidr(operand: Any, kind: str) -> Match:
    text = _text(operand, kind)
    if text.count("/") != 1:
        raise _InvalidError("Malformed CIDR, one '/' required", f'"{kind}"')
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise _InvalidError(f"Malformed CIDR: {text}", f'"{kind}"') from error

    def match(value: Any) -> bool:
        try:
            return type(value) is str and ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return match


def _numeric(operand: Any, kind: str) -> Match:
    near = f'"{kind}"'
    if not isinstance(operand, list) or not operand:
        raise _InvalidError("Invalid member in numeric match: must be a list of operators and numbers", near)
    pairs = list(zip(operand[::2], operand[1::2], strict=False))
    for operator in operand[::2]:
        if not isinstance(operator, str) or operator not in COMPARISONS:
            raise _InvalidError(f"Unrecognized numeric range operator: {operator}", near)
    if len(operand) % 2 or not all(type(number) in {int, float} for _, number in pairs):
        raise _InvalidError("Numeric match operators must be followed by a number", near)
    operators = [operator for operator, _ in pairs]
    is_range = len(pairs) == 2 and operators[0][0] == ">" and operators[1][0] == "<"
    if len(pairs) > 1 and not is_range:
        raise _InvalidError("Too many terms in numeric range expression", near)
    if is_range and pairs[0][1] >= pairs[1][1]:
        raise _InvalidError("Bottom must be less than top", near)
    return lambda value: type(value) in {int, float} and all(COMPARISONS[o](value, n) for o, n in pairs)


def _anything_but(operand: Any, kind: str) -> Match:
    near = f'"{kind}"'
    if isinstance(operand, dict):
        if len(operand) != 1:
            raise _InvalidError("Only one key allowed in match expression", near)
        ((inner, given),) = operand.items()
        if inner not in {"prefix", "suffix", "wildcard", "equals-ignore-case"}:
            raise _InvalidError(f"Unsupported anything-but pattern: {inner}", near)
        texts = given if isinstance(given, list) else [given]
        if not texts:
            raise _InvalidError("Empty arrays are not allowed", near)
        excluded = [_KINDS[inner](text, inner) for text in texts]
        return lambda value: not any(match(value) for match in excluded)
    values = operand if isinstance(operand, list) else [operand]
    kinds = {"text" if type(value) is str else "number" if type(value) in {int, float} else "other" for value in values}
    if "other" in kinds:
        raise _InvalidError("Value of anything-but must be an array or single string/number value.", near)
    if len(kinds) != 1:
        reason = (
            "either all values are Number or String, mixed type is not supported"
            if kinds
            else "Empty arrays are not allowed"
        )
        raise _InvalidError(f"Inside anything but list, {reason}" if kinds else reason, near)
    excluded_keys = frozenset(_key(value) for value in values)
    return lambda value: _key(value) not in excluded_keys


_KINDS: dict[str, Callable[[Any, str], Match]] = {
    "prefix": _affix,
    "suffix": _affix,
    "equals-ignore-case": _ignoring_case,
    "wildcard": _wildcard,
    "cidr": _cidr,
    "numeric": _numeric,
    "anything-but": _anything_but,
}
