"""What a request to a service that moto answers asks for, as far as its bytes tell without that service's model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from api_specs import model
from server.actions.types import ServiceRequest
from server.protocol import query, rest_route

if TYPE_CHECKING:
    from server.types import HttpRequest


def read(signing_name: str, request: HttpRequest) -> ServiceRequest:
    """Read service, operation and the members at its top; what cannot be read is the operation `*`."""
    target = request.headers.get("x-amz-target", "")
    if target:
        return ServiceRequest(signing_name, target.rpartition(".")[2], _json(request.body))
    if request.path.startswith("/service/") and "/operation/" in request.path:  # Smithy's RPC with CBOR
        return ServiceRequest(signing_name, request.path.rpartition("/")[2], {})
    if (
        "application/x-www-form-urlencoded" in request.headers.get("content-type", "")
        or b"Action=" in request.query_string
    ):
        form = query.form(request)
        return ServiceRequest(signing_name, form.get("Action", "*"), form)
    if signing_name in model.service_names():
        matched = rest_route.matcher(model.load_service(signing_name)).match(request)
        if matched is not None:
            return ServiceRequest(signing_name, matched[0].name, {**_json(request.body), **matched[1]})
    return ServiceRequest(signing_name, "*", {})


def _json(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}
