"""The condition keys of S3's own (`s3:...`) that policies of buckets and of users read, from a request and from what it is about.

Sources: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3"; S3 User Guide, "Tagging and
access control policies".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context

MEMBERS = {
    "s3:prefix": "Prefix",
    "s3:delimiter": "Delimiter",
    "s3:max-keys": "MaxKeys",
    "s3:VersionId": "VersionId",
    "s3:x-amz-acl": "ACL",
    "s3:x-amz-metadata-directive": "MetadataDirective",
    "s3:x-amz-storage-class": "StorageClass",
    "s3:x-amz-server-side-encryption": "ServerSideEncryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
    "s3:x-amz-server-side-encryption-customer-algorithm": "SSECustomerAlgorithm",
    "s3:x-amz-website-redirect-location": "WebsiteRedirectLocation",
    "s3:if-match": "IfMatch",
    "s3:if-none-match": "IfNoneMatch",
}
"""Condition keys by the member of a request that fills them."""
OF_EXISTING_TAGS = {
    "s3:GetObject", "s3:GetObjectAcl", "s3:GetObjectAttributes", "s3:GetObjectTagging", "s3:GetObjectTorrent",
    "s3:PutObjectAcl", "s3:PutObjectTagging", "s3:DeleteObjectTagging",
}  # fmt: skip
"""Actions that are judged by the tags that their object has, and their twins for one version."""


def of(cx: Context, action: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of an action on what a request names."""
    keys: dict[str, Any] = {
        key: str(request[name]) for key, name in MEMBERS.items() if isinstance(request.get(name), str | int)
    }
    if isinstance(request.get("CreateBucketConfiguration"), dict):
        keys["s3:locationconstraint"] = request["CreateBucketConfiguration"].get("LocationConstraint", "")
    if isinstance(request.get("CopySource"), str):
        path, _, _ = request["CopySource"].partition("?versionId=")
        keys["s3:x-amz-copy-source"] = unquote(path).removeprefix("/")
    for name, value in _request_tags(request).items():
        keys[f"s3:RequestObjectTag/{name}"] = value
        keys.setdefault("s3:RequestObjectTagKeys", []).append(name)
    bucket, key = request.get("Bucket"), request.get("Key")
    if bucket is not None and key is not None:
        keys |= of_existing(cx, action, bucket, key, request.get("VersionId"))
    return keys


def of_existing(cx: Context, action: str, bucket: str, key: str, version_id: str | None) -> dict[str, Any]:
    """Return the keys of the tags that an object has, for the actions that are judged by them."""
    if action.replace("ObjectVersion", "Object") not in OF_EXISTING_TAGS:
        return {}
    stored = cx.objects.version(cx, bucket, key, version_id)
    return {f"s3:ExistingObjectTag/{name}": value for name, value in stored.tags.items()} if stored is not None else {}


def _request_tags(request: Mapping[str, Any]) -> dict[str, str]:
    """Read the tags that a request carries: a header's, spelled like a query, or a document's."""
    given = request.get("Tagging")
    if isinstance(given, str):
        return dict(parse_qsl(given, keep_blank_values=True))
    if isinstance(given, dict) and request.get("Key") is not None:  # a bucket's tags are no object's
        return {tag["Key"]: tag["Value"] for tag in given.get("TagSet", []) if "Key" in tag and "Value" in tag}
    return {}
