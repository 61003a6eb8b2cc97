"""Amazon Resource Names: `arn:<partition>:<service>:<region>:<account>:<resource>`."""

from __future__ import annotations

from typing import NamedTuple


class Arn(NamedTuple):
    """The parts of an ARN; `resource` is everything after the account."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"


def partition_of(region: str) -> str:
    """Return the partition a region belongs to (IAM user guide, 'ARNs')."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def make(service: str, region: str, account: str, resource: str) -> str:
    """Write an ARN."""
    return f"arn:{partition_of(region)}:{service}:{region}:{account}:{resource}"


def parse(text: str) -> Arn | None:
    """Take an ARN apart, or give None when it is none."""
    parts = text.split(":", 5)
    return Arn(*parts[1:]) if len(parts) == 6 and parts[0] == "arn" else None
