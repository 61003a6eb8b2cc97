"""Hubs, all of them derived, and their contents: each version is a row, and the newest of each content is marked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import select

from backends.core import errors, listing, rows
from backends.core.dialects import is_below, one_at_a_time
from backends.core.operation import operation
from backends.core.resource import Resource, resource
from backends.core.states import machine
from backends.core.tables import resources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from backends.core.rows import Row
    from backends.core.types import Context

LATEST, LISTED, FIRST = "IsLatest", "LatestOfType", "OriginalCreationTime"
"""The mark in the document, the facet that the List of contents reads, and a time that only Lists show."""
REFERENCE = "ModelReference"
FIRST_VERSION = "1.0.0"  # Unverified, as what follows a version where none is given

HUB = resource(
    "Hub",
    arn_path="hub",
    lower_arn=False,
    status_member="HubStatus",
    machine=machine(InService=set()),
    sorts={"AccountIdOwner": "AccountIdOwner"},  # of this account's hubs it is the same for all
    derives=("Create", "Describe", "Update", "List", "Delete"),
)


class _Contents(Resource):
    """Contents of hubs; the model has no Create of them to read errors off."""

    def refusal(self, verb: str, text: str, row: Row, **more: str) -> errors.AwsError:  # noqa: ARG002
        return errors.in_use(text.format(noun=self.noun, arn=row.arn, name=row.key, **more))

    def not_found(self, cx: Context, key: str) -> errors.AwsError:
        return super().not_found(cx, "/".join(key.split("/")[:3]))


def _indexed(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if document.get(LATEST):
        yield LISTED, document["HubContentType"]


CONTENT = _Contents(
    "HubContent",
    arn_path="hub-content",
    lower_arn=False,
    key=("HubName", "HubContentType", "HubContentName", "HubContentVersion"),
    parent=HUB,
    in_use="The hub {arn} cannot be deleted: it still has contents ({child}).",  # Unverified
    status_member="HubContentStatus",
    machine=machine(Available=set()),
    filters={"HubContentType": LISTED, "NameContains": "HubContentName", "MaxSchemaVersion": ""},
    indexed=_indexed,
    derives=(),
)


# -- versions


def number_of(member: str, version: str) -> tuple[int, ...]:
    """Return a version's three numbers. ValidationException for one whose separators are none: the model's pattern takes any."""
    parts = version.split(".")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        raise errors.validation(f"{member} must be three numbers with dots between them: {version}")
    return tuple(map(int, parts))


def prefix_of(hub: Row, request: Mapping[str, Any]) -> str:
    """Return what the keys of a content's versions begin with."""
    return f"{hub.key}/{request['HubContentType']}/{request['HubContentName']}"


def keys_of(cx: Context, prefix: str) -> list[str]:
    """Return the keys of a content's versions, the oldest version first."""
    query = select(resources.c.key).where(rows.SCOPE, is_below(resources.c.key, prefix))
    keys = cx.db.execute(query, rows.scope(cx, CONTENT.noun)).scalars()
    return sorted(keys, key=lambda key: number_of("HubContentVersion", key.rpartition("/")[2]))


def version_of(cx: Context, hub: Row, request: Mapping[str, Any]) -> Row:
    """Return the row of a content at a version, the newest without one. ResourceNotFound."""
    prefix = prefix_of(hub, request)
    if "HubContentVersion" in request:
        return CONTENT.get(cx, f"{prefix}/{request['HubContentVersion']}")
    keys = keys_of(cx, prefix)
    if not keys:
        raise CONTENT.not_found(cx, prefix)
    return CONTENT.get(cx, keys[-1])


def store(cx: Context, hub: Row, request: Mapping[str, Any]) -> dict[str, str]:
    """Store a version of a content, and mark it where it is the newest. ResourceInUse for one that is there."""
    prefix = prefix_of(hub, request)
    one_at_a_time(cx.db, f"HubContent {hub.arn} {prefix}")
    keys = keys_of(cx, prefix)
    first = CONTENT.get(cx, keys[-1]).document[FIRST] if keys else cx.clock.now()
    members = {**request, "HubName": hub.key, "HubArn": hub.arn}
    key = f"{prefix}/{request['HubContentVersion']}"
    row = CONTENT.insert(cx, key, members, status="Available", tag_list=request.get("Tags"))
    _mark(cx, row, **{FIRST: first})
    _mark_latest(cx, prefix, keys[-1:])
    return {"HubArn": hub.arn, "HubContentArn": row.arn}


def _mark_latest(cx: Context, prefix: str, before: list[str]) -> None:
    """Move the mark from where it was to the newest version, if there is any."""
    now = keys_of(cx, prefix)[-1:]
    for key, is_latest in [*((key, False) for key in before if key not in now), *((key, True) for key in now)]:
        _mark(cx, CONTENT.get(cx, key), **{LATEST: is_latest})


