"""The model package that a training job registers in a group when it completes (ModelPackageConfig).

Source: shapes ModelPackageConfig and DescribeTrainingJobResponse ("the output model package containing model weights or
checkpoints"), 2026-11. Unverified: what AWS writes into the package besides, and its wordings. No image is said here to serve
the weights, for the job does not know one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.core.objects import parse_uri
from backends.jobs.verdict import Verdict, fitted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context


def check(cx: Context, request: Mapping[str, Any]) -> None:
    """Refuse a group that is not there, and what a job does not do with a package. ValidationException."""
    config = request["ModelPackageConfig"]
    if "SourceModelPackageArn" in config:
        raise errors.not_implemented("continued training from a model package (SourceModelPackageArn)")
    cx.call("DescribeModelPackageGroup", {"ModelPackageGroupName": config["ModelPackageGroupArn"]})


def register(
    cx: Context, document: Mapping[str, Any], changes: dict[str, Any], how: Verdict
) -> tuple[Verdict, dict[str, Any]]:
    """Make the package as the job's role, in the transaction that ends the job; return how it ends and what Describe shows."""
    uri = changes["ModelArtifacts"]["S3ModelArtifacts"]
    if not cx.objects.list_keys(cx, *parse_uri(uri), limit=1):  # it left no model
        return how, changes
    kinds = {"S3DataType": "S3Prefix", "CompressionType": "None"}
    if not uri.endswith("/"):
        kinds = {"S3DataType": "S3Object", "CompressionType": "Gzip"}
    request = {
        "ModelPackageGroupName": document["ModelPackageConfig"]["ModelPackageGroupArn"],
        "InferenceSpecification": {"Containers": [{"ModelDataSource": {"S3DataSource": {"S3Uri": uri, **kinds}}}]},
    }
    try:
        made = cx.call("CreateModelPackage", request, role=document["RoleArn"])
    except errors.AwsError as error:  # the group is gone, or the role may not register
        return Verdict.failed(fitted(f"ClientError: Model package registration failed: {error.message}", "")), changes
    return how, {**changes, "OutputModelPackageArn": made["ModelPackageArn"]}
