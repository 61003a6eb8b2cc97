"""The door to moto: HTTP in and out of the adapter in `backends/aws/moto.py`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from server.types import HttpResponse

if TYPE_CHECKING:
    from backends.core.kernel import Kernel
    from server.identify import Identity
    from server.types import HttpRequest


async def answer(kernel: Kernel, request: HttpRequest, identity: Identity | None) -> HttpResponse:
    """Let moto answer; its state lives in memory, on a thread of its own."""
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
    status, headers, content = await asyncio.wrap_future(moto.submit(kernel, sent))
    return HttpResponse(status, headers, content)
