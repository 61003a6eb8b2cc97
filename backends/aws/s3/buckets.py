"""Buckets: CreateBucket, DeleteBucket, HeadBucket, ListBuckets, GetBucketLocation."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from backends.aws.s3 import access, failures, tags
from backends.core import errors
from backends.core.errors import AwsError
from backends.core.objects.tables import buckets, objects, uploads
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context

HOME = "us-east-1"  # the region without a location constraint
MOST_BUCKETS = 10_000
UNBUILT = ("ObjectLockEnabledForBucket", "BucketNamespace")
UNBUILT_CONFIGURATION = ("Location", "Bucket")


@operation("CreateBucket", service="s3")
def create_bucket(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a bucket in the region of its location constraint, or of the endpoint."""
    name = request["Bucket"]
    if access.is_anonymous(cx):
        raise failures.access_denied()
    access.check_bucket_name(name)
    _check_options(request)
    given = request.get("CreateBucketConfiguration", {}).get("Tags", [])
    tagging = tags.checked([(tag["Key"], tag["Value"]) for tag in given], tags.MOST_BUCKET_TAGS)
    region = _region(cx, request.get("CreateBucketConfiguration", {}).get("LocationConstraint"))
    there = cx.objects.bucket(cx, name)
    if there is not None and there.account != cx.account:
        text = (
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
            "Please select a different name and try again."
        )
        raise AwsError("BucketAlreadyExists", text, 409, {"BucketName": name})
    if there is not None and not there.region == region == HOME:
        text = "Your previous request to create the named bucket succeeded and you already own it."
        raise AwsError("BucketAlreadyOwnedByYou", text, 409, {"BucketName": name})
    if there is None:  # us-east-1 answers a repeated creation with success
        row = {"name": name, "account": cx.account, "region": region, "created": cx.clock.now()}
        cx.db.execute(insert(buckets), row)
        if tagging:
            cx.objects.configure(cx, name, "Tagging", tagging)
    return {"Location": f"/{name}", "BucketArn": f"arn:aws:s3:::{name}"}


def _check_options(request: dict[str, Any]) -> None:
    requested = {name for name in UNBUILT if request.get(name) not in {None, False, "global"}}
    requested |= {name for name in UNBUILT_CONFIGURATION if request.get("CreateBucketConfiguration", {}).get(name)}
    if request.get("ObjectOwnership", "BucketOwnerEnforced") != "BucketOwnerEnforced":
        requested.add("ObjectOwnership")
    if requested:
        raise errors.not_implemented(f"s3:CreateBucket with {', '.join(sorted(requested))}")
    if request.get("ACL", "private") != "private" or any(member in request for member in access.GRANTS):
        text = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
        raise AwsError("InvalidBucketAclWithObjectOwnership", text, 400)


def _region(cx: Context, constraint: str | None) -> str:
    """Return the region that a location constraint means; us-east-1's endpoint makes buckets anywhere."""
    if cx.region == HOME:
        if constraint == HOME:
            raise AwsError("InvalidLocationConstraint", "The specified location-constraint is not valid", 400)
        return {None: HOME, "": HOME, "EU": "eu-west-1"}.get(constraint, constraint or HOME)
    if constraint == cx.region or (constraint, cx.region) == ("EU", "eu-west-1"):
        return cx.region
    text = (
        f"The {constraint or 'unspecified'} location constraint is incompatible for the region specific endpoint "
        "this request was sent to."
    )
    raise AwsError("IllegalLocationConstraintException", text, 400)


@operation("DeleteBucket", service="s3")
def delete_bucket(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove an empty bucket. Uploads that were never completed do not count, but their parts go with it."""
    bucket = access.bucket_of(cx, request, "s3:DeleteBucket")
    cx.objects.lock_bucket(cx, bucket.name)
    if cx.db.execute(select(objects.c.id).where(objects.c.bucket == bucket.name).limit(1)).first() is not None:
        text = "The bucket you tried to delete is not empty"
        if bucket.versioning:
            text += ". You must delete all versions in the bucket."
        raise AwsError("BucketNotEmpty", text, 409, {"BucketName": bucket.name})
    begun = cx.db.execute(select(uploads.c.upload_id).where(uploads.c.bucket == bucket.name)).scalars().all()
    for upload_id in begun:
        cx.objects.forget_upload(cx, upload_id)
    cx.db.execute(delete(buckets).where(buckets.c.name == bucket.name))
    return {}


@operation("HeadBucket", service="s3")
def head_bucket(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return whether a bucket is there and is the caller's."""
    bucket = access.bucket_of(cx, request, "s3:ListBucket")
    return {
        "BucketArn": f"arn:aws:s3:::{bucket.name}",
        "BucketRegion": bucket.region,
        "AccessPointAlias": False,
    }


@operation("GetBucketLocation", service="s3")
def get_bucket_location(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a bucket's location constraint: none in us-east-1."""
    region = access.bucket_of(cx, request, "s3:GetBucketLocation").region
    return {} if region == HOME else {"LocationConstraint": region}


@operation("ListBuckets", service="s3")
def list_buckets(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the account's buckets by name."""
    limit, prefix = request.get("MaxBuckets", MOST_BUCKETS), request.get("Prefix", "")
    query = select(buckets).where(buckets.c.account == cx.account)
    if prefix:
        query = query.where(buckets.c.name.startswith(prefix, autoescape=True))
    if "BucketRegion" in request:
        query = query.where(buckets.c.region == request["BucketRegion"])
    if "ContinuationToken" in request:
        query = query.where(buckets.c.name > read_token(request["ContinuationToken"]))
    rows = cx.db.execute(query.order_by(buckets.c.name).limit(limit + 1)).all()
    shown = [
        {"Name": r.name, "CreationDate": r.created, "BucketArn": f"arn:aws:s3:::{r.name}", "BucketRegion": r.region}
        for r in rows[:limit]
    ]
    answer: dict[str, Any] = {"Buckets": shown, "Owner": access.owner(cx.account)}
    if prefix:
        answer["Prefix"] = prefix
    if len(rows) > limit:
        answer["ContinuationToken"] = write_token(rows[limit - 1].name)
    return answer


def write_token(mark: str) -> str:
    """Make a continuation token of the name where a page ended."""
    return base64.urlsafe_b64encode(b"1" + mark.encode()).decode()


def read_token(token: str) -> str:
    """Return the name where the last page ended; raise InvalidArgument for anything else."""
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
        if raw[:1] == b"1":
            return raw[1:].decode()
    except ValueError:
        pass
    raise failures.invalid_argument("The continuation token provided is incorrect", "continuation-token", token)
