"""InvokeEndpointAsync: accepted now, answered in S3 later, and never lost in between.

A row is written before the caller gets its 202 and removed after the output (or failure) object is there; a server that
is killed in between asks the container again, so a container may see a request twice.
Source: developer guide "Asynchronous inference" (2026-11).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from sqlalchemy import insert, select

from backends.core.errors import AwsError
from backends.core.loops import EVENT_LOOP
from backends.core.memory import InMemory
from backends.core.objects import parse_uri, role_access
from backends.core.operation import operation
from backends.endpoints import invoke, outcomes
from backends.endpoints.fleet import fleets
from backends.endpoints.tables import async_invocations

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from backends.core.context import Context
    from backends.core.kernel import Kernel
    from backends.core.objects import StoredObject
    from backends.endpoints.fleet import Container, Fleet
    from backends.endpoints.http import Reply
    from backends.endpoints.outcomes import Outcome

log = logging.getLogger(__name__)
MAX_INLINE_BYTES = 128_000
MAX_ANSWER_BYTES = 1 << 30  # the guide's limit of an asynchronous payload
MAX_HEADER_BYTES = 4096
DEFAULT_TTL_S = 21_600
DEFAULT_TIMEOUT_S = 900
DEFAULT_CONCURRENCY = 4  # AWS chooses by itself when MaxConcurrentInvocationsPerInstance is not given
LOOK_EVERY_S = 0.5
IDLE_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
MOST_DEATHS = 3  # a request of which so many containers died is not given to another one
MOST_EXPIRED = 100
COLUMNS = async_invocations.c
ENDPOINTS = select(COLUMNS.account, COLUMNS.region, COLUMNS.endpoint, COLUMNS.arn).distinct()
T = TypeVar("T")


@operation("InvokeEndpointAsync", service="sagemaker-runtime")
async def invoke_endpoint_async(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Accept a request whose input is in S3 (or inline up to 128,000 bytes); its answer will be an object."""
    fleet = await invoke.find_fleet(cx, request["EndpointName"])
    invoke.check_request(request)
    if fleet.async_config is None:
        raise _invalid(f"Endpoint {fleet.endpoint} is not configured for asynchronous inference.")
    if bool(request.get("Body")) == ("InputLocation" in request):  # a request without a body has an empty one
        raise _invalid("Exactly one of InputLocation and Body must be given.")
    if len(request.get("Body", b"")) > MAX_INLINE_BYTES:
        raise _invalid(f"The request body exceeds {MAX_INLINE_BYTES} bytes.")
    inference_id = request.get("InferenceId") or str(uuid.uuid4())
    output, failure = _places(fleet.async_config["OutputConfig"], request, inference_id)
    kept = {
        "headers": invoke.container_headers(request),
        "variant": request.get("TargetVariant"),
        "input": request.get("InputLocation"),
        "output": output,
        "failure": failure,
        "timeout_s": request.get("InvocationTimeoutSeconds", DEFAULT_TIMEOUT_S),
        "id": inference_id,
        "topics": fleet.async_config["OutputConfig"].get("NotificationConfig"),
    }
    await cx.transact(lambda inside: _keep(inside, fleet, request, kept))
    _look_now(cx.kernel)
    answer = {"InferenceId": inference_id, "OutputLocation": output}
    return answer | ({"FailureLocation": failure} if failure else {})


def _places(config: dict[str, Any], request: dict[str, Any], inference_id: str) -> tuple[str, str | None]:
    """Return the S3 URIs of the answer and of a failure."""
    base = config.get("S3OutputPath")
    if base is None:
        raise _invalid("The endpoint configuration has no S3OutputPath.")
    if "S3OutputPathExtension" in request:
        base = f"{base.rstrip('/')}/{request['S3OutputPathExtension'].strip('/')}"
    output = f"{base.rstrip('/')}/{request.get('Filename', f'{inference_id}.out')}"
    failures = config.get("S3FailurePath")
    # Unverified: the form of the failure object's name.
    return output, f"{failures.rstrip('/')}/{inference_id}-error.out" if failures else None


