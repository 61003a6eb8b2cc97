"""Model packages, versioned and not. Approvals are announced as events, and to EventBridge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from api_specs import model, model_card
from backends.core import errors, events, listing, other_services
from backends.core.operation import operation
from backends.core.resource import resource
from backends.core.states import machine
from backends.registry import sources
from backends.registry.groups import GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from backends.core.context import Context
    from backends.core.rows import Row

APPROVAL = "ModelApprovalStatus"
STATE_CHANGE = "SageMaker Model Package State Change"
MOST_PROPERTIES = 50
LATER = {
    "ValidationSpecification": "validation of model packages (ValidationSpecification)",
    "ManagedStorageType": "managed storage of model packages (ManagedStorageType)",
}


def _indexed(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what the List asks for and no member says alike for both types."""
    is_versioned = "ModelPackageVersion" in document
    yield "ModelPackageType", "Versioned" if is_versioned else "Unversioned"
    yield "Name", document["ModelPackageGroupName" if is_versioned else "ModelPackageName"]


PACKAGE = resource(
    "ModelPackage",
    arn_path="model-package",
    key=("ModelPackageGroupName", "ModelPackageVersion"),
    numbered=True,
    parent=GROUP,
    # Unverified: AWS's wording
    in_use="Model Package Group {arn} cannot be deleted: it still contains model packages (version {child}).",
    status_member="ModelPackageStatus",
    machine=machine(Completed=set()),
    order="Ascending",
    filters={"NameContains": "Name", "ModelPackageType": "ModelPackageType"},
    sorts={"Name": "Name"},
    indexed=_indexed,
    derives=(),
)


