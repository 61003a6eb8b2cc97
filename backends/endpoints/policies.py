"""An endpoint's policy: which other accounts may reach it through an inference router.

Source: API reference of PutEndpointPolicy, GetEndpointPolicy and DeleteEndpointPolicy (2026-11). Routers wait, and a direct call
names no other account's endpoint, so that nothing reads the policy yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.core.operation import operation
from backends.core.policy import attached
from backends.endpoints.status import ENDPOINT

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.rows import Row


@operation("PutEndpointPolicy", acts_on=("Endpoint",))
def put_endpoint_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store an endpoint's policy. ValidationException for one that is no policy, or an endpoint Deleting or Failed."""
    row = _endpoint(cx, request)
    if row.status in {"Deleting", "Failed"}:  # Unverified, as below: AWS's wording
        raise errors.validation(f'Cannot attach a policy to endpoint "{row.arn}": its status is {row.status}.')
    if not request["ResourcePolicy"].isascii():
        raise errors.validation("Invalid resource policy: it can contain only ASCII characters.")
    attached.put(cx, ENDPOINT, row, request["ResourcePolicy"])
    return {"EndpointArn": row.arn}


@operation("GetEndpointPolicy", acts_on=("Endpoint",))
def get_endpoint_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return an endpoint's policy. ValidationException for none."""
    row = _endpoint(cx, request)
    return {"EndpointName": row.key, "EndpointArn": row.arn, "ResourcePolicy": attached.text_of(ENDPOINT, row)}


@operation("DeleteEndpointPolicy", acts_on=("Endpoint",))
def delete_endpoint_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove an endpoint's policy; where there is none, that is done too."""
    attached.remove(cx, ENDPOINT, _endpoint(cx, request))
    return {}


def _endpoint(cx: Context, request: dict[str, Any]) -> Row:
    """Return the endpoint; these operations declare ResourceNotFound for a missing one."""
    row = ENDPOINT.find(cx, request["EndpointName"])
    if row is None:
        raise errors.not_found(ENDPOINT.not_found(cx, request["EndpointName"]).message)
    return row
