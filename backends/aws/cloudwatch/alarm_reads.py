"""DescribeAlarms and what else reads alarms; the end of their history. Source: CloudWatch API reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import and_, or_, select

from backends.aws.cloudwatch import refusals, retention, rules
from backends.aws.cloudwatch.alarm_store import ALARMS, COMPOSITE, METRIC, type_of
from backends.aws.cloudwatch.tables import alarm_history
from backends.core import paging
from backends.core.loops import every
from backends.core.operation import operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backends.core.context import Context
    from backends.core.kernel import Kernel
    from backends.core.rows import Row

PAGE, HISTORY_PAGE = 50, 100
HISTORY_S = 30 * 86400
ACTION_LISTS = ("AlarmActions", "OKActions", "InsufficientDataActions")


@operation("DescribeAlarms", service="cloudwatch")
def describe_alarms(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List alarms by name; metric alarms unless AlarmTypes says otherwise."""
    if "AlarmNames" in request and "AlarmNamePrefix" in request:
        raise refusals.validation("AlarmNames and AlarmNamePrefix must not both be specified.")  # Unverified: wording
    related = {"ChildrenOfAlarmName", "ParentsOfAlarmName"} & request.keys()
    if related:
        return _related(cx, request, related.pop())
    binding = b"DescribeAlarms" + orjson.dumps({k: v for k, v in request.items() if k not in paging.PAGING})
    after = refusals.read_token(cx, request["NextToken"], binding)[0] if "NextToken" in request else None
    size = request.get("MaxRecords", PAGE)
    alarms: list[Row] = []
    for alarm in _matching(cx, request, after):
        if len(alarms) == size:
            return _shown(alarms) | {"NextToken": paging.write_token(cx, [alarms[-1].key], binding)}
        alarms.append(alarm)
    return _shown(alarms)


def _matching(cx: Context, request: dict[str, Any], after: str | None) -> Iterator[Row]:
    names = request.get("AlarmNames")
    types = request.get("AlarmTypes") or ([METRIC] if names is None else [METRIC, COMPOSITE])
    prefix = request.get("ActionPrefix", "")
    for alarm in ALARMS.page(cx, request.get("AlarmNamePrefix", ""), after):
        targets = [target for key in ACTION_LISTS for target in alarm.document.get(key, [])]
        if (
            type_of(alarm.document) in types
            and (names is None or alarm.key in names)
            and request.get("StateValue", alarm.status) == alarm.status
            and (not prefix or any(target.startswith(prefix) for target in targets))
        ):
            yield alarm


def _related(cx: Context, request: dict[str, Any], member: str) -> dict[str, Any]:
    if request.keys() - {member, "MaxRecords", "NextToken"}:
        raise refusals.validation(f"{member} cannot be combined with other filters.")  # Unverified: wording
    named = ALARMS.find(cx, request[member])
    if named is None:
        raise refusals.not_found()
    if member == "ChildrenOfAlarmName":
        children = rules.parse(named.document["AlarmRule"]).children if type_of(named.document) == COMPOSITE else ()
        return _shown([alarm for name in sorted(children) if (alarm := ALARMS.find(cx, name)) is not None])
    composites = [alarm for alarm in ALARMS.page(cx) if type_of(alarm.document) == COMPOSITE]
    return _shown([alarm for alarm in composites if named.key in rules.parse(alarm.document["AlarmRule"]).children])


def _shown(alarms: list[Row]) -> dict[str, Any]:
    return {
        f"{kind}s": [alarm.document for alarm in alarms if type_of(alarm.document) == kind]
        for kind in (METRIC, COMPOSITE)
    }


@operation("DescribeAlarmsForMetric", service="cloudwatch")
def describe_alarms_for_metric(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List the alarms on one metric, with exactly these dimensions."""
    dimensions = refusals.dimensions(request.get("Dimensions", []))
    same = [
        key for key in ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Unit") if key in request
    ]
    alarms = [
        alarm.document
        for alarm in ALARMS.page(cx)
        if all(alarm.document.get(key) == request[key] for key in same)
        and refusals.dimensions(alarm.document.get("Dimensions", [])) == dimensions
    ]
    return {"MetricAlarms": alarms}


@operation("DescribeAlarmHistory", service="cloudwatch")
def describe_alarm_history(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List what happened to alarms, the newest first unless asked."""
    table = alarm_history.c
    binding = b"DescribeAlarmHistory" + orjson.dumps({k: v for k, v in request.items() if k not in paging.PAGING})
    oldest_first = request.get("ScanBy") == "TimestampAscending"
    conditions = [table.account == cx.account, table.region == cx.region]
    conditions += [
        column == request[member]
        for member, column in (("AlarmName", table.alarm), ("HistoryItemType", table.item_type))
        if member in request
    ]
    conditions.append(table.alarm_type.in_(request.get("AlarmTypes") or [METRIC, COMPOSITE]))
    conditions.append(table.time >= request.get("StartDate", cx.clock.now() - HISTORY_S))
    if "EndDate" in request:
        conditions.append(table.time <= request["EndDate"])
    if "NextToken" in request:
        at, row_id = refusals.read_token(cx, request["NextToken"], binding)
        beyond = (table.time > at, table.id > row_id) if oldest_first else (table.time < at, table.id < row_id)
        conditions.append(or_(beyond[0], and_(table.time == at, beyond[1])))
    order = (table.time, table.id) if oldest_first else (table.time.desc(), table.id.desc())
    size = request.get("MaxRecords", HISTORY_PAGE)
    rows = cx.db.execute(select(alarm_history).where(*conditions).order_by(*order).limit(size + 1)).all()
    answer: dict[str, Any] = {"AlarmHistoryItems": [_item(row) for row in rows[:size]]}
    if len(rows) > size:
        answer["NextToken"] = paging.write_token(cx, [rows[size - 1].time, rows[size - 1].id], binding)
    return answer


def _item(row: Any) -> dict[str, Any]:
    return {
        "AlarmName": row.alarm,
        "AlarmType": row.alarm_type,
        "Timestamp": row.time,
        "HistoryItemType": row.item_type,
        "HistorySummary": row.summary,
        "HistoryData": row.data,
    }


@every(3600.0)
def forget_history(kernel: Kernel) -> None:
    """Delete what is older than CloudWatch keeps history, on each account's own clock."""
    retention.forget_old(kernel, alarm_history, HISTORY_S)
