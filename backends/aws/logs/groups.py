"""Log groups: their life, retention and tags. Source: CloudWatch Logs API reference (2026-11)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update

from backends.aws.logs import filters, scope
from backends.core import arn as arns
from backends.core import errors, logstore, tags
from backends.core.dialects import begins
from backends.core.loops import every
from backends.core.operation import operation
from backends.core.tables import log_events, log_groups, log_streams
from backends.core.tables import tags as tag_rows

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.db import Transaction
    from backends.core.kernel import Kernel

PAGE = 50
DAY_MS = 86_400_000
RETENTIONS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)


@operation("CreateLogGroup", service="logs")
def create_log_group(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a group. ResourceAlreadyExistsException when it is there."""
    if scope.group(cx, request["logGroupName"]) is not None:
        raise scope.exists("The specified log group already exists")
    for name in ("kmsKeyId", "deletionProtectionEnabled"):
        if request.get(name):
            raise errors.not_implemented(f"logs: {name}")
    if request.get("logGroupClass", "STANDARD") != "STANDARD":
        raise errors.not_implemented("logs: log group classes but STANDARD")
    logstore.ensure_group(cx, request["logGroupName"])
    if request.get("tags"):
        _put_tags(cx, arn_of(cx, request["logGroupName"]), request["tags"])
    return {}


