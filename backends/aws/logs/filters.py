"""Metric filters and subscription filters: kept as documents, applied by `follow.py`. Source: CloudWatch Logs API reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import func, select

from backends.aws.logs import pattern, scope
from backends.core import arn as arns
from backends.core import errors
from backends.core.documents import Documents
from backends.core.operation import operation
from backends.core.tables import log_events

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.rows import Row

METRIC_FILTERS = Documents("LogsMetricFilter")
SUBSCRIPTIONS = Documents("LogsSubscriptionFilter")
FOLLOWED = Documents("LogsFollowed")
"""One for each group that has filters: up to which event (row id) they have seen it."""

PAGE = 50
MOST_METRIC_FILTERS, MOST_SUBSCRIPTIONS = 100, 2
DESTINATIONS = frozenset({"lambda", "kinesis", "firehose"})
NOT_BUILT = ("applyOnTransformedLogs", "fieldSelectionCriteria", "emitSystemFieldDimensions", "emitSystemFields")


def key_of(group: str, name: str) -> str:
    """Return the key of a filter; a group's name has no colon."""
    return f"{group}:{name}"


@operation("PutMetricFilter", service="logs")
def put_metric_filter(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make or replace a filter whose matches become a metric."""
    group = _checked(cx, request)
    compiled = pattern.compile_pattern(request["filterPattern"])
    for entry in request["metricTransformations"]:
        _check_transformation(entry, compiled, request["filterPattern"])
    _put(cx, METRIC_FILTERS, group, request, MOST_METRIC_FILTERS)
    return {}


def _checked(cx: Context, request: dict[str, Any]) -> str:
    for name in NOT_BUILT:
        if request.get(name):
            raise errors.not_implemented(f"logs: {name}")
    return scope.existing_group(cx, request)


def _check_transformation(entry: dict[str, Any], compiled: pattern.Pattern, text: str) -> None:
    if entry["metricNamespace"].startswith("AWS/"):
        raise scope.invalid(f"Invalid metric transformation: reserved namespace {entry['metricNamespace']}.")
    if "defaultValue" in entry and entry.get("dimensions"):
        raise scope.invalid(
            "Invalid metric transformation: dimensions and default value are mutually exclusive properties."
        )
    named = [entry["metricValue"], *entry.get("dimensions", {}).values()]
    if len(named) > 4:
        raise scope.invalid("Invalid metric transformation: at most 3 dimensions.")  # Unverified: wording
    structured = compiled.by_fields or text.strip().startswith("{")
    for value in named:
        if value.startswith("$") and not structured:
            raise scope.invalid(f"Invalid metric transformation: {value} names nothing in the pattern.")
    if not named[0].startswith("$") and pattern.NUMBER.fullmatch(named[0]) is None:
        raise scope.invalid(f"Invalid metricValue: {named[0]}")  # Unverified: wording


def _put(cx: Context, kind: Documents, group: str, request: dict[str, Any], most: int) -> None:
    key = key_of(group, request["filterName"])
    before = kind.find(cx, key)
    if before is None and len(kind.page(cx, key_of(group, ""))) >= most:
        raise errors.AwsError("LimitExceededException", "Resource limit exceeded.")
    shown = {name: value for name, value in request.items() if name not in NOT_BUILT}
    shown |= {"logGroupName": group, "creationTime": int(cx.clock.now() * 1000)}
    after = cx.db.execute(select(func.max(log_events.c.id))).scalar() or 0
    kind.put(cx, key, "", {"shown": shown, "after": after if before is None else before.document["after"]})
    if FOLLOWED.find(cx, group) is None:
        FOLLOWED.put(cx, group, "", {"after": after})


@operation("PutSubscriptionFilter", service="logs")
def put_subscription_filter(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make or replace a filter whose matches go to a Lambda function, a Kinesis stream or a Firehose stream."""
    group = _checked(cx, request)
    pattern.compile_pattern(request["filterPattern"])
    destination = arns.parse(request["destinationArn"])
    if destination is None:
        raise scope.invalid("Invalid destinationArn")  # Unverified: wording
    if destination.service not in DESTINATIONS:
        raise errors.not_implemented(f"logs: subscriptions of {destination.service}")
    if destination.account != cx.account:  # across accounts there are only Logs' own destinations. Unverified: wording
        raise scope.invalid("destinationArn must be of the account of the subscription filter")
    if destination.service != "lambda" and "roleArn" not in request:
        raise scope.invalid("destinationArn for vendor kinesis cannot be used without roleArn")
    _put(cx, SUBSCRIPTIONS, group, {"distribution": "ByLogStream"} | request, MOST_SUBSCRIPTIONS)
    return {}


@operation("DescribeMetricFilters", service="logs")
def describe_metric_filters(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List metric filters of a group, or of all, or those that make a metric."""
    if ("metricName" in request) != ("metricNamespace" in request):
        raise scope.invalid("metricName and metricNamespace must be specified together.")  # Unverified: wording
    metric = (request.get("metricNamespace"), request.get("metricName"))

    def makes_it(document: Row) -> bool:
        made = [(e["metricNamespace"], e["metricName"]) for e in document.document["shown"]["metricTransformations"]]
        return metric == (None, None) or metric in made

    documents, token = _listed(cx, METRIC_FILTERS, request)
    return {"metricFilters": [entry.document["shown"] for entry in documents if makes_it(entry)]} | token


@operation("DescribeSubscriptionFilters", service="logs")
def describe_subscription_filters(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List a group's subscription filters."""
    documents, token = _listed(cx, SUBSCRIPTIONS, request)
    return {"subscriptionFilters": [entry.document["shown"] for entry in documents]} | token


def _listed(cx: Context, kind: Documents, request: dict[str, Any]) -> tuple[list[Row], dict[str, str]]:
    prefix = ""
    if "logGroupName" in request:
        prefix = key_of(scope.existing_group(cx, request), request.get("filterNamePrefix", ""))
    size = request.get("limit", PAGE)
    documents = kind.page(cx, prefix, request.get("nextToken"), size + 1)
    return documents[:size], ({"nextToken": documents[size - 1].key} if len(documents) > size else {})


@operation("DeleteMetricFilter", service="logs")
def delete_metric_filter(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a metric filter; ResourceNotFoundException when there is none."""
    return _delete(cx, METRIC_FILTERS, request, "metric")


@operation("DeleteSubscriptionFilter", service="logs")
def delete_subscription_filter(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a subscription filter; ResourceNotFoundException when there is none."""
    return _delete(cx, SUBSCRIPTIONS, request, "subscription")


def _delete(cx: Context, kind: Documents, request: dict[str, Any], what: str) -> dict[str, Any]:
    group = scope.existing_group(cx, request)
    document = kind.find(cx, key_of(group, request["filterName"]))
    if document is None:
        raise scope.missing(f"The specified {what} filter does not exist.")
    kind.delete(cx, document)
    followed = FOLLOWED.find(cx, group)
    if followed is not None and not (of_group(cx, METRIC_FILTERS, group) or of_group(cx, SUBSCRIPTIONS, group)):
        FOLLOWED.delete(cx, followed)
    return {}


def delete_all(cx: Context, group: str) -> None:
    """Delete what hangs on a group that is deleted."""
    for document in (*of_group(cx, METRIC_FILTERS, group), *of_group(cx, SUBSCRIPTIONS, group)):
        METRIC_FILTERS.delete(cx, document)
    followed = FOLLOWED.find(cx, group)
    if followed is not None:
        FOLLOWED.delete(cx, followed)


def rewind(cx: Context) -> None:
    """Follow deletions of the newest events: SQLite gives their row ids to the next ones, which must be seen too."""
    newest = cx.db.execute(select(func.max(log_events.c.id))).scalar() or 0
    for kind in (FOLLOWED, METRIC_FILTERS, SUBSCRIPTIONS):
        for document in kind.everywhere(cx):
            if document.document["after"] > newest:
                kind.change(cx, document, document.document | {"after": newest})


def of_group(cx: Context, kind: Documents, group: str) -> list[Row]:
    """Return a group's filters of one kind."""
    return kind.page(cx, key_of(group, ""))


def count_metric_filters(cx: Context, group: str) -> int:
    """Count a group's metric filters."""
    return len(of_group(cx, METRIC_FILTERS, group))


@operation("TestMetricFilter", service="logs", reads=True)
def test_metric_filter(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Try a pattern on some messages."""
    del cx
    compiled = pattern.compile_pattern(request["filterPattern"])
    matches = [
        {"eventNumber": number, "eventMessage": message, "extractedValues": extracted}
        for number, message in enumerate(request["logEventMessages"], 1)
        if (extracted := compiled.match(message)) is not None
    ]
    return {"matches": matches}


def value_of(name: str, message: str, extracted: dict[str, str]) -> str | None:
    """Return what `$.latency` or `$bytes` stands for in a message that matched; any other text stands for itself."""
    if not name.startswith("$"):
        return name
    if not name.startswith(("$.", "$[")):
        return extracted.get(name)
    values = pattern.select(pattern.read_json(message), name)
    return pattern.as_text(values[0]) if values and not isinstance(values[0], dict | list) else None


def packed(document: dict[str, Any]) -> bytes:
    """Write a document as subscribers get it, before it is zipped."""
    return orjson.dumps(document)
