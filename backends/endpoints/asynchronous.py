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
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import delete, insert, select

from backends.core.errors import AwsError
from backends.core.objects import parse_uri
from backends.core.operation import operation
from backends.endpoints import invoke
from backends.endpoints.fleet import fleets
from backends.endpoints.tables import async_invocations

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.kernel import Kernel
    from backends.endpoints.fleet import Fleet

log = logging.getLogger(__name__)
MAX_INLINE_BYTES = 128_000
DEFAULT_TTL_S = 21_600
DEFAULT_TIMEOUT_S = 900
DEFAULT_CONCURRENCY = 4  # AWS chooses by itself when MaxConcurrentInvocationsPerInstance is not given
LOOK_EVERY_S = 0.5
IDLE_S = 5.0


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
    }
    await cx.transact(lambda inside: _keep(inside, fleet, request, kept))
    _look_now(cx.kernel)
    answer = {"InferenceId": inference_id, "OutputLocation": output}
    return answer | ({"FailureLocation": failure} if failure else {})


def _places(config: dict[str, Any], request: dict[str, Any], inference_id: str) -> tuple[str, str | None]:
    """Give the S3 URIs of the answer and of a failure."""
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
        cx.objects.record(cx, bucket, key, cx.objects.store_bytes(request["Body"]))
        kept["input"], kept["remove_input"] = f"s3://{bucket}/{key}", True
    elif cx.objects.head(cx, *parse_uri(kept["input"])) is None:
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


async def listening(kernel: Kernel) -> None:
    """Start answering what was accepted, this run or an earlier one. Called by the kernel, on the loop."""
    kernel.state["async_bell"] = asyncio.Event()
    kernel.state["async_task"] = asyncio.get_running_loop().create_task(_answer_all(kernel))


def stop(kernel: Kernel) -> None:
    """Stop; what is not answered stays. Called by the kernel, from a thread."""
    task = kernel.state.get("async_task")
    if task is not None:
        kernel.state["loop"].call_soon_threadsafe(task.cancel)


def _look_now(kernel: Kernel) -> None:
    bell = kernel.state.get("async_bell")
    if bell is not None:
        bell.set()


async def _answer_all(kernel: Kernel) -> None:
    """Hand rows to their endpoints, in order, as many at once as each has room for."""
    bell: asyncio.Event = kernel.state["async_bell"]
    running: dict[int, tuple[str, asyncio.Task[None]]] = {}
    while True:
        bell.clear()
        for row_id in [known for known, (_, task) in running.items() if task.done()]:
            del running[row_id]
        rows = await kernel.db.read(
            lambda tx: tx.connection.execute(
                select(async_invocations).order_by(async_invocations.c.id).limit(1000)
            ).all()
        )
        for row in rows:
            busy = sum(arn == row.arn for arn, _ in running.values())
            fleet = fleets(kernel).get((row.account, row.region, row.endpoint))
            if row.id not in running and fleet is not None and fleet.async_config and busy < _room(fleet):
                running[row.id] = (row.arn, asyncio.create_task(_answer_one(kernel, row, bell)))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_S if rows else IDLE_S):
                await bell.wait()


def _room(fleet: Fleet) -> int:
    assert fleet.async_config is not None
    each = fleet.async_config.get("ClientConfig", {}).get("MaxConcurrentInvocationsPerInstance", DEFAULT_CONCURRENCY)
    return int(each) * sum(len(variant.instances) for variant in fleet.variants)


async def _answer_one(kernel: Kernel, row: Any, bell: asyncio.Event) -> None:
    """Ask the container, store its answer or its failure, and take the row away."""
    cx = kernel.context(row.account, row.region)
    kept = orjson.loads(row.request)
    try:
        place, content, content_type = await _ask(cx, row, kept)
        if place is not None:
            stored = await asyncio.to_thread(cx.objects.store_bytes, content)
        await cx.transact(lambda inside: _settle(inside, row.id, kept, place, stored if place else None, content_type))
    except Exception:
        log.exception("asynchronous invocation %s of %s could not be recorded; it is tried again", row.id, row.arn)
        await asyncio.sleep(1)
    bell.set()


async def _ask(cx: Context, row: Any, kept: dict[str, Any]) -> tuple[str | None, bytes, str]:
    """Give where the answer goes, its bytes and its type."""
    if cx.clock.now() > row.expires:
        return kept["failure"], b"The request expired before it was processed.", "text/plain"
    fleet = fleets(cx.kernel)[cx.account, cx.region, row.endpoint]
    stored = await cx.read(lambda inside: cx.objects.head(inside, *parse_uri(kept["input"])))
    if stored is None:
        return kept["failure"], f"Could not find the input object {kept['input']}.".encode(), "text/plain"
    body = await asyncio.to_thread(cx.objects.read_bytes, stored)
    names = {header: member for member, header in invoke.FORWARDED.items()}
    request = {names[header]: value for header, value in kept["headers"].items()} | {"Body": body}
    try:
        variant = invoke.pick_variant(fleet, {"TargetVariant": kept["variant"]} if kept["variant"] else {})
        content, headers = await invoke.call_through(cx, fleet, variant, request, kept["timeout_s"])
    except AwsError as error:
        return kept["failure"], error.message.encode(), "text/plain"
    return kept["output"], content, headers.get("content-type", "application/octet-stream")


def _settle(cx: Context, row_id: int, kept: dict[str, Any], place: str | None, stored: Any, content_type: str) -> None:
    if place is not None:
        bucket, key = parse_uri(place)
        cx.objects.record(cx, bucket, key, stored, {"ContentType": content_type})
    if kept.get("remove_input"):
        cx.objects.delete(cx, *parse_uri(kept["input"]))
    cx.db.execute(delete(async_invocations).where(async_invocations.c.id == row_id))


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message)