def _keep(cx: Context, fleet: Fleet, request: dict[str, Any], kept: dict[str, Any]) -> None:
    if kept["input"] is None:
        bucket, key = parse_uri(f"{kept['output']}.input")
        role_access.check(outcomes.as_role(cx, fleet.endpoint), bucket, "s3:PutObject", key)
        cx.objects.record(cx, bucket, key, cx.objects.store_bytes(request["Body"]))
        kept["input"], kept["remove_input"] = f"s3://{bucket}/{key}", True
    elif _input(cx, fleet.endpoint, kept) is None:
        raise _invalid(f"Could not find the input object {kept['input']}.")
    now = cx.clock.now()
    row = {
        "account": cx.account,
        "region": cx.region,
        "endpoint": fleet.endpoint,
        "arn": fleet.arn,
        "received": now,
        "expires": now + request.get("RequestTTLSeconds", DEFAULT_TTL_S),
        "request": orjson.dumps(kept),
    }
    cx.db.execute(insert(async_invocations), row)


NOTIFIED = InMemory[asyncio.Event]("endpoints.asynchronous.notified")
"""Set when there may be something to answer."""
TASK = InMemory[asyncio.Task[None]]("endpoints.asynchronous.task")


async def listening(kernel: Kernel) -> None:
    """Start answering what was accepted, this run or an earlier one. Called by the kernel, on the loop."""
    NOTIFIED.set(kernel, asyncio.Event())
    TASK.set(kernel, asyncio.get_running_loop().create_task(_answer_all(kernel)))


def stop(kernel: Kernel) -> None:
    """Stop; what is not answered stays. Called by the kernel, from a thread."""
    task = TASK.get(kernel)
    if task is not None:
        EVENT_LOOP.of(kernel).call_soon_threadsafe(task.cancel)


def _look_now(kernel: Kernel) -> None:
    notified = NOTIFIED.get(kernel)
    if notified is not None:
        notified.set()


async def _answer_all(kernel: Kernel) -> None:
    """Send rows to their endpoints, in order, as many at once as each has capacity for; and expire what nobody takes."""
    notified = NOTIFIED.of(kernel)
    running: dict[int, tuple[str, asyncio.Task[None]]] = {}
    while True:
        notified.clear()
        for row_id in [known for known, (_, task) in running.items() if task.done()]:
            del running[row_id]
        endpoints: Sequence[Any] = ()
        try:
            endpoints = await kernel.db.read(lambda tx: tx.connection.execute(ENDPOINTS).all())
            for endpoint in endpoints:
                for row in await _due(kernel, endpoint, running):
                    running[row.id] = (row.arn, asyncio.create_task(_answer_one(kernel, row, notified)))
        except Exception:
            log.exception("asynchronous invocations could not be read; it is tried again")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_S if endpoints else IDLE_S):
                await notified.wait()


async def _due(kernel: Kernel, endpoint: Any, running: Mapping[int, tuple[str, Any]]) -> Sequence[Any]:
    """Return the rows of an endpoint that are to be taken now: what it has capacity for, and what has expired."""
    taken = [row_id for row_id, (arn, _) in running.items() if arn == endpoint.arn]
    waiting = (
        select(async_invocations).where(COLUMNS.arn == endpoint.arn, COLUMNS.id.not_in(taken)).order_by(COLUMNS.id)
    )
    now = kernel.context(endpoint.account, endpoint.region).clock.now()
    query = waiting.where(COLUMNS.expires < now).limit(MOST_EXPIRED)
    if expired := await kernel.db.read(lambda tx: tx.connection.execute(query).all()):
        return expired
    fleet = fleets(kernel).get((endpoint.account, endpoint.region, endpoint.endpoint))
    free = _capacity(fleet) - len(taken) if fleet is not None and fleet.async_config else 0
    if free <= 0:
        return ()
    return await kernel.db.read(lambda tx: tx.connection.execute(waiting.limit(free)).all())


def _capacity(fleet: Fleet) -> int:
    assert fleet.async_config is not None
    per_instance = fleet.async_config.get("ClientConfig", {}).get(
        "MaxConcurrentInvocationsPerInstance", DEFAULT_CONCURRENCY
    )
    return int(per_instance) * sum(len(variant.instances) for variant in fleet.variants)


