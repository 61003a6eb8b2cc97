"""Presigned URLs: their signature is not verified here, but their end is honoured, by real time.

Sources: S3 API Reference, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)"; S3 User Guide,
"Signing and authenticating REST requests (AWS signature version 2)", query string authentication.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from backends.core.errors import AwsError
from server.authentication import credentials
from server.protocol import timestamps

if TYPE_CHECKING:
    from server.types import HttpRequest

MOST_S = 604_800
INCOMPLETE = (
    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, "
    "X-Amz-SignedHeaders, and X-Amz-Expires parameters."
)
MOST_DIGITS = 18  # longer ones are no time, and int() refuses very long ones


def check_expiry(request: HttpRequest) -> None:
    """Raise AccessDenied for a presigned URL that has run out, AuthorizationQueryParametersError for a bad one."""
    given = request.query_string
    if b"Expires=" not in given and b"Signature=" not in given and b"%" not in given:  # names may be encoded, too
        return
    query = credentials.query_of(request)
    if "X-Amz-Signature" in query:
        _check_end(_ends_v4(query))
    if "AWSAccessKeyId" in query and "Expires" in query:  # also beside the other: neither signs the other's parameters
        if not _is_number(query["Expires"]) or len(query["Expires"]) > MOST_DIGITS:
            raise AwsError("AccessDenied", f"Invalid date (should be seconds since epoch): {query['Expires']}", 403)
        _check_end(float(query["Expires"]))


def _check_end(ends: float) -> None:
    now = time.time()
    if now > ends:
        members = {"Expires": timestamps.iso8601(int(ends)), "ServerTime": timestamps.iso8601(int(now))}
        raise AwsError("AccessDenied", "Request has expired", 403, members)


def _ends_v4(query: dict[str, str]) -> float:
    try:
        signed = datetime.strptime(query.get("X-Amz-Date", ""), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _bad("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"") from None
    text = query.get("X-Amz-Expires")
    if text is None:
        raise _bad(INCOMPLETE)
    if not _is_number(text.removeprefix("-")):
        raise _bad("X-Amz-Expires should be a number")
    if text.startswith("-") and text.strip("-0"):
        raise _bad("X-Amz-Expires must be non-negative")
    if len(text) > MOST_DIGITS or int(text) > MOST_S:
        raise _bad("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less "
                   "than 604800 seconds")  # fmt: skip
    return signed.timestamp() + int(text)


def _is_number(text: str) -> bool:
    """Return whether a text is ASCII digits and nothing else: `isdigit` takes "²" too, which int() does not."""
    return text.isascii() and text.isdigit()


def _bad(message: str) -> AwsError:
    return AwsError("AuthorizationQueryParametersError", message, 400)
