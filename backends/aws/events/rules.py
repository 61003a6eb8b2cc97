"""Rules: what they match, or when they come. Source: EventBridge API reference (2026-11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.aws.events import cron, pattern, publish, scope, timers
from backends.aws.events.scope import DEFAULT, RULES
from backends.core import tags
from backends.core.operation import operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.context import Context
    from backends.core.rows import Row

TIMER = "rule"
SHOWN = (
    "Name", "Arn", "EventPattern", "ScheduleExpression", "State", "Description", "RoleArn", "EventBusName", "CreatedBy"
)  # fmt: skip


@operation("PutRule", service="events")
def put_rule(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make a rule, or change one, whose targets and tags stay. ValidationException, InvalidEventPatternException for bad ones."""
    bus, name = scope.bus_name(cx, request), request["Name"]
    scope.check_role(cx, request)
    following = check(request, bus)
    arn = scope.rule_arn(cx, bus, name)
    old = RULES.find(cx, f"{bus}/{name}")
    document = {k: request[k] for k in SHOWN if k in request}
    document |= {"Arn": arn, "EventBusName": bus, "CreatedBy": cx.account, "State": request.get("State", "ENABLED")}
    document["Targets"] = old.document["Targets"] if old is not None else []
    document["Began"] = old.document["Began"] if old is not None and _is_same(old, document) else cx.clock.now()
    store(cx, document, following)
    if old is None and request.get("Tags"):
        tags.put(cx, arn, request["Tags"])
    return {"RuleArn": arn}


def check(request: dict[str, Any], bus: str) -> Callable[[float, float], float | None] | None:
    """Return what tells a rule's next time, None where it has none. Raise AWS's error for a bad rule."""
    if not request.get("EventPattern") and not request.get("ScheduleExpression"):
        raise scope.invalid("Parameter(s) EventPattern or ScheduleExpression must be specified.")
    if request.get("EventPattern"):
        pattern.compiled(request["EventPattern"])
    if not request.get("ScheduleExpression"):
        return None
    if bus != DEFAULT:
        raise scope.invalid("ScheduleExpression is supported only on the default event bus.")
    try:
        return cron.parse(request["ScheduleExpression"]).following
    except cron.ExpressionError as error:
        raise scope.invalid("Parameter ScheduleExpression is not valid.") from error


def store(
    cx: Context, document: dict[str, Any], following: Callable[[float, float], float | None] | None = None
) -> None:
    """Store a rule, and when it comes next."""
    key = f"{document['EventBusName']}/{document['Name']}"
    RULES.put(cx, key, document["Arn"], document)
    publish.changed(cx)
    if following is not None or "ScheduleExpression" not in document:
        is_due = following is not None and document["State"] != "DISABLED"
        next_at = following(cx.clock.now(), document["Began"]) if is_due and following is not None else None
        timers.put(cx, TIMER, key, next_at)


def _is_same(old: Row, document: dict[str, Any]) -> bool:
    return all(old.document.get(member) == document.get(member) for member in ("ScheduleExpression", "State"))


@operation("DescribeRule", service="events")
def describe_rule(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a rule."""
    return _shown(scope.rule_of(cx, request))


@operation("DeleteRule", service="events")
def delete_rule(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a rule; one that is not there does not matter. ValidationException while it has targets."""
    bus = scope.bus_name(cx, request)
    row = RULES.find(cx, f"{bus}/{request['Name']}")
    if row is not None:
        if row.document["Targets"]:
            raise scope.invalid("Rule can't be deleted since it has targets.")
        RULES.delete(cx, row)
        timers.put(cx, TIMER, row.key, None)
        publish.changed(cx)
    return {}


@operation("EnableRule", service="events")
def enable_rule(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Let a rule match again, or come again from now on."""
    return _set_state(cx, request, "ENABLED")


@operation("DisableRule", service="events")
def disable_rule(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Let a rule match nothing."""
    return _set_state(cx, request, "DISABLED")


def _set_state(cx: Context, request: dict[str, Any], state: str) -> dict[str, Any]:
    row = scope.rule_of(cx, request)
    if row.document["State"] != state:
        document = {**row.document, "State": state, "Began": cx.clock.now()}
        store(cx, document, check(document, document["EventBusName"]))
    return {}


@operation("ListRules", service="events")
def list_rules(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List a bus's rules by name, in pages."""
    bus = scope.bus_name(cx, request)
    prefix = f"{bus}/{request.get('NamePrefix', '')}"
    rows, more = scope.paged(cx, request, f"ListRules {prefix}", lambda *page: RULES.page(cx, prefix, *page))
    return {"Rules": [_shown(row, created_by=False) for row in rows], **more}


@operation("ListRuleNamesByTarget", service="events")
def list_rule_names_by_target(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the names of a bus's rules that have a target, in pages."""
    bus, wanted = scope.bus_name(cx, request), request["TargetArn"]

    def read(after: str | None, size: int) -> list[Row]:
        every = RULES.page(cx, f"{bus}/", after)
        return [row for row in every if any(t["Arn"] == wanted for t in row.document["Targets"])][:size]

    rows, more = scope.paged(cx, request, f"ListRuleNamesByTarget {bus} {wanted}", read)
    return {"RuleNames": [row.document["Name"] for row in rows], **more}


def _shown(row: Row, *, created_by: bool = True) -> dict[str, Any]:
    return {k: row.document[k] for k in SHOWN if k in row.document and (created_by or k != "CreatedBy")}
