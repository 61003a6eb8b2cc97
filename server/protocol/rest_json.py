"""rest-json: the SageMaker runtime services. Path, query and headers by the model's bindings, a JSON or raw body.

Source: Smithy's aws-restjson1 page; the error's code stands in `x-amzn-ErrorType`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from server.protocol import eventstream, json_read, json_write, rest_bindings
from server.protocol.failures import error_shape, message_member, status_of
from server.protocol.rest_payload import raw_payload
from server.types import HttpResponse

if TYPE_CHECKING:
    from botocore.model import OperationModel, ServiceModel, Shape

    from backends.core.errors import AwsError
    from server.types import HttpRequest


def parse(operation: OperationModel, request: HttpRequest) -> dict[str, Any]:
    """Read a request; a raw payload (blob, string, stream) is put in untouched. Raises SerializationException."""
    result = rest_bindings.read(operation, request)
    payload, raw, read = _reader(operation)
    if payload is not None and raw:
        raw_payload(operation, payload, request, result)
    elif payload is not None and read is not None:
        if request.body:
            result[payload] = read(json_read.load(request.body))
    elif read is not None and request.body:
        result.update(read(json_read.load(request.body)))
    return result


@cache
def _reader(operation: OperationModel) -> tuple[str | None, bool, json_read.Convert | None]:
    """Return the payload member, whether it is raw, and what reads the JSON body."""
    shape = operation.input_shape
    if shape is None:
        return None, False, None
    payload = shape.serialization.get("payload")
    if payload is None:
        has_body = any("location" not in member.serialization for member in shape.members.values())
        return None, False, json_read.reader(operation.service_model, shape) if has_body else None
    member = shape.members[payload]
    raw = member.type_name in {"blob", "string"} or bool(member.serialization.get("eventstream"))
    return payload, raw, None if raw else json_read.reader(operation.service_model, member)


def serialize(operation: OperationModel, result: dict[str, Any] | bytes, request_id: str) -> HttpResponse:
    """Write an answer; `bytes` are a JSON body already and go out as they are."""
    status = int(operation.http.get("responseCode", 200))
    headers = [("x-amzn-RequestId", request_id)]
    json_header = ("Content-Type", "application/json")
    shape = operation.output_shape
    if isinstance(result, bytes):
        return HttpResponse(status, [*headers, json_header], result)
    if shape is None:
        return HttpResponse(status, [*headers, json_header], b"{}")
    status = rest_bindings.write(shape, result, headers) or status
    payload = shape.serialization.get("payload")
    if payload is None:
        convert = json_write.writer(operation.service_model, shape)
        body = json_write.dump(result if convert is None else convert(result))
        return HttpResponse(status, [*headers, json_header], body)
    member, value = shape.members[payload], result.get(payload)
    if member.serialization.get("eventstream"):
        frames = eventstream.encode(operation, member, value) if value is not None else b""
        return HttpResponse(status, _with_type(shape, headers, eventstream.CONTENT_TYPE), frames)
    if member.type_name in {"blob", "string"}:
        raw = value.encode() if isinstance(value, str) else b"" if value is None else value
        return HttpResponse(status, _with_type(shape, headers, "application/octet-stream"), raw)
    convert = json_write.writer(operation.service_model, member)
    document = {} if value is None else value
    return HttpResponse(
        status, [*headers, json_header], json_write.dump(document if convert is None else convert(document))
    )


def _with_type(shape: Shape, headers: list[tuple[str, str]], content_type: str) -> list[tuple[str, str]]:
    """Add a content type unless a member of the result is there to say it."""
    if "content-type" in rest_bindings.header_names(shape):
        return headers
    return [*headers, ("Content-Type", content_type)]


def serialize_error(
    service: ServiceModel, operation: OperationModel | None, error: AwsError, request_id: str
) -> HttpResponse:
    """Write an error: the code in `x-amzn-ErrorType`, the sentence and the modelled members in body and headers."""
    del operation  # the same for all
    shape = error_shape(service, error)
    headers = [
        ("x-amzn-RequestId", request_id),
        ("x-amzn-ErrorType", rest_bindings.one_line(error.code)),
        ("Content-Type", "application/json"),
    ]
    document: dict[str, Any] = {message_member(shape, "Message"): error.message}
    if shape is not None:
        rest_bindings.write(shape, error.members, headers)
        convert = json_write.writer(service, shape)
        members = error.members if convert is None else convert(error.members)
        document |= {name: item for name, item in members.items() if name in shape.members}
    return HttpResponse(status_of(shape, error), headers, json_write.dump(document))
