"""The hot path: InvokeEndpoint and InvokeEndpointWithResponseStream. No transaction, no thread, one HTTP call.

Source: developer guide "How containers serve requests" (2026-11); sagemaker-runtime's model. A container has 60 s to
answer; what it refuses comes back as ModelError with its status, its body and a link to its log.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.core.arn import make as make_arn
from backends.core.errors import AwsError
from backends.core.loops import EVENT_LOOP
from backends.core.memory import InMemory
from backends.core.operation import operation
from backends.endpoints import http
from backends.endpoints.fleet import Container, Fleet, Instance, Variant, fleet_of, log_group
from backends.endpoints.status import ENDPOINT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

    from backends.core.context import Context
    from backends.core.kernel import Kernel

MAX_BODY_BYTES = 6_291_456
MAX_ANSWER_BYTES = 64 << 20
"""What a real-time answer may have. Unverified: AWS documents a limit of the request only."""
TIMEOUT_S = 60.0
APPEAR_EVERY_S = 0.05
APPEAR_S = 15.0  # after a restart, what was InService is found again within this time
# Members of the request -> headers that the container gets; everything else is dropped, as AWS does.
FORWARDED = {
    "ContentType": "Content-Type",
    "Accept": "Accept",
    "CustomAttributes": "X-Amzn-SageMaker-Custom-Attributes",
    "TargetModel": "X-Amzn-SageMaker-Target-Model",
    "TargetVariant": "X-Amzn-SageMaker-Target-Variant",
    "InferenceId": "X-Amzn-SageMaker-Inference-Id",
}
LATER = {
    "TargetModel": "multi-model endpoints",
    "TargetContainerHostname": "direct invocation of a container",
    "InferenceComponentName": "inference components",
    "EnableExplanations": "online explanations",
    "SessionId": "stateful sessions",
}


@operation("InvokeEndpoint", service="sagemaker-runtime")
async def invoke_endpoint(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Pass a request to the endpoint's model and give its answer back."""
    fleet = await find_fleet(cx, request["EndpointName"])
    check_request(request)
    if fleet.async_config is not None:
        raise invalid(f"Endpoint {fleet.endpoint} can only be invoked asynchronously.")
    variant = pick_variant(fleet, request)
    body, headers = await call_through(cx, fleet, variant, request, TIMEOUT_S)
    answer = {
        "Body": body,
        "ContentType": headers.get("content-type", "application/octet-stream"),
        "InvokedProductionVariant": variant.name,
    }
    attributes = headers.get("x-amzn-sagemaker-custom-attributes")
    return answer | ({"CustomAttributes": attributes} if attributes else {})


