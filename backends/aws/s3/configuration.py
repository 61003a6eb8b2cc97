"""What a bucket is set to: encryption, tags, public access, ownership, ACLs; and what no bucket here can be set to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.aws.s3 import access, encryption, failures, tags
from backends.core import errors
from backends.core.errors import AwsError
from backends.core.objects import public_access
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context

ENFORCED = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def missing(bucket: str, code: str, text: str) -> AwsError:
    """Return the error of a configuration that a bucket does not have."""
    return AwsError(code, text, 404, {"BucketName": bucket})


@operation("GetBucketLogging", "GetBucketAccelerateConfiguration", service="s3")
def nothing_configured(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Answer with an empty document: off."""
    access.bucket_of(cx, request, "s3:GetBucketLogging")
    return {}


@operation("GetBucketAcl", service="s3")
def get_bucket_acl(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the only ACL there is: the owner may do everything."""
    return _owner_only(access.bucket_of(cx, request, "s3:GetBucketAcl").account)


@operation("GetObjectAcl", service="s3")
def get_object_acl(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return an object's ACL: the bucket owner's."""
    bucket, _ = access.object_of(cx, request, "s3:GetObjectAcl")
    return _owner_only(bucket.account)


def _owner_only(account: str) -> dict[str, Any]:
    owner = access.owner(account)
    return {"Owner": owner, "Grants": [{"Grantee": {**owner, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}]}


@operation("PutBucketAcl", "PutObjectAcl", service="s3")
def put_acl(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Refuse an ACL, as a bucket does that enforces its owner; one that gives nobody anything changes nothing."""
    if "Key" in request:
        access.object_of(cx, request, "s3:PutObjectAcl")
    else:
        access.bucket_of(cx, request, "s3:PutBucketAcl")
    if "AccessControlPolicy" in request:
        raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs", 400)
    access.check_options(request)
    return {}


@operation("GetBucketEncryption", service="s3")
def get_bucket_encryption(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the default encryption: that of every bucket since January 2023, unless another was put."""
    bucket = access.bucket_of(cx, request, "s3:GetEncryptionConfiguration")
    default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": encryption.DEFAULT}, "BucketKeyEnabled": False}
    return {encryption.SETTING: bucket.settings.get(encryption.SETTING, {"Rules": [default]})}


@operation("PutBucketEncryption", service="s3")
def put_bucket_encryption(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Set the default encryption of objects to come."""
    bucket = access.bucket_of(cx, request, "s3:PutEncryptionConfiguration")
    encryption.check_configuration(request[encryption.SETTING])
    cx.objects.configure(cx, bucket.name, encryption.SETTING, request[encryption.SETTING])
    return {}


@operation("DeleteBucketEncryption", service="s3")
def delete_bucket_encryption(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Go back to SSE-S3."""
    bucket = access.bucket_of(cx, request, "s3:PutEncryptionConfiguration")
    cx.objects.configure(cx, bucket.name, encryption.SETTING, None)
    return {}


@operation("GetPublicAccessBlock", service="s3")
def get_public_access_block(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the public access block: all of it, as on every bucket since April 2023, unless it was changed."""
    bucket = access.bucket_of(cx, request, "s3:GetBucketPublicAccessBlock")
    blocks = bucket.settings.get(public_access.PUBLIC_ACCESS, dict.fromkeys(public_access.BLOCKS, True))
    if not blocks:
        text = "The public access block configuration was not found"
        raise missing(bucket.name, "NoSuchPublicAccessBlockConfiguration", text)
    return {public_access.PUBLIC_ACCESS: blocks}


@operation("PutPublicAccessBlock", service="s3")
def put_public_access_block(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Set all four blocks; what is not named is off."""
    bucket = access.bucket_of(cx, request, "s3:PutBucketPublicAccessBlock")
    requested = {name: bool(request[public_access.PUBLIC_ACCESS].get(name, False)) for name in public_access.BLOCKS}
    cx.objects.configure(cx, bucket.name, public_access.PUBLIC_ACCESS, requested)
    return {}


@operation("DeletePublicAccessBlock", service="s3")
def delete_public_access_block(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Take the public access block away."""
    bucket = access.bucket_of(cx, request, "s3:PutBucketPublicAccessBlock")
    cx.objects.configure(cx, bucket.name, public_access.PUBLIC_ACCESS, {})
    return {}


@operation("GetBucketOwnershipControls", service="s3")
def get_bucket_ownership_controls(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the default of every bucket since April 2023: ACLs are off."""
    bucket = access.bucket_of(cx, request, "s3:GetBucketOwnershipControls")
    controls = bucket.settings.get("OwnershipControls", ENFORCED)
    if not controls:
        text = "The bucket ownership controls were not found"
        raise missing(bucket.name, "OwnershipControlsNotFoundError", text)
    return {"OwnershipControls": controls}


@operation("PutBucketOwnershipControls", service="s3")
def put_bucket_ownership_controls(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Set that ACLs are off; turning them on answers 501."""
    bucket = access.bucket_of(cx, request, "s3:PutBucketOwnershipControls")
    rules = request["OwnershipControls"].get("Rules", [])
    if len(rules) != 1:
        raise failures.malformed_xml()
    if rules[0]["ObjectOwnership"] != "BucketOwnerEnforced":
        raise errors.not_implemented(f"s3 ObjectOwnership {rules[0]['ObjectOwnership']}")
    cx.objects.configure(cx, bucket.name, "OwnershipControls", ENFORCED)
    return {}


@operation("GetBucketTagging", service="s3")
def get_bucket_tagging(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a bucket's tags."""
    bucket = access.bucket_of(cx, request, "s3:GetBucketTagging")
    if "Tagging" not in bucket.settings:
        raise missing(bucket.name, "NoSuchTagSet", "The TagSet does not exist")
    return {"TagSet": [{"Key": key, "Value": value} for key, value in bucket.settings["Tagging"].items()]}


@operation("PutBucketTagging", service="s3")
def put_bucket_tagging(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Replace a bucket's tags."""
    bucket = access.bucket_of(cx, request, "s3:PutBucketTagging")
    checked = tags.checked([(tag["Key"], tag["Value"]) for tag in request["Tagging"]["TagSet"]], tags.MOST_BUCKET_TAGS)
    cx.objects.configure(cx, bucket.name, "Tagging", checked)
    return {}


@operation("DeleteBucketTagging", service="s3")
def delete_bucket_tagging(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove all of a bucket's tags."""
    bucket = access.bucket_of(cx, request, "s3:PutBucketTagging")
    cx.objects.configure(cx, bucket.name, "Tagging", None)
    return {}


@operation("GetBucketRequestPayment", service="s3")
def get_bucket_request_payment(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return who pays for requests."""
    access.bucket_of(cx, request, "s3:GetBucketRequestPayment")
    return {"Payer": "BucketOwner"}


@operation("GetBucketWebsite", service="s3")
def get_bucket_website(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Raise that there is none."""
    bucket = access.bucket_of(cx, request, "s3:GetBucketWebsite")
    text = "The specified bucket does not have a website configuration"
    raise missing(bucket.name, "NoSuchWebsiteConfiguration", text)


@operation("GetBucketReplication", service="s3")
def get_bucket_replication(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Raise that there is none."""
    bucket = access.bucket_of(cx, request, "s3:GetReplicationConfiguration")
    text = "The replication configuration was not found"
    raise missing(bucket.name, "ReplicationConfigurationNotFoundError", text)


@operation("GetObjectLockConfiguration", service="s3")
def get_object_lock_configuration(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Raise that there is none."""
    bucket = access.bucket_of(cx, request, "s3:GetBucketObjectLockConfiguration")
    text = "Object Lock configuration does not exist for this bucket"
    raise missing(bucket.name, "ObjectLockConfigurationNotFoundError", text)
