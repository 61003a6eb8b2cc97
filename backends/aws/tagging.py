"""Resource Groups Tagging API: tags of all that is here, by ARN. Ours come first, then what moto answers for its services.

S3's buckets, log groups and repositories have tags of their own APIs only. Source: API reference (2026-11).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from backends.core import arn as arns
from backends.core import calls, errors, other_services, paging
from backends.core.operation import operation
from backends.core.tables import resources, tags

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.core.context import Context

SERVICE = "resourcegroupstaggingapi"
DEFAULT_PAGE = 50
OURS = "sagemaker"


@operation("GetResources", service="resourcegroupstaggingapi")
async def get_resources(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of resources with their tags: ours in the order of their ARNs, behind them moto's."""
    size = request.get("ResourcesPerPage", DEFAULT_PAGE)
    binding = paging.binding_of("GetResources", {k: v for k, v in request.items() if k != "PaginationToken"})
    token = request.get("PaginationToken", "")
    after, others = paging.read_token(cx, token, binding) if token else ("", "")
    page = [] if others else await cx.read(lambda inside: _tagged(inside, request, after))
    answer: dict[str, Any] = {"ResourceTagMappingList": page[:size], "PaginationToken": ""}
    if len(page) > size:
        answer["PaginationToken"] = paging.write_token(cx, [page[size - 1]["ResourceARN"], ""], binding)
    elif len(page) < size:
        wanted = {**request, "PaginationToken": others}
        wanted |= {"ResourcesPerPage": size - len(page)} if "ResourcesPerPage" in request else {}
        theirs = await _send(cx, "GetResources", wanted)
        answer["ResourceTagMappingList"] = [*page, *theirs.get("ResourceTagMappingList", ())]
        if following := theirs.get("PaginationToken"):
            answer["PaginationToken"] = paging.write_token(cx, ["", following], binding)
    elif page:
        answer["PaginationToken"] = paging.write_token(cx, [page[-1]["ResourceARN"], ""], binding)
    return answer


@operation("GetTagKeys", service="resourcegroupstaggingapi")
async def get_tag_keys(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return every key that some resource has, on one page."""
    theirs = await _send(cx, "GetTagKeys", request)
    own = await cx.read(lambda inside: {key for _, key, _ in _rows(inside)})
    return {"TagKeys": sorted(own.union(theirs.get("TagKeys", ()))), "PaginationToken": ""}


@operation("GetTagValues", service="resourcegroupstaggingapi")
async def get_tag_values(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return every value that some resource has for a key, on one page."""
    theirs = await _send(cx, "GetTagValues", request)
    own = await cx.read(lambda inside: {value for _, key, value in _rows(inside) if key == request["Key"]})
    return {"TagValues": sorted(own.union(theirs.get("TagValues", ()))), "PaginationToken": ""}


@operation("TagResources", service="resourcegroupstaggingapi")
async def tag_resources(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add tags to each resource; what is refused stands in FailedResourcesMap."""
    given = [{"Key": key, "Value": value} for key, value in request["Tags"].items()]
    return await _on_each(cx, request, "TagResources", lambda arn: ("AddTags", {"ResourceArn": arn, "Tags": given}))


@operation("UntagResources", service="resourcegroupstaggingapi")
async def untag_resources(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove tags from each resource; what is refused stands in FailedResourcesMap."""
    keys = request["TagKeys"]
    return await _on_each(
        cx, request, "UntagResources", lambda arn: ("DeleteTags", {"ResourceArn": arn, "TagKeys": keys})
    )


async def _on_each(
    cx: Context, request: Mapping[str, Any], name: str, own: Callable[[str], tuple[str, dict[str, Any]]]
) -> dict[str, Any]:
    failed: dict[str, Any] = {}
    for arn in request["ResourceARNList"]:
        try:
            await _one(cx, request, name, arn, own)
        except errors.AwsError as error:
            code = "InvalidParameterException" if error.status < 500 else "InternalServiceException"
            failed[arn] = {"StatusCode": error.status, "ErrorCode": code, "ErrorMessage": error.message}
    return {"FailedResourcesMap": failed}


async def _one(
    cx: Context, request: Mapping[str, Any], name: str, arn: str, own: Callable[[str], tuple[str, dict[str, Any]]]
) -> None:
    parsed = arns.parse(arn)
    if parsed is None or parsed.account not in {"", cx.account}:  # Unverified: AWS's wording
        raise errors.validation(f"{arn} is no resource of this account.")
    if parsed.service == OURS:
        await cx.transact(lambda inside: calls.judge(inside, *own(arn)))
        await cx.call_async(*own(arn))
    else:
        await _send(cx, name, {**request, "ResourceARNList": [arn]})


async def _send(cx: Context, name: str, request: Mapping[str, Any]) -> dict[str, Any]:
    return await asyncio.wrap_future(other_services.call(cx, SERVICE, name, dict(request)))


def _rows(cx: Context) -> list[Any]:
    """Read (ARN, key, value) of every tag of the caller's account and region, in the order of ARNs."""
    own = (resources.c.account == cx.account, resources.c.region == cx.region)
    query = select(tags.c.arn, tags.c.key, tags.c.value).join(resources, resources.c.arn == tags.c.arn).where(*own)
    return list(cx.db.execute(query.order_by(tags.c.arn, tags.c.key)).all())


def _tagged(cx: Context, request: Mapping[str, Any], after: str) -> list[dict[str, Any]]:
    """Return our resources behind an ARN that a request is about."""
    by_arn: dict[str, dict[str, str]] = {}
    for arn, key, value in _rows(cx):
        by_arn.setdefault(arn, {})[key] = value
    return [
        {"ResourceARN": arn, "Tags": [{"Key": key, "Value": value} for key, value in own.items()]}
        for arn, own in by_arn.items()
        if arn > after and _is_wanted(request, arn, own)
    ]


def _is_wanted(request: Mapping[str, Any], arn: str, own: Mapping[str, str]) -> bool:
    parsed = arns.parse(arn)
    assert parsed is not None
    kinds = (parsed.service, f"{parsed.service}:{parsed.resource.partition('/')[0]}")
    return (
        all(
            each["Key"] in own and own[each["Key"]] in (each.get("Values") or own.values())
            for each in request.get("TagFilters", ())
        )
        and (not request.get("ResourceTypeFilters") or any(kind in request["ResourceTypeFilters"] for kind in kinds))
        and (not request.get("ResourceARNList") or arn in request["ResourceARNList"])
    )
