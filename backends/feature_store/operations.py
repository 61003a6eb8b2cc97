"""FeatureGroup: what it answers until its stores are there."""

from __future__ import annotations

from backends.core.resource import resource

GROUP = resource("FeatureGroup", arn_path="feature-group", awaits="the Feature Store")
