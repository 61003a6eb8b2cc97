"""The query protocol: STS and IAM. A form with `Action` and dotted names in, XML out.

Source: Smithy's awsQuery page.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from server.protocol import xml_write
from server.protocol.failures import error_shape, refuse, status_of
from server.protocol.text_read import scalar
from server.types import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.model import OperationModel, ServiceModel, Shape

    from backends.core.errors import AwsError
    from server.types import HttpRequest

    Node = dict[str, Any]
    """A field's parts by name; its own text, where it has one, under the empty name."""

    Read = Callable[[Node], Any]

TEXT = ""
MAX_PARTS = 64
"""Dots in one name: no model nests that deep."""


def form(request: HttpRequest) -> dict[str, str]:
    """Read the form: the body of a POST, the query string of a GET. Raises SerializationException for non-UTF-8."""
    fields = {}
    for source in (request.query_string, request.body):
        for part in filter(None, source.split(b"&")):
            name, _, value = part.partition(b"=")
            try:
                fields[_decode(name)] = _decode(value)
            except UnicodeDecodeError as error:
                raise refuse("The form is not UTF-8.") from error
    return fields


def _decode(text: bytes) -> str:
    return unquote_to_bytes(text.replace(b"+", b" ")).decode()


def parse(operation: OperationModel, request: HttpRequest) -> dict[str, Any]:
    """Read a request. Raises SerializationException."""
    read = _input_reader(operation)
    if read is None:
        return {}
    root: Node = {}
    for name, text in form(request).items():
        parts = name.split(".")
        if len(parts) > MAX_PARTS:
            raise refuse("The request is nested too deeply.")
        node = root
        for part in parts:
            node = node.setdefault(part or "?", {})
        node[TEXT] = text
    result: dict[str, Any] = read(root)
    return result


@cache
def _input_reader(operation: OperationModel) -> Read | None:
    shape = operation.input_shape
    return None if shape is None else _reader(shape, {})


def _reader(shape: Shape, structures: dict[str, Read]) -> Read:
    kind = shape.type_name
    if kind == "structure":
        if shape.name not in structures:
            structures[shape.name] = _structure(shape, structures)
        return structures[shape.name]
    if kind == "list":
        return _list(shape, structures)
    if kind == "map":
        return _map(shape, structures)
    convert = scalar(shape)

    def read(node: Node) -> Any:
        if TEXT not in node:
            raise refuse("Start of structure or map found where not expected.")
        return convert(node[TEXT])

    return read


def _structure(shape: Shape, structures: dict[str, Read]) -> Read:
    readers: dict[str, tuple[str, Read]] | None = None

    def read(node: Node) -> dict[str, Any]:
        nonlocal readers
        if readers is None:
            readers = {
                _field_name(member, name): (name, _reader(member, structures)) for name, member in shape.members.items()
            }
        if TEXT in node:
            raise refuse("Unexpected value type in payload")
        members = {}
        for wire, part in node.items():
            if wire in readers:
                name, convert = readers[wire]
                members[name] = convert(part)
        return members

    return read


def _field_name(shape: Shape, name: str) -> str:
    if shape.type_name == "list" and shape.serialization.get("flattened") and "name" in shape.member.serialization:
        return str(shape.member.serialization["name"])
    return str(shape.serialization.get("name", name))


def _numbered(node: Node) -> list[Node]:
    """Return the parts `1`, `2`, ... in order."""
    numbers = [name for name in node if name != TEXT]
    if not all(name.isascii() and name.isdigit() and len(name) < 10 for name in numbers):
        raise refuse("Unexpected list member")
    return [node[name] for name in sorted(numbers, key=int)]


def _list(shape: Shape, structures: dict[str, Read]) -> Read:
    element = _reader(shape.member, structures)
    wrapper = None if shape.serialization.get("flattened") else shape.member.serialization.get("name", "member")

    def read(node: Node) -> list[Any]:
        inner = node if wrapper is None else node.get(wrapper, {})
        return [element(part) for part in _numbered(inner)]

    return read


def _map(shape: Shape, structures: dict[str, Read]) -> Read:
    key_name = shape.key.serialization.get("name", "key")
    value_name = shape.value.serialization.get("name", "value")
    read_key, read_value = scalar(shape.key), _reader(shape.value, structures)
    wrapper = None if shape.serialization.get("flattened") else "entry"

    def read(node: Node) -> dict[str, Any]:
        members = {}
        for entry in _numbered(node if wrapper is None else node.get(wrapper, {})):
            if TEXT not in entry.get(key_name, {}) or value_name not in entry:
                raise refuse("Unexpected map entry")
            members[read_key(entry[key_name][TEXT])] = read_value(entry[value_name])
        return members

    return read


def serialize(operation: OperationModel, result: dict[str, Any] | bytes, request_id: str) -> HttpResponse:
    """Write `<XResponse><XResult>...</XResult><ResponseMetadata>...`; `bytes` are a whole document already."""
    headers = [("x-amzn-RequestId", request_id), ("Content-Type", "text/xml")]
    if isinstance(result, bytes):
        return HttpResponse(200, headers, result)
    out = [f'<{operation.name}Response xmlns="{_namespace(operation.service_model)}">']
    shape = operation.output_shape
    if shape is not None:
        wrapper = shape.serialization.get("resultWrapper", f"{operation.name}Result")
        out.append(f"<{wrapper}>")
        xml_write.members(operation.service_model, shape)(result, out)
        out.append(f"</{wrapper}>")
    out.append(f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation.name}Response>")
    return HttpResponse(200, headers, "".join(out).encode())


def _namespace(service: ServiceModel) -> str:
    return str(service.metadata.get("xmlNamespace", ""))


def serialize_error(
    service: ServiceModel, operation: OperationModel | None, error: AwsError, request_id: str
) -> HttpResponse:
    """Write `<ErrorResponse>`; a shape's name becomes the code that the model gives it on the wire."""
    del operation  # the same for all
    shape = error_shape(service, error)
    status = status_of(shape, error)
    code = error.code if shape is None else shape.error_code
    out = [f'<ErrorResponse xmlns="{_namespace(service)}"><Error>']
    out.append(f"<Type>{'Sender' if status < 500 else 'Receiver'}</Type><Code>{xml_write.escape(code)}</Code>")
    out.append(f"<Message>{xml_write.escape(error.message)}</Message>")
    if shape is not None:
        xml_write.members(service, shape)(error.members, out)
    out.append(f"</Error><RequestId>{request_id}</RequestId></ErrorResponse>")
    headers = [("x-amzn-RequestId", request_id), ("Content-Type", "text/xml")]
    return HttpResponse(status, headers, "".join(out).encode())
