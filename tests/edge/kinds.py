"""The kinds of `backends/edge`; a device has no Create of its own."""

from __future__ import annotations

from tests.life.kind import Kind

KINDS = (
    Kind(
        "DeviceFleet",
        request=lambda name, _: {"DeviceFleetName": name, "OutputConfig": {"S3OutputLocation": "s3://b/samples"}},
        update={"OutputConfig": {"S3OutputLocation": "s3://b/others"}, "Description": "changed"},
    ),
)
