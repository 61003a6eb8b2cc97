"""Artifacts, actions, contexts and the lineage group. Describe and List of the first three are derived."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from api_specs import model
from backends.core import arn as arns
from backends.core import errors, paging
from backends.core.documents import Documents
from backends.core.operation import operation
from backends.core.resource import resource
from backends.lineage import associations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context
    from backends.core.resource import Resource
    from backends.core.rows import Row

TAKEN = "{noun} with name ({name}) already exists: {arn}"  # the SDKs look for "already exists"; the rest is unverified
ID_LENGTH = 32
GROUP_NAME = "sagemaker-default-lineage-group"  # Unverified
GROUPS = Documents("LineageGroup")


def _entity(noun: str, **declared: Any) -> Resource:
    return resource(
        noun,
        lower_arn=False,
        exists=TAKEN,
        filters={"SourceUri": "Source.SourceUri"},
        derives=("Describe", "List"),
        **declared,
    )


ARTIFACT = _entity("Artifact", arn_path="artifact")
ACTION = _entity("Action", arn_path="action")
CONTEXT = _entity("Context", arn_path="context")


@operation("CreateArtifact")
def create_artifact(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store an artifact. ValidationException where its source already is one."""
    return _create(cx, ARTIFACT, artifact_id(request["Source"]), request)


@operation("CreateAction")
def create_action(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store an action. ValidationException for a taken name."""
    return _create(cx, ACTION, request["ActionName"], request)


@operation("CreateContext")
def create_context(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store a context. ValidationException for a taken name."""
    return _create(cx, CONTEXT, request["ContextName"], request)


def artifact_id(source: Mapping[str, Any]) -> str:
    """Return what names an artifact: it is its source's URI with the types of its id."""
    types = sorted((each["SourceIdType"], each["Value"]) for each in source.get("SourceTypes", ()))
    return hashlib.sha256(orjson.dumps([source["SourceUri"], types])).hexdigest()[:ID_LENGTH]


def _create(cx: Context, noun: Resource, key: str, request: dict[str, Any]) -> dict[str, Any]:
    document = {**request, "LineageGroupArn": _group_arn(cx)}
    row = noun.insert(cx, key, document, tag_list=request.get("Tags"))
    return {noun.arn_member: row.arn}


@operation("UpdateArtifact")
def update_artifact(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change an artifact's name and properties."""
    return _update(cx, ARTIFACT, request)


@operation("UpdateAction")
def update_action(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change an action's description, status and properties."""
    return _update(cx, ACTION, request)


@operation("UpdateContext")
def update_context(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change a context's description and properties."""
    return _update(cx, CONTEXT, request)


def _update(cx: Context, noun: Resource, request: dict[str, Any]) -> dict[str, Any]:
    """Write what the request says; new properties overwrite the old ones, then what is to be removed is."""
    row = noun.named(cx, request)
    shown = model.output_members(f"Describe{noun.noun}")
    document = {**row.document, **{k: v for k, v in request.items() if k in shown and k not in noun.key_members}}
    if "Properties" in document:
        gone = set(request.get("PropertiesToRemove", ()))
        document["Properties"] = {k: v for k, v in document["Properties"].items() if k not in gone}
    return {noun.arn_member: noun.update(cx, row, document).arn}


@operation("DeleteArtifact")
def delete_artifact(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove an artifact, by its ARN or its source."""
    if "ArtifactArn" not in request and "Source" not in request:
        raise errors.validation("Either ArtifactArn or Source must be specified.")
    return _delete(cx, ARTIFACT, ARTIFACT.get(cx, request.get("ArtifactArn") or artifact_id(request["Source"])))


@operation("DeleteAction")
def delete_action(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove an action."""
    return _delete(cx, ACTION, ACTION.named(cx, request))


@operation("DeleteContext")
def delete_context(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a context."""
    return _delete(cx, CONTEXT, CONTEXT.named(cx, request))


def _delete(cx: Context, noun: Resource, row: Row) -> dict[str, Any]:
    if associations.holds(cx, row.arn):  # Unverified: that it is refused, and in which words
        raise errors.validation(f"{noun.noun} '{row.arn}' has associations and cannot be deleted.")
    noun.delete(cx, row)
    return {noun.arn_member: row.arn}


# -- the group: every account and region has one, and no call makes another


def _group_arn(cx: Context) -> str:
    return arns.make("sagemaker", cx.region, cx.account, f"lineage-group/{GROUP_NAME}")


def _group(cx: Context) -> dict[str, Any]:
    """Return the group, which is there from the first time that it is looked at."""
    row = GROUPS.find(cx, GROUP_NAME)
    if row is not None:
        return row.document
    now, arn = cx.clock.now(), _group_arn(cx)
    document = {
        "LineageGroupName": GROUP_NAME,
        "LineageGroupArn": arn,
        "DisplayName": GROUP_NAME,
        "CreationTime": now,
        "LastModifiedTime": now,
    }
    GROUPS.put(cx, GROUP_NAME, arn, document)
    return document


@operation("DescribeLineageGroup", reads=False)
def describe_lineage_group(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the group. ResourceNotFound for any other name."""
    if request["LineageGroupName"] != GROUP_NAME:
        raise errors.not_found()
    return _group(cx)


@operation("ListLineageGroups", reads=False)
def list_lineage_groups(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the one group, where it was made between the times that are asked for."""
    if "NextToken" in request:  # there is no second page
        paging.read_token(cx, request["NextToken"], paging.binding_of("ListLineageGroups", request))
    group = _group(cx)
    is_listed = request.get("CreatedAfter", 0) < group["CreationTime"] < request.get("CreatedBefore", float("inf"))
    return {"LineageGroupSummaries": [group] if is_listed else []}


@operation("GetLineageGroupPolicy")
def get_lineage_group_policy(_cx: Context, _request: dict[str, Any]) -> dict[str, Any]:
    """Raise ResourceNotFound: a group is shared through RAM, which is not here, so it has no policy."""
    raise errors.not_found()
