"""The kinds of `backends/registry`: groups, and the versions below them."""

from __future__ import annotations

from tests.life.kind import Kind

CONTAINER = {"Image": "image:1", "ModelDataUrl": "s3://b/model.tar.gz"}
KINDS = (
    Kind(
        "ModelPackageGroup",
        request=lambda name, _: {"ModelPackageGroupName": name, "ModelPackageGroupDescription": "d"},
        found_by="ModelPackageGroupName",
        holds=True,
    ),
    Kind(
        "ModelPackage",
        parent="ModelPackageGroup",
        request=lambda _, group: {**group, "InferenceSpecification": {"Containers": [CONTAINER]}},
        identity=lambda known: {
            "ModelPackageName": known["ModelPackageArn"],
            "ModelPackageArn": known["ModelPackageArn"],
        },
        named=False,
        found_by="ModelPackageGroupName",
        listing=dict,
    ),
)
