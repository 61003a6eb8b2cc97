"""Encryption at rest as far as a client sees it: SSE-S3 and SSE-KMS are kept and echoed, a bucket's default is applied.

Nothing is encrypted by these two: the disk that would be read is the reader's own. SSE-C is another matter
(`customer_keys.py`).
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from backends.aws.s3 import failures
from backends.core.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.objects import Bucket

MEMBERS = ("ServerSideEncryption", "SSEKMSKeyId", "SSEKMSEncryptionContext", "BucketKeyEnabled")
DEFAULT = "AES256"  # since January 2023 S3 encrypts, and says so, whether asked to or not
SETTING = "ServerSideEncryptionConfiguration"
HEADER = "x-amz-server-side-encryption"
KMS = {"aws:kms", "aws:kms:dsse"}
KNOWN = {DEFAULT, *KMS}


def check_reader(headers: Mapping[str, str]) -> None:
    """Raise InvalidArgument for a read that says how to encrypt. Source: S3 API Reference, HeadObject; s3cmd's #276."""
    if HEADER in headers:
        raise failures.invalid_argument(
            f"{HEADER} header is not supported for this operation.", HEADER, headers[HEADER]
        )


def of_request(bucket: Bucket, request: dict[str, Any]) -> dict[str, Any]:
    """Return what a new object keeps about its encryption: the request's wish, else the bucket's default."""
    wished = {name: request[name] for name in MEMBERS if name in request}
    method = wished.get("ServerSideEncryption")
    if method is not None and method not in KNOWN:
        text = "The encryption method specified is not supported"
        raise failures.invalid_argument(text, "x-amz-server-side-encryption", method)
    if method not in KMS and ("SSEKMSKeyId" in wished or "SSEKMSEncryptionContext" in wished):
        raise failures.invalid_argument(
            "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
            "x-amz-server-side-encryption", method or "null",
        )  # fmt: skip
    if method is None:
        wished |= default_of(bucket)
    if wished.get("ServerSideEncryption") in KMS:
        wished["SSEKMSKeyId"] = key_arn(bucket, wished.get("SSEKMSKeyId"))
    return wished


def default_of(bucket: Bucket) -> dict[str, Any]:
    """Return a bucket's default encryption, in an object's members; nothing for that of a new bucket."""
    rules = bucket.settings.get(SETTING, {}).get("Rules", [])
    members: dict[str, Any] = {}
    for rule in rules[:1]:
        default = rule.get("ApplyServerSideEncryptionByDefault", {})
        if "SSEAlgorithm" in default:
            members["ServerSideEncryption"] = default["SSEAlgorithm"]
        if "KMSMasterKeyID" in default:
            members["SSEKMSKeyId"] = default["KMSMasterKeyID"]
        if rule.get("BucketKeyEnabled") and default.get("SSEAlgorithm") in KMS:
            members["BucketKeyEnabled"] = True
    return members


def key_arn(bucket: Bucket, key: str | None) -> str:
    """Return a KMS key's ARN as S3 answers with it; without one, that of the account's `aws/s3` key."""
    if key is not None and key.startswith("arn:"):
        return key
    if key is None:
        key = str(uuid.uuid5(uuid.NAMESPACE_URL, f"kms:{bucket.account}:{bucket.region}:aws/s3"))
    place = key if key.startswith("alias/") else f"key/{key}"
    return f"arn:aws:kms:{bucket.region}:{bucket.account}:{place}"


def members(info: dict[str, Any]) -> dict[str, Any]:
    """Return the response members about an object's encryption."""
    if "Customer" in info:
        return {"SSECustomerAlgorithm": DEFAULT, "SSECustomerKeyMD5": info["Customer"]["KeyMD5"]}
    shown = {name: info[name] for name in MEMBERS if name in info}
    shown.setdefault("ServerSideEncryption", DEFAULT)
    return shown


def check_configuration(document: dict[str, Any]) -> None:
    """Refuse a default encryption that S3 does not take."""
    rules = document.get("Rules", [])
    if len(rules) != 1:
        raise failures.malformed_xml()
    default = rules[0].get("ApplyServerSideEncryptionByDefault", {})
    method = default.get("SSEAlgorithm")
    if method not in {None, *KNOWN}:
        raise failures.malformed_xml()
    if "KMSMasterKeyID" in default and method not in KMS:
        text = "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse"
        raise AwsError("InvalidArgument", text, 400, {"ArgumentName": "ApplyServerSideEncryptionByDefault"})
