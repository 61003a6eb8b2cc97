"""JSON bodies to internal values, by shape: types checked, blobs and times converted, unknown members left out.

A rule per shape says which Python type the value has when nothing is wrong, so that the common case is one
comparison; the parsed document is changed in place. Sentences are those of AWS's JSON front end.
"""

from __future__ import annotations

import base64
import binascii
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson

from server.protocol import timestamps
from server.protocol.failures import refuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.model import ServiceModel, Shape

    Convert = Callable[[Any], Any]

    Rule = tuple[type | None, Convert | None, Convert]
    """(the type a good value has, what converts it or None when it stays, what converts or refuses other types)."""

MAX_DEPTH = 100
"""Levels of nesting: what is read must also be writable, and orjson writes 254."""

TOKENS = {str: "STRING_VALUE", int: "NUMBER_VALUE", float: "NUMBER_VALUE", type(None): "NULL_VALUE"}
JAVA_NAMES = {
    "string": "a String",
    "character": "a String",
    "integer": "an Integer",
    "long": "a Long",
    "float": "a Float",
    "double": "a Double",
    "boolean": "a Boolean",
    "timestamp": "milliseconds since epoch",
    "blob": "a Blob",
}
RANGES = {"integer": 1 << 31, "long": 1 << 63, "short": 1 << 15, "byte": 1 << 7}
SPELLED_FLOATS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def load(body: bytes) -> Any:
    """Parse a JSON body; raises SerializationException for malformed JSON, non-UTF-8 and too deep nesting."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise refuse("Unable to parse the request: it is not a JSON document in UTF-8.") from error
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _depth(document) > MAX_DEPTH:
        raise refuse("The request is nested too deeply.")
    return document


def _depth(document: Any) -> int:
    depth = 0
    level = [document]
    while level:
        depth += 1
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [item for items in inner for item in items]
    return depth


def reader(service: ServiceModel, shape: Shape) -> Convert:
    """Return a function that turns a parsed JSON value of this shape into an internal value."""
    expected, convert, otherwise = _rule(shape, _structures(service))

    def read(value: Any) -> Any:
        if type(value) is expected:
            return value if convert is None else convert(value)
        return otherwise(value)

    return read


@cache
def _structures(service: ServiceModel) -> dict[str, Rule]:  # noqa: ARG001 - the key: one compiled set per model
    return {}


def _rule(shape: Shape, structures: dict[str, Rule]) -> Rule:
    kind = shape.type_name
    if kind == "structure":
        if shape.is_document_type:
            return None, None, _same
        if shape.name not in structures:
            structures[shape.name] = (dict, _structure(shape, structures), _refuse_structure)
        return structures[shape.name]
    if kind == "list":
        return list, _list(_rule(shape.member, structures)), _refuse_list
    if kind == "map":
        return dict, _map(_rule(shape.value, structures)), _refuse_structure
    if kind == "string":
        return str, None, _refuse_scalar(kind)
    return _scalar(kind)


def _scalar(kind: str) -> Rule:
    wrong = _refuse_scalar(kind)
    if kind == "boolean":
        return bool, None, wrong
    if kind in RANGES:
        in_range = _in_range(kind)
        return int, in_range, _whole_float(in_range, wrong)
    if kind in {"float", "double"}:
        return float, None, _as_float(wrong)
    if kind == "timestamp":
        return float, _time(wrong), _time(wrong)
    if kind == "blob":
        return str, _unpack_blob, _bytes_or(wrong)
    return str, None, wrong


def _same(value: Any) -> Any:
    return value


def _refuse_structure(value: Any) -> Any:
    if isinstance(value, list):
        raise refuse("Start of list found where not expected")
    raise refuse("Unexpected value type in payload")


def _refuse_list(value: Any) -> Any:
    if isinstance(value, dict):
        raise refuse("Start of structure or map found where not expected.")
    raise refuse("Expected list or null")


def _refuse_scalar(kind: str) -> Convert:
    def wrong(value: Any) -> Any:
        if isinstance(value, dict):
            raise refuse("Start of structure or map found where not expected.")
        if isinstance(value, list):
            raise refuse("Start of list found where not expected")
        token = TOKENS.get(type(value), "BINARY_VALUE") if not isinstance(value, bool) else f"{value}_VALUE".upper()
        raise refuse(f"{token} can not be converted to {JAVA_NAMES.get(kind, 'a String')}")

    return wrong


def _in_range(kind: str) -> Convert:
    limit = RANGES[kind]

    def check(value: int) -> int:
        if -limit <= value < limit:
            return value
        raise refuse(f"NUMBER_VALUE can not be converted to {JAVA_NAMES.get(kind, 'an Integer')}")

    return check


def _whole_float(in_range: Convert, wrong: Convert) -> Convert:
    def convert(value: Any) -> Any:
        if type(value) is float and value.is_integer():
            return in_range(int(value))
        return wrong(value)

    return convert


def _as_float(wrong: Convert) -> Convert:
    def convert(value: Any) -> Any:
        if type(value) is int:
            return float(value)
        if type(value) is str and value in SPELLED_FLOATS:
            return SPELLED_FLOATS[value]
        return wrong(value)

    return convert


def _time(wrong: Convert) -> Convert:
    def convert(value: Any) -> Any:
        if isinstance(value, bool | dict | list):
            return wrong(value)
        try:
            return timestamps.read(value)
        except (ValueError, OverflowError):
            return wrong(value)

    return convert


def _bytes_or(wrong: Convert) -> Convert:
    """Take bytes, which CBOR can hold and JSON cannot."""
    return lambda value: value if type(value) is bytes else wrong(value)


def _unpack_blob(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise refuse("Invalid base64 in a binary value") from error


def _structure(shape: Shape, structures: dict[str, Rule]) -> Convert:
    rules: dict[str, tuple[str, Rule]] | None = None
    renamed = False

    def convert(value: dict[str, Any]) -> dict[str, Any]:
        nonlocal rules, renamed
        if rules is None:
            rules = _member_rules(shape, structures)
            renamed = any(wire != name for wire, (name, _) in rules.items())
        dropped: list[str] = []
        for wire, item in value.items():
            entry = rules.get(wire)
            if entry is None or item is None:
                dropped.append(wire)
                continue
            expected, fit, otherwise = entry[1]
            if type(item) is not expected:
                value[wire] = otherwise(item)
            elif fit is not None:
                value[wire] = fit(item)
        for wire in dropped:
            del value[wire]
        return {rules[wire][0]: item for wire, item in value.items()} if renamed else value

    return convert


def _member_rules(shape: Shape, structures: dict[str, Rule]) -> dict[str, tuple[str, Rule]]:
    return {
        member.serialization.get("name", name): (name, _rule(member, structures))
        for name, member in shape.members.items()
        if "location" not in member.serialization
    }


def _list(rule: Rule) -> Convert:
    expected, fit, otherwise = rule

    def convert(value: list[Any]) -> list[Any]:
        if None in value:
            value = [item for item in value if item is not None]
        if fit is None:
            return [item if type(item) is expected else otherwise(item) for item in value]
        return [fit(item) if type(item) is expected else otherwise(item) for item in value]

    return convert


def _map(rule: Rule) -> Convert:
    expected, fit, otherwise = rule

    def convert(value: dict[str, Any]) -> dict[str, Any]:
        return {
            key: (item if fit is None else fit(item)) if type(item) is expected else otherwise(item)
            for key, item in value.items()
            if item is not None
        }

    return convert
