"""A body is read once; a streamed answer only as long as somebody hears it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from server import body
from server.types import HttpRequest, HttpResponse
from tests.server.in_process import with_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.server.in_process import InProcessClient


def test_a_stream_is_closed_when_its_client_goes() -> None:
    seen: list[str] = []

    async def content() -> AsyncIterator[bytes]:
        try:
            while True:
                seen.append("chunk")
                yield b"x"
                await asyncio.sleep(0)
        finally:
            seen.append("closed")

    async def main() -> None:
        left = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(_message: Any) -> None:
            if len(seen) == 5:
                left.set()

        await asyncio.wait_for(body.send(HttpResponse(200, [], content()), "GET", send, receive), 5)

    asyncio.run(main())
    assert seen[-1] == "closed"
    assert len(seen) < 10


def test_a_stream_that_is_heard_comes_whole() -> None:
    async def content() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d" % number

    sent: list[Any] = []

    async def main() -> None:
        async def receive() -> dict[str, Any]:
            await asyncio.Event().wait()
            return {}

        async def send(message: Any) -> None:
            sent.append(message)

        await body.send(HttpResponse(200, [], content()), "GET", send, receive)

    asyncio.run(main())
    assert b"".join(message.get("body", b"") for message in sent) == b"012"
    assert not sent[-1].get("more_body")


def test_a_body_that_named_no_service_is_not_read_twice(tmp_path: Path) -> None:
    """Read again, an empty one would wait for the client to leave: no header says that it is empty."""

    async def work(client: InProcessClient) -> None:
        headers = {"host": "s3.us-east-1.amazonaws.com", "transfer-encoding": "chunked"}
        request = HttpRequest("POST", "/bucket/key", b"/bucket/key", b"uploads", headers)
        answer = await asyncio.wait_for(client.send(request), 5)
        assert answer.status == 404
        assert isinstance(answer.body, bytes)
        assert b"NoSuchBucket" in answer.body

    with_gateway(tmp_path, work)
