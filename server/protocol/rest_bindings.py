"""What rest-json and rest-xml share: members that travel in path, query string, headers and status code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from backends.core.errors import AwsError
from server.protocol import rest_route, timestamps
from server.protocol.text_read import scalar
from server.protocol.xml_write import spell_float

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.model import OperationModel, Shape

    from server.types import HttpRequest

    ReadInto = Callable[[HttpRequest, dict[str, list[str]], dict[str, Any]], None]
    """Takes the request and its query, puts what it finds into the result."""

    WriteTo = Callable[[Any, list[tuple[str, str]]], None]


INTEGER = re.compile(r"-?[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class _Bindings:
    """Where an operation's members stand.

    Headers and query are looked up by what the request has: PutObject has forty members in headers, a request ten.
    """

    path: rest_route.PathTemplate
    labels: dict[str, tuple[str, Callable[[str], Any]]]
    headers: dict[str, tuple[ReadInto, ...]]
    query: dict[str, tuple[ReadInto, ...]]
    always: list[ReadInto]


def read(operation: OperationModel, request: HttpRequest) -> dict[str, Any]:
    """Return the members of a request that stand outside its body. Raises SerializationException."""
    result: dict[str, Any] = {}
    bindings = _bindings_of(operation)
    if request.matched is not None and request.matched[0] is operation:
        labels = request.matched[1]
    else:
        labels = bindings.path.match(request.raw_path.decode("latin-1").partition("?")[0]) or {}
    for wire, (name, convert) in bindings.labels.items():
        if wire in labels:
            result[name] = convert(labels[wire])
    query = rest_route.query_of(request)
    for readers in [bindings.query[name] for name in query if name in bindings.query]:
        for reader in readers:
            reader(request, query, result)
    for readers in [bindings.headers[name] for name in request.headers if name in bindings.headers]:
        for reader in readers:
            reader(request, query, result)
    for reader in bindings.always:
        reader(request, query, result)
    return result


@cache
def _bindings_of(operation: OperationModel) -> _Bindings:
    bindings = _Bindings(rest_route.template(operation.http["requestUri"]), {}, {}, {}, [])
    shape = operation.input_shape
    for name, member in shape.members.items() if shape is not None else ():
        location = member.serialization.get("location")
        wire = member.serialization.get("name", name)
        if location == "uri":
            bindings.labels[wire] = (name, scalar(member))
        elif location == "querystring" and member.type_name == "map":
            bindings.always.append(_query_map_reader(operation, name, member))
        elif location == "querystring":
            is_s3 = operation.service_model.service_name == "s3"
            bindings.query[wire] = (*bindings.query.get(wire, ()), _query_reader(name, wire, member, is_s3=is_s3))
        elif location == "header":
            wire = wire.lower()
            bindings.headers[wire] = (*bindings.headers.get(wire, ()), _header_reader(name, wire, member))
        elif location == "headers":
            bindings.always.append(_prefix_reader(name, wire.lower()))
    return bindings


def _s3_integer(wire: str) -> Callable[[str], int]:
    """Return what reads an integer of S3's query, with S3's own words for what is none."""

    def read_integer(text: str) -> int:
        if INTEGER.fullmatch(text) and -(2**31) <= int(text) < 2**31:
            return int(text)
        sentence = f"Provided {wire} not an integer or within integer range"
        if wire == "partNumber":
            sentence = "Part number must be an integer between 1 and 10000, inclusive"
        raise AwsError("InvalidArgument", sentence, 400, {"ArgumentName": wire, "ArgumentValue": text})

    return read_integer


def _query_reader(name: str, wire: str, member: Shape, *, is_s3: bool) -> ReadInto:
    element = member.member if member.type_name == "list" else member
    convert = _s3_integer(wire) if is_s3 and element.type_name == "integer" else scalar(element)
    text = element.type_name == "string"

    def read_one(_: HttpRequest, query: dict[str, list[str]], result: dict[str, Any]) -> None:
        given = query.get(wire)
        if given is None:
            return
        if member.type_name == "list":
            result[name] = [convert(item) for item in given]
        elif text or given[0]:
            result[name] = convert(given[0])

    return read_one


def _query_map_reader(operation: OperationModel, name: str, member: Shape) -> ReadInto:
    """Take every query parameter that no other member claims (Smithy's httpQueryParams)."""
    claimed = {
        other.serialization.get("name", key)
        for key, other in operation.input_shape.members.items()
        if other.serialization.get("location") == "querystring" and other is not member
    }
    many = member.value.type_name == "list"

    def read_rest(_: HttpRequest, query: dict[str, list[str]], result: dict[str, Any]) -> None:
        rest = {key: given if many else given[0] for key, given in query.items() if key not in claimed}
        if rest:
            result[name] = rest

    return read_rest


def _header_reader(name: str, wire: str, member: Shape) -> ReadInto:
    if member.type_name == "list":
        element = scalar(member.member)

        def read_list(request: HttpRequest, _: dict[str, list[str]], result: dict[str, Any]) -> None:
            text = request.headers.get(wire)
            if text:
                result[name] = [element(item) for item in split_list(text)]

        return read_list
    convert = scalar(member)
    is_text = member.type_name == "string"

    def read_one(request: HttpRequest, _: dict[str, list[str]], result: dict[str, Any]) -> None:
        text = request.headers.get(wire)
        if text is not None and (text or is_text):
            result[name] = convert(text)

    return read_one


def _prefix_reader(name: str, prefix: str) -> ReadInto:
    def read_map(request: HttpRequest, _: dict[str, list[str]], result: dict[str, Any]) -> None:
        texts = {key[len(prefix) :]: text for key, text in request.headers.items() if key.startswith(prefix)}
        if texts:
            result[name] = texts

    return read_map


def split_list(text: str) -> list[str]:
    """Split a comma-separated header; a quoted item may hold commas and escaped quotes."""
    items: list[str] = []
    item: list[str] = []
    quoted = escaped = False
    for char in text:
        if escaped:
            item.append(char)
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            items.append("".join(item).strip())
            item = []
        else:
            item.append(char)
    items.append("".join(item).strip())
    return items


def write(shape: Shape, result: Mapping[str, Any], headers: list[tuple[str, str]]) -> int | None:
    """Append the headers of a result (or an error); give the status where a member holds it."""
    status_name, writers = _writers(shape)
    for name, item in result.items():
        writer = writers.get(name)
        if writer is not None and item is not None:
            writer(item, headers)
    return int(result[status_name]) if status_name is not None and status_name in result else None


@cache
def header_names(shape: Shape) -> frozenset[str]:
    """Return the headers, in lower case, that members of a result can fill."""
    return frozenset(
        member.serialization.get("name", name).lower()
        for name, member in shape.members.items()
        if member.serialization.get("location") == "header"
    )


@cache
def _writers(shape: Shape) -> tuple[str | None, dict[str, WriteTo]]:
    status_name: str | None = None
    writers: dict[str, WriteTo] = {}
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        wire = member.serialization.get("name", name)
        if location == "statusCode":
            status_name = name
        elif location == "header":
            writers[name] = _header_writer(wire, member)
        elif location == "headers":
            writers[name] = _prefix_writer(wire)
    return status_name, writers


def _header_writer(wire: str, member: Shape) -> WriteTo:
    spell = _speller(member)

    def write_one(value: Any, headers: list[tuple[str, str]]) -> None:
        headers.append((wire, spell(value)))

    return write_one


def _prefix_writer(prefix: str) -> WriteTo:
    def write_map(value: Mapping[str, str], headers: list[tuple[str, str]]) -> None:
        headers.extend((prefix + key, one_line(text)) for key, text in value.items())

    return write_map


def one_line(value: Any) -> str:
    """Keep a header's value on its line: a line end in it would begin another header."""
    text = str(value)
    return text.replace("\r", " ").replace("\n", " ") if "\n" in text or "\r" in text else text


def _speller(shape: Shape) -> Callable[[Any], str]:
    """Return what writes a header's value by its shape."""
    kind = shape.type_name
    if kind == "list":
        spell = _speller(shape.member)
        return lambda value: ",".join(_quote(spell(item)) for item in value)
    if kind == "boolean":
        return lambda value: "true" if value else "false"
    if kind == "timestamp":
        timestamp_format = shape.serialization.get("timestampFormat", "rfc822")
        return lambda value: str(timestamps.write(value, timestamp_format))
    if kind in {"float", "double"}:
        return spell_float
    return one_line


def _quote(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"' if "," in text or '"' in text else text
