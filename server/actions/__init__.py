"""What a request asks for in IAM's words: actions on resources, with the condition keys that policies read.

Source: the service authorization reference (2026-11). An operation whose resource is not known here is asked about `*`, which
only a policy that says `*` allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.actions import aws, s3, sagemaker
from server.actions.ask import Ask, Asked

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.context import Context

__all__ = ["Ask", "Asked", "asks"]

SERVICES: dict[str, Callable[[Context, Asked], list[Ask]]] = {
    "s3": s3.asks,
    "iam": aws.iam,
    "sts": aws.sts,
    "logs": aws.logs,
}


def asks(cx: Context, asked: Asked) -> list[Ask]:
    """Return what a request needs to be allowed, all of it; reads where an ARN does not follow from the request."""
    if asked.service.startswith("sagemaker"):
        return sagemaker.asks(cx, asked)
    return SERVICES.get(asked.service, aws.other)(cx, asked)
