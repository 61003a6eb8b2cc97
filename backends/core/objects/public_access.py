"""A bucket's public access block, and which policies are public: S3's own requests and those of roles are judged alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.core.objects.rows import Bucket
    from backends.core.policy import Policy

PUBLIC_ACCESS = "PublicAccessBlockConfiguration"
BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
FIXING = {
    "aws:sourceaccount", "aws:sourcearn", "aws:sourceip", "aws:sourceowner", "aws:sourcevpc", "aws:sourcevpce",
    "aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:userid", "s3:dataaccesspointarn",
}  # fmt: skip


def blocks(bucket: Bucket) -> dict[str, bool]:
    """Return a bucket's public access block: everything, unless that was changed."""
    configuration = bucket.settings.get(PUBLIC_ACCESS)
    return {name: configuration is None or configuration.get(name, False) for name in BLOCKS}


def closes(bucket: Bucket, policy: Policy) -> bool:
    """Return whether RestrictPublicBuckets keeps a bucket from all but its owner's account: its policy is public."""
    return blocks(bucket)["RestrictPublicBuckets"] and is_public(policy)


def is_public(policy: Policy) -> bool:
    """Return whether a policy lets everybody in.

    Source: S3 User Guide, "The meaning of public": a wildcard principal, unless a condition fixes who asks.
    """
    return any(
        statement.allows
        and (
            statement.not_principals or any(value == "*" for kind, value in statement.principals or () if kind == "AWS")
        )
        and not any(
            condition.key in FIXING and "*" not in "".join(condition.values) for condition in statement.conditions
        )
        for statement in policy.statements
    )
