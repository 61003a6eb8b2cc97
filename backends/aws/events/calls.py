"""How each kind of target is called: by its ARN's service. What Scheduler's universal targets call is any operation.

An operation that this server answers is called in process, as the target's role where it has one; of all others moto is asked.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from botocore import xform_name

from api_specs import model
from backends.aws.events import publish, scope
from backends.core import arn as arns
from backends.core import errors, logstore
from backends.core.other_services import call_as

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from backends.core.context import Context

    Call = Callable[[Context, arns.Arn, Mapping[str, Any], str], Awaitable[None]]
    """Calls a target: its ARN, itself, and the text that it is sent."""

UNIVERSAL = "aws-sdk:"
MOST_IN_BATCH, MOST_BATCH_LENGTH = 10, 60_000
"""Of SendMessageBatch, whose 262,144 bytes are at most four to a character."""
SERVICES = {"sfn": "stepfunctions", "cloudwatchlogs": "logs", "eventbridge": "events"}
"""Names of services in universal targets that differ from botocore's, the other way round below."""


def queue_url(arn: arns.Arn) -> str:
    """Return a queue's URL."""
    return f"https://sqs.{arn.region}.amazonaws.com/{arn.account}/{arn.resource}"


async def _sqs(cx: Context, arn: arns.Arn, target: Mapping[str, Any], text: str) -> None:
    group = target.get("SqsParameters", {}).get("MessageGroupId")
    request = {"QueueUrl": queue_url(arn), "MessageBody": text, **({"MessageGroupId": group} if group else {})}
    await call_as(cx, "sqs", "SendMessage", request, target.get("RoleArn", ""))


async def _sqs_batch(cx: Context, arn: arns.Arn, target: Mapping[str, Any], texts: Sequence[str]) -> None:
    """Send several messages at once; what the queue refuses of them is sent by itself, for its own error."""
    group = target.get("SqsParameters", {}).get("MessageGroupId")
    more = {"MessageGroupId": group} if group else {}
    entries = [{"Id": str(place), "MessageBody": text, **more} for place, text in enumerate(texts)]
    request = {"QueueUrl": queue_url(arn), "Entries": entries}
    answer = await call_as(cx, "sqs", "SendMessageBatch", request, target.get("RoleArn", ""))
    for failed in answer.get("Failed", []):
        await _sqs(cx, arn, target, texts[int(failed["Id"])])


async def _sns(cx: Context, arn: arns.Arn, target: Mapping[str, Any], text: str) -> None:
    await call_as(cx, "sns", "Publish", {"TopicArn": str(arn), "Message": text}, target.get("RoleArn", ""))


async def _lambda(cx: Context, arn: arns.Arn, target: Mapping[str, Any], text: str) -> None:
    request = {"FunctionName": str(arn), "InvocationType": "Event", "Payload": text.encode()}
    await call_as(cx, "lambda", "Invoke", request, target.get("RoleArn", ""))


async def _states(cx: Context, arn: arns.Arn, target: Mapping[str, Any], text: str) -> None:
    await call_as(
        cx, "stepfunctions", "StartExecution", {"stateMachineArn": str(arn), "input": text}, target.get("RoleArn", "")
    )


async def _kinesis(cx: Context, arn: arns.Arn, target: Mapping[str, Any], text: str) -> None:
    name = arn.resource.removeprefix("stream/")
    parameters = target.get("KinesisParameters", {})
    key = parameters.get("PartitionKey")
    if "PartitionKeyPath" in parameters:
        from backends.aws.events import inputs

        key = str(inputs.at(json.loads(text), parameters["PartitionKeyPath"]) or "")
    request = {"StreamName": name, "Data": text.encode(), "PartitionKey": key or cx.request_id}
    await call_as(cx, "kinesis", "PutRecord", request, target.get("RoleArn", ""))


async def _firehose(cx: Context, arn: arns.Arn, target: Mapping[str, Any], text: str) -> None:
    request = {"DeliveryStreamName": arn.resource.removeprefix("deliverystream/"), "Record": {"Data": text.encode()}}
    await call_as(cx, "firehose", "PutRecord", request, target.get("RoleArn", ""))


async def _logs(cx: Context, arn: arns.Arn, target: Mapping[str, Any], text: str) -> None:
    await _logs_batch(cx, arn, target, [text])


async def _logs_batch(cx: Context, arn: arns.Arn, target: Mapping[str, Any], texts: Sequence[str]) -> None:
    """Write lines to a log group that is there, as AWS does: to a stream of its own."""
    del target
    group = arn.resource.removeprefix("log-group:").removesuffix(":*")

    def write(inside: Context) -> None:
        groups = inside.call("DescribeLogGroups", {"logGroupNamePrefix": group}, "logs")["logGroups"]
        if group not in [each["logGroupName"] for each in groups]:
            raise errors.AwsError("ResourceNotFoundException", "The specified log group does not exist.")
        stream = logstore.ensure_stream(inside, group, "events")
        now_ms = int(inside.clock.now() * 1000)
        logstore.append(inside, stream, [(now_ms, text) for text in texts])

    await cx.transact(write)


