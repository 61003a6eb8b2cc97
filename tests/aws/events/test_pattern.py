"""The pattern language against a naive evaluator, and what is refused."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.aws.events import pattern
from backends.core.errors import AwsError

NAMES = ("a", "b", "c")
TEXTS = st.sampled_from(["", "a", "A", "ab", "Ba", "a/lib/b", "*", "10.0.0.7", "10.0.1.7", "é", "É"])
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, 1.0, 2.5]))
SCALARS = st.one_of(TEXTS, NUMBERS, st.booleans(), st.none())
EVENTS = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)),
    max_leaves=8,
)  # fmt: skip
AFFIXES = st.one_of(TEXTS, st.fixed_dictionaries({"equals-ignore-case": TEXTS}))
WILDCARDS = st.sampled_from(["*", "a*", "*a", "*/lib/*", "\\*", "a*b", "\\**"])
NUMERIC = st.one_of(
    st.tuples(st.sampled_from(["=", "<", "<=", ">", ">="]), NUMBERS).map(list),
    st.tuples(st.sampled_from([">", ">="]), st.integers(-3, 0), st.sampled_from(["<", "<="]), st.integers(1, 3)).map(
        list
    ),
)
EXCLUDED = st.one_of(
    TEXTS, NUMBERS, st.lists(TEXTS, min_size=1, max_size=2), st.lists(NUMBERS, min_size=1, max_size=2),
    st.one_of(*(
        st.fixed_dictionaries({kind: st.one_of(value, st.lists(value, min_size=1, max_size=2))})
        for kind, value in (("prefix", AFFIXES), ("suffix", TEXTS), ("equals-ignore-case", TEXTS), ("wildcard", WILDCARDS))
    )),
)  # fmt: skip
MATCHES = st.one_of(
    SCALARS,
    *(st.fixed_dictionaries({kind: value}) for kind, value in (
        ("prefix", AFFIXES), ("suffix", AFFIXES), ("equals-ignore-case", TEXTS), ("wildcard", WILDCARDS),
        ("exists", st.booleans()), ("cidr", st.sampled_from(["10.0.0.0/24", "::/0"])), ("numeric", NUMERIC),
        ("anything-but", EXCLUDED),
    )),
)  # fmt: skip
LEAVES = st.lists(MATCHES, min_size=1, max_size=3)
PATTERNS = st.recursive(
    st.dictionaries(st.sampled_from(NAMES), LEAVES, min_size=1, max_size=2),
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(NAMES), st.one_of(LEAVES, inner), min_size=1, max_size=2),
        st.fixed_dictionaries({"$or": st.lists(inner, min_size=2, max_size=3)}),
    ),
    max_leaves=4,
)


def is_true(pattern_of: dict[str, Any], value: Any, path: tuple[str, ...], event: Any) -> bool:
    """Judge an event as the language's description reads, from scratch each time."""
    if isinstance(value, list):
        return any(is_true(pattern_of, item, path, event) for item in value or [{}])
    for name, inner in pattern_of.items():
        if name == "$or":
            if not any(is_true(each, value, path, event) for each in inner):
                return False
            continue
        below = value.get(name, {}) if isinstance(value, dict) else {}
        if isinstance(inner, dict):
            if not is_true(inner, below, (*path, name), event):
                return False
            continue
        leaves = list(scalars(below)) if isinstance(value, dict) and name in value else []
        if not any(fits(match, leaf) for match in inner for leaf in leaves) and not (
            {"exists": False} in inner and not anywhere(event, (*path, name))
        ):
            return False
    return True


def scalars(value: Any) -> Any:
    if isinstance(value, list):
        for item in value:
            yield from scalars(item)
    elif not isinstance(value, dict):
        yield value


def anywhere(value: Any, path: tuple[str, ...]) -> bool:
    if isinstance(value, list):
        return any(anywhere(item, path) for item in value)
    if not path:
        return not isinstance(value, dict)
    return isinstance(value, dict) and path[0] in value and anywhere(value[path[0]], path[1:])


def fits(match: Any, leaf: Any) -> bool:
    """Judge one scalar by one match."""
    if not isinstance(match, dict):
        return same(match, leaf)
    ((kind, operand),) = match.items()
    if kind in {"exists", "numeric", "anything-but"}:
        return of_any_kind(kind, operand, leaf)
    return isinstance(leaf, str) and of_text(kind, operand, leaf)