def _mark(cx: Context, row: Row, **marks: Any) -> None:
    """Write a mark into a document; what people changed of it last stays when it was."""
    rows.update_row(cx, row, replace(row, document={**row.document, **marks}), CONTENT.facets)


# -- operations


@operation("ImportHubContent", acts_on=("HubContent", "Hub"))
def import_hub_content(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Store a version of a content. ValidationException for a document that is no JSON object, ResourceInUse for a taken version."""
    hub = HUB.named(cx, request)
    if request["HubContentType"] == REFERENCE:  # Unverified, as the next one: AWS's wording
        raise errors.validation("A ModelReference is made by CreateHubContentReference.")
    try:
        is_object = isinstance(orjson.loads(request["HubContentDocument"]), dict)
    except ValueError:  # what is nested too deeply, too
        is_object = False
    if not is_object:
        raise errors.validation("HubContentDocument must be a JSON object.")
    number_of("DocumentSchemaVersion", request["DocumentSchemaVersion"])
    one_at_a_time(cx.db, f"HubContent {hub.arn} {prefix_of(hub, request)}")  # before its number is counted
    version = request.get("HubContentVersion") or _following(cx, prefix_of(hub, request))
    number_of("HubContentVersion", version)
    return store(cx, hub, {"SupportStatus": "Supported", **request, "HubContentVersion": version})


def _following(cx: Context, prefix: str) -> str:
    keys = keys_of(cx, prefix)
    if not keys:
        return FIRST_VERSION
    *major, patch = keys[-1].rpartition("/")[2].split(".")
    return ".".join([*major, str(int(patch) + 1)])


@operation("DescribeHubContent")
def describe_hub_content(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a content at a version, the newest without one."""
    row = version_of(cx, HUB.named(cx, request), request)
    return {k: v for k, v in row.document.items() if k in CONTENT.shown}


@operation("UpdateHubContent")
def update_hub_content(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Change what is said of a version. ValidationException for a reference."""
    hub = HUB.named(cx, request)
    if request["HubContentType"] == REFERENCE:  # API reference; AWS's wording unverified
        raise errors.validation("A ModelReference is changed by UpdateHubContentReference.")
    row = version_of(cx, hub, request)
    changes = {k: v for k, v in request.items() if k in CONTENT.shown and k not in CONTENT.key_members}
    return {"HubArn": hub.arn, "HubContentArn": CONTENT.update(cx, row, {**row.document, **changes}).arn}


@operation("DeleteHubContent")
def delete_hub_content(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove a version of a content; the newest of those that are left is shown for it from now on."""
    hub = HUB.named(cx, request)
    one_at_a_time(cx.db, f"HubContent {hub.arn} {prefix_of(hub, request)}")
    row = version_of(cx, hub, request)
    CONTENT.delete(cx, row)
    _mark_latest(cx, prefix_of(hub, request), [])
    return {}


@operation("ListHubContents", is_long=lambda request: "NameContains" in request or "MaxSchemaVersion" in request)
def list_hub_contents(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of the contents of a type, each by its newest version (of those of a schema that is not too new)."""
    if "MaxSchemaVersion" not in request:
        return listing.page(CONTENT, cx, request)
    hub = HUB.named(cx, request)
    newest: dict[str, tuple[tuple[int, ...], str]] = {}
    for row in _up_to_schema(cx, f"{hub.key}/{request['HubContentType']}", request):
        content, _, version = row.key.rpartition("/")
        newest[content] = max(newest.get(content, ((), "")), (number_of("HubContentVersion", version), row.key))
    return _page_among(cx, request, [key for _, key in newest.values()])


@operation("ListHubContentVersions", acts_on=("HubContent", "Hub"))
def list_hub_content_versions(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of the versions of a content. ResourceNotFound without the hub."""
    least = number_of("MinVersion", request.get("MinVersion", "0.0.0"))
    versions = _up_to_schema(cx, prefix_of(HUB.named(cx, request), request), request)
    keys = [row.key for row in versions if number_of("HubContentVersion", row.key.rpartition("/")[2]) >= least]
    return _page_among(cx, request, keys)


def _up_to_schema(cx: Context, prefix: str, request: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the versions below a prefix whose schema is not newer than a request's MaxSchemaVersion."""
    most = number_of("MaxSchemaVersion", request.get("MaxSchemaVersion", "9999.9999.9999"))
    for row in rows.children(cx, CONTENT.noun, prefix):
        if number_of("DocumentSchemaVersion", row.document["DocumentSchemaVersion"]) <= most:
            yield row


def _page_among(cx: Context, request: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    return listing.page(CONTENT, cx, {k: v for k, v in request.items() if k != "HubContentType"}, among=keys)
