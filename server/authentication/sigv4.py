"""Signature Version 4, read from the `Authorization` header or from a presigned URL, and verified.

Sources: as `canonical.py`; S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from api_specs import model
from server.authentication import canonical, chunks, credentials, failures
from server.listener import hosts

if TYPE_CHECKING:
    from backends.core.errors import AwsError
    from backends.core.keys import Key
    from server.exchange import Exchange
    from server.types import HttpRequest

SKEW_S = 15 * 60
DATE = "%Y%m%dT%H%M%SZ"
HEX_SHA256 = re.compile(r"[0-9a-f]{64}")
UNSIGNED = "UNSIGNED-PAYLOAD"
WITHOUT_HASH = frozenset({UNSIGNED, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"})


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of its signature. `scope` is day/region/service/aws4_request; `date` YYYYMMDDTHHMMSSZ."""

    scope: str
    signed: tuple[str, ...]
    signature: str
    date: str
    token: str
    presigned: bool


def verify(exchange: Exchange, key: Key) -> None:
    """Raise AWS's error unless the key signed this request, lately; arrange for the body to be verified as it comes."""
    request, service = exchange.request, exchange.service
    claim = _claim(request, service)
    _check_scope(claim, service)
    _check_region(claim, request, service)
    _check_token(claim, key, service)
    _check_time(claim, service)
    _check_signed(claim, request, service)
    payload_hash = _payload_hash(exchange, claim)
    text = canonical.request_text(
        request.method, exchange.scope.get("raw_path") or request.raw_path, request.query_string,
        exchange.scope["headers"], claim.signed, payload_hash, s3=service == "s3",
    )  # fmt: skip
    to_sign = canonical.string_to_sign(claim.date, claim.scope, text)
    expected = canonical.signature(key.secret_key, claim.scope, to_sign)
    if not hmac.compare_digest(expected.encode(), claim.signature.encode("utf-8", "surrogateescape")):
        raise failures.refused(
            "mismatch", service, key.access_key,
            StringToSign=to_sign, SignatureProvided=claim.signature, CanonicalRequest=text,
        )  # fmt: skip
    _guard_body(exchange, claim, key, payload_hash)


def _claim(request: HttpRequest, service: str) -> Claim:
    """Read the claim of a header or a query; malformed, unless all of it is there."""
    given = credentials.of(request)
    if given.algorithm != canonical.ALGORITHM or not (given.scope and given.signed and given.signature):
        raise failures.refused("malformed", service, "")
    date = given.date if given.presigned else _date_of(request, service)
    signed = tuple(given.signed.split(";"))
    return Claim(given.scope, signed, given.signature, date, given.token, given.presigned)


def _date_of(request: HttpRequest, service: str) -> str:
    """Return the time of signing: X-Amz-Date, or Date in any of HTTP's forms."""
    if "x-amz-date" in request.headers:
        return request.headers["x-amz-date"]
    try:
        return parsedate_to_datetime(request.headers.get("date", "")).astimezone(UTC).strftime(DATE)
    except (ValueError, TypeError):
        text = "AWS authentication requires a valid Date or x-amz-date header"
        raise failures.refused("missing" if service == "s3" else "malformed", service, "", text) from None


def _check_scope(claim: Claim, service: str) -> None:
    parts = claim.scope.split("/")
    if len(parts) != 4 or parts[3] != "aws4_request":
        raise failures.refused("malformed", service, "")
    day, _, name, _ = parts
    wanted = model.load_service(service).signing_name if service else name
    if name != wanted:
        text = f"Credential should be scoped to correct service: '{wanted}'."
        if service == "s3":
            text = f'The authorization header is malformed; incorrect service "{name}". This endpoint belongs to "s3".'
        raise failures.refused("malformed" if service == "s3" else "mismatch", service, "", text)
    if day != claim.date[:8]:
        text = (
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{day}' != '{claim.date[:8]}', from '{claim.date}'."
        )
        raise failures.refused("malformed" if service == "s3" else "mismatch", service, "", text)