def of_any_kind(kind: str, operand: Any, leaf: Any) -> bool:
    if kind == "exists":
        return bool(operand)
    if kind == "numeric":
        signs = {"=": "==", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
        pairs = zip(operand[::2], operand[1::2], strict=True)
        is_number = isinstance(leaf, (int, float)) and not isinstance(leaf, bool)
        return is_number and all(eval(f"{leaf!r} {signs[sign]} {number!r}") for sign, number in pairs)
    if isinstance(operand, dict):
        ((inner, values),) = operand.items()
        return not any(fits({inner: each}, leaf) for each in (values if isinstance(values, list) else [values]))
    return not any(same(each, leaf) for each in (operand if isinstance(operand, list) else [operand]))


def of_text(kind: str, operand: Any, leaf: str) -> bool:
    if kind == "cidr":
        try:
            return ipaddress.ip_address(leaf) in ipaddress.ip_network(operand)
        except ValueError:
            return False
    if kind == "wildcard":
        parts = re.findall(r"\\.|\*|[^\\*]+", operand)
        regex = "".join(".*" if part == "*" else re.escape(part[1:] if part[0] == "\\" else part) for part in parts)
        return re.fullmatch(regex, leaf, re.DOTALL) is not None
    if isinstance(operand, dict):
        operand, leaf = operand["equals-ignore-case"].lower(), leaf.lower()
    if kind == "equals-ignore-case":
        return bool(leaf.lower() == operand.lower())
    return leaf.startswith(operand) if kind == "prefix" else leaf.endswith(operand)


def same(one: Any, other: Any) -> bool:
    kinds = [
        bool if isinstance(each, bool) else float if isinstance(each, (int, float)) else type(each)
        for each in (one, other)
    ]
    return kinds[0] == kinds[1] and bool(one == other)


@given(PATTERNS, st.dictionaries(st.sampled_from(NAMES), EVENTS, max_size=3))
@settings(max_examples=400, deadline=None)
def test_patterns_match_as_they_read(written: dict[str, Any], event: dict[str, Any]) -> None:
    assert pattern.compiled(json.dumps(written))(event) == is_true(written, event, (), event)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "Invalid JSON"),
        ("[]", "Filter is not an object"),
        ("{}", "Empty objects are not allowed"),
        ('{"a": {}}', "Empty objects are not allowed"),
        ('{"a": []}', "Empty arrays are not allowed"),
        ('{"a": "b"}', '"a" must be an object or an array'),
        ('{"a": [[1]]}', "Match value must be String, number, true, false, or null"),
        ('{"a": [{"like": "b"}]}', "Unrecognized match type like"),
        ('{"a": [{"prefix": "b", "suffix": "c"}]}', "Only one key allowed in match expression"),
        ('{"a": [{"prefix": 1}]}', "prefix match pattern must be a string"),
        ('{"a": [{"suffix": ["b"]}]}', "suffix match pattern must be a string"),
        ('{"a": [{"exists": "yes"}]}', "exists match pattern must be either true or false."),
        ('{"a": [{"cidr": "10.0.0.0"}]}', "Malformed CIDR, one '/' required"),
        ('{"a": [{"cidr": "10.0.0.300/8"}]}', "Malformed CIDR"),
        ('{"a": [{"numeric": ["!", 1]}]}', "Unrecognized numeric range operator: !"),
        ('{"a": [{"numeric": [">"]}]}', "followed by a number"),
        ('{"a": [{"numeric": [">", 1, "<", 0]}]}', "Bottom must be less than top"),
        ('{"a": [{"numeric": ["<", 1, ">", 0]}]}', "Too many terms in numeric range expression"),
        ('{"a": [{"anything-but": ["b", 1]}]}', "mixed type is not supported"),
        ('{"a": [{"anything-but": [{"wildcard": "*"}]}]}', "Value of anything-but must be an array or single string/number value."),
        ('{"a": [{"anything-but": {"numeric": [">", 1]}}]}', "Unsupported anything-but pattern: numeric"),
        ('{"a": [{"wildcard": "a**b"}]}', "Consecutive wildcard characters at pos 1"),
        ('{"a": [{"wildcard": "a\\\\b"}]}', "Invalid escape character at pos 1"),
        ('{"$or": [{"a": [1]}]}', "There must have at least 2 Objects in $or relationship"),
        ("[" * 5000, "Invalid JSON"),
        ('{"a": ' * 500 + "[1]" + "}" * 500, "nested too deeply"),
    ],
)  # fmt: skip
def test_bad_patterns_are_refused(written: str, reason: str) -> None:
    with pytest.raises(AwsError, match=r"Event pattern is not valid\. Reason: ") as refused:
        pattern.compiled(written)
    assert refused.value.code == "InvalidEventPatternException"
    assert reason in refused.value.message


def test_a_pattern_is_tried_on_an_event(bridge: Any) -> None:
    event = {
        "id": "1", "account": "1", "source": "s", "time": "t", "region": "r", "resources": [], "detail-type": "d", "detail": {"a": 1}
    }  # fmt: skip
    for written, result in (('{"detail": {"a": [1]}}', True), ('{"source": ["x"]}', False)):
        assert bridge.test_event_pattern(EventPattern=written, Event=json.dumps(event))["Result"] is result
    for bad in ("{", "[]", "1", json.dumps({**event, "time": None} | {"id": 1}).replace('"source"', '"x"')):
        with pytest.raises(ClientError, match="Parameter Event is not valid"):
            bridge.test_event_pattern(EventPattern='{"a": [1]}', Event=bad)
