"""Requests that moto answers: HTTP in and out of the adapter in `backends/aws/moto`."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

from backends.aws.moto.journal import CALLER
from backends.core import errors
from server import resource_policies, scope
from server.listener import hosts
from server.route import FORM
from server.types import HttpResponse

if TYPE_CHECKING:
    from backends.aws.moto.wsgi import Answer, MotoRequest
    from backends.core.kernel import Kernel
    from server.identify import Identity
    from server.types import HttpRequest


log = logging.getLogger(__name__)
RECHECK_S = 1.0  # a message that was in flight comes back without a sound
PLAIN = re.compile(r"[A-Za-z0-9._-]+")
OF_MOTO = ("/moto-api", "/latest/", "/favicon.ico")
"""What moto answers itself, whoever asks: everything of all accounts, a reset of it, an EC2 machine's metadata."""
SAGEMAKER_TASK = re.compile(rb"arn:aws[a-z-]*:states:::sagemaker:[A-Za-z]+(?:\.[A-Za-z]+)?")
"""A task of SageMaker's in a state machine: moto keeps state machines and runs none, so that one would wait for ever."""
WHAT = "this request (moto, which answers for this service, does not support it)"


async def answer(kernel: Kernel, request: HttpRequest, identity: Identity | None) -> HttpResponse:
    """Let moto answer, on a thread of its own. What it cannot answer is a 501 of ours."""
    from backends.aws.lambda_ import code
    from backends.aws.moto import wsgi

    assert identity is not None
    if not (identity.signing_name or "x-amz-target" in request.headers or hosts.aws_host(request.host)):
        # Moto would take it for one of its own S3's.
        raise errors.AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    settings = kernel.settings
    enforced = settings.auth == "enforce" or settings.iam == "enforce"
    dummy = not enforced and not identity.caller.arn and identity.caller.access_key != identity.account
    account = await resource_policies.account_of(kernel, request, identity, lenient=dummy)
    if enforced:
        scope.check(request, identity)
    if identity.signing_name == "states" and (task := SAGEMAKER_TASK.search(request.body)) is not None:
        raise errors.not_implemented(f"the Step Functions task {task[0].decode()}")
    if identity.signing_name == "lambda":
        cx = kernel.context(account, identity.region).acting_as(identity.caller)
        request.body = await code.with_zip(cx, request.body)
    sent = wsgi.MotoRequest(
        request.method,
        request.raw_path.decode("latin-1"),
        _query(request, identity),
        _headers(request, identity),
        request.body,
        account,
    )
    try:
        status, headers, content = await _send(kernel, sent)
    except Exception as error:  # moto's own failures: nobody gets its traceback
        if errors.is_disk_full(error):  # it could not be recorded
            raise errors.disk_full() from error
        log.warning("moto failed on %s %s: %r", request.method, request.path, error)
        raise errors.not_implemented(WHAT) from error
    if status >= 500:
        log.warning("moto answered %d to %s %s", status, request.method, request.path)
        raise errors.not_implemented(WHAT)
    if content[:15].lower() == b"<!doctype html>":  # flask's page; moto's own answers may call themselves HTML too
        raise _unknown()
    # Moto lets pages of every origin in; who may, is decided in `server/browser.py`.
    kept = [(name, value) for name, value in headers if not name.lower().startswith("access-control-")]
    return HttpResponse(status, kept, content)


def _unknown() -> errors.AwsError:
    return errors.AwsError("UnknownOperationException", "No operation answers this method and path.", status=404)


def _headers(request: HttpRequest, identity: Identity) -> dict[str, str]:
    """Return the request's headers with the service, region and key that were verified: moto reads them its own way."""
    headers = {name: value for name, value in request.headers.items() if not name.startswith("x-localmaker-")}
    headers |= {CALLER: identity.caller.arn} if identity.caller.arn else {}
    headers["user-agent"] = headers.get("user-agent", "").replace(
        "region/", "region:"
    )  # moto takes that for the region
    if identity.signing_name:
        if not (PLAIN.fullmatch(identity.signing_name) and PLAIN.fullmatch(identity.region)):
            raise errors.AwsError("IncompleteSignatureException", "Credential must name a region and a service.", 403)
        key = quote(identity.caller.access_key, safe="")
        scope = f"{key}/20260101/{identity.region}/{identity.signing_name}/aws4_request"
        headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    return headers


def _query(request: HttpRequest, identity: Identity) -> str:
    """Return the query with which moto does the operation that was judged, however many a request names.

    Moto takes `Action`, from a form, the query or anything that looks like a form, before a target, and both before the path.
    """
    if request.path.startswith(OF_MOTO):
        raise _unknown()
    query = request.query_string.decode("latin-1")
    target = request.headers.get("x-amz-target", "").rpartition(".")[2]
    named = {*([target] if target else ()), *parse_qs(query).get("Action", ())}
    is_form = request.headers.get("content-type", "").startswith(FORM)
    if is_form:
        named |= set(parse_qs(request.body.decode("latin-1")).get("Action", ()))
    if len(named) > 1 or (named and request.path.strip("/") and identity.signing_name != "sqs"):
        raise errors.AwsError("UnknownOperationException", "The request names more than one operation.")
    if b"Action=" in request.body and not is_form:
        query += ("&" if query else "") + (f"Action={quote(target)}" if target else "x-localmaker=body")
    return query


async def _send(kernel: Kernel, sent: MotoRequest) -> Answer:
    """Ask moto; a long poll waits here, and not on moto's only thread, where nobody could send what it waits for."""
    from backends.aws.moto import adapter

    requested, wait_s = adapter.long_poll(sent)
    if wait_s is None:
        wait_s = await asyncio.wrap_future(adapter.queue_wait_s(kernel, sent))
    ends = time.monotonic() + wait_s
    while True:
        answer = await asyncio.wrap_future(adapter.submit(kernel, requested))
        left_s = ends - time.monotonic()
        if left_s <= 0 or adapter.has_messages(answer):
            return answer
        await kernel.changed.wait(min(left_s, RECHECK_S))
