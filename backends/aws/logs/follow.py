"""The loop that carries new events through the filters of their groups, to metrics and to subscribers.

Which events a group's filters have seen is written in the same transaction as what came of them: a crash neither loses nor
repeats one. Source of the payload: CloudWatch Logs user guide, "Using subscription filters"; default values count for each
record that does not match, as the guide's example has it.
"""

from __future__ import annotations

import base64
import gzip
import logging
import time
from collections import Counter, defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from backends.aws.logs import filters, pattern, scope
from backends.aws.logs.filters import FOLLOWED, METRIC_FILTERS, SUBSCRIPTIONS
from backends.core import arn as arns
from backends.core import errors, events
from backends.core.loops import every
from backends.core.tables import log_events, log_streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.core.context import Context
    from backends.core.db import Transaction
    from backends.core.kernel import Kernel
    from backends.core.rows import Row

log = logging.getLogger(__name__)
BATCH = 1000
MAX_VALUES, MAX_DATA = 150, 1000
MINUTE_MS = 60_000
TWO_WEEKS_MS = 14 * 86_400_000
SETTLED_MS = 2000
"""On PostgreSQL a lower row id may commit after a higher one: what is younger than this waits for the next turn."""


@every(1.0)
def follow(kernel: Kernel) -> None:
    """Take every followed group as far as there are events; one that is there already costs nothing but this look."""
    groups, newest = kernel.db.read_blocking(partial(_look, kernel))
    for followed in groups:
        cx = kernel.context(followed.account, followed.region)
        try:
            while followed.document["after"] < newest and cx.write(partial(_step, key=followed.key, newest=newest)):
                pass
        except Exception:
            log.exception("the filters of %s cannot be applied", followed.key)


def _look(kernel: Kernel, tx: Transaction) -> tuple[list[Row], int]:
    """Return the followed groups, and the id of the newest event that no other can come before any more."""
    groups = FOLLOWED.everywhere(kernel.context("", "", tx=tx))
    if not groups:
        return groups, 0
    query = select(log_events.c.id).order_by(log_events.c.id.desc()).limit(1)
    if tx.connection.dialect.name == "postgresql":
        query = query.where(log_events.c.ingestion_ms < time.time() * 1000 - SETTLED_MS)
    return groups, tx.connection.execute(query).scalar() or 0


def _step(cx: Context, key: str, newest: int) -> bool:
    """Take one group one batch further; tell whether there is more."""
    followed = FOLLOWED.find(cx, key)
    if followed is None:
        return False
    rows = _new(cx, key, followed.document["after"], newest)
    for document in filters.of_group(cx, METRIC_FILTERS, key):
        _count(cx, document, [row for row in rows if row.id > document.document["after"]])
    for document in filters.of_group(cx, SUBSCRIPTIONS, key):
        _deliver(cx, document, [row for row in rows if row.id > document.document["after"]])
    more = len(rows) == BATCH
    FOLLOWED.change(cx, followed, {"after": rows[-1].id if more else newest})
    return more


def _new(cx: Context, group: str, after: int, newest: int) -> Sequence[Any]:
    query = select(log_events, log_streams.c.name.label("stream")).join_from(
        log_events, log_streams, log_events.c.stream_id == log_streams.c.id
    )
    query = query.where(scope.streams_of(cx, group), log_events.c.id > after, log_events.c.id <= newest)
    return cx.db.execute(query.order_by(log_events.c.id).limit(BATCH)).all()


