"""The door to moto: HTTP in and out of the adapter in `backends/aws/moto`."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from backends.core import errors
from server.door import hosts
from server.types import HttpResponse

if TYPE_CHECKING:
    from backends.aws.moto.wsgi import Answer, MotoRequest
    from backends.core.kernel import Kernel
    from server.identify import Identity
    from server.types import HttpRequest


log = logging.getLogger(__name__)
RECHECK_S = 1.0  # a message that was in flight comes back without a sound
WHAT = "this request (moto, which answers for this service, does not support it)"


async def answer(kernel: Kernel, request: HttpRequest, identity: Identity | None) -> HttpResponse:
    """Let moto answer, on a thread of its own. What it cannot answer is a 501 of ours."""
    from backends.aws.moto import wsgi

    assert identity is not None
    if not (identity.signing_name or "x-amz-target" in request.headers or hosts.aws_host(request.host)):
        # Moto would take it for one of its own S3's.
        raise errors.AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    sent = wsgi.MotoRequest(
        request.method,
        request.raw_path.decode("latin-1"),
        request.query_string.decode("latin-1"),
        dict(request.headers),
        request.body,
        identity.account,
    )
    try:
        status, headers, content = await _ask(kernel, sent)
    except Exception as error:  # moto's own failures: nobody gets its traceback
        if errors.is_disk_full(error):  # it could not be recorded
            raise errors.disk_full() from error
        log.warning("moto failed on %s %s: %r", request.method, request.path, error)
        raise errors.not_implemented(WHAT) from error
    if status >= 500:
        log.warning("moto answered %d to %s %s", status, request.method, request.path)
        raise errors.not_implemented(WHAT)
    if content[:15].lower() == b"<!doctype html>":  # flask's page; moto's own answers may call themselves HTML too
        raise errors.AwsError("UnknownOperationException", "No operation answers this method and path.", status=404)
    # Moto lets pages of every origin in; who may, is decided in `server/browser.py`.
    kept = [(name, value) for name, value in headers if not name.lower().startswith("access-control-")]
    return HttpResponse(status, kept, content)


async def _ask(kernel: Kernel, sent: MotoRequest) -> Answer:
    """Ask moto; a long poll waits here, and not on moto's only thread, where nobody could send what it waits for."""
    from backends.aws.moto import door

    asked, wait_s = door.long_poll(sent)
    if wait_s is None:
        wait_s = await asyncio.wrap_future(door.queue_wait_s(kernel, sent))
    ends = time.monotonic() + wait_s
    while True:
        answer = await asyncio.wrap_future(door.submit(kernel, asked))
        left_s = ends - time.monotonic()
        if left_s <= 0 or door.has_messages(answer):
            return answer
        await kernel.changed.wait(min(left_s, RECHECK_S))
