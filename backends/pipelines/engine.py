"""What an execution does outside of transactions: it reads S3, looks for earlier runs, and calls other services."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import select

from backends.core import errors, other_services, parents, work
from backends.core.dialects import begins_with
from backends.core.objects import role_access
from backends.core.tables import parents as waiting
from backends.pipelines import paths, selection, step
from backends.pipelines.executions import EXECUTION
from backends.pipelines.step_types import CHILDREN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.core.commands import Command, Happened, State
    from backends.core.context import Context

Answer = dict[str, Any]
LONGEST = 2 << 20
"""Bytes of a file that an expression reads (quota of property files, unconfirmed)."""
LONGEST_VALUE = 64 << 10
"""Bytes of what an expression may read: the execution keeps it."""
MOST_OUTPUTS, LONGEST_OUTPUT = 50, 1024
"""API reference, OutputParameters of a callback step."""


@parents.waits(EXECUTION, children=CHILDREN, reads_children=True)
def next_step(state: State, happened: Happened) -> tuple[State, list[Command]]:
    """Decide what follows (`step.py`)."""
    return step.step(state, happened)


@work.does(step.CONTINUE)
async def go_on(_cx: Context, item: work.Item) -> Callable[[Context], None]:
    """Let an execution go on in a transaction of its own."""
    return _answer(item, {})


@work.does(step.READ)
async def read(cx: Context, item: work.Item) -> Callable[[Context], None]:
    """Read what expressions ask of files in S3, as the execution's role."""
    there = role_access.as_role(cx, item.body["role"])
    try:
        values = await there.read(lambda inside: [[*read, _value_at(inside, *read)] for read in item.body["reads"]])
    except errors.AwsError as error:
        return _answer(item, {"error": f"ClientError: {error.message}"})
    return _answer(item, {"read": values})


def _value_at(cx: Context, uri: str, path: str) -> Any:
    """Read what stands at a path of a JSON file. AwsError with a sentence; its code is nobody's."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    role_access.check(cx, bucket, "s3:GetObject", key)
    stored = cx.objects.head(cx, bucket, key)
    if stored is None or stored.size > LONGEST:
        raise errors.validation(f"No JSON file of at most {LONGEST} bytes at {uri}.")
    try:
        value = paths.at(orjson.loads(cx.objects.read_bytes(stored)), path)
    except ValueError as error:
        raise errors.validation(f"{uri} is not JSON: {error}") from error
    except paths.MissingError as error:
        raise errors.validation(f"{uri} has nothing at {path}.") from error
    if isinstance(value, (dict, list, str)) and len(orjson.dumps(value)) > LONGEST_VALUE:
        raise errors.validation(f"What stands at {path} of {uri} is longer than {LONGEST_VALUE} bytes.")
    return value


@work.does(step.CACHED)
async def find_earlier(cx: Context, item: work.Item) -> Callable[[Context], None]:
    """Look for the newest run of a step, in any execution of the pipeline, that may stand for another one."""
    return _answer(item, {"hit": await cx.read(lambda inside: _earlier(inside, item.body))})


def _earlier(cx: Context, wanted: Mapping[str, Any]) -> Answer | None:
    key = wanted["key"].encode()
    pipeline = wanted["arn"].rpartition("/execution/")[0]
    query = select(waiting.c.state).where(begins_with(waiting.c.arn, "pipeline")).order_by(waiting.c.id.desc())
    for row in cx.db.execute(query, {"pipeline": f"{pipeline}/execution/"}):
        if key not in row.state:
            continue
        state = orjson.loads(row.state)
        run = state["runs"].get(wanted["step"], {})
        if (
            run.get("key") != wanted["key"]
            or run["status"] != "Succeeded"
            or "hit" in run
            or run["end"] < wanted["since"]
        ):
            continue
        values = selection.values_of(cx, wanted, run)
        if values is not None:
            execution = state["execution"]["PipelineExecutionArn"]
            return {"execution": execution, "metadata": run["metadata"], "values": values[0], "files": values[1]}
    return None


@work.does(step.NOTIFY)
async def notify(cx: Context, item: work.Item) -> Callable[[Context], None] | None:
    """Send the message of a callback step."""
    body = item.body
    message = {"QueueUrl": body["queue_url"], "MessageBody": json.dumps(body["message"])}
    try:
        await other_services.call_as(cx, "sqs", "SendMessage", message, body["role"])
    except errors.AwsError as error:
        return _answer(
            item, {"error": f"ClientError: Failed to invoke sqs:SendMessage. Error Details: {error.message}"}
        )
    return None  # the step goes on when somebody sends its token


@work.does(step.INVOKE)
async def invoke(cx: Context, item: work.Item) -> Callable[[Context], None]:
    """Call the function of a Lambda step and wait for what it returns; a function that has failed fails the step."""
    body = item.body
    request = {"FunctionName": body["function"], "Payload": orjson.dumps(body["payload"])}
    try:
        answer = await other_services.call_as(cx, "lambda", "Invoke", request, body["role"])
    except errors.AwsError as error:
        return _answer(item, {"error": f"ClientError: Failed to invoke lambda:Invoke. Error Details: {error.message}"})
    payload = answer.get("Payload", b"")
    text = bytes(payload.read() if hasattr(payload, "read") else payload).decode(errors="replace")
    if answer.get("FunctionError"):
        return _answer(item, {"error": f"ClientError: Lambda function {body['function']} failed: {text}"})
    return _answer(item, {"outputs": outputs_of(text)})


def outputs_of(text: str) -> list[dict[str, str]]:
    """Return the output parameters that a function's answer is: the members of its object, as texts."""
    returned: Any = {}
    with contextlib.suppress(ValueError):
        returned = orjson.loads(text)
    if not isinstance(returned, dict):
        return []
    texts = {k: v if isinstance(v, str) else orjson.dumps(v).decode() for k, v in returned.items()}
    return [{"Name": k, "Value": v[:LONGEST_OUTPUT]} for k, v in list(texts.items())[:MOST_OUTPUTS]]


def _answer(item: work.Item, answer: Answer) -> Callable[[Context], None]:
    return lambda inside: parents.answer(inside, item.body["arn"], item.body["tag"], answer)