async def _sagemaker(cx: Context, arn: arns.Arn, target: Mapping[str, Any], text: str) -> None:
    del text
    given = target.get("SageMakerPipelineParameters", {}).get("PipelineParameterList", [])
    request = {"PipelineName": arn.resource.removeprefix("pipeline/"), "ClientRequestToken": cx.request_id}
    if given:
        request["PipelineParameters"] = given
    await call_as(cx, "sagemaker", "StartPipelineExecution", request, target.get("RoleArn", ""))


async def _events(cx: Context, arn: arns.Arn, target: Mapping[str, Any], text: str) -> None:
    """Put an event on another bus; one that has come over a bus goes no further. From Scheduler, whose text is the detail."""
    name = arn.resource.removeprefix("event-bus/")
    parameters = target.get("EventBridgeParameters")
    if parameters is not None:
        entry = {
            "Source": parameters["Source"],
            "DetailType": parameters["DetailType"],
            "Detail": text,
            "EventBusName": name,
        }
        await call_as(cx, "events", "PutEvents", {"Entries": [entry]}, target.get("RoleArn", ""))
        return

    def put(inside: Context) -> None:
        scope.bus_name(inside, {"EventBusName": name})
        publish.publish(inside, json.loads(text), name, target["hops"])

    if target["hops"] <= publish.MOST_HOPS:
        await cx.transact(put)


async def _universal(cx: Context, arn: arns.Arn, target: Mapping[str, Any], text: str) -> None:
    service, operation = universal(arn)
    await call_as(cx, service, operation, json.loads(text or "{}"), target["RoleArn"])


CALLS: dict[str, Call] = {
    "sqs": _sqs,
    "sns": _sns,
    "lambda": _lambda,
    "states": _states,
    "kinesis": _kinesis,
    "firehose": _firehose,
    "logs": _logs,
    "sagemaker": _sagemaker,
    "events": _events,
    "scheduler": _universal,
}
BATCHES: dict[str, Callable[[Context, arns.Arn, Mapping[str, Any], Sequence[str]], Awaitable[None]]] = {
    "sqs": _sqs_batch,
    "logs": _logs_batch,
}
"""Those that take several texts in one call."""


def check_built(arn: arns.Arn) -> None:
    """Raise 501 for a target that nobody would call."""
    if arn.service not in CALLS or (arn.service == "events" and not arn.resource.startswith("event-bus/")):
        raise errors.not_implemented(f"events: targets of {arn.service} ({arn.resource.partition('/')[0]})")


def universal_arn(text: str) -> arns.Arn | None:
    """Return the parts of a universal target's ARN, which is of no account; None for any other."""
    return arns.parse(text) if text.startswith(f"arn:aws:scheduler:::{UNIVERSAL}") else None


@functools.lru_cache(maxsize=256)
def universal(arn: arns.Arn) -> tuple[str, str]:
    """Return botocore's names of the service and the operation of a universal target. ValidationException for none."""
    service, _, action = arn.resource.removeprefix(UNIVERSAL).partition(":")
    name = {ours: theirs for ours, theirs in SERVICES.items() if ours == service}.get(service, service)
    try:
        known = {xform_name(each): each for each in model.operations(name)}
    except Exception as error:  # botocore knows no such service
        raise scope.invalid(f"Invalid RequestJson provided. Reason Service {service} is not supported.") from error
    operation = known.get(xform_name(action[:1].upper() + action[1:]))
    if operation is None or not arn.resource.startswith(UNIVERSAL) or not action:
        raise scope.invalid(f"The api {action} is not valid for service {service}.")  # Unverified: AWS's words
    return name, operation


def at_once(target: Mapping[str, Any], texts: Sequence[str]) -> Sequence[str]:
    """Return those of some texts, from the first, that one call sends: a queue takes ten at once."""
    batch = texts[:MOST_IN_BATCH] if target["Arn"].split(":")[2] in BATCHES else texts[:1]
    return batch if sum(map(len, batch)) <= MOST_BATCH_LENGTH else texts[:1]


async def call(cx: Context, target: Mapping[str, Any], texts: Sequence[str]) -> None:
    """Call a target with a text, or with what `at_once` has put together. Raises AwsError for one that cannot be called."""
    arn = arns.parse(target["Arn"])
    assert arn is not None
    there = cx.kernel.context(cx.account, arn.region or cx.region, request_id=cx.request_id)
    if len(texts) > 1:
        await BATCHES[arn.service](there, arn, target, texts)
    else:
        await CALLS[arn.service](there, arn, target, texts[0])