def _check_region(claim: Claim, request: HttpRequest, service: str) -> None:
    """Refuse a signature that is for another region than the one whose host was asked. Unverified: the code at S3's hosts."""
    host, region = hosts.aws_host(request.host), claim.scope.split("/")[1]
    if host is None or not host.region or host.region == region:
        return
    if service == "s3":
        text = f"The authorization header is malformed; the region '{region}' is wrong; expecting '{host.region}'"
        raise failures.refused("malformed", "s3", "", text, Region=host.region)
    raise failures.refused("mismatch", service, "", f"Credential should be scoped to a valid region, not '{region}'.")


def _check_token(claim: Claim, key: Key, service: str) -> None:
    """Compare the session token: a temporary key is none without it, and one of a user has none."""
    if not hmac.compare_digest(key.session_token.encode(), claim.token.encode("utf-8", "surrogateescape")):
        raise failures.refused("token", service, key.access_key)


def _check_time(claim: Claim, service: str) -> None:
    """Check the time of signing against real time. A presigned URL of S3's has its own end (`server/presigned.py`)."""
    signed = _epoch(claim.date)
    if signed is None:
        raise failures.refused("malformed", service, "")
    now = time.time()
    late, early = now - signed > SKEW_S and not (claim.presigned and service == "s3"), signed - now > SKEW_S
    if late or early:
        raise _skewed(claim, service, now, early=early)


@lru_cache(256)
def _epoch(date: str) -> float | None:
    """Read YYYYMMDDTHHMMSSZ; a client's requests of one second share it."""
    try:
        return datetime.strptime(date, DATE).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _skewed(claim: Claim, service: str, now: float, *, early: bool) -> AwsError:
    here, least, most = (_date(moment) for moment in (now, now - SKEW_S, now + SKEW_S))
    if service == "s3":
        members: dict[str, Any] = {
            "RequestTime": claim.date,
            "ServerTime": here,
            "MaxAllowedSkewMilliseconds": SKEW_S * 1000,
        }
        return failures.refused("skewed", service, "", **members)
    text = f"Signature expired: {claim.date} is now earlier than {least} ({here} - 15 min.)"
    if early:
        text = f"Signature not yet current: {claim.date} is still later than {most} ({here} + 15 min.)"
    return failures.refused("skewed", service, "", text)


def _date(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime(DATE)


def _check_signed(claim: Claim, request: HttpRequest, service: str) -> None:
    """Insist that the host is signed, and every header of AWS's: one that is not could be anybody's."""
    needed = {name for name in request.headers if name.startswith("x-amz-")} | {"host"}
    missing = sorted(needed - set(claim.signed))
    if not missing:
        return
    if service == "s3" and missing != ["host"]:
        raise failures.refused("unsigned header", service, "", HeadersNotSigned=", ".join(missing))
    text = f"'{missing[0]}' must be a 'SignedHeader' in the AWS Authorization."
    raise failures.refused("unsigned header", service, "", text)


def _payload_hash(exchange: Exchange, claim: Claim) -> str:
    """Return what the signature says of the body; outside S3 the body is there already and is hashed."""
    stated = exchange.request.headers.get("x-amz-content-sha256", "")
    if exchange.service == "s3":
        if stated or claim.presigned:
            return stated or UNSIGNED
        text = "Missing required header for this request: x-amz-content-sha256"
        raise failures.refused("malformed", "s3", "", text)
    computed = hashlib.sha256(exchange.request.body).hexdigest()
    if stated and stated != UNSIGNED and not hmac.compare_digest(stated.encode(), computed.encode()):
        raise failures.refused("body", exchange.service, "")
    return stated or computed


def _guard_body(exchange: Exchange, claim: Claim, key: Key, payload_hash: str) -> None:
    """Let S3's bodies, which are still to come, be verified on their way in."""
    if exchange.service != "s3" or payload_hash in WITHOUT_HASH:
        return
    if payload_hash.startswith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"):
        signer = chunks.Signer(key, claim.scope, claim.date, claim.signature)
        exchange.receive = chunks.verified(
            exchange.receive, chunks.ChunkedBody(signer, trailed=payload_hash.endswith("-TRAILER"))
        )
    elif HEX_SHA256.fullmatch(payload_hash):
        exchange.receive = chunks.verified(exchange.receive, chunks.HashedBody(payload_hash))
    else:
        text = (
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD or a valid sha256 value."
        )
        raise failures.refused("malformed", "s3", key.access_key, text)
