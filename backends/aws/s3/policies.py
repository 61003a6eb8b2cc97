"""Bucket policies: put, get, delete, and whether one makes its bucket public. They are evaluated in `access.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.aws.s3 import access
from backends.aws.s3.configuration import missing
from backends.core.errors import AwsError
from backends.core.objects import public_access
from backends.core.operation import operation
from backends.core.policy import Kind, Policy, PolicyError, parse

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.objects import Bucket

MOST_BYTES = 20 * 1024
SENTENCES = {
    "json": "Policies must be valid JSON and the first byte must be '{'",
    "principal": "Invalid principal in policy",
    "action": "Policy has invalid action",
    "resource": "Policy has invalid resource",
    "condition": "Policy has an invalid condition",
    "effect": "Invalid effect",
    "version": "Invalid policy syntax.",
}


@operation("PutBucketPolicy", service="s3")
def put_bucket_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Replace a bucket's policy; a public one is refused while the bucket blocks those."""
    bucket = access.bucket_of(cx, request, "s3:PutBucketPolicy")
    text: str = request["Policy"]
    policy = _checked(bucket, text)
    if public_access.blocks(bucket)["BlockPublicPolicy"] and public_access.is_public(policy):
        why = "because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access."
        who = cx.caller.arn or f"arn:aws:iam::{cx.account}:root"
        what = f'User: {who} is not authorized to perform: s3:PutBucketPolicy on resource: "arn:aws:s3:::{bucket.name}"'
        raise AwsError("AccessDenied", f"{what} {why}", 403)
    cx.objects.configure(cx, bucket.name, access.POLICY, text)
    return {}


def _checked(bucket: Bucket, text: str) -> Policy:
    """Read a policy; raise MalformedPolicy for what is none, or speaks of what is not this bucket's."""
    if len(text.encode()) > MOST_BYTES:
        raise AwsError("PolicyTooLarge", "Policy exceeds the maximum allowed document size.", 400)
    try:
        policy = parse(text, Kind.RESOURCE)
    except PolicyError as error:
        raise _malformed(SENTENCES.get(error.fault, str(error))) from None
    arn = f"arn:aws:s3:::{bucket.name}"
    for statement in policy.statements:
        if not all(action == "*" or action.lower().startswith("s3:") for action in statement.actions):
            raise _malformed("Policy has invalid action")
        for resource in statement.resources or ():
            if resource not in {"*", arn} and not resource.startswith(f"{arn}/"):
                raise _malformed("Policy has invalid resource")
    return policy


def _malformed(sentence: str) -> AwsError:
    return AwsError("MalformedPolicy", sentence, 400)


@operation("GetBucketPolicy", service="s3")
def get_bucket_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a bucket's policy, as it was put."""
    bucket = access.bucket_of(cx, request, "s3:GetBucketPolicy")
    return {"Policy": _text(bucket)}


@operation("GetBucketPolicyStatus", service="s3")
def get_bucket_policy_status(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return whether a bucket's policy lets everybody in."""
    bucket = access.bucket_of(cx, request, "s3:GetBucketPolicyStatus")
    return {"PolicyStatus": {"IsPublic": public_access.is_public(parse(_text(bucket), Kind.RESOURCE))}}


@operation("DeleteBucketPolicy", service="s3")
def delete_bucket_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a bucket's policy; there need not be one."""
    bucket = access.bucket_of(cx, request, "s3:DeleteBucketPolicy")
    cx.objects.configure(cx, bucket.name, access.POLICY, None)
    return {}


def _text(bucket: Bucket) -> str:
    text = bucket.settings.get(access.POLICY)
    if text is None:
        raise missing(bucket.name, "NoSuchBucketPolicy", "The bucket policy does not exist")
    return str(text)
