"""Groups of model packages and their policies. Describe and Delete are derived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors, listing
from backends.core.operation import operation
from backends.core.policy import attached
from backends.core.resource import resource
from backends.core.states import machine

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.rows import Row

GROUP = resource(
    "ModelPackageGroup",
    arn_path="model-package-group",
    status_member="ModelPackageGroupStatus",
    machine=machine(Completed=set()),
    exists="Model Package Group already exists: {arn}",
    order="Ascending",
    filters={"CrossAccountFilterOption": ""},
    derives=("Describe", "Delete"),
)


@operation("CreateModelPackageGroup")
def create_model_package_group(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store a group. ValidationException for a taken name."""
    if request.get("ManagedConfiguration"):
        raise errors.not_implemented("managed storage of model packages (ManagedConfiguration)")
    row = GROUP.insert(cx, request["ModelPackageGroupName"], request, status="Completed", tag_list=request.get("Tags"))
    return {"ModelPackageGroupArn": row.arn}


@operation("ListModelPackageGroups", is_long=lambda request: "NameContains" in request)
def list_model_package_groups(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of the account's groups; what other accounts share is nothing here."""
    if request.get("CrossAccountFilterOption") == "CrossAccount":
        return {"ModelPackageGroupSummaryList": []}
    return listing.page(GROUP, cx, request)


@operation("PutModelPackageGroupPolicy", acts_on=("ModelPackageGroup",))
def put_model_package_group_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store a group's resource policy. ValidationException for one that is no policy."""
    row = _group(cx, request)
    attached.put(cx, GROUP, row, request["ResourcePolicy"])
    return {"ModelPackageGroupArn": row.arn}


@operation("GetModelPackageGroupPolicy", acts_on=("ModelPackageGroup",))
def get_model_package_group_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a group's resource policy. ValidationException for none."""
    return {"ResourcePolicy": attached.text_of(GROUP, _group(cx, request))}


@operation("DeleteModelPackageGroupPolicy", acts_on=("ModelPackageGroup",))
def delete_model_package_group_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a group's resource policy. ValidationException for none."""
    row = _group(cx, request)
    attached.text_of(GROUP, row)
    attached.remove(cx, GROUP, row)
    return {}


def _group(cx: Context, request: dict[str, Any]) -> Row:
    row = GROUP.find(cx, request["ModelPackageGroupName"])
    if row is None:  # terraform-provider-aws, find.go: what the calls about policies say
        raise errors.validation(f"Cannot find Model Package Group: {request['ModelPackageGroupName']}")
    return row
