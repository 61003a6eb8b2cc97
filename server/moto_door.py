"""The door to moto: HTTP in and out of the adapter in `backends/aws/moto.py`."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from backends.core import errors
from server.types import HttpResponse

if TYPE_CHECKING:
    from backends.core.kernel import Kernel
    from server.identify import Identity
    from server.types import HttpRequest


log = logging.getLogger(__name__)
WHAT = "this request (moto, which answers for this service, does not support it)"


async def answer(kernel: Kernel, request: HttpRequest, identity: Identity | None) -> HttpResponse:
    """Let moto answer; its state lives in memory, on a thread of its own. What it cannot answer is a 501 of ours."""
    from backends.aws import moto

    assert identity is not None
    sent = moto.MotoRequest(
        request.method,
        request.raw_path.decode("latin-1"),
        request.query_string.decode("latin-1"),
        dict(request.headers),
        request.body,
        identity.account,
    )
    try:
        status, headers, content = await asyncio.wrap_future(moto.submit(kernel, sent))
    except Exception as error:  # moto's own failures: nobody gets its traceback
        log.warning("moto failed on %s %s: %r", request.method, request.path, error)
        raise errors.not_implemented(WHAT) from error
    if status >= 500:
        log.warning("moto answered %d to %s %s", status, request.method, request.path)
        raise errors.not_implemented(WHAT)
    html = any(name.lower() == "content-type" and value.startswith("text/html") for name, value in headers)
    if status >= 400 and html:  # moto calls some good answers so (EventBridge's)
        raise errors.AwsError("UnknownOperationException", "No operation answers this method and path.", status=404)
    return HttpResponse(status, headers, content)
