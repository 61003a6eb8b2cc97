"""Notifications: a bucket's configuration, and the delivery of what `notices` writes to SQS, SNS, Lambda and EventBridge.

An object's event becomes messages in a table, in the transaction that ends the event's delivery; a loop sends them, in
order, and forgets each once its receiver has it: at least once, through any crash. Moto answers for the receivers.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from backends.aws.s3 import access, failures, notices
from backends.aws.s3.notices import BRIDGE, KINDS, SETTING
from backends.aws.s3.tables import notices as table
from backends.core.events import on
from backends.core.loops import every
from backends.core.objects.index import EVENT
from backends.core.operation import operation

if TYPE_CHECKING:
    from concurrent.futures import Future

    from backends.core.context import Context
    from backends.core.events import Event
    from backends.core.kernel import Kernel
    from backends.core.objects import Bucket

log = logging.getLogger(__name__)
BATCH = 100
MOST_ATTEMPTS = 10
SENT = ("s3:ObjectCreated:", "s3:ObjectRemoved:", "s3:LifecycleExpiration:", "s3:ObjectTagging:")
CHECKS = {"sqs": "GetQueueAttributes", "sns": "GetTopicAttributes", "lambda": "GetFunction"}


@operation("GetBucketNotificationConfiguration", service="s3")
def get_bucket_notification_configuration(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Give whom a bucket tells; nothing where it tells nobody."""
    return dict(access.bucket_of(cx, request, "s3:GetBucketNotification").settings.get(SETTING, {}))


