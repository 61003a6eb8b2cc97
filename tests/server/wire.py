"""botocore on the other end of the wire: its serializer makes our requests, its parser reads our answers."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.awsrequest import HeadersDict, create_request_object, prepare_request_dict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from server.types import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from botocore.model import OperationModel, Shape


@cache
def _serializer(protocol: str) -> Any:
    return create_serializer(protocol, include_validation=False)


@cache
def _parser(protocol: str) -> Any:
    return create_parser(protocol)


def request_from_botocore(operation: OperationModel, params: dict[str, Any]) -> HttpRequest:
    """Return the HTTP request that boto3 would send (unsigned)."""
    made = _serializer(operation.metadata["protocol"]).serialize_to_request(params, operation)
    made.pop("host_prefix", None)
    prepare_request_dict(made, endpoint_url="http://localhost:4566")
    prepared = create_request_object(made).prepare()
    url = urlsplit(prepared.url)
    body = prepared.body or b""
    headers = {
        name.lower(): value.decode("latin-1") if isinstance(value, bytes) else str(value)
        for name, value in prepared.headers.items()
    }
    return HttpRequest(
        method=prepared.method,
        path=url.path,
        raw_path=url.path.encode(),
        query_string=url.query.encode(),
        headers=headers,
        body=body.encode() if isinstance(body, str) else bytes(body),
        host="localhost:4566",
    )


class Payload:
    """A body that is not `bytes`, as botocore meets it on a live connection: it is handed through unread."""

    def __init__(self, body: bytes) -> None:
        self.body = body


def body_of(response: HttpResponse) -> bytes:
    """Return the whole body of an answer, also of a streamed one."""
    if isinstance(response.body, bytes):
        return response.body
    stream = response.body

    async def collect() -> bytes:
        return b"".join([chunk async for chunk in stream])

    return asyncio.run(collect())


def parsed_by_botocore(operation: OperationModel, response: HttpResponse, shape: Shape | None = None) -> dict[str, Any]:
    """Return what boto3 would return; `shape` is another shape than the output's, e.g. an error's."""
    read_as = shape if shape is not None else operation.output_shape
    body: Any = body_of(response)
    if operation.has_streaming_output and response.status < 300:
        body = Payload(body)
    answer = {
        "status_code": response.status,
        "headers": HeadersDict(dict(response.headers)),
        "body": body,
        "context": {"operation_name": operation.name},
    }
    parsed: dict[str, Any] = _parser(operation.metadata["protocol"]).parse(answer, read_as)
    return {name: item.body if isinstance(item, Payload) else item for name, item in parsed.items()}
