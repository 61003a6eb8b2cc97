"""What Docker speaks to: the OCI Distribution API under `/v2/`, in front of ECR's repositories. It is no protocol of AWS's.

Sources: OCI Distribution Specification 1.1; ECR user guide, "Private registry authentication". The steps are those of the
gateway: the browser's guard, who asks, what he may, then the route. Repositories are named `<account>.<region>/<name>`, and
by their name alone under ECR's own host (`<account>.dkr.ecr.<region>.amazonaws.com`).
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from backends.core import errors
from server import body, browser
from server.listener import hosts
from server.registry import access, blobs, manifests, names, uploads
from server.registry.replies import RegistryError, Visit, refused, reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from server.exchange import Exchange
    from server.types import HttpRequest, HttpResponse

    Route = Callable[[Visit, str], Awaitable[HttpResponse]]

log = logging.getLogger(__name__)
BASE = "/v2"
ROUTES: tuple[tuple[re.Pattern[str], dict[str, tuple[str, Route]]], ...] = (
    (re.compile(r"(?P<name>.+)/blobs/uploads/?()"), {"POST": ("InitiateLayerUpload", uploads.begin)}),
    (
        re.compile(r"(?P<name>.+)/blobs/uploads/([^/]+)"),
        {
            "GET": ("UploadLayerPart", uploads.status),
            "PATCH": ("UploadLayerPart", uploads.append),
            "PUT": ("CompleteLayerUpload", uploads.complete),
            "DELETE": ("UploadLayerPart", uploads.cancel),
        },
    ),
    (
        re.compile(r"(?P<name>.+)/blobs/([^/]+)"),
        {"GET": ("GetDownloadUrlForLayer", blobs.get), "HEAD": ("BatchCheckLayerAvailability", blobs.get)},
    ),
    (
        re.compile(r"(?P<name>.+)/manifests/([^/]+)"),
        {
            "GET": ("BatchGetImage", manifests.get),
            "HEAD": ("BatchGetImage", manifests.get),
            "PUT": ("PutImage", manifests.put),
            "DELETE": ("BatchDeleteImage", manifests.delete),
        },
    ),
    (re.compile(r"(?P<name>.+)/tags/list()"), {"GET": ("ListImages", manifests.tags)}),
    (re.compile(r"(?P<name>.+)/referrers/([^/]+)"), {"GET": ("ListImageReferrers", manifests.referrers)}),
)
"""Path -> method -> the action of ECR's that a policy must allow, and who answers."""


def is_for_registry(request: HttpRequest) -> bool:
    """Return whether a request is for the registry: Docker signs nothing in AWS's way, and no bucket is named `v2`."""
    if not request.path.startswith(BASE) or request.path[len(BASE) :][:1] not in {"", "/"}:
        return False
    if request.headers.get("authorization", "").startswith("AWS") or b"X-Amz-" in request.query_string:
        return False
    return hosts.registry_of(request.host) is not None or not (
        hosts.bucket_of(request.host) or hosts.aws_host(request.host)
    )


async def answer(exchange: Exchange) -> HttpResponse:
    """Answer Docker; errors are the specification's."""
    method = exchange.request.method
    try:
        await browser.guard(exchange)
        await browser.refuse_foreign(exchange)
        return exchange.response or await _answer(exchange)
    except RegistryError as error:
        return error.response(method)
    except errors.AwsError as error:
        return refused(error).response(method)
    except body.ClientGoneError:
        return RegistryError(400, "BLOB_UPLOAD_INVALID", "The request body ended unexpectedly").response(method)
    except Exception as error:
        if errors.is_disk_full(error) or errors.is_nul(error):
            nul = errors.AwsError("InvalidParameterException", "Text must not hold the character NUL.")
            return refused(nul if errors.is_nul(error) else errors.disk_full()).response(method)
        log.exception("%s %s failed", method, exchange.request.path)
        return RegistryError(500, "UNKNOWN", "An internal failure occurred.").response(method)


async def _answer(exchange: Exchange) -> HttpResponse:
    request = exchange.request
    token = access.token_of(exchange)
    path = request.path.removeprefix(BASE).strip("/") if request.path.rstrip("/") == BASE else request.path[4:]
    if not path:
        return reply(200, b"{}", ("Content-Type", "application/json"))
    for pattern, methods in ROUTES:
        matched = pattern.fullmatch(path)
        if matched is None:
            continue
        if request.method not in methods:
            raise RegistryError(405, "UNSUPPORTED", "The operation is unsupported.")
        action, route = methods[request.method]
        repository = names.repository_of(request.host, matched["name"])
        visit = await access.enter(exchange, token, repository, action)
        return await route(visit, matched[2])
    raise RegistryError(404, "UNSUPPORTED", "The operation is unsupported.")
