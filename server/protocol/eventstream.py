"""Event streams: `application/vnd.amazon.eventstream` frames around modelled events.

A frame is: total length u32, headers length u32, CRC32 of those eight bytes, headers, payload, CRC32 of all before it.
Source: Smithy's amazon-eventstream page.
"""

from __future__ import annotations

import struct
from binascii import crc32
from typing import TYPE_CHECKING, Any

from backends.core.errors import AwsError
from server.protocol import json_write, xml_write
from server.protocol.failures import message_member

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Mapping

    from botocore.model import OperationModel, Shape

CONTENT_TYPE = "application/vnd.amazon.eventstream"
HEADER_TYPES = {"byte": (2, ">b"), "short": (3, ">h"), "integer": (4, ">i"), "long": (5, ">q")}


def frame(headers: Mapping[str, str | bytes], payload: bytes) -> bytes:
    """Return one frame. Header values: `str` is written as a string, `bytes` as an already typed value."""
    block = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    message = prelude + struct.pack(">I", crc32(prelude)) + block + payload
    return message + struct.pack(">I", crc32(message))


def _header(name: str, value: str | bytes) -> bytes:
    key = name.encode()
    if isinstance(value, str):
        text = value.encode()
        value = struct.pack(">BH", 7, len(text)) + text
    return bytes([len(key)]) + key + value


def _typed(shape: Shape, value: Any) -> str | bytes:
    """Return a header value: a string as it is, anything else with its type's number in front."""
    kind = shape.type_name
    if kind == "boolean":
        return b"\x00" if value else b"\x01"
    if kind in HEADER_TYPES:
        number, layout = HEADER_TYPES[kind]
        return bytes([number]) + struct.pack(layout, value)
    if kind == "blob":
        return struct.pack(">BH", 6, len(value)) + bytes(value)
    if kind == "timestamp":
        return b"\x08" + struct.pack(">q", round(value * 1000))
    return str(value)


def encode_event(operation: OperationModel, stream: Shape, event: Mapping[str, Any]) -> bytes:
    """Return the frame of one modelled event, e.g. `{"PayloadPart": {"Bytes": b"..."}}`."""
    ((name, value),) = event.items()
    shape = stream.members[name]
    headers: dict[str, str | bytes] = {":message-type": "event", ":event-type": name}
    payload, content_type = _event_payload(operation, shape, value)
    for member_name, member in shape.members.items():
        if member.serialization.get("eventheader") and member_name in value:
            headers[member_name] = _typed(member, value[member_name])
    if content_type:
        headers[":content-type"] = content_type
    return frame(headers, payload)


def _event_payload(operation: OperationModel, shape: Shape, value: Mapping[str, Any]) -> tuple[bytes, str]:
    for name, member in shape.members.items():
        if member.serialization.get("eventpayload"):
            item = value.get(name)
            if member.type_name == "blob":
                return item or b"", "application/octet-stream"
            if member.type_name == "string":
                return (item or "").encode(), "text/plain"
            return _document(operation, member, name, item or {})
    body = {name: value[name] for name in value if not shape.members[name].serialization.get("eventheader")}
    return _document(operation, shape, shape.name, body) if body else (b"", "")


def _document(operation: OperationModel, shape: Shape, name: str, value: Any) -> tuple[bytes, str]:
    service = operation.service_model
    if service.metadata["protocol"] == "rest-xml":
        return xml_write.document(service, shape, name, value), "text/xml"
    convert = json_write.writer(service, shape)
    return json_write.dump(value if convert is None else convert(value)), "application/json"


def encode_exception(operation: OperationModel, stream: Shape, error: AwsError) -> bytes:
    """Return the frame that ends a stream with an error: a modelled exception where the stream declares it."""
    for name, shape in stream.members.items():
        if error.code in {name, shape.name} and shape.metadata.get("exception"):
            value = {message_member(shape, "Message"): error.message, **error.members}
            value = {key: item for key, item in value.items() if key in shape.members}
            payload, content_type = _document(operation, shape, shape.name, value)
            headers = {":message-type": "exception", ":exception-type": name, ":content-type": content_type}
            return frame(headers, payload)
    return frame({":message-type": "error", ":error-code": error.code, ":error-message": error.message}, b"")


async def encode(
    operation: OperationModel,
    stream: Shape,
    events: AsyncIterable[Mapping[str, Any] | bytes],
    *,
    initial: bytes | None = None,
) -> AsyncIterator[bytes]:
    """Yield the frames of a stream of modelled events (`bytes` are frames already).

    `initial` is the JSON of the members beside the stream, which awsJson sends as a first `initial-response` event.
    An `AwsError` from the iterator becomes the stream's last frame.
    """
    if initial is not None:
        headers = {":message-type": "event", ":event-type": "initial-response", ":content-type": "application/json"}
        yield frame(headers, initial)
    try:
        async for event in events:
            yield event if isinstance(event, bytes) else encode_event(operation, stream, event)
    except AwsError as error:
        yield encode_exception(operation, stream, error)
