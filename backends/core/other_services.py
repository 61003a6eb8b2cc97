"""Services of AWS that are not ours, for components that call them: stored by the component that has them answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from api_specs import model
from backends.core import calls, errors
from backends.core.memory import InMemory
from backends.core.objects import role_access

if TYPE_CHECKING:
    from backends.core.types import Context

SEND = InMemory[Callable[[Any, dict[str, Any]], Future[tuple[int, Any, bytes]]]]("moto.send")
"""`SEND.of(kernel)(cx, detail)` calls an operation at once, as an `AwsCall` event's detail says it; status, headers, body."""

IS_DELIVERY_ALLOWED = InMemory[Callable[[Any, dict[str, str], str], Future[bool]]]("moto.is_delivery_allowed")
"""`IS_DELIVERY_ALLOWED.of(kernel)(kernel, sender, receiver)`: whether the receiver's policy lets the sender in."""

PUBLISH = InMemory[Callable[[Any, str, str, dict[str, Any], list[str]], None]]("events.publish")
"""`PUBLISH.of(kernel)(cx, source, detail_type, detail, resources)` puts an event of AWS's own on the default bus; stored by EventBridge."""

FUNCTION = InMemory[Callable[[Any, str, str, str, str, bool], Future[dict[str, Any]]]]("moto.function")
"""`FUNCTION.of(kernel)(kernel, account, region, name, qualifier, with_code)`: a Lambda function as moto has it; AwsError."""

INVOKE_LATER = InMemory[Callable[[Any, str, str, str, str], None]]("lambda.invoke_later")
"""`INVOKE_LATER.of(kernel)(kernel, account, region, function_arn, event)`: what moto itself invokes, promised."""

LEADS_AWAY = InMemory[Callable[[str, dict[str, Any], str], str]]("server.leads_away")
"""`LEADS_AWAY.of(kernel)(service, parameters, account)`: what of a call leads into another account, empty for nothing; stored by the server."""


async def call_as(cx: Context, service: str, operation: str, parameters: dict[str, Any], role: str) -> dict[str, Any]:
    """Call an operation of any service as a role, in transactions of its own; its answer, or its AwsError."""
    if (service, operation) in cx.kernel.operations:
        return await calls.call_async(cx, operation, parameters, service, role)
    acting = role_access.as_role(cx, role) if role else cx
    authorizer = calls.AUTHORIZER.get(cx.kernel) if role else None
    if authorizer is not None:
        await acting.transact(lambda inside: authorizer(inside, service, operation, parameters))
    return await asyncio.wrap_future(call(acting, service, operation, parameters))


def call(cx: Context, service: str, operation: str, parameters: dict[str, Any]) -> Future[dict[str, Any]]:
    """Call an operation of another service at once, outside of any transaction; its answer, or its AwsError."""
    called = {"service": service, "region": cx.region, "operation": operation, "parameters": parameters}
    answered: Future[dict[str, Any]] = Future()
    leads_away = LEADS_AWAY.get(cx.kernel)
    if leads_away is not None and (text := leads_away(service, parameters, cx.account)):
        denied = f"The request names what is another account's: {text[:200]}"
        answered.set_exception(errors.AwsError("AccessDeniedException", denied, status=403))
        return answered

    def read(sent: Future[tuple[int, Any, bytes]]) -> None:
        try:
            answered.set_result(_read(service, operation, *sent.result()))
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is waited for
            answered.set_exception(error)

    SEND.of(cx.kernel)(cx, called).add_done_callback(read)
    return answered


def protocol_of(service: str) -> str:
    """Return the protocol in which other services are called: JSON where there is a choice, since not all of them know CBOR."""
    metadata = model.load_service(service).metadata
    return "json" if "json" in metadata.get("protocols", ()) else str(metadata["protocol"])


def _read(service: str, operation: str, status: int, headers: Any, body: bytes) -> dict[str, Any]:
    """Read an answer as botocore does. Raises AwsError."""
    from botocore.parsers import create_parser

    called = model.operation(operation, service)
    answer = {"status_code": status, "headers": {k.lower(): v for k, v in headers}, "body": body}
    read = create_parser(protocol_of(service)).parse(answer, called.output_shape)
    if status >= 400:
        error = read.get("Error", {})
        raise errors.AwsError(error.get("Code", "InternalServiceException"), error.get("Message", ""), status=status)
    read.pop("ResponseMetadata", None)
    return dict(read)


def put_event(cx: Context, arn: str, kind: str, detail: dict[str, Any]) -> None:
    """Put an event of `aws.sagemaker` about a resource, its detail-type `kind`, on EventBridge's default bus, in this transaction."""
    PUBLISH.of(cx.kernel)(cx, "aws.sagemaker", kind, detail, [arn])
