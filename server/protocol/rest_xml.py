"""rest-xml: S3. Path, query and headers by the model's bindings, an XML or raw body.

Source: Smithy's aws-restxml page and the S3 API Reference (error form, root elements in `api_specs/patches/s3.json`).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from server.protocol import eventstream, rest_bindings, xml_read, xml_write
from server.protocol.failures import error_shape, status_of
from server.protocol.rest_payload import raw_payload
from server.types import HttpResponse

if TYPE_CHECKING:
    from botocore.model import OperationModel, ServiceModel, Shape

    from backends.core.errors import AwsError
    from server.types import HttpRequest

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
XML_HEADER = ("Content-Type", "application/xml")
BODYLESS = {204, 304}

TEXT_ROOT = {"GetBucketLocation": "LocationConstraint"}
"""Operations whose answer is one element with text, where the model shows a structure with one member: by its name."""


def parse(operation: OperationModel, request: HttpRequest) -> dict[str, Any]:
    """Read a request; a raw payload is put in untouched. Raises MalformedXML, SerializationException."""
    result = rest_bindings.read(operation, request)
    payload, raw, read = _reader(operation)
    if payload is not None and raw:
        raw_payload(operation, payload, request, result)
    elif read is not None and request.body.strip():
        document = read(xml_read.load(request.body))
        if payload is None:
            result.update(document)
        else:
            result[payload] = document
    return result


@cache
def _reader(operation: OperationModel) -> tuple[str | None, bool, xml_read.Read | None]:
    """Return the payload member, whether it is raw, and what reads the XML body."""
    shape = operation.input_shape
    if shape is None:
        return None, False, None
    payload = shape.serialization.get("payload")
    if payload is None:
        has_body = any("location" not in member.serialization for member in shape.members.values())
        return None, False, xml_read.reader(operation.service_model, shape) if has_body else None
    member = shape.members[payload]
    raw = member.type_name in {"blob", "string"} or bool(member.serialization.get("eventstream"))
    return payload, raw, None if raw else xml_read.reader(operation.service_model, member)


def serialize(operation: OperationModel, result: dict[str, Any] | bytes, request_id: str) -> HttpResponse:
    """Write an answer; `bytes` are an XML document already and go out as they are."""
    status = int(operation.http.get("responseCode", 200))
    headers = [("x-amz-request-id", request_id)]
    shape = operation.output_shape
    if isinstance(result, bytes):
        return HttpResponse(status, [*headers, XML_HEADER], result)
    if shape is None:
        return HttpResponse(status, headers, b"")
    status = rest_bindings.write(shape, result, headers) or (206 if "ContentRange" in result else status)
    if operation.http["method"] == "HEAD" or status in BODYLESS:
        return HttpResponse(status, headers, b"")
    if operation.name in TEXT_ROOT:
        return HttpResponse(status, [*headers, XML_HEADER], _text_document(TEXT_ROOT[operation.name], result))
    payload = shape.serialization.get("payload")
    if payload is None:
        body = _document(operation, shape, shape.serialization.get("name", shape.name), result)
        return HttpResponse(status, [*headers, XML_HEADER] if body else headers, body)
    return _payload_response(operation, shape.members[payload], result.get(payload), status, headers)


def _payload_response(
    operation: OperationModel, member: Shape, value: Any, status: int, headers: list[tuple[str, str]]
) -> HttpResponse:
    if member.serialization.get("eventstream"):
        frames = eventstream.encode(operation, member, value) if value is not None else b""
        return HttpResponse(status, [*headers, ("Content-Type", eventstream.CONTENT_TYPE)], frames)
    if member.type_name in {"blob", "string"}:
        raw = value.encode() if isinstance(value, str) else b"" if value is None else value
        return HttpResponse(status, headers, raw)
    if value is None:
        return HttpResponse(status, headers, b"")
    name = member.serialization.get("name", member.name)
    body = xml_write.document(operation.service_model, member, name, value, NAMESPACE)
    return HttpResponse(status, [*headers, XML_HEADER], body)


def _document(operation: OperationModel, shape: Shape, name: str, result: dict[str, Any]) -> bytes:
    if not _has_body(shape):
        return b""
    return xml_write.document(operation.service_model, shape, name, result, NAMESPACE)


@cache
def _has_body(shape: Shape) -> bool:
    return any("location" not in member.serialization for member in shape.members.values())


def _text_document(name: str, result: dict[str, Any]) -> bytes:
    text = xml_write.escape(result.get(name, ""))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="{NAMESPACE}">{text}</{name}>'.encode()


def serialize_error(
    service: ServiceModel, operation: OperationModel | None, error: AwsError, request_id: str
) -> HttpResponse:
    """Write S3's `<Error>`: code, sentence, the raiser's members (`Resource`, `BucketName`, ...), request id.

    Answers to HEAD, and 304, have no body: the status alone says what is wrong.
    """
    shape = error_shape(service, error)
    headers = [("x-amz-request-id", request_id), *error.headers.items()]
    status = status_of(shape, error)
    if shape is not None:
        rest_bindings.write(shape, error.members, headers)
    if (operation is not None and operation.http["method"] == "HEAD") or status in BODYLESS:
        return HttpResponse(status, headers, b"")
    located = {name for name, member in shape.members.items() if "location" in member.serialization} if shape else set()
    parts = {"Code": error.code, "Message": error.message}
    parts |= {name: str(item) for name, item in error.members.items() if name not in located}
    parts |= {"RequestId": request_id, "HostId": request_id}
    inner = "".join(f"<{name}>{xml_write.escape(text)}</{name}>" for name, text in parts.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()
    return HttpResponse(status, [*headers, XML_HEADER], body)
