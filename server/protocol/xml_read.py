"""XML bodies to internal values, by shape (rest-xml: S3). Namespaces are ignored, unknown elements left out."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from functools import cache
from typing import TYPE_CHECKING, Any

from backends.core.errors import AwsError
from server.protocol.text_read import scalar

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.model import ServiceModel, Shape

    Read = Callable[[ET.Element], Any]

MALFORMED = "The XML you provided was not well-formed or did not validate against our published schema"


def malformed() -> AwsError:
    """Return S3's error for a body that is not the XML it should be."""
    return AwsError("MalformedXML", MALFORMED)


def load(body: bytes) -> ET.Element:
    """Parse a body. Raises MalformedXML, also for a document type: entities could expand without end."""
    try:
        text = body.decode("utf-8-sig")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise malformed()
        return ET.fromstring(text)  # noqa: S314 - no document type, hence no entities
    except (ET.ParseError, ValueError) as error:
        raise malformed() from error


def reader(service: ServiceModel, shape: Shape) -> Read:
    """Return a function that turns an element into an internal value of this shape."""
    return _reader(shape, _structures(service))


@cache
def _structures(service: ServiceModel) -> dict[str, Read]:  # noqa: ARG001 - the key: one compiled set per model
    return {}


def local_name(tag: str) -> str:
    """Return an element's name without its namespace."""
    return tag.rpartition("}")[2]


def _reader(shape: Shape, structures: dict[str, Read]) -> Read:
    kind = shape.type_name
    if kind == "structure":
        if shape.name not in structures:
            structures[shape.name] = _structure(shape, structures)
        return structures[shape.name]
    if kind == "list":
        element = _reader(shape.member, structures)
        return lambda node: [element(child) for child in node]
    if kind == "map":
        return _map(shape, structures)
    convert = scalar(shape, malformed)

    def read(node: ET.Element) -> Any:
        if len(node):
            raise malformed()
        return convert(node.text or "")

    return read


def _structure(shape: Shape, structures: dict[str, Read]) -> Read:
    single: dict[str, tuple[str, Read]] | None = None
    flat: dict[str, tuple[str, Read]] = {}
    attributes: dict[str, str] = {}

    def read(node: ET.Element) -> dict[str, Any]:
        nonlocal single
        if single is None:
            single = _compile_members(shape, structures, flat, attributes)
        members: dict[str, Any] = {}
        for child in node:
            wire = local_name(child.tag)
            if wire in single:
                name, convert = single[wire]
                members[name] = convert(child)
            elif wire in flat:
                name, convert = flat[wire]
                members.setdefault(name, []).append(convert(child))
        for key, text in node.attrib.items():
            if local_name(key) in attributes:
                members[attributes[local_name(key)]] = text
        return members

    return read


def _compile_members(
    shape: Shape, structures: dict[str, Read], flat: dict[str, tuple[str, Read]], attributes: dict[str, str]
) -> dict[str, tuple[str, Read]]:
    single: dict[str, tuple[str, Read]] = {}
    for name, member in shape.members.items():
        how = member.serialization
        wire = how.get("name", name)
        if how.get("xmlAttribute"):
            attributes[wire.rpartition(":")[2]] = name
        elif member.type_name == "list" and how.get("flattened"):
            flat[wire] = (name, _reader(member.member, structures))
        elif "location" not in how:
            single[wire] = (name, _reader(member, structures))
    return single


def _map(shape: Shape, structures: dict[str, Read]) -> Read:
    key_name = shape.key.serialization.get("name", "key")
    value_name = shape.value.serialization.get("name", "value")
    read_value = _reader(shape.value, structures)

    def read(node: ET.Element) -> dict[str, Any]:
        members = {}
        for entry in node:
            parts = {local_name(child.tag): child for child in entry}
            if key_name not in parts or value_name not in parts:
                raise malformed()
            members[parts[key_name].text or ""] = read_value(parts[value_name])
        return members

    return read
