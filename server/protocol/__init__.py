"""Bytes to internal values and back, by the model's shapes: one module per protocol, under botocore's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from server.protocol import json, query, rest_json, rest_xml

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
}


def protocol_of(service: ServiceModel) -> WireProtocol:
    """Give the protocol that a service's clients speak."""
    return PROTOCOLS[service.metadata["protocol"]]
