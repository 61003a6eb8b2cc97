"""awsJson 1.0 and 1.1: one path, the operation in `X-Amz-Target`, one JSON object each way.

Source: Smithy's aws-json-1_1-protocol page; error bodies as SageMaker writes them (`__type` and a sentence).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from server.protocol import eventstream, json_read, json_write
from server.protocol.failures import error_shape, message_member, query_error, status_of
from server.types import HttpResponse

if TYPE_CHECKING:
    from botocore.model import OperationModel, ServiceModel, Shape

    from backends.core.errors import AwsError
    from server.types import HttpRequest


def parse(operation: OperationModel, request: HttpRequest) -> dict[str, Any]:
    """Read a request; an empty body is an empty object. Raises SerializationException."""
    body = request.body
    document = json_read.load(body) if body else {}
    read = _reader(operation)
    if read is None:
        return {}
    result: dict[str, Any] = read(document)
    return result


@cache
def _reader(operation: OperationModel) -> json_read.Convert | None:
    shape = operation.input_shape
    return None if shape is None else json_read.reader(operation.service_model, shape)


def serialize(operation: OperationModel, result: dict[str, Any] | bytes, request_id: str) -> HttpResponse:
    """Write an answer; `bytes` are a JSON document already (a stored one) and go out as they are."""
    shape, members, convert = _compiled(operation)
    content_type = _content_type(operation.service_model)
    headers = [("x-amzn-RequestId", request_id), ("Content-Type", content_type)]
    if isinstance(result, bytes):
        return HttpResponse(200, headers, result)
    if shape is None:
        return HttpResponse(200, headers, b"")
    stream_name = shape.event_stream_name
    if stream_name is not None:
        initial = json_write.dump({name: item for name, item in result.items() if name != stream_name})
        body = eventstream.encode(operation, shape.members[stream_name], result[stream_name], initial=initial)
        return HttpResponse(200, [headers[0], ("Content-Type", eventstream.CONTENT_TYPE)], body)
    if convert is not None:
        result = convert(result)
    elif not result.keys() <= members:
        result = {name: item for name, item in result.items() if name in members}
    return HttpResponse(200, headers, json_write.dump(result))


@cache
def _compiled(operation: OperationModel) -> tuple[Shape | None, frozenset[str], json_write.Convert | None]:
    shape = operation.output_shape
    if shape is None:
        return None, frozenset(), None
    return shape, frozenset(shape.members), json_write.writer(operation.service_model, shape)


@cache
def _content_type(service: ServiceModel) -> str:
    return f"application/x-amz-json-{service.metadata.get('jsonVersion', '1.1')}"


def serialize_error(
    service: ServiceModel, operation: OperationModel | None, error: AwsError, request_id: str
) -> HttpResponse:
    """Write an error: `{"__type": code, "Message": sentence, ...its modelled members}`."""
    del operation  # the same for all
    shape = error_shape(service, error)
    code = shape.name if shape is not None and "awsQueryCompatible" in service.metadata else error.code
    document: dict[str, Any] = {"__type": code}
    if error.message:
        document[message_member(shape, "message")] = error.message
    if shape is not None:
        convert = json_write.writer(service, shape)
        members = error.members if convert is None else convert(error.members)
        document |= {name: item for name, item in members.items() if name in shape.members}
    status = status_of(shape, error)
    headers = [
        ("x-amzn-RequestId", request_id),
        ("x-amzn-ErrorType", code),
        ("Content-Type", _content_type(service)),
    ]
    return HttpResponse(status, headers + query_error(service, shape, error, status), json_write.dump(document))
