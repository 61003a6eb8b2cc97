"""What has to be authorized for a request, in IAM's words: actions on resources, with the condition keys that policies read.

Source: the service authorization reference (2026-11). An operation whose resource is not known here is asked about `*`, which
only a policy that says `*` allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.actions import aws, s3, sagemaker
from server.actions.types import AuthorizationRequest, ServiceRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.context import Context

__all__ = ["AuthorizationRequest", "ServiceRequest", "authorizations"]

SERVICES: dict[str, Callable[[Context, ServiceRequest], list[AuthorizationRequest]]] = {
    "s3": s3.authorizations,
    "iam": aws.iam,
    "sts": aws.sts,
    "logs": aws.logs,
    "events": aws.calling,
    "scheduler": aws.calling,
}


def authorizations(cx: Context, request: ServiceRequest) -> list[AuthorizationRequest]:
    """Return what a request needs to be allowed, all of it; reads where an ARN does not follow from the request."""
    if request.service.startswith("sagemaker"):
        return sagemaker.authorizations(cx, request)
    return SERVICES.get(request.service, aws.other)(cx, request)
