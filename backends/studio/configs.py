"""Configurations of applications: how an image starts, and the scripts that run first. All but Create and Delete of the scripts is derived."""

from __future__ import annotations

import base64
import itertools
import json
from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.core.operation import operation
from backends.core.resource import resource
from backends.studio.operations import TAKEN
from backends.studio.stored import all_of

if TYPE_CHECKING:
    from backends.core.context import Context

APP_IMAGE_CONFIG = resource(
    "AppImageConfig",
    arn_path="app-image-config",
    exists=TAKEN,
    derives=("Create", "Describe", "Update", "List", "Delete"),
)
LIFECYCLE_CONFIG = resource(
    "StudioLifecycleConfig",
    arn_path="studio-lifecycle-config",
    exists=TAKEN,
    filters={"AppTypeEquals": "StudioLifecycleConfigAppType"},
    derives=("Describe", "List"),
)
USED_BY = ("Domain", "UserProfile", "Space")


@operation("CreateStudioLifecycleConfig")
def create_studio_lifecycle_config(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store a script. ValidationException for one that is not base64, ResourceInUse for a taken name."""
    try:
        base64.b64decode(request["StudioLifecycleConfigContent"], validate=True)
    except ValueError as error:  # Unverified: AWS's wording
        raise errors.validation("StudioLifecycleConfigContent must be base64-encoded.") from error
    name = request["StudioLifecycleConfigName"]
    row = LIFECYCLE_CONFIG.insert(cx, name, request, tag_list=request.get("Tags"))
    return {"StudioLifecycleConfigArn": row.arn}


@operation("DeleteStudioLifecycleConfig")
def delete_studio_lifecycle_config(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a script. ResourceInUse while the settings of a domain, a profile or a space name it."""
    row = LIFECYCLE_CONFIG.named(cx, request)
    users = itertools.chain.from_iterable(all_of(cx, noun) for noun in USED_BY)
    if any(json.dumps(row.arn) in json.dumps(user.document) for user in users):  # Unverified: AWS's wording
        raise LIFECYCLE_CONFIG.refusal("Delete", "{noun} [{arn}] cannot be deleted: settings still name it.", row)
    LIFECYCLE_CONFIG.delete(cx, row)
    return {}
