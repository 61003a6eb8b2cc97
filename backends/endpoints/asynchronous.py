"""InvokeEndpointAsync: accepted now, answered in S3 later, and never lost in between.

It is promised work: an item is written before the caller gets its 202 and removed when the output (or failure) object is
there; a server that is killed in between asks the container again, so a container may see a request twice.
Source: developer guide "Asynchronous inference" (2026-11).
"""

from __future__ import annotations

import asyncio
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

from backends.core import work
from backends.core.errors import AwsError
from backends.core.objects import parse_uri, role_access
from backends.core.operation import operation
from backends.endpoints import invoke, outcomes
from backends.endpoints.fleet import fleet_of, fleets
from backends.endpoints.invoke import invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.context import Context
    from backends.core.objects import StoredObject
    from backends.core.work import Item
    from backends.endpoints.fleet import Container, Fleet
    from backends.endpoints.http import Reply
    from backends.endpoints.outcomes import Outcome

QUEUE = "endpoints.invocations"
MAX_INLINE_BYTES = 128_000
MAX_ANSWER_BYTES = 1 << 30  # the guide's limit of an asynchronous payload
MAX_HEADER_BYTES = 4096
DEFAULT_TTL_S = 21_600
DEFAULT_TIMEOUT_S = 900
DEFAULT_CONCURRENCY = 4  # AWS chooses by itself when MaxConcurrentInvocationsPerInstance is not given
MOST_DEATHS = 3  # a request of which so many containers died is not given to another one