@operation("CreateModelPackage", acts_on=("ModelPackage", "ModelPackageGroup"))
def create_model_package(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store a package, or a group's next version. ValidationException for a taken name, both names or none, two sources."""
    for member, what in LATER.items():
        if request.get(member):
            raise errors.not_implemented(what)
    members = sources.with_source(cx, request)
    _check(members)
    if "ModelPackageGroupName" in request:
        key, identity = _next_version(cx, request)
    else:
        key, identity = _free_name(cx, members), {}
    nothing: list[Any] = []
    details = {"ValidationStatuses": nothing, "ImageScanStatuses": nothing}
    document = {"CertifyForMarketplace": False, **members, **identity, "ModelPackageStatusDetails": details}
    row = PACKAGE.insert(cx, key, document, status="Completed", tag_list=request.get("Tags"))
    _announce(cx, row, "", [APPROVAL] if APPROVAL in document else [])
    return {"ModelPackageArn": row.arn}


def _next_version(cx: Context, request: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if "ModelPackageName" in request:
        raise errors.validation(
            "Both ModelPackageName and ModelPackageGroupName are provided in the input. Cannot determine which one to use."
        )
    if request.get("Tags"):  # API reference of CreateModelPackage, Tags. Unverified: AWS's wording
        raise errors.validation("Tags cannot be given for a versioned model package: it has those of its group.")
    group = GROUP.named(cx, request)
    number = PACKAGE.next_number(cx, group.key)
    identity = {
        "ModelPackageGroupName": group.key,
        "ModelPackageVersion": number,
        APPROVAL: request.get(APPROVAL, "PendingManualApproval"),
    }
    return f"{group.key}/{number}", identity


def _free_name(cx: Context, members: Mapping[str, Any]) -> str:
    name = members.get("ModelPackageName")
    if not name:
        raise errors.validation("Missing ARN.")  # getmoto/moto 7165, which quotes AWS
    if "InferenceSpecification" not in members:  # Unverified: AWS's wording
        raise errors.validation("Either InferenceSpecification or SourceAlgorithmSpecification must be given.")
    if any("Environment" in container for container in members["InferenceSpecification"]["Containers"]):
        raise errors.validation(
            "1 validation errors detected:Environment variable map cannot be specified when using non-versioned "
            "ModelPackages"
        )
    arn = PACKAGE.arn_of(cx, name)
    if (
        PACKAGE.find_arn(cx, arn) is not None
    ):  # not the ConflictException that the model declares: the SDKs look for this
        raise errors.validation(f"ModelPackage already exists: {arn}")
    return str(name)


def _check(members: Mapping[str, Any]) -> None:
    """Check what holds after Create as after Update. ValidationException."""
    names = [each["Name"] for each in members.get("AdditionalInferenceSpecifications", ())]
    if len(set(names)) != len(names):  # Unverified, as the others here: AWS's wording
        raise errors.validation("The names of AdditionalInferenceSpecifications must be unique.")
    if len(members.get("CustomerMetadataProperties", ())) > MOST_PROPERTIES:
        raise errors.validation(f"A model package may have at most {MOST_PROPERTIES} CustomerMetadataProperties.")
    content = members.get("ModelCard", {}).get("ModelCardContent")
    if content is not None and (problem := model_card.problem(content)):
        raise errors.validation(f"Invalid ModelCardContent: {problem}")


@operation("UpdateModelPackage")
def update_model_package(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change what may change of a package; a new approval status is announced."""
    row = PACKAGE.get(cx, request["ModelPackageArn"])
    document, shown = dict(row.document), model.output_members("DescribeModelPackage")
    properties = document.get("CustomerMetadataProperties", {}) | request.get("CustomerMetadataProperties", {})
    for name in request.get("CustomerMetadataPropertiesToRemove", ()):
        properties.pop(name, None)
    specifications = [
        *document.get("AdditionalInferenceSpecifications", ()),
        *request.get("AdditionalInferenceSpecificationsToAdd", ()),
    ]
    changed = {
        **{k: v for k, v in request.items() if k in shown and k != "ModelPackageArn"},
        "CustomerMetadataProperties": properties,
        "AdditionalInferenceSpecifications": specifications,
    }
    if "ModelCard" in request:
        changed["ModelCard"] = {**document.get("ModelCard", {}), **request["ModelCard"]}
    document = {k: v for k, v in {**document, **changed}.items() if v or k not in changed}
    _check(document)
    fields = [member for member in changed if document.get(member) != row.document.get(member)]
    row, old = PACKAGE.update(cx, row, document), row.document.get(APPROVAL, "")
    if fields:
        _announce(cx, row, old, fields)
    return {"ModelPackageArn": row.arn}


def _announce(cx: Context, row: Row, old: str, fields: list[str]) -> None:
    """Write the event of a new approval status, and have EventBridge told of every change (guide, "Model package state change")."""
    approval = row.document.get(APPROVAL, "")
    if approval != old:
        events.emit(
            cx, "ModelPackage", row.arn, old, approval, row.document.get("ApprovalDescription", ""), {"name": row.key}
        )
    other_services.put_event(cx, row.arn, STATE_CHANGE, {**row.document, "UpdatedModelPackageFields": fields})


@operation("DescribeModelPackage")
def describe_model_package(cx: Context, request: dict[str, Any]) -> bytes:
    """Return a package by its name or ARN; with MetadataOnly the model card's content without what can be confidential."""
    document = PACKAGE.get(cx, request["ModelPackageName"]).document
    content = document.get("ModelCard", {}).get("ModelCardContent")
    if content is not None and request.get("IncludedData") == "MetadataOnly":
        document["ModelCard"]["ModelCardContent"] = model_card.metadata_only(content)
    return orjson.dumps(document)


@operation("BatchDescribeModelPackage", reads=True)
def batch_describe_model_package(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of each of several packages, and for the others why there is nothing."""
    shown = model.operation("BatchDescribeModelPackage").output_shape.members["ModelPackageSummaries"].value.members
    summaries, failures = {}, {}
    for arn in request["ModelPackageArnList"]:
        row = PACKAGE.find(cx, arn)
        if row is None:
            error = PACKAGE.not_found(cx, arn)
            failures[arn] = {"ErrorCode": error.code, "ErrorResponse": error.message}
        else:
            summaries[arn] = {k: v for k, v in row.document.items() if k in shown}
    return {"ModelPackageSummaries": summaries, "BatchDescribeModelPackageErrorMap": failures}


@operation("ListModelPackages", is_long=lambda request: "NameContains" in request)
def list_model_packages(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of packages: the versions of a group, else the unversioned ones unless ModelPackageType says otherwise."""
    query = {k: v for k, v in request.items() if k != "ModelPackageType"}
    kind = "Unversioned"
    if "ModelPackageGroupName" in request:
        query["ModelPackageGroupName"] = GROUP.named(cx, request).key
        kind = "Versioned"
    kind = request.get("ModelPackageType", kind)
    return listing.page(PACKAGE, cx, query if kind == "Both" else {**query, "ModelPackageType": kind})


@operation("DeleteModelPackage")
def delete_model_package(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a package by its name or ARN."""
    PACKAGE.delete(cx, PACKAGE.get(cx, request["ModelPackageName"]))
    return {}
