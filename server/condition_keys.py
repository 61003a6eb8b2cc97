"""The condition keys that policies read, of every request: what `aws:` names. Those of one action are the action's own.

Source: IAM user guide, "AWS global condition context keys" (2026-11).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backends.aws import sts
from backends.core import tags

if TYPE_CHECKING:
    from backends.aws.iam.principals import Grants
    from backends.core.context import Context
    from server.actions import AuthorizationRequest, ServiceRequest
    from server.exchange import Exchange


def of_call(cx: Context) -> dict[str, Any]:
    """Return the keys that a call within the server has."""
    now = cx.clock.now()
    return {
        "aws:CurrentTime": datetime.fromtimestamp(now, UTC).isoformat(),
        "aws:EpochTime": str(int(now)),
        "aws:RequestedRegion": cx.region,
        "aws:SecureTransport": "true",
    }


def of_exchange(exchange: Exchange, cx: Context) -> dict[str, Any]:
    """Return the keys that every request has."""
    headers = exchange.request.headers
    client = exchange.scope.get("client")
    return {
        **of_call(cx),
        "aws:SecureTransport": "true" if exchange.scope.get("scheme") == "https" else "false",
        **({"aws:SourceIp": client[0]} if client else {}),
        **({"aws:UserAgent": headers["user-agent"]} if "user-agent" in headers else {}),
        **({"aws:Referer": headers["referer"]} if "referer" in headers else {}),
    }


def of_principal(arn: str, own: str, account: str, grants: Grants) -> dict[str, Any]:
    """Return the keys of who asks: the ARN that asks, that of its user or role, its account, what it has."""
    if not arn:
        return {"aws:PrincipalType": "Anonymous"}
    keys: dict[str, Any] = {
        "aws:PrincipalArn": own,
        "aws:PrincipalAccount": account,
        "aws:PrincipalType": grants.kind,
        "aws:userid": grants.user_id or sts.user_id(arn),
        "aws:ViaAWSService": "false",
        "aws:PrincipalIsAWSService": "false",
        **{f"aws:PrincipalTag/{name}": value for name, value in grants.tags.items()},
    }
    if grants.kind == "User":
        keys["aws:username"] = own.rpartition("/")[2]
    return keys


def of_request(cx: Context, request: ServiceRequest, authorizations: list[AuthorizationRequest]) -> dict[str, Any]:
    """Return the tags that a request carries, and those of the SageMaker resource that it names."""
    keys: dict[str, Any] = {}
    given = request.input.get("Tags")
    if isinstance(given, list) and all(isinstance(tag, dict) and "Key" in tag for tag in given):
        keys = {f"aws:RequestTag/{tag['Key']}": tag.get("Value", "") for tag in given}
        keys["aws:TagKeys"] = [tag["Key"] for tag in given]
    if isinstance(request.input.get("TagKeys"), list):
        keys["aws:TagKeys"] = request.input["TagKeys"]
    if request.service == "sagemaker":
        for arn in {needed.resource for needed in authorizations if needed.action.startswith("sagemaker:")} - {"*"}:
            for name, value in tags.of(cx, arn).items():
                keys[f"aws:ResourceTag/{name}"] = keys[f"sagemaker:ResourceTag/{name}"] = value
    return keys
