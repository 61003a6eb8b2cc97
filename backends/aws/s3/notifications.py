"""Notifications: a bucket's configuration, and the delivery of what `notices` writes to SQS, SNS, Lambda and EventBridge.

An object's event becomes `AwsCall` events, in the transaction that ends its delivery: whoever answers for those services
(moto) makes each call at least once, through any crash.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING, Any

from backends.aws.s3 import access, failures, notices
from backends.aws.s3.notices import BRIDGE, KINDS, SETTING
from backends.core import events, other_services
from backends.core.events import on
from backends.core.objects.index import EVENT
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.events import Event
    from backends.core.objects import Bucket

SENT = ("s3:ObjectCreated:", "s3:ObjectRemoved:", "s3:LifecycleExpiration:", "s3:ObjectTagging:")
CHECKS = {"sqs": "GetQueueAttributes", "sns": "GetTopicAttributes", "lambda": "GetFunction"}


@operation("GetBucketNotificationConfiguration", service="s3")
def get_bucket_notification_configuration(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return whom a bucket tells; nothing where it tells nobody."""
    return dict(access.bucket_of(cx, request, "s3:GetBucketNotification").settings.get(SETTING, {}))


@operation("PutBucketNotificationConfiguration", service="s3")
async def put_bucket_notification_configuration(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Replace whom a bucket tells, and send each queue and topic the test event, which shows that it is there."""
    bucket = await cx.read(lambda inside: access.bucket_of(inside, request, "s3:PutBucketNotification"))
    document = _checked(bucket, request[SETTING])
    unchecked = bool(request.get("SkipDestinationValidation"))
    if not unchecked:
        for kind, (arn, service) in KINDS.items():
            for entry in document.get(kind, []):
                await _check_destination(cx, bucket, service, entry[arn], arn)

    def configure(inside: Context) -> None:
        within = access.bucket_of(inside, request, "s3:PutBucketNotification")
        inside.objects.configure(inside, within.name, SETTING, document or None)
        test = notices.test_message(within.name, inside.request_id)
        for kind, (arn, service) in KINDS.items():
            for entry in document.get(kind, []) if service != "lambda" and not unchecked else ():
                _call(inside, within, service, entry[arn], test)

    await cx.transact(configure)
    return {}


def _checked(bucket: Bucket, document: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with an id everywhere; raise what S3 says about a wrong one."""
    checked: dict[str, Any] = {BRIDGE: {}} if BRIDGE in document else {}
    everything = []
    for kind, (arn, service) in KINDS.items():
        for entry in document.get(kind, []):
            parts = entry[arn].split(":")
            if len(parts) < 6 or parts[2] != service:
                raise failures.invalid_argument("The ARN could not be parsed", arn, entry[arn])
            if parts[3] != bucket.region:
                text = "The notification destination service region is not valid for the bucket location constraint"
                raise failures.invalid_argument(text, arn, entry[arn])
            for event in entry["Events"]:
                if not event.startswith(SENT):
                    raise failures.invalid_argument(
                        "A specified event is not supported for notifications.", "Event", event
                    )
            _check_filter(entry)
            named = {**entry, "Id": entry.get("Id") or str(uuid.uuid4())}
            checked.setdefault(kind, []).append(named)
            everything.append(named)
    _check_overlaps(everything)
    return checked


def _check_filter(configuration: dict[str, Any]) -> None:
    rules = configuration.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    names = [rule.get("Name", "").lower() for rule in rules]
    for name in names:
        if name not in {"prefix", "suffix"}:
            raise failures.invalid_argument("filter rule name must be either prefix or suffix", "FilterRule.Name", name)
        if names.count(name) > 1:
            text = f"Cannot specify more than one {name} rule in a filter."
            raise failures.invalid_argument(text, "FilterRule.Name", name)


def _check_overlaps(configurations: list[dict[str, Any]]) -> None:
    for number, entry in enumerate(configurations):
        for other in configurations[:number]:
            pairs = zip(notices.filters(entry), notices.filters(other), strict=True)
            (prefix, other_prefix), (suffix, other_suffix) = pairs
            if (
                any(_same(a, b) for a in entry["Events"] for b in other["Events"])
                and (prefix.startswith(other_prefix) or other_prefix.startswith(prefix))
                and (suffix.endswith(other_suffix) or other_suffix.endswith(suffix))
            ):
                raise failures.invalid_argument(
                    "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the "
                    "prefixes are overlapping for the same event type."
                )


def _same(event: str, other: str) -> bool:
    return event == other or (event.rpartition(":")[0] == other.rpartition(":")[0] and "*" in event[-1] + other[-1])


async def _check_destination(cx: Context, bucket: Bucket, service: str, arn: str, name: str) -> None:
    """Raise InvalidArgument where a queue, topic or function is not there, or is another account's that has not let S3 in."""
    parameters = {
        "sqs": {"QueueUrl": notices.queue_url(arn)},
        "sns": {"TopicArn": arn},
        "lambda": {"FunctionName": arn},
    }
    requested = {
        "service": service,
        "operation": CHECKS[service],
        "region": bucket.region,
        "parameters": parameters[service],
    }
    there = cx.kernel.context(arn.split(":")[4], bucket.region)
    status, _, _ = await asyncio.wrap_future(other_services.SEND.of(cx.kernel)(there, requested))
    if status >= 400 or not await asyncio.wrap_future(
        other_services.IS_DELIVERY_ALLOWED.of(cx.kernel)(cx.kernel, _sender(bucket), arn)
    ):
        text = "Unable to validate the following destination configurations"
        raise failures.invalid_argument(text, name, f"{arn}, null")


@on(EVENT, name="aws.s3.notifications.tell")
def notify(cx: Context, event: Event) -> None:
    """Have everybody called who wants to hear of an object's event."""
    bucket = cx.objects.bucket(cx, event.detail["bucket"])
    if bucket is not None:
        for service, to, message in notices.wanted(bucket, event):
            _call(cx, bucket, service, to, message)


def _call(cx: Context, bucket: Bucket, service: str, to: str, message: str) -> None:
    """Ask, by an event, for a call of a service that moto answers.

    Its owner may be another account than the bucket's: what its policy does not allow is not done (`aws/moto/delivery.py`).
    """
    account = to.split(":")[4] if to else bucket.account
    there = cx.kernel.context(account, bucket.region, tx=cx.tx)
    if service == "events":
        entry = json.loads(message)
        detail = json.loads(entry["Detail"])
        other_services.PUBLISH.of(cx.kernel)(there, entry["Source"], entry["DetailType"], detail, entry["Resources"])
        return
    detail = {"service": service, "region": bucket.region, **notices.call(service, to, message)}
    detail["sender"] = _sender(bucket)
    events.emit(there, "AwsCall", to or f"arn:aws:s3:::{bucket.name}", "", service, "", detail)


def _sender(bucket: Bucket) -> dict[str, str]:
    return {"service": "s3.amazonaws.com", "account": bucket.account, "arn": f"arn:aws:s3:::{bucket.name}"}
