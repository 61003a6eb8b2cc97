"""Model cards and their versions. ListModelCards is derived."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson

from api_specs import model, model_card
from backends.core import errors, other_services, paging
from backends.core.documents import Documents
from backends.core.operation import operation
from backends.core.resource import resource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context
    from backends.core.rows import Row

CARD = resource(
    "ModelCard",
    arn_path="model-card",
    lower_arn=False,
    exists="A model card with the name {name} already exists: {arn}",  # Unverified
    derives=("List",),
)
CONTENTS = Documents("ModelCardContent")
VERSIONS, VERSION = "versions", "ModelCardVersion"
SEARCHED = {
    "ModelId": ("model_overview", "model_id"),
    "RiskRating": ("intended_uses", "risk_rating"),
    "ModelPackageGroupName": ("model_package_details", "model_package_group_name"),
}
"""What Search shows of a content under names of its own; Describe does not."""
DEFAULT_PAGE = 10


@operation("CreateModelCard")
def create_model_card(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store a card. ConflictException for a taken name, ValidationException for a content that is none."""
    searched = _searched(request["Content"])
    document = {**request, VERSION: 1}
    row = CARD.insert(cx, request["ModelCardName"], document, hidden={VERSIONS: []}, tag_list=request.get("Tags"))
    _write(cx, row, {**row.document, **searched}, is_new=True)
    return {"ModelCardArn": row.arn}


@operation("UpdateModelCard")
def update_model_card(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change a card's status, or its content, which makes a new version. ValidationException for both at once."""
    if "Content" in request and "ModelCardStatus" in request:  # API reference; AWS's wording unverified
        raise errors.validation("You cannot update both model card content and model card status in a single call.")
    row = CARD.named(cx, request)
    document = {k: v for k, v in row.document.items() if k not in SEARCHED or "Content" not in request}
    if "Content" in request:
        document |= {"Content": request["Content"], VERSION: document[VERSION] + 1, **_searched(request["Content"])}
        _keep(cx, row)
    elif "ModelCardStatus" in request:
        document["ModelCardStatus"] = request["ModelCardStatus"]
    else:
        return {"ModelCardArn": row.arn}
    _write(cx, row, document, is_new="Content" in request)
    return {"ModelCardArn": row.arn}


def _searched(content: str) -> dict[str, str]:
    """Check a content and return what of it Search shows. ValidationException."""
    if problem := model_card.problem(content):
        raise errors.validation(f"Invalid model card Content: {problem}")
    sections = json.loads(content)
    values = {name: sections.get(section, {}).get(member) for name, (section, member) in SEARCHED.items()}
    return {name: value for name, value in values.items() if isinstance(value, str)}


def _write(cx: Context, row: Row, document: dict[str, Any], *, is_new: bool) -> None:
    """Write a card with the list of its versions, the newest last, and have EventBridge told."""
    now, versions = cx.clock.now(), row.hidden[VERSIONS]
    shown = {VERSION: document[VERSION], "ModelCardStatus": document["ModelCardStatus"], "LastModifiedTime": now}
    earlier, last = (versions, {"CreationTime": now}) if is_new else (versions[:-1], versions[-1])
    versions = [*earlier, {**last, **shown}]
    row = CARD.update(cx, row, document, hidden={VERSIONS: versions})
    detail = {k: v for k, v in row.document.items() if k != "Content"}
    other_services.put_event(cx, row.arn, "SageMaker Model Card State Change", detail)  # Unverified: its members


def _keep(cx: Context, row: Row) -> None:
    """Keep the content of a version that another one follows."""
    key = f"{row.key}/{row.document[VERSION]}"
    CONTENTS.put(cx, key, f"{row.arn}/{row.document[VERSION]}", {"Content": row.document["Content"]})


def at_version(cx: Context, row: Row, number: int | None) -> dict[str, Any]:
    """Return a card as it is, or as it was at a version. ResourceNotFound for one that there was not."""
    if number is None or number == row.document[VERSION]:
        return row.document
    version = next((each for each in row.hidden[VERSIONS] if each[VERSION] == number), None)
    kept = CONTENTS.find(cx, f"{row.key}/{number}")
    if version is None or kept is None:
        raise CARD.not_found(cx, row.key)
    return {**row.document, **version, "CreationTime": row.document["CreationTime"], **kept.document}


@operation("DescribeModelCard")
def describe_model_card(cx: Context, request: dict[str, Any]) -> bytes:
    """Return a card at a version, by its name or ARN; with MetadataOnly without what of it can be confidential."""
    document = at_version(cx, CARD.named(cx, request), request.get(VERSION))
    shown = {k: v for k, v in document.items() if k in model.output_members("DescribeModelCard")}
    if request.get("IncludedData") == "MetadataOnly":
        shown["Content"] = model_card.metadata_only(shown["Content"])
    return orjson.dumps(shown)


@operation("ListModelCardVersions")
def list_model_card_versions(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of a card's versions, the newest first. ResourceNotFound without the card."""
    row = CARD.named(cx, request)
    size, binding = request.get("MaxResults", DEFAULT_PAGE), paging.binding_of("ListModelCardVersions", request)
    versions = [each for each in row.hidden[VERSIONS] if _is_wanted(each, request)]
    is_descending = request.get("SortOrder", "Descending") == "Descending"
    if is_descending:
        versions.reverse()
    if "NextToken" in request:
        (last,) = paging.read_token(cx, request["NextToken"], binding)
        versions = [each for each in versions if (each[VERSION] < last if is_descending else each[VERSION] > last)]
    named = {"ModelCardName": row.key, "ModelCardArn": row.arn}
    answer: dict[str, Any] = {"ModelCardVersionSummaryList": [{**named, **each} for each in versions[:size]]}
    if len(versions) > size:
        answer["NextToken"] = paging.write_token(cx, [versions[size - 1][VERSION]], binding)
    return answer


def _is_wanted(version: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
    created, status = version["CreationTime"], version["ModelCardStatus"]
    if request.get("ModelCardStatus", status) != status:
        return False
    return bool(request.get("CreationTimeAfter", 0) < created < request.get("CreationTimeBefore", float("inf")))


@operation("DeleteModelCard")
def delete_model_card(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a card with its versions and export jobs; what was exported stays in S3."""
    row = CARD.named(cx, request)
    for kept in CONTENTS.page(cx, prefix=f"{row.key}/"):
        CONTENTS.delete(cx, kept)
    CARD.delete(cx, row)
    return {}
