"""PartnerApp: what it answers where there is no marketplace."""

from __future__ import annotations

from backends.core.resource import resource

APP = resource("PartnerApp", arn_path="partner-app", awaits="partner applications")
