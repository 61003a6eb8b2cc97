"""Internal values to JSON bodies, by shape.

Most shapes hold nothing that JSON cannot say (times are already epoch seconds), so their values go to orjson as they
are; only shapes that reach a blob, a float (it may be NaN), a spelled time or a renamed member are rebuilt.
"""

from __future__ import annotations

import base64
import json
import math
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import orjson

from server.protocol import timestamps

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.model import ServiceModel, Shape

    Convert = Callable[[Any], Any]


def dump(document: Any) -> bytes:
    """Write JSON; integers beyond 64 bits and lone surrogates, which orjson refuses, take the slow way."""
    try:
        return orjson.dumps(document)
    except TypeError:
        return json.dumps(document, separators=(",", ":")).encode()


def writer(service: ServiceModel, shape: Shape) -> Convert | None:
    """Return what turns an internal value of this shape into a JSON value; None when the value is one already."""
    return _writer(shape, _structures(service))


@cache
def _structures(service: ServiceModel) -> dict[str, Convert | None]:  # noqa: ARG001 - the key: one set per model
    return {}


def _writer(shape: Shape, structures: dict[str, Convert | None]) -> Convert | None:
    kind = shape.type_name
    if kind == "structure":
        if shape.name not in structures:
            structures[shape.name] = _structure(shape, structures) if _converts(shape, set()) else None
        return structures[shape.name]
    if kind == "list":
        element = _writer(shape.member, structures)
        return None if element is None else lambda value: [element(item) for item in value]
    if kind == "map":
        entry = _writer(shape.value, structures)
        return None if entry is None else lambda value: {key: entry(item) for key, item in value.items()}
    return _scalar(shape)


def _scalar(shape: Shape) -> Convert | None:
    if shape.type_name == "timestamp":
        return (
            None
            if _is_epoch(shape)
            else partial(timestamps.write, timestamp_format=shape.serialization["timestampFormat"])
        )
    return SCALARS.get(shape.type_name)


def _is_epoch(shape: Shape) -> bool:
    return str(shape.serialization.get("timestampFormat", "unixTimestamp")).lower() == "unixtimestamp"


def _converts(shape: Shape, seen: set[str]) -> bool:
    """Return whether a value of this shape can hold something that must be converted."""
    if shape.type_name == "structure":
        if shape.name in seen or shape.is_document_type:
            return False
        seen.add(shape.name)
        return any(
            member.serialization.get("name", name) != name
            or "location" in member.serialization
            or _converts(member, seen)
            for name, member in shape.members.items()
        )
    if shape.type_name == "list":
        return _converts(shape.member, seen)
    if shape.type_name == "map":
        return _converts(shape.value, seen)
    return shape.type_name in {"blob", "float", "double"} or (shape.type_name == "timestamp" and not _is_epoch(shape))


def _structure(shape: Shape, structures: dict[str, Convert | None]) -> Convert:
    rules: dict[str, tuple[str, Convert | None]] | None = None

    def convert(value: dict[str, Any]) -> dict[str, Any]:
        nonlocal rules
        if rules is None:
            rules = {
                name: (member.serialization.get("name", name), _writer(member, structures))
                for name, member in shape.members.items()
                if "location" not in member.serialization
            }
        out = {}
        for name, item in value.items():
            rule = rules.get(name)
            if rule is not None and item is not None:
                out[rule[0]] = item if rule[1] is None else rule[1](item)
        return out

    return convert


def _pack_blob(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _spell_float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


SCALARS: dict[str, Convert] = {"blob": _pack_blob, "float": _spell_float, "double": _spell_float}
"""The scalars that JSON cannot hold as they are."""
