"""Raw request payloads, alike in rest-json and rest-xml: bytes, text or a stream that nobody here reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.protocol.failures import refuse

if TYPE_CHECKING:
    from botocore.model import OperationModel

    from server.types import HttpRequest


def raw_payload(operation: OperationModel, payload: str, request: HttpRequest, result: dict[str, Any]) -> None:
    """Put the body under the payload member: the stream where there is one, else the bytes (text for a string)."""
    if request.stream is not None:
        result[payload] = request.stream
        return
    member = operation.input_shape.members[payload]
    if member.type_name != "string":
        result[payload] = request.body
        return
    if request.body:
        try:
            result[payload] = request.body.decode()
        except UnicodeDecodeError as error:
            raise refuse("The body is not UTF-8.") from error
