"""Which bucket and key a request means, and whether it may have them."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from typing import TYPE_CHECKING, Any

from backends.aws.s3 import failures
from backends.core import errors
from backends.core.errors import AwsError

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.objects import Bucket

KEY_BYTES = 1024
# S3 User Guide, "General purpose buckets naming rules".
NAME = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
RESERVED_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
RESERVED_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
CUSTOMER_KEYS = ("SSECustomerAlgorithm", "SSECustomerKey", "CopySourceSSECustomerAlgorithm", "CopySourceSSECustomerKey")
LOCKS = ("ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus", "WriteOffsetBytes")
GRANTS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")
OWNER_ACLS = {"private", "bucket-owner-full-control", "bucket-owner-read"}


def bucket_of(cx: Context, request: dict[str, Any]) -> Bucket:
    """Find the request's bucket; raise NoSuchBucket, or AccessDenied where its owner is another than asked or asking."""
    return owned(cx, request["Bucket"], request.get("ExpectedBucketOwner"))


def owned(cx: Context, name: str, expected_owner: str | None = None) -> Bucket:
    """Find a bucket of the calling account."""
    bucket = cx.objects.bucket(cx, name)
    if bucket is None:
        raise failures.no_such_bucket(name)
    if bucket.account != cx.account or expected_owner not in {None, bucket.account}:
        raise failures.access_denied()
    return bucket


def check_bucket_name(name: str) -> None:
    """Raise InvalidBucketName for a name that no bucket may have."""
    try:
        ipaddress.IPv4Address(name)
        looks_like_address = True
    except ValueError:
        looks_like_address = False
    if (
        looks_like_address
        or NAME.fullmatch(name) is None
        or name.startswith(RESERVED_STARTS)
        or name.endswith(RESERVED_ENDS)
    ):
        raise AwsError("InvalidBucketName", "The specified bucket is not valid.", 400, {"BucketName": name})


def check_key(key: str) -> None:
    """Raise KeyTooLongError for a key beyond 1,024 bytes of UTF-8."""
    size = len(key.encode())
    if size > KEY_BYTES:
        members = {"Size": size, "MaxSizeAllowed": KEY_BYTES}
        raise AwsError("KeyTooLongError", "Your key is too long", 400, members)


def check_options(request: dict[str, Any]) -> None:
    """Refuse what would be a pretence: customer keys and locks (501), ACLs (a new bucket enforces its owner)."""
    for member in (*CUSTOMER_KEYS, *LOCKS):
        if member in request:
            raise errors.not_implemented(f"s3 {member}")
    if request.get("ACL", "private") not in OWNER_ACLS or any(member in request for member in GRANTS):
        raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs", 400)


def check_version(request: dict[str, Any]) -> None:
    """Raise InvalidArgument for a version that an unversioned bucket cannot hold."""
    if request.get("VersionId", "null") != "null":
        raise failures.invalid_argument("Invalid version id specified", "versionId", request["VersionId"])


def owner(account: str) -> dict[str, str]:
    """Give an account's canonical user: 64 hexadecimal digits that stay the same."""
    return {"ID": hashlib.sha256(f"canonical-user:{account}".encode()).hexdigest()}
