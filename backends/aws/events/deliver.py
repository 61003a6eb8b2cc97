"""What was promised to targets is done: until it is done, has failed for good, or has been tried often and long enough.

What cannot be done goes to the target's dead-letter queue, with what went wrong as the message's attributes; without one it is
logged and gone. Source: EventBridge User Guide, "Retry policy" and "Dead-letter queues" (2026-11).
"""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any

from backends.aws.events import calls, publish
from backends.core import arn as arns
from backends.core.errors import AwsError
from backends.core.other_services import call_as
from backends.core.work import does

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.work import Item

log = logging.getLogger(__name__)
MOST_RETRIES, OLDEST_S = 185, 86_400
AT_ONCE = 8
AGAIN = {"ThrottlingException", "Throttling", "TooManyRequestsException", "InternalFailure", "ServiceUnavailable"}


@does(publish.QUEUE, capacity=lambda _cx, _key: AT_ONCE)
async def deliver(cx: Context, item: Item) -> None:
    """Call one target with each of its inputs. A failure that may pass is raised: what is left is tried again, later each time."""
    target, texts = item.body["target"], item.body["inputs"]
    if "hops" in item.body:
        target = {**target, "hops": item.body["hops"]}
    while texts[(done := item.kept.get("done", 0)) :]:
        batch = calls.at_once(target, texts[done:])
        # The same id for each try, so that what takes client tokens does it once.
        request_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{item.id} {item.created} {done}"))
        try:
            await calls.call(cx.kernel.context(cx.account, cx.region, request_id=request_id), target, batch)
        except Exception as error:
            failure = error if isinstance(error, AwsError) else AwsError("InternalFailure", repr(error), 500)
            if not _is_over(cx, item, target, failure):
                raise
            for text in batch:
                await _give_up(cx, item, target, text, failure)
        item.kept["done"] = done + len(batch)


def _is_over(cx: Context, item: Item, target: dict[str, Any], failure: AwsError) -> bool:
    policy: dict[str, int] = target.get("RetryPolicy", {})
    if failure.status < 500 and failure.code not in AGAIN:
        return True
    if failure.status == 501 or item.attempts >= policy.get("MaximumRetryAttempts", MOST_RETRIES):
        return True
    return cx.clock.now() - item.created >= policy.get("MaximumEventAgeInSeconds", OLDEST_S)


async def _give_up(cx: Context, item: Item, target: dict[str, Any], text: str, failure: AwsError) -> None:
    log.warning("%s: %s was not called: %s", item.body["rule"], target["Arn"], failure)
    queue = arns.parse(target.get("DeadLetterConfig", {}).get("Arn", ""))
    if queue is None:
        return
    attributes = {
        "RULE_ARN": item.body["rule"],
        "TARGET_ARN": target["Arn"],
        "ERROR_CODE": failure.code,
        "ERROR_MESSAGE": failure.message[:1000] or failure.code,
        "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
        "RETRY_ATTEMPTS": str(item.attempts),
    }
    request = {
        "QueueUrl": calls.queue_url(queue),
        "MessageBody": text,
        "MessageAttributes": {k: {"DataType": "String", "StringValue": v} for k, v in attributes.items()},
    }
    there = cx.kernel.context(cx.account, queue.region)
    try:
        await call_as(there, "sqs", "SendMessage", request, "")
    except AwsError as error:
        log.warning("%s: its dead-letter queue %s was not reached: %s", item.body["rule"], queue, error)