@operation("InvokeEndpointAsync", service="sagemaker-runtime", acts_on=("Endpoint",))
async def invoke_endpoint_async(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Accept a request whose input is in S3 (or inline up to 128,000 bytes); its answer will be an object."""
    fleet = await invoke.find_fleet(cx, request["EndpointName"])
    invoke.check_request(request)
    if fleet.async_config is None:
        raise invalid(f"Endpoint {fleet.endpoint} is not configured for asynchronous inference.")
    if bool(request.get("Body")) == ("InputLocation" in request):  # a request without a body has an empty one
        raise invalid("Exactly one of InputLocation and Body must be given.")
    if len(request.get("Body", b"")) > MAX_INLINE_BYTES:
        raise invalid(f"The request body exceeds {MAX_INLINE_BYTES} bytes.")
    inference_id = request.get("InferenceId") or str(uuid.uuid4())
    output, failure = _places(fleet.async_config["OutputConfig"], request, inference_id)
    body = {
        "endpoint": fleet.endpoint,
        "headers": invoke.container_headers(request),
        "variant": request.get("TargetVariant"),
        "input": request.get("InputLocation"),
        "output": output,
        "failure": failure,
        "timeout_s": request.get("InvocationTimeoutSeconds", DEFAULT_TIMEOUT_S),
        "id": inference_id,
        "topics": fleet.async_config["OutputConfig"].get("NotificationConfig"),
    }
    await cx.transact(lambda inside: _accept(inside, fleet, request, body))
    answer = {"InferenceId": inference_id, "OutputLocation": output}
    return answer | ({"FailureLocation": failure} if failure else {})


def _places(config: dict[str, Any], request: dict[str, Any], inference_id: str) -> tuple[str, str | None]:
    """Return the S3 URIs of the answer and of a failure."""
    base = config.get("S3OutputPath")
    if base is None:
        raise invalid("The endpoint configuration has no S3OutputPath.")
    if "S3OutputPathExtension" in request:
        base = f"{base.rstrip('/')}/{request['S3OutputPathExtension'].strip('/')}"
    output = f"{base.rstrip('/')}/{request.get('Filename', f'{inference_id}.out')}"
    failures = config.get("S3FailurePath")
    # Unverified: the form of the failure object's name.
    return output, f"{failures.rstrip('/')}/{inference_id}-error.out" if failures else None


def _accept(cx: Context, fleet: Fleet, request: dict[str, Any], body: dict[str, Any]) -> None:
    if body["input"] is None:
        bucket, key = parse_uri(f"{body['output']}.input")
        role_access.check(outcomes.as_role(cx, fleet.endpoint), bucket, "s3:PutObject", key)
        cx.objects.record(cx, bucket, key, cx.objects.store_bytes(request["Body"]))
        body["input"], body["remove_input"] = f"s3://{bucket}/{key}", True
    elif _input(cx, body) is None:
        raise invalid(f"Could not find the input object {body['input']}.")
    work.add(cx, QUEUE, fleet.arn, body, expires=cx.clock.now() + request.get("RequestTTLSeconds", DEFAULT_TTL_S))


def _capacity(cx: Context, arn: str) -> int:
    """Return how many requests an endpoint takes at once: none while it does not serve, or not asynchronously."""
    fleet = next((fleet for fleet in list(fleets(cx.kernel).values()) if fleet.arn == arn), None)
    if fleet is None or fleet.async_config is None:
        return 0
    client = fleet.async_config.get("ClientConfig", {})
    per_instance = client.get("MaxConcurrentInvocationsPerInstance", DEFAULT_CONCURRENCY)
    return int(per_instance) * sum(len(variant.instances) for variant in fleet.variants)


@work.does(QUEUE, capacity=_capacity)
async def answer(cx: Context, item: Item) -> Callable[[Context], None]:
    """Ask the container and store its answer or its failure; what one attempt has got, the next does not ask for again."""
    kept = item.kept
    if "outcome" not in kept:
        kept["outcome"] = await _invoke(cx, item)
    if "stored" not in kept:
        kept["outcome"] = outcome = await cx.read(lambda inside: outcomes.placed(inside, item.body, kept["outcome"]))
        is_placed = outcome.place is not None
        kept["stored"] = await asyncio.to_thread(cx.objects.store_bytes, outcome.content) if is_placed else None
    return partial(outcomes.settle, item=item, outcome=kept["outcome"], stored=kept["stored"])


async def _invoke(cx: Context, item: Item) -> Outcome:
    """Return what becomes an object. ServiceUnavailable when the container cannot be reached, or nobody serves."""
    accepted = item.body
    if item.expires is not None and cx.clock.now() > item.expires:
        return outcomes.failed(accepted, "The request expired before it was processed.", outcomes.EXPIRED)
    fleet = fleet_of(cx, accepted["endpoint"])
    if fleet is None or fleet.async_config is None:
        raise AwsError("ServiceUnavailable", f"Endpoint {accepted['endpoint']} does not serve now.")
    stored = await cx.read(lambda inside: _input(inside, accepted))
    if stored is None:
        return outcomes.failed(accepted, f"Could not find the input object {accepted['input']}.", outcomes.DOWNLOAD)
    body = await asyncio.to_thread(cx.objects.read_bytes, stored)
    names = {header: member for member, header in invoke.FORWARDED.items()}
    request = {names[header]: value for header, value in accepted["headers"].items()} | {"Body": body}
    try:
        variant = invoke.pick_variant(fleet, {"TargetVariant": accepted["variant"]} if accepted["variant"] else {})
        item.kept["served_by"] = variant.name
        content, headers = await invoke.call_through(
            cx, fleet, variant, request, accepted["timeout_s"], MAX_ANSWER_BYTES, check=_check_answer
        )
    except AwsError as error:
        if error.code == "ServiceUnavailable" and not _is_lost(item.kept, error):
            raise
        return outcomes.failed(accepted, error.message)
    return outcomes.Outcome(accepted["output"], content, headers.get("content-type", "application/octet-stream"))


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
    """Count the containers that took the request and died of it; return whether these were enough."""
    cause = error.__cause__
    if cause is None or cause.__cause__ is not None:  # no instance is up, or the connection was refused
        return False
    kept["died"] = kept.get("died", 0) + 1
    return bool(kept["died"] >= MOST_DEATHS)


def _input(cx: Context, accepted: dict[str, Any]) -> StoredObject | None:
    """Return a request's input; None where it is not there, or is not the endpoint's to read."""
    bucket, key = parse_uri(accepted["input"])
    allowed = role_access.may(outcomes.as_role(cx, accepted["endpoint"]), bucket, "s3:GetObject", key)
    return cx.objects.head(cx, bucket, key) if allowed else None
