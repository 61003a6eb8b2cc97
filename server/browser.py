"""What browsers are kept from: a page of another origin cannot drive this server, whatever name it reaches it under.

Anybody's page can send requests to localhost. So a request must be meant for a name that nobody else can make lead here
(DNS rebinding), and one that a browser sends for a page of another origin is refused: `Origin` says so, and where that is
not sent, `Sec-Fetch-Site` (Fetch Metadata, W3C). Other origins are let in by name (`LOCALMAKER_ALLOWED_ORIGINS`); S3 lets
in those that a bucket's CORS rules name. Programs that are no browsers send neither header.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from backends.core.errors import AwsError
from server.listener import hosts
from server.types import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.settings import Settings
    from server.exchange import Exchange

OWN_SITES = frozenset({"none", "same-origin"})
PRESIGNED = re.compile(rb"(?:^|&)(?:X-Amz-)?Signature=")
PAGES = frozenset({"document", "iframe", "frame", "embed", "object"})
PREFLIGHT_S = 600


@cache
def listed(text: str) -> tuple[str, ...]:
    """Read a setting that lists hosts or origins with commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


async def guard(exchange: Exchange) -> None:
    """Refuse what a browser must not send; answer the preflight of an origin that the user lets in."""
    request, settings = exchange.request, exchange.kernel.settings
    check_host(request.host, settings)
    headers = request.headers
    if "origin" not in headers and "sec-fetch-site" not in headers:
        return
    origin = headers.get("origin", "")
    if origin and origin in listed(settings.allowed_origins):
        if request.method == "OPTIONS" and "access-control-request-method" in headers:
            exchange.response = HttpResponse(204, _preflight(headers))
        return
    exchange.foreign = is_foreign(headers, request.host) and not _is_link(exchange)


async def refuse_foreign(exchange: Exchange) -> None:
    """Refuse a page of another origin, once the service is known."""
    if exchange.foreign:
        raise refusal()


def check_host(host: str, settings: Settings) -> None:
    """Raise AccessDenied for a name that does not mean this server."""
    if not hosts.is_ours(host, listed(settings.allowed_hosts.lower())):
        name = hosts.name_of(host)
        raise AwsError(
            "AccessDenied", f"LocalMaker is not asked under the name {name!r}. To allow it, start the server with "
            f"LOCALMAKER_ALLOWED_HOSTS={name}", 403,
        )  # fmt: skip


def is_foreign(headers: Mapping[str, str], host: str) -> bool:
    """Return whether a browser sends a request for a page of another origin than this server's."""
    origin = headers.get("origin")
    if origin is not None:
        return origin.partition("://")[2].lower() != host.lower()
    return headers.get("sec-fetch-site", "none") not in OWN_SITES


def refusal() -> AwsError:
    """Return the error that a page of another origin gets."""
    return AwsError(
        "AccessDenied", "LocalMaker takes no requests from pages of another origin. To let one in, start the server with "
        "LOCALMAKER_ALLOWED_ORIGINS, or give the S3 bucket CORS rules.", 403,
    )  # fmt: skip


def _is_link(exchange: Exchange) -> bool:
    """Return whether somebody followed a link to a presigned URL: it changes nothing, and the page cannot read it."""
    request = exchange.request
    return (
        request.method in {"GET", "HEAD"}
        and request.headers.get("sec-fetch-mode") == "navigate"
        and "origin" not in request.headers
        and PRESIGNED.search(request.query_string) is not None
    )


def _preflight(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [
        ("Access-Control-Allow-Origin", headers["origin"]),
        ("Access-Control-Allow-Methods", headers["access-control-request-method"]),
        ("Access-Control-Allow-Headers", headers.get("access-control-request-headers", "*")),
        ("Access-Control-Max-Age", str(PREFLIGHT_S)),
        ("Vary", "Origin"),
    ]


async def add_headers(exchange: Exchange, response: HttpResponse) -> None:
    """Add what a browser must know: that a let-in origin may read this, and that an object is no page of ours.

    An object shown as a page runs in an origin of nobody's (CSP `sandbox`): its scripts cannot speak to this server.
    """
    headers = exchange.request.headers
    if headers.get("sec-fetch-dest") in PAGES:
        response.headers.append(("Content-Security-Policy", "sandbox allow-scripts allow-popups allow-downloads"))
    origin = headers.get("origin", "")
    if origin and origin in listed(exchange.kernel.settings.allowed_origins) and exchange.request.method != "OPTIONS":
        response.headers += [
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Expose-Headers", "*"),
            ("Vary", "Origin"),
        ]
