"""CORS: the configuration of a bucket, the answer to a preflight, and the headers of the answers that follow it.

Which headers, and when: S3 User Guide, "Using cross-origin resource sharing (CORS)" and "Elements of a CORS
configuration". What speaks HTTP about it is `server/s3/cors.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.aws.s3 import access, failures
from backends.aws.s3.configuration import missing
from backends.core.errors import AwsError
from backends.core.operation import operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context
    from backends.core.objects import Bucket

SETTING = "CORSConfiguration"
METHODS = {"GET", "PUT", "POST", "DELETE", "HEAD"}
MOST_RULES = 100
VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


@operation("PutBucketCors", service="s3")
def put_bucket_cors(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Replace a bucket's CORS rules."""
    bucket = access.bucket_of(cx, request, "s3:PutBucketCORS")
    rules = request[SETTING].get("CORSRules", [])
    if not 1 <= len(rules) <= MOST_RULES:
        raise failures.malformed_xml()
    for rule in rules:
        _check(rule)
    cx.objects.configure(cx, bucket.name, SETTING, {"CORSRules": rules})
    return {}


def _check(rule: dict[str, Any]) -> None:
    if not rule.get("AllowedMethods") or not rule.get("AllowedOrigins"):
        raise failures.malformed_xml()
    for method in rule["AllowedMethods"]:
        if method not in METHODS:
            text = f"Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            raise failures.invalid_request(text)
    for name, values in (("AllowedOrigin", rule["AllowedOrigins"]), ("AllowedHeader", rule.get("AllowedHeaders", []))):
        for value in values:
            if value.count("*") > 1:
                raise failures.invalid_request(f'{name} "{value}" can not have more than one wildcard.')
    for value in rule.get("ExposeHeaders", []):
        if "*" in value:
            text = f'ExposeHeader "{value}" contains wildcard. We currently do not support wildcard for ExposeHeader.'
            raise failures.invalid_request(text)


@operation("GetBucketCors", service="s3")
def get_bucket_cors(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a bucket's CORS rules."""
    bucket = access.bucket_of(cx, request, "s3:GetBucketCORS")
    if SETTING not in bucket.settings:
        raise missing(bucket.name, "NoSuchCORSConfiguration", "The CORS configuration does not exist")
    return dict(bucket.settings[SETTING])


@operation("DeleteBucketCors", service="s3")
def delete_bucket_cors(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a bucket's CORS rules."""
    bucket = access.bucket_of(cx, request, "s3:PutBucketCORS")
    cx.objects.configure(cx, bucket.name, SETTING, None)
    return {}


def preflight(bucket: Bucket, headers: Mapping[str, str], *, of_object: bool) -> dict[str, str]:
    """Answer an OPTIONS request: the headers that let the browser go on. Raises AccessForbidden, BadRequest."""
    origin, method = headers.get("origin"), headers.get("access-control-request-method", "")
    if not origin:
        raise AwsError("BadRequest", "Insufficient information. Origin request header needed.", 400)
    if method not in METHODS:
        raise AwsError("BadRequest", f"Invalid Access-Control-Request-Method: {method or 'null'}", 400)
    named = {"Method": method, "ResourceType": "OBJECT" if of_object else "BUCKET"}
    if SETTING not in bucket.settings:
        raise AwsError("AccessForbidden", "CORSResponse: CORS is not enabled for this bucket.", 403, named)
    requested = [name.strip().lower() for name in headers.get("access-control-request-headers", "").split(",")]
    requested = [name for name in requested if name]
    for rule in bucket.settings[SETTING]["CORSRules"]:
        if _fits(rule, origin, method) and all(_allows_header(rule, name) for name in requested):
            answer = _headers(rule, origin)
            return answer | ({"Access-Control-Allow-Headers": ", ".join(requested)} if requested else {})
    text = (
        "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request "  # codespell:ignore evalution
        "method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the "
        "resource's CORS spec."
    )
    raise AwsError("AccessForbidden", text, 403, named)


def answer_headers(bucket: Bucket, origin: str, method: str) -> dict[str, str]:
    """Return the headers that let a page of that origin read an answer; none where no rule is about it."""
    for rule in bucket.settings.get(SETTING, {}).get("CORSRules", []):
        if _fits(rule, origin, method):
            return _headers(rule, origin)
    return {}


def _fits(rule: dict[str, Any], origin: str, method: str) -> bool:
    return method in rule["AllowedMethods"] and any(_matches(pattern, origin) for pattern in rule["AllowedOrigins"])


def _allows_header(rule: dict[str, Any], name: str) -> bool:
    return any(_matches(pattern.lower(), name) for pattern in rule.get("AllowedHeaders", []))


def _matches(pattern: str, text: str) -> bool:
    """Compare with a pattern that may hold one wildcard."""
    head, star, tail = pattern.partition("*")
    if not star:
        return pattern == text
    return len(text) >= len(head) + len(tail) and text.startswith(head) and text.endswith(tail)


def _headers(rule: dict[str, Any], origin: str) -> dict[str, str]:
    anybody = "*" in rule["AllowedOrigins"]
    headers = {
        "Access-Control-Allow-Origin": "*" if anybody else origin,
        "Access-Control-Allow-Methods": ", ".join(rule["AllowedMethods"]),
        "Vary": VARY,
    }
    if not anybody:
        headers["Access-Control-Allow-Credentials"] = "true"
    if rule.get("ExposeHeaders"):
        headers["Access-Control-Expose-Headers"] = ", ".join(rule["ExposeHeaders"])
    if "MaxAgeSeconds" in rule:
        headers["Access-Control-Max-Age"] = str(rule["MaxAgeSeconds"])
    return headers
