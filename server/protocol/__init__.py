"""Bytes to internal values and back, by the model's shapes: one module per protocol, under botocore's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from server.protocol import json, query, rest_json, rest_xml, rpc_v2_cbor

if TYPE_CHECKING:
    from botocore.model import OperationModel, ServiceModel

    from backends.core.errors import AwsError
    from server.types import HttpRequest, HttpResponse


class WireProtocol(Protocol):
    """What every protocol module offers."""

    def parse(self, operation: OperationModel, request: HttpRequest) -> dict[str, Any]:
        """Read a request; raises `AwsError` and nothing else, whatever the bytes."""

    def serialize(self, operation: OperationModel, result: dict[str, Any] | bytes, request_id: str) -> HttpResponse:
        """Write an answer; `bytes` are a body that is ready already."""

    def serialize_error(
        self, service: ServiceModel, operation: OperationModel | None, error: AwsError, request_id: str
    ) -> HttpResponse:
        """Write an error; `operation` is None when the request named none."""


PROTOCOLS: dict[str, WireProtocol] = {
    "json": json,
    "query": query,
    "rest-json": rest_json,
    "rest-xml": rest_xml,
    "smithy-rpc-v2-cbor": rpc_v2_cbor,
}


def protocol_of(service: ServiceModel, request: HttpRequest | None = None) -> WireProtocol:
    """Return the protocol that a request is in, or that a service's clients speak by default."""
    return PROTOCOLS[name_of(service, request)]


def name_of(service: ServiceModel, request: HttpRequest | None = None) -> str:
    """Name that protocol. Only CloudWatch speaks several: CBOR says so in a header, JSON has a target, the rest is query."""
    offered = service.metadata.get("protocols", ())
    default = str(service.metadata["protocol"])
    if request is None or len(offered) < 2 or rpc_v2_cbor.HEADER[0] in request.headers:
        return default
    spoken = "json" if "x-amz-target" in request.headers else "query"
    return spoken if spoken in offered else default
