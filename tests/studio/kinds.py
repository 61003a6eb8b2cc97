"""The kinds of `backends/studio`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.life.kind import ROLE, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

OTHER_ROLE = "arn:aws:iam::111122223333:role/other"
SETTINGS = {"ExecutionRole": ROLE, "SecurityGroups": ["sg-1"]}
CHANGED = {"ExecutionRole": OTHER_ROLE}
KERNELS = {"KernelSpecs": [{"Name": "python3"}]}


def of_domain(domain: Mapping[str, Any]) -> dict[str, Any]:
    return {"DomainIdEquals": domain["DomainId"]}


KINDS = (
    Kind(
        "Domain",
        request=lambda name, _: {"DomainName": name, "AuthMode": "IAM", "DefaultUserSettings": SETTINGS},
        update={"DefaultUserSettings": CHANGED},
        updated={"DefaultUserSettings": SETTINGS | CHANGED},
        holds=True,
    ),
    Kind(
        "UserProfile",
        parent="Domain",
        request=lambda name, domain: {**domain, "UserProfileName": name, "UserSettings": SETTINGS},
        update={"UserSettings": CHANGED},
        updated={"UserSettings": SETTINGS | CHANGED},
        listing=of_domain,
        listed_by="UserProfileName",
    ),
    Kind(
        "Space",
        parent="Domain",
        request=lambda name, domain: {**domain, "SpaceName": name},
        update={"SpaceDisplayName": "shown"},
        listing=of_domain,
        listed_by="SpaceName",
    ),
    Kind(
        "AppImageConfig",
        request=lambda name, _: {"AppImageConfigName": name, "KernelGatewayImageConfig": KERNELS},
        update={"KernelGatewayImageConfig": {"KernelSpecs": [{"Name": "r"}]}},
    ),
    Kind(
        "StudioLifecycleConfig",
        request=lambda name, _: {
            "StudioLifecycleConfigName": name,
            "StudioLifecycleConfigContent": "IyEvYmluL2Jhc2gK",
            "StudioLifecycleConfigAppType": "JupyterLab",
        },
    ),
    Kind(
        "Image",
        request=lambda name, _: {"ImageName": name, "RoleArn": ROLE},
        update={"Description": "said"},
        found_by="ImageName",
    ),
    Kind(
        "ImageVersion",
        parent="Image",
        request=lambda _, image: {**image, "BaseImage": "111122223333.dkr.ecr.us-east-1.amazonaws.com/a:1"},
        identity=lambda known: {
            "ImageName": known["ImageName"],
            "Version": int(known["ImageVersionArn"].rpartition("/")[2]),
        },
        named=False,
        update={"ReleaseNotes": "new"},
        listing=dict,
        found_by="BaseImage",
    ),
)
