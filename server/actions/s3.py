"""S3's actions, whose names are not those of its operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from backends.aws.s3 import condition_keys
from server.actions.types import AuthorizationRequest, ServiceRequest

if TYPE_CHECKING:
    from backends.core.context import Context

READS = {
    "GetObject": "GetObject",
    "HeadObject": "GetObject",
    "GetObjectAttributes": "GetObject",
    "GetObjectAcl": "GetObjectAcl",
    "GetObjectTagging": "GetObjectTagging",
    "GetObjectTorrent": "GetObjectTorrent",
    "DeleteObject": "DeleteObject",
    "DeleteObjectTagging": "DeleteObjectTagging",
    "PutObjectAcl": "PutObjectAcl",
    "PutObjectTagging": "PutObjectTagging",
}
"""Actions that have a twin for one version: `s3:GetObject`, `s3:GetObjectVersion`."""

OTHERS = {
    "ListBuckets": "ListAllMyBuckets",
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "SelectObjectContent": "GetObject",
    "GetBucketCors": "GetBucketCORS",
    "PutBucketCors": "PutBucketCORS",
    "DeleteBucketCors": "PutBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "GetBucketReplication": "GetReplicationConfiguration",
    "PutBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketReplication": "PutReplicationConfiguration",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "DeleteBucketTagging": "PutBucketTagging",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
}
"""Other operations whose action has another name; what stands in neither table is `s3:<Operation>`."""


def authorizations(cx: Context, request: ServiceRequest) -> list[AuthorizationRequest]:
    """Return what an S3 request needs: its action, and s3:GetObject on what it copies."""
    name, given = request.operation, request.input
    bucket, key = given.get("Bucket"), given.get("Key")
    if bucket is None:
        return [AuthorizationRequest(_action(name, given))]
    owner = _owner(cx, bucket)
    action = _action(name, given)
    context = condition_keys.of(cx, action, given)
    if name == "DeleteObjects":
        return [_deletion(bucket, entry, owner) for entry in given["Delete"]["Objects"]]
    made = [AuthorizationRequest(action, arn_of(bucket, key), context, owner, "bucket")]
    if name == "PutObject" and given.get("Tagging"):
        made.append(AuthorizationRequest("s3:PutObjectTagging", arn_of(bucket, key), context, owner, "bucket"))
    if given.get("CopySource"):
        made.append(_source(cx, given["CopySource"]))
    return made


def _action(name: str, given: Any) -> str:
    if name in READS:
        action = READS[name]
        if given.get("VersionId"):
            action = action.replace("Object", "ObjectVersion", 1)
        return f"s3:{action}"
    return f"s3:{OTHERS.get(name, name)}"


def _deletion(bucket: str, entry: Any, owner: str) -> AuthorizationRequest:
    context = {"s3:VersionId": entry["VersionId"]} if entry.get("VersionId") else {}
    return AuthorizationRequest(_action("DeleteObject", entry), arn_of(bucket, entry["Key"]), context, owner, "bucket")


def _source(cx: Context, source: str) -> AuthorizationRequest:
    path, _, version = source.lstrip("/").partition("?versionId=")
    bucket, _, key = unquote(path).partition("/")
    action = _action("GetObject", {"VersionId": version})
    context = condition_keys.of(
        cx, action, {"Bucket": bucket, "Key": key, **({"VersionId": version} if version else {})}
    )
    return AuthorizationRequest(action, arn_of(bucket, key), context, _owner(cx, bucket), "bucket")


def _owner(cx: Context, name: str) -> str:
    bucket = cx.objects.bucket(cx, name)
    return bucket.account if bucket is not None else ""


def arn_of(bucket: str, key: str | None) -> str:
    """Write the ARN of a bucket or of an object in it."""
    return f"arn:aws:s3:::{bucket}/{key}" if key is not None else f"arn:aws:s3:::{bucket}"