@operation("PutBucketNotificationConfiguration", service="s3")
async def put_bucket_notification_configuration(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Replace whom a bucket tells, and send each queue and topic the test event, which shows that it is there."""
    bucket = await cx.read(lambda inside: access.bucket_of(inside, request, "s3:PutBucketNotification"))
    document = _checked(bucket, request[SETTING])
    if not request.get("SkipDestinationValidation"):
        for kind, (arn, service) in KINDS.items():
            for each in document.get(kind, []):
                await _check_destination(cx, bucket, service, each[arn], arn)

    def configure(inside: Context) -> None:
        within = access.bucket_of(inside, request, "s3:PutBucketNotification")
        inside.objects.configure(inside, within.name, SETTING, document or None)

    await cx.transact(configure)
    return {}


def _checked(bucket: Bucket, document: dict[str, Any]) -> dict[str, Any]:
    """Give a configuration with an id everywhere; raise what S3 says about a wrong one."""
    found: dict[str, Any] = {BRIDGE: {}} if BRIDGE in document else {}
    everything = []
    for kind, (arn, service) in KINDS.items():
        for each in document.get(kind, []):
            parts = each[arn].split(":")
            if len(parts) < 6 or parts[2] != service:
                raise failures.invalid_argument("The ARN could not be parsed", arn, each[arn])
            if parts[3] != bucket.region:
                text = "The notification destination service region is not valid for the bucket location constraint"
                raise failures.invalid_argument(text, arn, each[arn])
            for event in each["Events"]:
                if not event.startswith(SENT):
                    raise failures.invalid_argument(
                        "A specified event is not supported for notifications.", "Event", event
                    )
            _check_filter(each)
            named = {**each, "Id": each.get("Id") or str(uuid.uuid4())}
            found.setdefault(kind, []).append(named)
            everything.append(named)
    _check_overlaps(everything)
    return found


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
    for number, one in enumerate(configurations):
        for other in configurations[:number]:
            pairs = zip(notices.filters(one), notices.filters(other), strict=True)
            (prefix, other_prefix), (suffix, other_suffix) = pairs
            if (
                any(_same(a, b) for a in one["Events"] for b in other["Events"])
                and (prefix.startswith(other_prefix) or other_prefix.startswith(prefix))
                and (suffix.endswith(other_suffix) or other_suffix.endswith(suffix))
            ):
                raise failures.invalid_argument(
                    "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the "
                    "prefixes are overlapping for the same event type."
                )


def _same(one: str, other: str) -> bool:
    return one == other or (one.rpartition(":")[0] == other.rpartition(":")[0] and "*" in one[-1] + other[-1])


async def _check_destination(cx: Context, bucket: Bucket, service: str, arn: str, name: str) -> None:
    """Raise InvalidArgument where a queue, topic or function is not there; send the test event to the first two."""
    parts = arn.split(":")
    asked = {"sqs": {"QueueUrl": _queue_url(arn)}, "sns": {"TopicArn": arn}, "lambda": {"FunctionName": arn}}[service]
    status, _, _ = await asyncio.wrap_future(call(cx.kernel, service, CHECKS[service], parts[4], bucket.region, asked))
    if status >= 400:
        text = "Unable to validate the following destination configurations"
        raise failures.invalid_argument(text, name, f"{arn}, null")
    if service != "lambda":
        message = notices.test_message(bucket.name, cx.request_id)
        await asyncio.wrap_future(_send(cx.kernel, service, arn, bucket.region, bucket.account, message))


@on(EVENT)
def write_notices(cx: Context, event: Event) -> None:
    """Write down whom to tell of an object's event."""
    bucket = cx.objects.bucket(cx, event.detail["bucket"])
    if bucket is None:
        return
    rows = [
        {"account": bucket.account, "region": bucket.region, "service": service, "destination": to, "message": message}
        for service, to, message in notices.wanted(bucket, event)
    ]
    if rows:
        cx.db.execute(insert(table), rows)


@every(0.5)
def send_notices(kernel: Kernel) -> None:
    """Send what is due, in order."""
    due = select(table).where(table.c.next_at <= time.time()).order_by(table.c.id).limit(BATCH)
    while rows := kernel.db.read_blocking(lambda tx: tx.connection.execute(due).all()):
        for row in rows:
            _deliver(kernel, row)


def _deliver(kernel: Kernel, row: Any) -> None:
    try:
        status, _, answer = _send(kernel, row.service, row.destination, row.region, row.account, row.message).result()
        failure = "" if status < 400 else f"{status} {answer[:300]!r}"
    except Exception as error:  # noqa: BLE001 - whatever moto raises: the message is kept and tried again
        failure, status = repr(error), 500
    mine = table.c.id == row.id
    if failure and status >= 500 and row.attempts + 1 < MOST_ATTEMPTS:
        later = {"attempts": row.attempts + 1, "next_at": time.time() + 2.0**row.attempts}
        kernel.db.write_blocking(lambda tx: tx.connection.execute(update(table).where(mine), later) and None)
        return
    if failure:  # S3 drops what its receiver refuses: a queue that was deleted, a policy
        log.warning("S3 notification %s to %s %s was dropped: %s", row.id, row.service, row.destination, failure)
    kernel.db.write_blocking(lambda tx: tx.connection.execute(delete(table).where(mine)) and None)


def _queue_url(arn: str) -> str:
    _, _, _, region, account, name = arn.split(":", 5)
    return f"https://sqs.{region}.amazonaws.com/{account}/{name}"


def _send(kernel: Kernel, service: str, to: str, region: str, account: str, message: str) -> Future[Any]:
    """Hand a message to its receiver; the owner of a queue, topic or function may be another account."""
    if service == "events":
        return call(kernel, service, "PutEvents", account, region, {"Entries": [json.loads(message)]})
    owner = to.split(":")[4]
    if service == "sqs":
        return call(kernel, service, "SendMessage", owner, region, {"QueueUrl": _queue_url(to), "MessageBody": message})
    if service == "sns":
        given = {"TopicArn": to, "Message": message, "Subject": "Amazon S3 Notification"}
        return call(kernel, service, "Publish", owner, region, given)
    invoked = {"FunctionName": to, "InvocationType": "Event", "Payload": message.encode()}
    return call(kernel, service, "Invoke", owner, region, invoked)


def call(kernel: Kernel, service: str, name: str, account: str, region: str, given: dict[str, Any]) -> Future[Any]:
    """Call an operation of a service that moto answers, through what `backends/aws/moto.py` leaves in the kernel."""
    answer: Future[Any] = kernel.state["call moto"](service, name, account, region, given)
    return answer
