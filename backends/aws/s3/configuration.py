"""What a bucket without configuration answers: AWS's default state, where that is also ours. Changing it answers 501."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.aws.s3 import access
from backends.aws.s3.objects import find
from backends.core.errors import AwsError
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context


@operation(
    "GetBucketVersioning",
    "GetBucketNotificationConfiguration",
    "GetBucketLogging",
    "GetBucketAccelerateConfiguration",
    service="s3",
)
def nothing_configured(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Answer with an empty document: off, or none."""
    access.bucket_of(cx, request)
    return {}


@operation("GetBucketAcl", service="s3")
def get_bucket_acl(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Give the only ACL there is: the owner may do everything."""
    return _owner_only(access.bucket_of(cx, request).account)


@operation("GetObjectAcl", service="s3")
def get_object_acl(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Give an object's ACL: the bucket owner's."""
    find(cx, request)
    return _owner_only(cx.account)


def _owner_only(account: str) -> dict[str, Any]:
    owner = access.owner(account)
    return {"Owner": owner, "Grants": [{"Grantee": {**owner, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}]}


@operation("GetBucketEncryption", service="s3")
def get_bucket_encryption(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Give the default of every bucket since January 2023."""
    access.bucket_of(cx, request)
    default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}
    return {"ServerSideEncryptionConfiguration": {"Rules": [default]}}


@operation("GetPublicAccessBlock", service="s3")
def get_public_access_block(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Give the default of every bucket since April 2023: all public access is blocked."""
    access.bucket_of(cx, request)
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    return {"PublicAccessBlockConfiguration": dict.fromkeys(names, True)}


@operation("GetBucketOwnershipControls", service="s3")
def get_bucket_ownership_controls(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Give the default of every bucket since April 2023: ACLs are off."""
    access.bucket_of(cx, request)
    return {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}}


@operation("GetBucketRequestPayment", service="s3")
def get_bucket_request_payment(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Give who pays."""
    access.bucket_of(cx, request)
    return {"Payer": "BucketOwner"}


@operation("GetBucketPolicy", "GetBucketPolicyStatus", service="s3")
def get_bucket_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Say that there is none."""
    raise _missing(cx, request, "NoSuchBucketPolicy", "The bucket policy does not exist")


@operation("GetBucketCors", service="s3")
def get_bucket_cors(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Say that there is none."""
    raise _missing(cx, request, "NoSuchCORSConfiguration", "The CORS configuration does not exist")


@operation("GetBucketLifecycleConfiguration", service="s3")
def get_bucket_lifecycle_configuration(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Say that there is none."""
    raise _missing(cx, request, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")


@operation("GetBucketTagging", service="s3")
def get_bucket_tagging(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Say that there are none."""
    raise _missing(cx, request, "NoSuchTagSet", "The TagSet does not exist")


@operation("GetBucketWebsite", service="s3")
def get_bucket_website(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Say that there is none."""
    text = "The specified bucket does not have a website configuration"
    raise _missing(cx, request, "NoSuchWebsiteConfiguration", text)


@operation("GetBucketReplication", service="s3")
def get_bucket_replication(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Say that there is none."""
    text = "The replication configuration was not found"
    raise _missing(cx, request, "ReplicationConfigurationNotFoundError", text)


@operation("GetObjectLockConfiguration", service="s3")
def get_object_lock_configuration(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Say that there is none."""
    text = "Object Lock configuration does not exist for this bucket"
    raise _missing(cx, request, "ObjectLockConfigurationNotFoundError", text)


def _missing(cx: Context, request: dict[str, Any], code: str, text: str) -> AwsError:
    bucket = access.bucket_of(cx, request)
    return AwsError(code, text, 404, {"BucketName": bucket.name})
