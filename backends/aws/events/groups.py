"""EventBridge Scheduler's groups and their tags. Source: Scheduler API reference (2026-11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.aws.events import scope, timers
from backends.aws.events.schedules import DEFAULT, GROUPS, SCHEDULES, TIMER, check_group, group_arn
from backends.core import errors, tags
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.rows import Row


@operation("CreateScheduleGroup", service="scheduler")
def create_schedule_group(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a group. ConflictException for a name that is taken."""
    name = request["Name"]
    if name == DEFAULT or GROUPS.find(cx, name) is not None:
        raise errors.conflict(f"Schedule group {name} already exists.")
    arn = group_arn(cx, name)
    GROUPS.put(cx, name, arn, {"Name": name, "Arn": arn, "State": "ACTIVE"})
    if request.get("Tags"):
        tags.put(cx, arn, request["Tags"])
    return {"ScheduleGroupArn": arn}


@operation("GetScheduleGroup", service="scheduler")
def get_schedule_group(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a group; the default one is always there."""
    name = check_group(cx, request["Name"])
    row = GROUPS.find(cx, name)
    return _shown(row) if row is not None else _default(cx)


@operation("DeleteScheduleGroup", service="scheduler")
def delete_schedule_group(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a group with its schedules. ValidationException for the default one."""
    name = check_group(cx, request["Name"])
    row = GROUPS.find(cx, name)
    if row is None:
        raise scope.invalid("Deleting default schedule group is not allowed.")  # Unverified: AWS's words
    for schedule in SCHEDULES.page(cx, f"{name}/"):
        SCHEDULES.delete(cx, schedule)
        timers.put(cx, TIMER, schedule.key, None)
    GROUPS.delete(cx, row)
    return {}


@operation("ListScheduleGroups", service="scheduler")
def list_schedule_groups(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List groups by name, the default one first, in pages."""
    prefix = request.get("NamePrefix", "")
    rows, more = scope.paged(
        cx, request, f"ListScheduleGroups {prefix}", lambda *page: GROUPS.page(cx, prefix, *page), "MaxResults"
    )
    shown = [_shown(row) for row in rows]
    if "NextToken" not in request and DEFAULT.startswith(prefix):
        shown = [_default(cx), *shown]
    return {"ScheduleGroups": shown, **more}


@operation("TagResource", "UntagResource", "ListTagsForResource", service="scheduler")
def tag_resource(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Add tags to a group, remove some, or return them. ResourceNotFoundException for what is not there."""
    arn = request["ResourceArn"]
    kind, _, name = scope.check_own(cx, arn).resource.partition("/")
    if kind != "schedule-group":
        raise scope.invalid(f"Invalid resource ARN {arn}: only schedule groups have tags.")
    check_group(cx, name)
    return tags.answer(cx, arn, request, ("Tags", "TagKeys"))


def _default(cx: Context) -> dict[str, Any]:
    return {"Name": DEFAULT, "Arn": group_arn(cx, DEFAULT), "State": "ACTIVE"}


def _shown(row: Row) -> dict[str, Any]:
    return {**row.document, "CreationDate": row.created, "LastModificationDate": row.created}