@operation("DeleteLogGroup", service="logs")
def delete_log_group(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a group with its streams, events, filters and tags."""
    name = scope.existing_group(cx, request)
    streams = select(log_streams.c.id).where(scope.streams_of(cx, name))
    cx.db.execute(delete(log_events).where(log_events.c.stream_id.in_(streams)))
    cx.db.execute(delete(log_streams).where(scope.streams_of(cx, name)))
    cx.db.execute(delete(log_groups).where(scope.groups_of(cx), log_groups.c.name == name))
    filters.delete_all(cx, name)
    filters.rewind(cx)
    tags.remove_all(cx, arn_of(cx, name))
    return {}


@operation("DescribeLogGroups", service="logs")
def describe_log_groups(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List groups by name, in pages."""
    query = select(log_groups).where(scope.groups_of(cx)).order_by(log_groups.c.name)
    if "logGroupNamePrefix" in request:
        query = query.where(begins(log_groups.c.name, request["logGroupNamePrefix"]))
    if request.get("logGroupNamePattern"):  # LIKE would fold case on SQLite
        query = query.where(func.replace(log_groups.c.name, request["logGroupNamePattern"], "") != log_groups.c.name)
    if "nextToken" in request:
        query = query.where(log_groups.c.name > request["nextToken"])
    size = request.get("limit", PAGE)
    rows = cx.db.execute(query.limit(size + 1)).all()
    answer: dict[str, Any] = {"logGroups": [_shown_group(cx, row) for row in rows[:size]]}
    if len(rows) > size:
        answer["nextToken"] = rows[size - 1].name
    return answer


@operation("PutRetentionPolicy", service="logs")
def put_retention_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Keep a group's events for some days; InvalidParameterException for a number that is none of AWS's."""
    if request["retentionInDays"] not in RETENTIONS:
        raise scope.invalid(
            f"1 validation error detected: Value '{request['retentionInDays']}' at 'retentionInDays' failed "
            f"to satisfy constraint: Member must satisfy enum value set: {list(RETENTIONS)}"
        )
    return _set_retention(cx, request, request["retentionInDays"])


@operation("DeleteRetentionPolicy", service="logs")
def delete_retention_policy(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Take a group's retention away."""
    return _set_retention(cx, request, None)


def _set_retention(cx: Context, request: dict[str, Any], days: int | None) -> dict[str, Any]:
    name = scope.existing_group(cx, request)
    cx.db.execute(update(log_groups).where(scope.groups_of(cx), log_groups.c.name == name), {"retention_days": days})
    return {}


def _shown_group(cx: Context, row: Any) -> dict[str, Any]:
    arn = arn_of(cx, row.name)
    shown = {
        "logGroupName": row.name,
        "creationTime": int(row.created * 1000),
        "metricFilterCount": filters.count_metric_filters(cx, row.name),
        "arn": f"{arn}:*",
        "logGroupArn": arn,
        "logGroupClass": "STANDARD",
    }
    return shown | ({"retentionInDays": row.retention_days} if row.retention_days is not None else {})


def arn_of(cx: Context, name: str) -> str:
    """Return a group's ARN, without the `:*` that older answers end in."""
    return arns.make("logs", cx.region, cx.account, f"log-group:{name}")


@operation("TagResource", "UntagResource", "ListTagsForResource", service="logs")
def tag_resource(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add tags to a group, by its ARN, remove some, or return them."""
    return tags.answer(cx, _tagged(cx, request), request, ("tags", "tagKeys"), _put_tags, dict)


@operation("TagLogGroup", "ListTagsLogGroup", service="logs")
def tag_log_group(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add tags to a group, by its name, or return them."""
    arn = arn_of(cx, scope.existing_group(cx, request))
    return tags.answer(cx, arn, request, ("tags", ""), _put_tags, dict)


@operation("UntagLogGroup", service="logs")
def untag_log_group(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove tags from a group by name."""
    tags.remove(cx, arn_of(cx, scope.existing_group(cx, request)), request["tags"])
    return {}


def _put_tags(cx: Context, arn: str, given: dict[str, str]) -> None:
    try:
        tags.put(cx, arn, [{"Key": key, "Value": value} for key, value in given.items()])
    except errors.AwsError as error:
        raise scope.invalid(error.message) from error


def _tagged(cx: Context, request: dict[str, Any]) -> str:
    arn: str = request["resourceArn"].removesuffix(":*")
    named = arns.parse(arn)
    name = named.resource.removeprefix("log-group:") if named is not None else ""
    if arn != arn_of(cx, name) or scope.group(cx, name) is None:
        raise scope.missing("The specified resource does not exist.")
    return arn


@every(3.0)
def forget_expired(kernel: Kernel) -> None:
    """Delete the events that are older than their group keeps them, on each account's own clock."""
    kept = log_groups.c.retention_days.is_not(None)
    groups = kernel.db.read_blocking(lambda tx: tx.connection.execute(select(log_groups).where(kept)).all())
    for group in groups:
        before_ms = int(kernel.clocks.now(group.account) * 1000) - group.retention_days * DAY_MS
        cx = kernel.context(group.account, group.region)
        if cx.look(partial(_expired, name=group.name, before_ms=before_ms)):
            cx.write(partial(_expire, name=group.name, before_ms=before_ms))


def _expired(cx: Context, name: str, before_ms: int) -> bool:
    oldest = select(func.min(log_streams.c.first_event_ms)).where(scope.streams_of(cx, name))
    first = cx.db.execute(oldest).scalar()
    return first is not None and first < before_ms


def _expire(cx: Context, name: str, before_ms: int) -> None:
    """Delete, and write the streams' first times anew, which is where the next look sees that nothing is left to do."""
    ids = select(log_streams.c.id).where(scope.streams_of(cx, name), log_streams.c.first_event_ms < before_ms)
    for stream_id in cx.db.execute(ids).scalars().all():
        of_stream = log_events.c.stream_id == stream_id
        cx.db.execute(delete(log_events).where(of_stream, log_events.c.timestamp_ms < before_ms))
        first = cx.db.execute(select(func.min(log_events.c.timestamp_ms)).where(of_stream)).scalar()
        cx.db.execute(update(log_streams).where(log_streams.c.id == stream_id).values(first_event_ms=first))
    filters.rewind(cx)


def reset(kernel: Kernel, account: str | None) -> None:
    """Forget the tags of an account's groups: they hang on ARNs, not on rows of `resources`."""
    if account is not None:
        kernel.db.write_blocking(partial(_forget_tags, account=account))


def after_reset(kernel: Kernel, account: str | None) -> None:
    """Let the filters of the other accounts go on where their events now end."""
    if account is not None:
        kernel.context(account, "").write(filters.rewind)


def _forget_tags(tx: Transaction, account: str) -> None:
    is_own = tag_rows.c.arn.like(f"arn:%:logs:%:{account}:log-group:%")
    tx.connection.execute(delete(tag_rows).where(is_own))
