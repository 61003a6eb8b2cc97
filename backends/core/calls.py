"""Operations called in process, by name: as from outside, or as a resource's role.

Each call is validated as a request is, runs in a savepoint of its caller's transaction (a failed call leaves nothing, and
its caller may go on), and with `role` is judged by that role's policies where policies count. The events of
what it makes name the role's session as their caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import orjson

from api_specs import model, validate
from backends.core import errors, idempotency
from backends.core.memory import InMemory
from backends.core.objects import role_access

if TYPE_CHECKING:
    from backends.core.operation import Operation
    from backends.core.types import Context


class Authorizer(Protocol):
    """Judges a call that is made as a role, or for who makes a request, in a transaction. Raises AccessDeniedException."""

    def __call__(self, cx: Any, service: str, operation: str, request: dict[str, Any]) -> None:
        """Return where the role may do it."""


AUTHORIZER = InMemory[Authorizer]("server.authorizer")
"""Stored by the server."""


def call(cx: Context, operation: str, request: dict[str, Any], service: str, role: str) -> dict[str, Any]:
    """Answer an operation in the running transaction. AwsError as from outside; 501 for one that waits, or is not built."""
    registered = _registered(cx, service, operation)
    if registered.waits:
        raise errors.not_implemented(f"{service}:{operation} within a transaction")
    cx = _as_caller(cx, role)
    _check(service, operation, request)
    with cx.transaction.savepoint():
        _authorize(cx, service, operation, request, role)
        return _plain(answer(cx, registered, request))


def answer(cx: Context, operation: Operation, request: dict[str, Any]) -> Any:
    """Run the handler of a sync operation in the running transaction, once for each client token."""
    if operation.reads:
        return operation.handler(cx, request)
    return idempotency.once(cx, operation.service, operation.name, request, lambda: operation.handler(cx, request))


async def call_async(cx: Context, operation: str, request: dict[str, Any], service: str, role: str) -> dict[str, Any]:
    """Answer any operation, in transactions of its own."""
    registered = _registered(cx, service, operation)
    cx = _as_caller(cx, role)
    _check(service, operation, request)
    if not registered.waits:
        return await cx.transact(lambda inside: call(inside, operation, request, service, role))
    await cx.transact(lambda inside: _authorize(inside, service, operation, request, role))
    return _plain(await registered.handler(cx, request))


def judge(cx: Context, operation: str, request: dict[str, Any], service: str = "sagemaker") -> None:
    """Judge a call for who makes the request, where one operation stands for another. AccessDeniedException."""
    authorizer = AUTHORIZER.get(cx.kernel)
    if authorizer is not None:
        authorizer(cx, service, operation, request)


def _registered(cx: Context, service: str, operation: str) -> Operation:
    registered: Operation | None = cx.kernel.operations.get((service, operation))
    if registered is None:
        raise errors.not_implemented(f"{service}:{operation}")
    return registered


def _as_caller(cx: Context, role: str) -> Context:
    return role_access.as_role(cx, role) if role else cx


def _check(service: str, operation: str, request: dict[str, Any]) -> None:
    shape = model.operation(operation, service).input_shape
    broken = validate.violations(shape, request) if shape is not None else []
    if broken:
        raise errors.validation(validate.sentence(broken))


def _authorize(cx: Context, service: str, operation: str, request: dict[str, Any], role: str) -> None:
    authorizer = AUTHORIZER.get(cx.kernel)
    if role and authorizer is not None:
        authorizer(cx, service, operation, request)


def _plain(answer: Any) -> dict[str, Any]:
    return dict(orjson.loads(answer) if isinstance(answer, bytes) else answer)