@operation("InvokeEndpointWithResponseStream", service="sagemaker-runtime", acts_on=("Endpoint",))
async def invoke_endpoint_with_response_stream(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Pass a request on and stream the answer back as it comes, in event-stream frames."""
    fleet = await find_fleet(cx, request["EndpointName"])
    check_request(request)
    variant = pick_variant(fleet, request)
    instance = serving_instance(fleet, variant)
    if len(instance.containers) > 1:
        raise invalid("Response streaming is not supported for a serial inference pipeline.")
    container = instance.containers[0]
    instance.outstanding += 1
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reply, chunks = await _stream(cx.kernel, container, request.get("Body", b""), container_headers(request))
            await _check_streamed(cx, fleet, container, reply, chunks)
    except TimeoutError as error:
        instance.outstanding -= 1
        raise _timed_out(cx, fleet, container) from error
    except BaseException:
        instance.outstanding -= 1
        raise
    return {
        "Body": _parts(chunks, instance),
        "ContentType": reply.headers.get("content-type", "application/octet-stream"),
        "InvokedProductionVariant": variant.name,
    }


async def _check_streamed(
    cx: Context, fleet: Fleet, container: Container, reply: http.Reply, chunks: AsyncGenerator[bytes]
) -> None:
    if reply.status < 300:
        return
    try:
        body = await _whole(chunks)
    except http.BrokenAnswerError as error:
        raise model_error(cx, fleet, container, 0, f"The container's answer broke off: {error}.".encode()) from error
    raise model_error(cx, fleet, container, reply.status, body)


async def _whole(chunks: AsyncGenerator[bytes]) -> bytes:
    """Read an answer to its end. BrokenAnswerError for one without end."""
    body = bytearray()
    async with contextlib.aclosing(chunks):
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise http.BrokenAnswerError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)


async def _parts(chunks: AsyncIterator[bytes], instance: Instance) -> AsyncIterator[dict[str, Any]]:
    try:
        async for chunk in chunks:
            yield {"PayloadPart": {"Bytes": chunk}}
    except http.BrokenAnswerError as error:
        raise AwsError("ModelStreamError", str(error), members={"ErrorCode": "StreamBroken"}) from error
    finally:
        instance.outstanding -= 1


async def find_fleet(cx: Context, name: str) -> Fleet:
    """Find who serves an endpoint; ValidationError when it is not there or not in service."""
    fleet = fleet_of(cx, name)
    if fleet is not None:
        return fleet
    deadline = time.monotonic() + APPEAR_S
    while True:
        row = await cx.read(lambda inside: ENDPOINT.find(inside, name))
        if row is None or row.key != name:  # here, and only here, the case must match
            raise invalid(f"Endpoint {name} of account {cx.account} not found.")
        if row.status not in {"InService", "Updating"} or time.monotonic() > deadline:
            break
        await asyncio.sleep(APPEAR_EVERY_S)
        fleet = fleet_of(cx, name)
        if fleet is not None:
            return fleet
    raise invalid(f"Endpoint {name} of account {cx.account} is in status {row.status}, not InService.")


def check_request(request: dict[str, Any]) -> None:
    """Refuse what is too large and what a later issue brings."""
    for member, what in LATER.items():
        if request.get(member):
            raise errors.not_implemented(what)
    if len(request.get("Body", b"")) > MAX_BODY_BYTES:
        raise invalid(f"The request body exceeds {MAX_BODY_BYTES} bytes.")


def pick_variant(fleet: Fleet, request: dict[str, Any]) -> Variant:
    """Choose the variant that the request names, or one by weight."""
    wanted = request.get("TargetVariant")
    if wanted is None:
        return fleet.pick()
    variant = fleet.by_name.get(wanted)
    if variant is None:
        raise invalid(f"Variant {wanted} was not found for endpoint {fleet.endpoint}.")
    return variant


def serving_instance(fleet: Fleet, variant: Variant) -> Instance:
    """Choose an instance of a variant; ServiceUnavailable while none is up."""
    if not variant.instances:
        raise AwsError("ServiceUnavailable", f"No instance of {fleet.endpoint}/{variant.name} is up.", status=503)
    return variant.pick()


def container_headers(request: dict[str, Any]) -> dict[str, str]:
    """Return the headers that a container gets."""
    return {header: request[member] for member, header in FORWARDED.items() if member in request}


async def call_through(
    cx: Context,
    fleet: Fleet,
    variant: Variant,
    request: dict[str, Any],
    timeout_s: float,
    limit_bytes: int = MAX_ANSWER_BYTES,
    check: Callable[[Container, http.Reply], None] | None = None,
) -> tuple[bytes, Mapping[str, str]]:
    """Send a body through an instance's containers, each one's answer being the next one's question. `check` judges each good answer.

    Gives the last answer's body and its headers, by lower-case names.
    """
    instance = serving_instance(fleet, variant)
    body: bytes = request.get("Body", b"")
    headers: dict[str, str] = container_headers(request)
    received: Mapping[str, str] = {}
    instance.outstanding += 1
    try:
        for container in instance.containers:
            async with asyncio.timeout(timeout_s):
                # Only the last container hears the caller's Accept (amazon-sagemaker-examples 729).
                last = container is instance.containers[-1]
                requested = headers if last else {k: v for k, v in headers.items() if k != "Accept"}
                reply = await _post(cx.kernel, container, body, requested, limit_bytes)
            body, received = reply.body, reply.headers
            if reply.status >= 300:
                raise model_error(cx, fleet, container, reply.status, body)
            if check is not None:
                check(container, reply)
            if "content-type" in received:
                headers = {**headers, "Content-Type": received["content-type"]}
    except TimeoutError as error:
        raise _timed_out(cx, fleet, container) from error
    except http.BrokenAnswerError as error:
        raise model_error(cx, fleet, container, 0, f"The container's answer broke off: {error}.".encode()) from error
    finally:
        instance.outstanding -= 1
    return body, received


async def _post(
    kernel: Kernel, container: Container, body: bytes, headers: dict[str, str], limit_bytes: int
) -> http.Reply:
    """Ask a container; ServiceUnavailable when it cannot be reached."""
    try:
        address = (container.host, container.port)
        return await client(kernel).post(address, "/invocations", headers, body, limit_bytes, container.has_ended)
    except http.NoAnswerError as error:
        raise _unreachable(error) from error


async def _stream(
    kernel: Kernel, container: Container, body: bytes, headers: dict[str, str]
) -> tuple[http.Reply, AsyncGenerator[bytes]]:
    """Ask a container for an answer that is read as it comes."""
    try:
        address = (container.host, container.port)
        return await client(kernel).stream(address, "/invocations", headers, body, container.has_ended)
    except http.NoAnswerError as error:
        raise _unreachable(error) from error


def _unreachable(error: Exception) -> AwsError:
    return AwsError("ServiceUnavailable", f"The container did not answer: {error}", status=503)


CLIENT = InMemory[http.Client]("endpoints.client", lambda _kernel: http.Client())


def client(kernel: Kernel) -> http.Client:
    """Return the loop's HTTP client, with its open connections to all containers."""
    return CLIENT.of(kernel)


def stop(kernel: Kernel) -> None:
    """Close the HTTP client. Called by the kernel, from a thread, while the loop still runs."""
    kept = CLIENT.forget(kernel)
    if kept is not None:
        EVENT_LOOP.of(kernel).call_soon_threadsafe(kept.close)


def _timed_out(cx: Context, fleet: Fleet, container: Container) -> AwsError:
    text = f"Your invocation timed out while waiting for a response from container {container.name}."
    return model_error(cx, fleet, container, 0, text.encode())


def model_error(cx: Context, fleet: Fleet, container: Container, status: int, body: bytes) -> AwsError:
    """Return ModelError (424) in AWS's words, with the container's status and body (examples issues 235, 1809)."""
    text = body.decode("utf-8", errors="replace")
    side = "client" if 400 <= status < 500 else "server"
    group = log_group(fleet.endpoint)
    message = (
        f'Received {side} error ({status}) from {container.name} with message "{text}". See '
        f"https://{cx.region}.console.aws.amazon.com/cloudwatch/home?region={cx.region}#logEventViewer:group={group} "
        f"in account {cx.account} for more information."
    )
    members = {
        "OriginalStatusCode": status,
        "OriginalMessage": text,
        "LogStreamArn": make_arn("logs", cx.region, cx.account, f"log-group:{group}"),
    }
    return AwsError("ModelError", message, status=424, members=members)


def invalid(message: str) -> AwsError:
    """Return the error of a request that cannot be served."""
    return AwsError("ValidationError", message)
