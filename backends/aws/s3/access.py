"""Which bucket and key a request means, and whether it may have them."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backends.aws.s3 import condition_keys, failures
from backends.core import errors
from backends.core.errors import AwsError
from backends.core.objects import public_access, role_access
from backends.core.policy import Decision, Kind, Question, decide, parse

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.objects import Bucket, StoredObject

KEY_BYTES = 1024
# S3 User Guide, "General purpose buckets naming rules".
NAME = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
VERSION_ID = re.compile(r"null|[0-9a-f]{32}")
RESERVED_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
RESERVED_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
UNBUILT = (
    "ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus", "ObjectLockEventHold",
    "ObjectLockEventHoldDurationDays", "ObjectLockEventHoldDurationYears", "WriteOffsetBytes",
)  # fmt: skip
GRANTS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")
POLICY = "Policy"
OWNERS_WAY_OUT = {"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"}
OWNER_ONLY = OWNERS_WAY_OUT
"""What no policy gives to another account."""
OWNER_ACLS = {"private", "bucket-owner-full-control", "bucket-owner-read"}


def bucket_of(cx: Context, request: dict[str, Any], action: str) -> Bucket:
    """Find the request's bucket, for an action as IAM names it (`s3:GetObject`; `Key` is the object it is about).

    Raises NoSuchBucket; AccessDenied where its owner is another than asked, or does not let the caller in.
    """
    bucket = known(cx, request["Bucket"], request.get("ExpectedBucketOwner"))
    if bucket.account == cx.account and POLICY not in bucket.settings:  # nearly always
        return bucket
    _check(cx, bucket, action, request.get("Key"), condition_keys.of(cx, action, request))
    return bucket


def allowed(
    cx: Context,
    name: str,
    action: str,
    key: str | None = None,
    expected_owner: str | None = None,
    version_id: str | None = None,
) -> Bucket:
    """Find a bucket, by name, in which the caller may do this."""
    bucket = known(cx, name, expected_owner)
    keys = {"s3:VersionId": version_id} if version_id is not None else {}
    if key is not None and POLICY in bucket.settings:
        keys |= condition_keys.of_existing(cx, action, name, key, version_id)
    _check(cx, bucket, action, key, keys)
    return bucket


def _check(cx: Context, bucket: Bucket, action: str, key: str | None, keys: dict[str, Any]) -> None:
    """Raise AccessDenied unless the owner asks, or the bucket's policy lets the caller in. `keys`: condition keys."""
    own = bucket.account == cx.account
    text = bucket.settings.get(POLICY)
    if text is None:
        if not own:
            raise failures.access_denied()
        return
    policy = parse(text, Kind.RESOURCE)
    decision = decide([policy], _question(cx, bucket, action, key, keys))
    if own:  # what the owner's own users may do, their policies say; the bucket's can take it away
        refused = decision is Decision.DENY and not (action in OWNERS_WAY_OUT and is_root(cx))
    else:
        refused = public_access.closes(bucket, policy) or decision is not Decision.ALLOW or action in OWNER_ONLY
    if refused:
        raise failures.access_denied()


def _question(cx: Context, bucket: Bucket, action: str, key: str | None, keys: dict[str, Any]) -> Question:
    resource = f"arn:aws:s3:::{bucket.name}" + (f"/{key}" if key is not None else "")
    context = {"aws:CurrentTime": datetime.fromtimestamp(cx.clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), **keys}
    context["aws:SecureTransport"] = "true" if cx.headers.get(":scheme") == "https" else "false"
    told = {":client": "aws:SourceIp", "referer": "aws:Referer", "user-agent": "aws:UserAgent"}
    context |= {key: cx.headers[name] for name, key in told.items() if cx.headers.get(name)}
    if is_anonymous(cx):
        return Question(action, resource, "", "", context)
    return Question(action, resource, arn_of(cx), cx.account, context | role_access.principal_keys(cx))


def arn_of(cx: Context) -> str:
    """Return who asks: the ARN of a key that was issued, else the account itself."""
    return cx.caller.arn or f"arn:aws:iam::{cx.account}:root"


def is_root(cx: Context) -> bool:
    """Return whether the account itself asks: nothing can lock it out of its bucket's policy."""
    return arn_of(cx).endswith(":root")


def is_anonymous(cx: Context) -> bool:
    """Return whether nobody signed: no account asks then. Where any credentials pass, nobody is the default account."""
    return not cx.account


def known(cx: Context, name: str, expected_owner: str | None = None) -> Bucket:
    """Find a bucket, whatever the caller may do in it."""
    bucket = cx.objects.bucket(cx, name)
    if bucket is None:
        raise failures.no_such_bucket(name)
    if expected_owner not in {None, bucket.account}:
        raise failures.access_denied()
    return bucket


def object_of(cx: Context, request: dict[str, Any], action: str) -> tuple[Bucket, StoredObject]:
    """Find the object, or the version of one, that a request names; NoSuchKey, NoSuchVersion, MethodNotAllowed."""
    version_id = version_of(request)
    bucket = bucket_of(cx, request, action if version_id is None else with_version(action))
    check_key(request["Key"])
    try:
        return bucket, version_in(cx, bucket, request["Key"], version_id)
    except AwsError as error:
        if error.code == "NoSuchKey" and bucket.account != cx.account:
            _check(cx, bucket, "s3:ListBucket", None, {})  # who may not list learns not what is there
        raise


def version_in(cx: Context, bucket: Bucket, key: str, version_id: str | None) -> StoredObject:
    """Find an object in a bucket that the caller may read."""
    if version_id is None:
        stored = cx.objects.head(cx, bucket.name, key)
        if stored is not None:
            return stored
        marker = cx.objects.version(cx, bucket.name, key, None) if bucket.versioning else None
        raise failures.no_such_key(key) if marker is None else failures.hidden(marker)
    stored = cx.objects.version(cx, bucket.name, key, version_id)
    if stored is None:
        raise failures.no_such_version(key, version_id)
    if stored.is_delete_marker:
        raise failures.is_marker(stored)
    return stored


def with_version(action: str) -> str:
    """Return IAM's name for an action on a named version."""
    for verb in ("Tagging", "Attributes", "Acl"):
        if action.endswith(verb):
            return action.removesuffix(verb) + "Version" + verb
    return action + "Version"


def version_of(request: dict[str, Any]) -> str | None:
    """Read which version is asked for; InvalidArgument for what no version is called."""
    version_id: str | None = request.get("VersionId")
    if version_id is not None and VERSION_ID.fullmatch(version_id) is None:
        raise failures.invalid_argument("Invalid version id specified", "versionId", version_id)
    return version_id


def version_member(bucket: Bucket, stored: StoredObject) -> dict[str, str]:
    """Return the response member of a version: buckets that were never versioned do not speak of them."""
    return {"VersionId": stored.version_id} if bucket.versioning else {}


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
    """Refuse what would be a pretence: locks (501), and ACLs (a bucket here enforces its owner)."""
    for member in UNBUILT:
        if member in request:
            raise errors.not_implemented(f"s3 {member}")
    if request.get("ACL", "private") not in OWNER_ACLS or any(member in request for member in GRANTS):
        raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs", 400)


def owner(account: str) -> dict[str, str]:
    """Return an account's canonical user: 64 hexadecimal digits that stay the same."""
    return {"ID": hashlib.sha256(f"canonical-user:{account}".encode()).hexdigest()}