async def _answer_one(kernel: Kernel, row: Any, notified: asyncio.Event) -> None:
    """Ask the container, store its answer or its failure, and take the row away."""
    cx = kernel.context(row.account, row.region)
    kept = orjson.loads(row.request)
    answer = await _patiently(row, lambda: _invoke(cx, row, kept))
    if answer is not None:
        outcome = await _patiently(row, lambda: cx.read(lambda inside: outcomes.placed(inside, row, kept, answer)))
        stored = None
        if outcome.place is not None:
            stored = await _patiently(row, lambda: asyncio.to_thread(cx.objects.store_bytes, outcome.content))
        await _patiently(row, lambda: cx.transact(lambda inside: outcomes.settle(inside, row, kept, outcome, stored)))
    notified.set()


async def _patiently(row: Any, step: Callable[[], Awaitable[T]]) -> T:
    """Do a step until it works, after longer and longer pauses; what the steps before it gave is kept meanwhile."""
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return await step()
        except AwsError as error:
            log.warning("asynchronous invocation %s of %s is tried again: %s", row.id, row.arn, error.message)
        except Exception:
            log.exception("asynchronous invocation %s of %s is tried again", row.id, row.arn)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


async def _invoke(cx: Context, row: Any, kept: dict[str, Any]) -> Outcome | None:
    """Return what becomes an object; None when there is nobody to ask. AwsError when the container cannot be reached."""
    if cx.clock.now() > row.expires:
        return outcomes.failed(kept, "The request expired before it was processed.", outcomes.EXPIRED)
    there, stored = await cx.read(lambda inside: (outcomes.is_there(inside, row), _input(inside, row.endpoint, kept)))
    fleet = fleets(cx.kernel).get((cx.account, cx.region, row.endpoint))
    if not there or fleet is None or fleet.async_config is None:
        return None
    if stored is None:
        return outcomes.failed(kept, f"Could not find the input object {kept['input']}.", outcomes.DOWNLOAD)
    body = await asyncio.to_thread(cx.objects.read_bytes, stored)
    names = {header: member for member, header in invoke.FORWARDED.items()}
    request = {names[header]: value for header, value in kept["headers"].items()} | {"Body": body}
    try:
        variant = invoke.pick_variant(fleet, {"TargetVariant": kept["variant"]} if kept["variant"] else {})
        kept["served_by"] = variant.name
        content, headers = await invoke.call_through(
            cx, fleet, variant, request, kept["timeout_s"], MAX_ANSWER_BYTES, check=_check_answer
        )
    except AwsError as error:
        if error.code == "ServiceUnavailable" and not _is_lost(kept, error):
            raise
        return outcomes.failed(kept, error.message)
    return outcomes.Outcome(kept["output"], content, headers.get("content-type", "application/octet-stream"))


def _check_answer(container: Container, reply: Reply) -> None:
    """Raise ModelError for an answer that asynchronous inference does not take, real-time inference does.

    Sources: deepjavalibrary/djl-serving 2567 (an answer in chunks), aws/deep-learning-containers 4668 (large headers).
    """
    if "content-length" not in reply.headers:
        text = f"The response from container {container.name} did not specify the required Content-Length header"
    elif sum(len(name) + len(value) for name, value in reply.headers.items()) > MAX_HEADER_BYTES:
        text = (
            f"Response received from the {container.name} container has headers with length greater than "
            f"{MAX_HEADER_BYTES} bytes. Reduce the length of your container's response headers and update your endpoint."
        )
    else:
        return
    raise AwsError("ModelError", text, status=424)


def _is_lost(kept: dict[str, Any], error: AwsError) -> bool:
    """Count the containers that took the request and died of it; tell whether these were enough."""
    cause = error.__cause__
    if cause is None or cause.__cause__ is not None:  # no instance is up, or the connection was refused
        return False
    kept["died"] = kept.get("died", 0) + 1
    return bool(kept["died"] >= MOST_DEATHS)


def _input(cx: Context, endpoint: str, kept: dict[str, Any]) -> StoredObject | None:
    """Return a request's input; None where it is not there, or is not the endpoint's to read."""
    bucket, key = parse_uri(kept["input"])
    allowed = role_access.may(outcomes.as_role(cx, endpoint), bucket, "s3:GetObject", key)
    return cx.objects.head(cx, bucket, key) if allowed else None


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message)
