"""AWS's words for credentials that do not hold, by family of protocols: S3's own, the query ones', the JSON ones'.

Sources: S3 API Reference, "Error responses"; "Common error types" of the SageMaker, IAM and CloudWatch Logs API References;
wording as botocore users report it.
"""

from __future__ import annotations

from typing import Any

from api_specs import model
from backends.core.errors import AwsError

INVALID = "The security token included in the request is invalid."
EXPIRED = "The security token included in the request is expired"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
S3_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your key and signing method."
)
# kind -> family -> (code, status, sentence)
WORDS: dict[str, dict[str, tuple[str, int, str]]] = {
    "missing": {
        "s3": ("AccessDenied", 403, "Access Denied"),
        "query": ("MissingAuthenticationToken", 403, "Request is missing Authentication Token"),
        "json": ("MissingAuthenticationTokenException", 403, "Missing Authentication Token"),
    },
    "unknown": {
        "s3": ("InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."),
        "query": ("InvalidClientTokenId", 403, INVALID),
        "json": ("UnrecognizedClientException", 403, INVALID),
    },
    "token": {
        "s3": ("InvalidToken", 400, "The provided token is malformed or otherwise invalid."),
        "query": ("InvalidClientTokenId", 403, INVALID),
        "json": ("UnrecognizedClientException", 403, INVALID),
    },
    "expired": {
        "s3": ("ExpiredToken", 400, "The provided token has expired."),
        "query": ("ExpiredToken", 403, EXPIRED),
        "json": ("ExpiredTokenException", 403, EXPIRED),
    },
    "mismatch": {
        "s3": ("SignatureDoesNotMatch", 403, S3_MISMATCH),
        "query": ("SignatureDoesNotMatch", 403, MISMATCH),
        "json": ("InvalidSignatureException", 403, MISMATCH),
    },
    "skewed": {
        "s3": (
            "RequestTimeTooSkewed", 403, "The difference between the request time and the current time is too large.",
        ),
        "query": ("SignatureDoesNotMatch", 403, MISMATCH),
        "json": ("InvalidSignatureException", 403, MISMATCH),
    },
    "malformed": {
        "s3": ("AuthorizationHeaderMalformed", 400, "The authorization header that you provided is not valid."),
        "query": ("IncompleteSignature", 400, "The request signature does not conform to AWS standards."),
        "json": ("IncompleteSignatureException", 403, "The request signature does not conform to AWS standards."),
    },
    "unsigned header": {
        "s3": ("AccessDenied", 403, "There were headers present in the request which were not signed"),
        "query": ("SignatureDoesNotMatch", 403, MISMATCH),
        "json": ("InvalidSignatureException", 403, MISMATCH),
    },
    "body": {
        "s3": (
            "XAmzContentSHA256Mismatch", 400,
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        ),
        "query": ("SignatureDoesNotMatch", 403, MISMATCH),
        "json": ("InvalidSignatureException", 403, MISMATCH),
    },
}  # fmt: skip


def family_of(service: str) -> str:
    """Return the family of a service; moto's speak JSON or the query protocol, and are told by what they send."""
    if service == "s3":
        return "s3"
    if not service:
        return "json"
    return "query" if model.load_service(service).metadata["protocol"] == "query" else "json"


def refused(kind: str, service: str, access_key: str, message: str = "", **members: Any) -> AwsError:
    """Return the error of a kind in the words of a service; a message replaces the usual sentence."""
    code, status, sentence = WORDS[kind][family_of(service)]
    if service == "s3" and access_key and kind in {"unknown", "mismatch"}:
        members = {"AWSAccessKeyId": access_key, **members}
    return AwsError(code, message or sentence, status, members if service == "s3" else {})