def _count(cx: Context, document: Row, rows: Sequence[Any]) -> None:
    """Put the metrics of a metric filter."""
    compiled = pattern.compile_pattern(document.document["shown"]["filterPattern"])
    oldest_ms = cx.clock.now() * 1000 - TWO_WEEKS_MS
    fresh = [row for row in rows if row.timestamp_ms > oldest_ms]  # CloudWatch takes no older ones
    for entry in document.document["shown"]["metricTransformations"]:
        counted: dict[tuple[int, tuple[tuple[str, str], ...]], Counter[float]] = defaultdict(Counter)
        for row in fresh:
            made = _made(entry, row.message, compiled.match(row.message))
            if made is not None:
                counted[row.timestamp_ms // MINUTE_MS * 60, made[0]][made[1]] += 1
        _put(cx, entry, counted)


def _made(
    entry: dict[str, Any], message: str, extracted: dict[str, str] | None
) -> tuple[tuple[tuple[str, str], ...], float] | None:
    """Return the dimensions and the value that an event makes, None when it makes none."""
    if extracted is None:
        return None if "defaultValue" not in entry else ((), entry["defaultValue"])
    text = filters.value_of(entry["metricValue"], message, extracted)
    dimensions = {
        name: filters.value_of(value, message, extracted) for name, value in entry.get("dimensions", {}).items()
    }
    if text is None or pattern.NUMBER.fullmatch(text) is None:
        return None
    return tuple(sorted((name, value) for name, value in dimensions.items() if value)), float(text)


def _put(cx: Context, entry: dict[str, Any], counted: dict[Any, Counter[float]]) -> None:
    data = []
    for (at, dimensions), values in counted.items():
        datum: dict[str, Any] = {"MetricName": entry["metricName"], "Timestamp": float(at)}
        datum["Unit"] = entry.get("unit", "None")
        if dimensions:
            datum["Dimensions"] = [{"Name": name, "Value": value} for name, value in dimensions]
        pairs = list(values.items())
        data += [
            datum | {"Values": [v for v, _ in part], "Counts": [float(n) for _, n in part]}
            for part in (pairs[i : i + MAX_VALUES] for i in range(0, len(pairs), MAX_VALUES))
        ]
    for i in range(0, len(data), MAX_DATA):
        request = {"Namespace": entry["metricNamespace"], "MetricData": data[i : i + MAX_DATA]}
        try:
            cx.call("PutMetricData", request, "cloudwatch")
        except errors.AwsError as error:  # a value beyond what CloudWatch takes: AWS drops it too
            log.warning("metric %s of a log filter is refused: %s", entry["metricName"], error)


def _deliver(cx: Context, subscription: Row, rows: Sequence[Any]) -> None:
    """Send what matches to the subscriber: one message for each stream."""
    shown = subscription.document["shown"]
    compiled = pattern.compile_pattern(shown["filterPattern"])
    by_stream: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if compiled.match(row.message) is not None:
            event = {"id": f"{row.id:056d}", "timestamp": row.timestamp_ms, "message": row.message}
            by_stream[row.stream].append(event)
    for stream, matched in by_stream.items():
        document = {
            "messageType": "DATA_MESSAGE",
            "owner": cx.account,
            "logGroup": shown["logGroupName"],
            "logStream": stream,
            "subscriptionFilters": [shown["filterName"]],
            "logEvents": matched,
        }
        zipped = base64.b64encode(gzip.compress(filters.packed(document), mtime=0)).decode()
        source = f"arn:aws:logs:{cx.region}:{cx.account}:log-group:{shown['logGroupName']}:*"
        sender = {"service": "logs.amazonaws.com", "account": cx.account, "arn": source}
        call = {**_call(shown, stream, zipped), "sender": sender}
        events.emit(cx, "AwsCall", shown["destinationArn"], "", "", "", call)


def _call(shown: dict[str, Any], stream: str, zipped: str) -> dict[str, Any]:
    destination = arns.parse(shown["destinationArn"])
    assert destination is not None
    name = destination.resource.partition("/")[2]
    call: dict[str, Any] = {"service": destination.service, "region": destination.region}
    if destination.service == "lambda":
        payload = filters.packed({"awslogs": {"data": zipped}}).decode()
        given = {"FunctionName": shown["destinationArn"], "InvocationType": "Event", "Payload": payload}
        return call | {"operation": "Invoke", "parameters": given}
    if destination.service == "kinesis":
        return call | {"operation": "PutRecord", "parameters": {"StreamName": name, "PartitionKey": stream[:256]},
                       "blobs": {"Data": zipped}}  # fmt: skip
    return call | {"operation": "PutRecord", "parameters": {"DeliveryStreamName": name},
                   "blobs": {"Record.Data": zipped}}  # fmt: skip
