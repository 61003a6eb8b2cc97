"""Host names: AWS's own, with the service, region and bucket they stand for, and those under which this server is asked.

Sources: AWS General Reference, "Service endpoints and quotas"; S3 User Guide, "Virtual hosting of general purpose buckets".
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

from botocore.loaders import Loader

PARTITIONS = Loader().load_data("partitions")["partitions"]
SUFFIXES = tuple(
    dict.fromkeys(
        [
            *(partition["outputs"][key] for partition in PARTITIONS for key in ("dnsSuffix", "dualStackDnsSuffix")),
            # A top-level domain of Amazon's alone: api.aws, on.aws, app.aws, experiments.sagemaker.aws, signin.aws.
            "aws",
            # Beside the partitions', in botocore's endpoint rules and the console's: signing in, Studio, workspaces.
            *("aws.amazon.com", "amazonaws.cn", "amazonaws-us-gov.com", "amazonaws-eusc.eu", "awsapps.com"),
            *("amazonwebservices.com.cn", "amazonwebservices.eu"),
        ]
    )
)
"""Ends of AWS's host names, of every partition that botocore knows. What ends so never leaves the machine."""
_REGION = r"[a-z]{2,5}(?:-[a-z]+)+-\d+"
_SUFFIX = "|".join(re.escape(suffix) for suffix in sorted(SUFFIXES, key=len, reverse=True))
AWS = re.compile(rf"(?:(?P<name>[a-z0-9._-]+?)\.)??(?:(?P<region>{_REGION})\.)?(?:{_SUFFIX})", re.IGNORECASE)
# bucket.s3, bucket.s3-us-west-2, bucket.s3.dualstack, bucket.s3-fips, bucket.s3-accelerate; without a bucket likewise.
S3 = re.compile(r"(?:(?P<bucket>.+)\.)?s3(?:[.-](?P<rest>[a-z0-9.-]+))?")
LOCAL_BUCKET = re.compile(r"(?P<bucket>[a-z0-9][a-z0-9.-]+?)\.(?:s3[.-][a-z0-9.-]+|s3\.localhost|localhost)")
REGION = re.compile(_REGION)
PREFIXES = {
    "api.sagemaker": "sagemaker",
    "runtime.sagemaker": "sagemaker-runtime",
    "featurestore-runtime.sagemaker": "sagemaker-featurestore-runtime",
    "metrics.sagemaker": "sagemaker-metrics",
    "a2i-runtime.sagemaker": "sagemaker-a2i-runtime",
    "edge.sagemaker": "sagemaker-edge",
    "sagemaker-geospatial": "sagemaker-geospatial",
    "sts": "sts",
    "iam": "iam",
    "logs": "logs",
    "monitoring": "cloudwatch",
    "api.ecr": "ecr",
}
"""Services of ours by the first part of their host names (botocore's `endpointPrefix`), but for S3, which has several."""

REGISTRY = re.compile(rf"(?P<account>\d{{12}})\.dkr[.-]ecr(?:-fips)?\.(?P<region>{_REGION})\.(?:on\.)?(?:{_SUFFIX})")
LOCAL_SUFFIXES = (".localhost", ".local", ".internal", ".home.arpa")


@dataclass(frozen=True, slots=True)
class AwsHost:
    """What a host name of AWS's means; `service` is botocore's name, empty for one that is not ours."""

    service: str
    region: str = ""
    bucket: str = ""


def name_of(host: str) -> str:
    """Take the port off a Host header, the brackets off an IPv6 address, the root's dot off a full name."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower().removesuffix(".")


@lru_cache(1024)
def aws_host(host: str) -> AwsHost | None:
    """Read a Host header; None when it is no name of AWS's."""
    named = name_of(host)
    matched = AWS.fullmatch(named)
    if matched is None or "." not in named:
        return None
    name, region = (matched["name"] or "").lower().replace("-fips", ""), matched["region"] or ""
    if name in PREFIXES:
        return AwsHost(PREFIXES[name], region)
    s3 = S3.fullmatch(name)
    if s3 is None:
        return AwsHost("", region)
    dashed = REGION.fullmatch(s3["rest"] or "")
    return AwsHost("s3", region or (dashed[0] if dashed else ""), s3["bucket"] or "")


@lru_cache(1024)
def bucket_of(host: str) -> str:
    """Return the bucket that a Host header names (virtual-host style, at AWS's names or at localhost), or nothing."""
    known = aws_host(host)
    if known is not None:
        return known.bucket
    matched = LOCAL_BUCKET.fullmatch(name_of(host))
    return matched["bucket"] if matched is not None and matched["bucket"] != "s3" else ""


@lru_cache(1024)
def registry_of(host: str) -> tuple[str, str] | None:
    """Return account and region of an ECR registry's own host name; None for any other."""
    matched = REGISTRY.fullmatch(name_of(host))
    return (matched["account"], matched["region"]) if matched is not None else None


def is_loopback(name: str) -> bool:
    """Return whether a name is this machine's for sure: localhost, 127.0.0.0/8, ::1."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


@lru_cache(1024)
def is_ours(host: str, also: tuple[str, ...] = ()) -> bool:
    """Return whether a Host header can be meant for this server, or else comes from a page whose name was rebound to us.

    Nobody else can make these names lead here: addresses, names of one label, names that no public DNS serves, AWS's
    own (which lead here only through our proxy), and those the user listed (`also`).
    """
    name = name_of(host)
    if name in also or "." not in name or name.endswith(LOCAL_SUFFIXES) or aws_host(host) is not None:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
