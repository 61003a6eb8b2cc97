"""How an asynchronous invocation ends: an object in S3, a metric, a line in the endpoint's data log, a message to a topic.

An answer that its role may not write is a failure, as one of the container's is. Sources: developer guide "Check prediction
results", "Monitor endpoint" of asynchronous inference (2026-11); the log's form: deepjavalibrary/djl-serving 2567.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from backends.core import events, logstore, metricstore
from backends.core.errors import AwsError
from backends.core.objects import parse_uri, role_access
from backends.endpoints.fleet import fleet_of, log_group

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.work import Item

NAMESPACE = "AWS/SageMaker"
INVOCATION, DOWNLOAD, UPLOAD = "InvocationFailures", "RequestDownloadFailures", "ResponseUploadFailures"
EXPIRED = "ExpiredRequests"
TEST = {"eventVersion": "1.0", "eventSource": "aws:sagemaker", "eventName": "TestNotification"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes an object: its S3 URI (None: there is no place for it), bytes and type.

    `failure` says why an invocation failed (empty: it did not), `metric` is then what counts it.
    """

    place: str | None
    content: bytes
    content_type: str
    failure: str = ""
    metric: str = ""


def failed(accepted: dict[str, Any], text: str, metric: str = INVOCATION) -> Outcome:
    """Return the outcome of an invocation that failed."""
    return Outcome(accepted["failure"], text.encode(), "text/plain", text, metric)


def as_role(cx: Context, endpoint: str) -> Context:
    """Return the context of an endpoint's role: that of the model of its first variant; the account's without one."""
    try:
        name = cx.call("DescribeEndpoint", {"EndpointName": endpoint})["EndpointConfigName"]
        variants = cx.call("DescribeEndpointConfig", {"EndpointConfigName": name})["ProductionVariants"]
        model = cx.call("DescribeModel", {"ModelName": variants[0]["ModelName"]})
    except AwsError:  # deleted since: the account's own is left
        return role_access.as_role(cx, "")
    return role_access.as_role(cx, model.get("ExecutionRoleArn", ""))


def placed(cx: Context, accepted: dict[str, Any], outcome: Outcome) -> Outcome:
    """Return the outcome that can be written: an answer that its role may not write has failed. In a transaction."""
    if not outcome.failure and not _may_write(cx, accepted["endpoint"], outcome.place):
        # Unverified: the sentence.
        text = f"The response could not be uploaded to {outcome.place}: access denied, or no such bucket."
        outcome = failed(accepted, text, UPLOAD)
    if outcome.failure and not _may_write(cx, accepted["endpoint"], outcome.place):
        return Outcome(None, outcome.content, outcome.content_type, outcome.failure, outcome.metric)
    return outcome


def _may_write(cx: Context, endpoint: str, place: str | None) -> bool:
    if place is None:
        return False
    bucket, key = parse_uri(place)
    return role_access.may(as_role(cx, endpoint), bucket, "s3:PutObject", key)


def settle(cx: Context, item: Item, outcome: Outcome, stored: Any) -> None:
    """Record the outcome's object, count and log a failure, notify a topic; in the transaction that removes the item."""
    accepted = item.body
    if outcome.place is not None:
        bucket, key = parse_uri(outcome.place)
        if _may_write(cx, accepted["endpoint"], outcome.place):  # it may have changed since it was asked
            cx.objects.record(cx, bucket, key, stored, {"ContentType": outcome.content_type})
        elif not outcome.failure:
            text = f"The response could not be uploaded to {outcome.place}."
            outcome = failed({**accepted, "failure": None}, text, UPLOAD)
    if outcome.failure:
        _count_and_log(cx, item, outcome)
    topic = (accepted.get("topics") or {}).get("ErrorTopic" if outcome.failure else "SuccessTopic")
    if topic is not None:
        publish(cx, item.key, topic, message_of(cx.region, cx.clock.now(), item, outcome))
    if accepted.get("remove_input"):
        cx.objects.delete(cx, *parse_uri(accepted["input"]))


def _count_and_log(cx: Context, item: Item, outcome: Outcome) -> None:
    endpoint = item.body["endpoint"]
    variant, instance = _served_by(cx, item)
    now = cx.clock.now()
    dimensions = {"EndpointName": endpoint, **({"VariantName": variant} if variant else {})}
    metricstore.append(
        cx, NAMESPACE, dimensions, [{"time": now, "name": outcome.metric, "value": 1.0, "unit": "Count"}]
    )
    stream = "/".join(part for part in (variant, instance, "data-log") if part)
    log = logstore.ensure_stream(cx, log_group(endpoint), stream)
    moment = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    text = " ".join(outcome.failure.split())
    logstore.append(cx, log, [(int(now * 1000), f"{moment}:[sagemaker logs] [{item.body.get('id', '')}] {text}")])


def _served_by(cx: Context, item: Item) -> tuple[str, str]:
    """Return the variant and (the first of its) instances that served a request; empty where there is none."""
    fleet = fleet_of(cx, item.body["endpoint"])
    name = (
        item.kept.get("served_by") or item.body.get("variant") or (fleet.variants[0].name if fleet is not None else "")
    )
    variant = fleet.by_name.get(name) if fleet is not None else None
    return name, variant.instances[0].id if variant is not None and variant.instances else ""


def message_of(region: str, now: float, item: Item, outcome: Outcome) -> dict[str, Any]:
    """Return what a topic is told of an outcome."""
    accepted = item.body
    request = {"contentType": accepted["headers"].get("Content-Type"), "endpointName": accepted["endpoint"]}
    if not accepted.get("remove_input"):
        request["inputLocation"] = accepted["input"]
    told: dict[str, Any] = {
        "awsRegion": region,
        "eventTime": _iso(now),
        "receivedTime": _iso(item.created),
        "invocationStatus": "Failed" if outcome.failure else "Completed",
        "requestParameters": {name: value for name, value in request.items() if value is not None},
    }
    if outcome.failure:  # Unverified: the members of the failure's form.
        told["failureReason"] = outcome.failure
    else:
        told["responseParameters"] = {"contentType": outcome.content_type, "outputLocation": outcome.place}
    return told | {
        "inferenceId": accepted.get("id", ""),
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }


def publish(cx: Context, endpoint_arn: str, topic: str, message: dict[str, Any]) -> None:
    """Have a message published, by an event: another account's topic only where its policy lets SageMaker in."""
    parts = topic.split(":")
    if len(parts) < 6:
        return
    call = {
        "service": "sns",
        "region": parts[3],
        "operation": "Publish",
        "parameters": {"TopicArn": topic, "Message": orjson.dumps(message).decode()},
        "sender": {"service": "sagemaker.amazonaws.com", "account": cx.account, "arn": endpoint_arn},
    }
    there = cx.kernel.context(parts[4], parts[3], tx=cx.tx)
    events.emit(there, "AwsCall", topic, "", "sns", "", call)


def publish_test(cx: Context, endpoint_arn: str, config: dict[str, Any] | None) -> None:
    """Notify each topic of an endpoint's AsyncInferenceConfig that there is one, as CreateEndpoint and UpdateEndpoint do."""
    topics = (config or {}).get("OutputConfig", {}).get("NotificationConfig", {})
    for topic in {topics[name] for name in ("SuccessTopic", "ErrorTopic") if name in topics}:
        publish(cx, endpoint_arn, topic, TEST)


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
