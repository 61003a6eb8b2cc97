"""Invoke: at once or later, and what comes of it.

Source: API reference, Invoke; guide, "How Lambda handles errors and retries with asynchronous invocation".
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import logging
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backends.aws.lambda_ import functions
from backends.aws.lambda_.engine import KIND
from backends.aws.lambda_.environments import ENVIRONMENTS, Environment, TooManyError
from backends.aws.lambda_.functions import PYTHON, Function
from backends.core import errors, events, other_services, work
from backends.core.operation import operation
from backends.jobs import queue

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.context import Context
    from backends.core.kernel import Kernel

log = logging.getLogger(__name__)
LONGEST, LONGEST_EVENT = 6 << 20, 1 << 20
QUEUE = "lambda.events"
RETRIES, FIRST_PAUSE_S = 2, 1.0
"""AWS tries again after one minute and then two; here after one second and two, so that a test need not wait."""
MOST_HOPS = 16
"""Of an event from function to function by destinations (guide, "Use Lambda recursive loop detection")."""
ANSWER_S = 5.0
"""How long after its function's timeout an environment is given to answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function answered. `error` is empty, or `Unhandled`."""

    payload: bytes
    error: str
    log_tail: str
    request_id: str


@operation("Invoke", service="lambda", reads=False)
async def invoke(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Run a function and return what it answers, or promise to (Event), or only look whether that may be done (DryRun)."""
    payload = _payload(request)
    function = await functions.find(cx, request["FunctionName"], request.get("Qualifier", ""))
    _check(function)
    kind = request.get("InvocationType", "RequestResponse")
    if kind == "DryRun":
        return {"StatusCode": 204, "Payload": b""}
    if kind == "Event":
        if len(payload) > LONGEST_EVENT:
            raise _too_large(len(payload), LONGEST_EVENT)
        await cx.transact(lambda inside: _promise(inside, function.shown["FunctionArn"], payload))
        return {"StatusCode": 202, "Payload": b""}
    answer = await run(cx, function, payload, request.get("ClientContext", ""), tail=request.get("LogType") == "Tail")
    told = {"FunctionError": answer.error} if answer.error else {}
    if request.get("LogType") == "Tail":
        told["LogResult"] = answer.log_tail
    return {"StatusCode": 200, "Payload": answer.payload, "ExecutedVersion": function.version, **told}


@operation("InvokeAsync", service="lambda", reads=False)
async def invoke_async(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Promise to run a function (the older way)."""
    given = request.get("InvokeArgs", b"")
    payload = _payload({"Payload": given.read() if hasattr(given, "read") else given})
    function = await functions.find(cx, request["FunctionName"])
    _check(function)
    await cx.transact(lambda inside: _promise(inside, function.shown["FunctionArn"], payload))
    return {"Status": 202}


def _payload(request: dict[str, Any]) -> bytes:
    """Return a request's event. InvalidRequestContentException for what is no JSON."""
    given = request.get("Payload", b"")
    payload = given.encode() if isinstance(given, str) else bytes(given)
    if len(payload) > LONGEST:
        raise _too_large(len(payload), LONGEST)
    try:
        json.loads(payload.decode() or "{}")  # as bytes it could be UTF-16 too, which no runtime reads
    except (ValueError, RecursionError) as error:
        raise errors.AwsError(
            "InvalidRequestContentException", f"Could not parse request body into json: {error}"
        ) from error
    return payload or b"{}"


def _too_large(size: int, most: int) -> errors.AwsError:
    text = f"{size} byte payload is too large for the RequestResponse invocation type (limit {most} bytes)"
    return errors.AwsError("RequestTooLargeException", text, status=413)


def _check(function: Function) -> None:
    """Refuse what does not run here."""
    if function.shown["PackageType"] == "Image":
        raise errors.not_implemented("a Lambda function from a container image")
    if not str(function.shown["Runtime"]).startswith(PYTHON):
        raise errors.not_implemented(f"the Lambda runtime {function.shown['Runtime']}")


# -- at once


async def run(
    cx: Context, function: Function, payload: bytes, client_context: str = "", *, tail: bool = False
) -> Answer:
    """Run a function in an environment that is free, or in a new one. TooManyRequestsException."""
    request_id = str(uuid.uuid4())
    environment, has_answered = await _environment(cx, function), False
    try:
        address = await asyncio.wrap_future(environment.ready)
        headers = {"X-Request-Id": request_id, "X-Client-Context": client_context, "X-Log-Tail": "1" if tail else ""}
        answer = await asyncio.to_thread(_post, environment, address, payload, headers)
        has_answered = True
    except errors.AwsError:
        raise
    except Exception as error:  # noqa: BLE001 - however an environment fails, its caller is answered as by Lambda
        told = {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: {request_id} Error: {error}"}
        return Answer(json.dumps(told).encode(), "Unhandled", "", request_id)
    else:
        return answer
    finally:
        ENVIRONMENTS.of(cx.kernel).release(environment, is_broken=not has_answered)


async def _environment(cx: Context, function: Function) -> Environment:
    environments = ENVIRONMENTS.of(cx.kernel)
    while True:
        try:
            taken = environments.take(function)
        except TooManyError as error:
            told = {"Type": "User", "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded"}
            raise errors.AwsError("TooManyRequestsException", "Rate Exceeded.", status=429, members=told) from error
        if isinstance(taken, Environment):
            return taken
        if taken is None:
            return await _begin(cx, function)
        free = await asyncio.wrap_future(taken)
        if free is not None:
            return free


async def _begin(cx: Context, function: Function) -> Environment:
    """Have a new environment run. It is known before its job can run, and forgotten where that is not stored after all."""
    environments, begun = ENVIRONMENTS.of(cx.kernel), {}

    def begin(inside: Context) -> str:
        job = queue.add(inside, KIND, str(function.shown["FunctionArn"]))
        begun[job] = environments.begin(job, function)
        return job

    stored = ""
    try:
        stored = await cx.transact(begin)
    finally:
        for job, environment in begun.items():
            if job != stored:
                environments.close(job, environment)
    return begun[stored]


def _post(environment: Environment, address: tuple[str, int], payload: bytes, headers: dict[str, str]) -> Answer:
    """Send an event to an environment, whose only user this is, over the connection that it keeps."""
    if environment.connection is None:
        environment.connection = http.client.HTTPConnection(*address, timeout=environment.function.timeout_s + ANSWER_S)
    try:
        environment.connection.request("POST", "/invocations", payload, headers)
        answer = environment.connection.getresponse()
        body = answer.read(LONGEST + (1 << 16))
    except BaseException:
        environment.connection.close()
        environment.connection = None
        raise
    told = answer.headers
    return Answer(body, told.get("X-Function-Error", ""), told.get("X-Log-Result", ""), headers["X-Request-Id"])


# -- later


def _promise(cx: Context, arn: str, payload: bytes, attempt: int = 0, hops: int = 0) -> None:
    body = {"function": arn, "payload": base64.b64encode(payload).decode(), "attempt": attempt, "hops": hops}
    work.add(cx, QUEUE, arn, body)


def invoke_later(kernel: Kernel, account: str, region: str, arn: str, event: str) -> None:
    """Promise to run a function for a service of moto's; from its thread."""
    kernel.context(account, region).write(lambda cx: _promise(cx, arn, event.encode()))


@work.does(QUEUE)
async def run_later(cx: Context, item: work.Item) -> Callable[[Context], None] | None:
    """Run a function that was to be run later; again where it fails, then tell its destination and its dead-letter queue."""
    body = item.body
    payload = base64.b64decode(body["payload"])
    try:
        function = await functions.find(cx, body["function"])
    except errors.AwsError as error:  # deleted since, or a destination in another account that lets nobody in
        log.warning("%s is not run: %s", body["function"], error)
        return None
    try:
        _check(function)
        answer = await run(cx, function, payload)
    except errors.AwsError as error:
        told = {"errorType": error.code, "errorMessage": error.message}
        answer = Answer(json.dumps(told).encode(), "Unhandled", "", "")
    config = function.shown["EventInvokeConfig"]
    if answer.error and body["attempt"] < config.get("MaximumRetryAttempts", RETRIES):
        await asyncio.sleep(FIRST_PAUSE_S * 2 ** body["attempt"])
        return lambda inside: _promise(inside, body["function"], payload, body["attempt"] + 1, body.get("hops", 0))
    return lambda inside: _tell(inside, function, payload, answer, body)


def _tell(cx: Context, function: Function, payload: bytes, answer: Answer, body: dict[str, Any]) -> None:
    """Send what came of an event to where the function wants it."""
    attempts, hops = body["attempt"] + 1, body.get("hops", 0)
    config = function.shown["EventInvokeConfig"].get("DestinationConfig") or {}
    destination = (config.get("OnFailure" if answer.error else "OnSuccess") or {}).get("Destination")
    if destination:
        _send(cx, function, destination, json.dumps(_record(cx, function, payload, answer, attempts)), hops)
    dead_letters = (function.shown.get("DeadLetterConfig") or {}).get("TargetArn")
    if answer.error and dead_letters:
        _send(cx, function, dead_letters, payload.decode(), hops)


def _record(cx: Context, function: Function, payload: bytes, answer: Answer, attempts: int) -> dict[str, Any]:
    """Return an invocation record (guide, "Capturing records of Lambda asynchronous invocations")."""
    condition = "RetriesExhausted" if answer.error else "Success"
    try:
        returned = json.loads(answer.payload or b"null")
    except (ValueError, RecursionError):  # whatever the function has told the Runtime API
        returned = answer.payload.decode(errors="replace")
    context = {"statusCode": 200, "executedVersion": function.version}
    return {
        "version": "1.0",
        "timestamp": datetime.fromtimestamp(cx.clock.now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": answer.request_id, "functionArn": f"{function.arn}:{function.version}", "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": json.loads(payload),
        "responseContext": context | ({"functionError": answer.error} if answer.error else {}),
        "responsePayload": returned,
    }  # fmt: skip


def _send(cx: Context, function: Function, to: str, text: str, hops: int) -> None:
    """Send a text to a queue, a topic, a function or a bus."""
    service, region, account, resource = to.split(":", 5)[2:6] if to.count(":") >= 5 else ("", "", "", "")
    if service == "lambda":
        if hops < MOST_HOPS:
            _promise(cx, to, text.encode(), hops=hops + 1)
        else:
            log.warning("%s: a loop of functions that call each other is stopped", function.arn)
        return
    if service == "events":
        entry = {
            "Source": "lambda",
            "DetailType": "Lambda Function Invocation Result",
            "Detail": text,
            "EventBusName": to,
            "Resources": [function.arn],
        }
        call: dict[str, Any] = {"operation": "PutEvents", "parameters": {"Entries": [entry]}}
    elif service == "sqs":
        url = f"https://sqs.{region}.amazonaws.com/{account}/{resource}"
        call = {"operation": "SendMessage", "parameters": {"QueueUrl": url, "MessageBody": text}}
    elif service == "sns":
        call = {"operation": "Publish", "parameters": {"TopicArn": to, "Message": text}}
    else:
        return
    sender = {"service": "lambda.amazonaws.com", "account": cx.account, "arn": function.arn}
    events.emit(
        cx, "AwsCall", function.arn, "", service, "", {"service": service, "region": region, **call, "sender": sender}
    )


def start(kernel: Kernel) -> None:
    """Let moto's services invoke functions. Called by the kernel."""
    other_services.INVOKE_LATER.set(kernel, invoke_later)
