"""Internal values to XML, by shape: the bodies of rest-xml (S3) and of the query protocol (STS, IAM).

Writers append text to a list and are compiled when a structure is first met. Names and flattening follow the rules by
which botocore reads them back.
"""

from __future__ import annotations

import base64
import math
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from server.protocol import timestamps

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.model import ServiceModel, Shape

    Write = Callable[[Any, list[str]], None]
    """Appends the element (or elements) of one value."""

ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"}
_NEEDS_ESCAPE = re.compile('[&<>"\r]')


def escape(text: str) -> str:
    """Escape text for an element or an attribute; a bare carriage return would be read back as a line feed."""
    if _NEEDS_ESCAPE.search(text) is None:
        return text
    return _NEEDS_ESCAPE.sub(lambda match: ESCAPES[match[0]], text)


def document(service: ServiceModel, shape: Shape, name: str, value: Any, namespace: str = "") -> bytes:
    """Return a whole document whose root element is `name` and holds the members of a structure."""
    out = ['<?xml version="1.0" encoding="UTF-8"?>\n']
    out.append(f'<{name} xmlns="{namespace}">' if namespace else f"<{name}>")
    members(service, shape)(value, out)
    out.append(f"</{name}>")
    return "".join(out).encode()


def members(service: ServiceModel, shape: Shape) -> Write:
    """Return what writes the members of a structure, without an element around them."""
    return _members(shape, _structures(service))


@cache
def _structures(service: ServiceModel) -> dict[str, Write]:
    return {".protocol": _millis if service.metadata["protocol"] == "rest-xml" else _plain_time}


def _millis(value: Any, out: list[str]) -> None:
    out.append(timestamps.iso8601_millis(value))


def _plain_time(value: Any, out: list[str]) -> None:
    out.append(timestamps.iso8601(value))


def _members(shape: Shape, structures: dict[str, Write]) -> Write:
    if shape.name in structures:
        return structures[shape.name]
    writers: dict[str, Write] | None = None

    def write(value: dict[str, Any], out: list[str]) -> None:
        nonlocal writers
        if writers is None:
            writers = {
                name: _element(member, _wire_name(member, name), structures)
                for name, member in shape.members.items()
                if "location" not in member.serialization and not member.serialization.get("xmlAttribute")
            }
        for name, item in value.items():
            writer = writers.get(name)
            if writer is not None and item is not None:
                writer(item, out)

    structures[shape.name] = write
    return write


def _wire_name(shape: Shape, name: str) -> str:
    if shape.type_name == "list" and shape.serialization.get("flattened") and "name" in shape.member.serialization:
        return str(shape.member.serialization["name"])
    return str(shape.serialization.get("name", name))


def _element(shape: Shape, name: str, structures: dict[str, Write]) -> Write:
    kind = shape.type_name
    if kind == "structure":
        return _structure(shape, name, structures)
    if kind == "list":
        return _list(shape, name, structures)
    if kind == "map":
        return _map(shape, name, structures)
    return _scalar(shape, name, structures)


def _structure(shape: Shape, name: str, structures: dict[str, Write]) -> Write:
    body = _members(shape, structures)
    attributes = {
        key: member.serialization["name"]
        for key, member in shape.members.items()
        if member.serialization.get("xmlAttribute")
    }
    space = shape.serialization.get("xmlNamespace")
    declared = f' xmlns:{space["prefix"]}="{space["uri"]}"' if isinstance(space, dict) and space.get("prefix") else ""

    def write(value: dict[str, Any], out: list[str]) -> None:
        given = "".join(f' {wire}="{escape(value[key])}"' for key, wire in attributes.items() if key in value)
        out.append(f"<{name}{declared}{given}>")
        body(value, out)
        out.append(f"</{name}>")

    return write


def _list(shape: Shape, name: str, structures: dict[str, Write]) -> Write:
    if shape.serialization.get("flattened"):
        element = _element(shape.member, name, structures)

        def write_flat(value: list[Any], out: list[str]) -> None:
            for item in value:
                element(item, out)

        return write_flat
    element = _element(shape.member, shape.member.serialization.get("name", "member"), structures)

    def write(value: list[Any], out: list[str]) -> None:
        out.append(f"<{name}>")
        for item in value:
            element(item, out)
        out.append(f"</{name}>")

    return write


def _map(shape: Shape, name: str, structures: dict[str, Write]) -> Write:
    flattened = bool(shape.serialization.get("flattened"))
    entry = name if flattened else "entry"
    write_key = _element(shape.key, shape.key.serialization.get("name", "key"), structures)
    write_value = _element(shape.value, shape.value.serialization.get("name", "value"), structures)

    def write(value: dict[str, Any], out: list[str]) -> None:
        if not flattened:
            out.append(f"<{name}>")
        for key, item in value.items():
            out.append(f"<{entry}>")
            write_key(key, out)
            write_value(item, out)
            out.append(f"</{entry}>")
        if not flattened:
            out.append(f"</{name}>")

    return write


def _scalar(shape: Shape, name: str, structures: dict[str, Write]) -> Write:
    text = _text(shape, structures)
    opening, closing = f"<{name}>", f"</{name}>"

    def write(value: Any, out: list[str]) -> None:
        out.append(opening)
        text(value, out)
        out.append(closing)

    return write


def _text(shape: Shape, structures: dict[str, Write]) -> Write:
    if shape.type_name == "timestamp":
        spelled = shape.serialization.get("timestampFormat", "iso8601")
        if spelled.lower() == "iso8601":
            return structures[".protocol"]
        return lambda value, out: out.append(str(timestamps.write(value, spelled)))
    spell = SPELLED.get(shape.type_name, escape)
    return lambda value, out: out.append(spell(value))


def spell_float(value: float) -> str:
    """Write a float as Smithy spells it: `1.5`, `NaN`, `Infinity`."""
    if math.isfinite(value):
        return repr(float(value))
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


SPELLED: dict[str, Callable[[Any], str]] = {
    "boolean": lambda value: "true" if value else "false",
    "blob": lambda value: base64.b64encode(value).decode(),
    "float": spell_float,
    "double": spell_float,
    "integer": str,
    "long": str,
}
"""How scalars are written; whatever else there is, is text."""
