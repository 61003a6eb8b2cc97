"""The code with which a service denies access, by the protocol that was spoken; two services have a code of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.route import FORM

if TYPE_CHECKING:
    from server.types import HttpRequest

OWN = {"sns": "AuthorizationError", "ec2": "UnauthorizedOperation"}
"""SNS: aws-ia/terraform-aws-control_tower_account_factory 151, ansible-collections/community.aws 1418; EC2's API reference."""
XML = {"s3", "route53", "cloudfront"}


def code(service: str, request: HttpRequest) -> str:
    """Return `AccessDenied` for what speaks XML, `AccessDeniedException` for JSON. `service`: its signing name."""
    form = request.headers.get("content-type", "").startswith(FORM) or b"Action=" in request.query_string
    if form or service in XML:
        return OWN.get(service, "AccessDenied")
    return "AccessDeniedException"
