"""The HTTP client against a server that does what it is told, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from backends.core.errors import AwsError
from backends.endpoints import http, invoke

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

Address = tuple[str, int]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Who: Model\r\n\r\nok"


class Scripted:
    """Answers the n-th request with the n-th script; a script ending in None hangs up. Counts its connections."""

    def __init__(self, *scripts: tuple[bytes | None, ...]) -> None:
        self._scripts = list(scripts)
        self.connections = 0
        self.requests: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                for part in self._scripts.pop(0):
                    if part is None:
                        return
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def serve(server: Scripted, work: Callable[[http.Client, Address], Awaitable[Any]]) -> Any:
    """Run `work(client, address)` against it."""

    async def main() -> Any:
        listening = await asyncio.start_server(server, "127.0.0.1", 0)
        client = http.Client()
        try:
            return await asyncio.wait_for(work(client, listening.sockets[0].getsockname()), 10)
        finally:
            client.close()
            listening.close()
            await asyncio.sleep(0)

    return asyncio.run(main())


def post(client: http.Client, address: Address, body: bytes = b"in") -> Awaitable[http.Reply]:
    return client.post(address, "/invocations", {"Content-Type": "text/plain"}, body, 1 << 20)


def test_connections_are_kept_and_requests_are_whole() -> None:
    server = Scripted((OK,), (OK[:20], OK[20:-1], OK[-1:]))

    async def work(client: http.Client, address: Address) -> None:
        for _ in range(2):
            reply = await post(client, address)
            assert (reply.status, reply.body, reply.headers["x-who"]) == (200, b"ok", "Model")

    serve(server, work)
    assert server.connections == 1
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert body == b"in"
    assert head.startswith(b"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"Accept: */*" in head


@pytest.mark.parametrize(
    "answer",
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", b"1\r\nc\r\n0\r\n\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", None),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab", b"c", None),
    ],
    ids=["chunked", "after 100", "HTTP/1.0", "until closed"],
)
def test_every_way_of_framing_an_answer(answer: tuple[bytes | None, ...]) -> None:
    async def work(client: http.Client, address: Address) -> None:
        assert (await post(client, address)).body == b"abc"
        assert (await post(client, address)).body == b"ok"

    serve(Scripted(answer, (OK,)), work)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((None,), http.NoAnswerError),
        ((b"HTTP/1.1 200", None), http.NoAnswerError),
        ((b"nonsense\r\n\r\n",), http.NoAnswerError),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", None), http.BrokenAnswerError),
        ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", None), http.BrokenAnswerError),
    ],
)
def test_what_breaks_off_is_an_error_and_the_next_request_works(
    answer: tuple[bytes | None, ...], error: type[Exception]
) -> None:
    server = Scripted(answer, (OK,))

    async def work(client: http.Client, address: Address) -> None:
        with pytest.raises(error):
            await post(client, address)
        assert (await post(client, address)).body == b"ok"

    serve(server, work)
    assert server.connections == 2


def test_nobody_listens() -> None:
    async def work(client: http.Client, _: Address) -> None:
        with pytest.raises(http.NoAnswerError):
            await post(client, ("127.0.0.1", 1))

    serve(Scripted(), work)


def test_who_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the address of a container that is being removed: neither refused nor accepted."""
    monkeypatch.setattr(http, "CONNECT_S", 0.2)
    with contextlib.ExitStack() as stack:
        deaf = stack.enter_context(socket.socket())
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(2):  # the backlog is full then, and Linux drops what comes
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())

        async def post() -> None:
            with pytest.raises(http.NoAnswerError, match="no connection within"):
                await http.Client().post(deaf.getsockname(), "/invocations", {}, b"", 100)

        asyncio.run(asyncio.wait_for(post(), 10))


def test_a_streamed_answer_comes_in_parts_and_gives_its_connection_back() -> None:
    big = bytes(4 << 20)
    server = Scripted((b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(big), big), (OK,))

    async def work(client: http.Client, address: Address) -> None:
        reply, chunks = await client.stream(address, "/invocations", {}, b"")
        assert reply.status == 200
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            await asyncio.sleep(0)  # a slow reader: the connection is paused and resumed
        assert size == len(big)
        assert (await post(client, address)).body == b"ok"

    serve(server, work)
    assert server.connections == 1


def test_a_streamed_answer_that_breaks_off() -> None:
    async def work(client: http.Client, address: Address) -> None:
        _, chunks = await client.stream(address, "/invocations", {}, b"")
        assert await anext(chunks) == b"ab"
        with pytest.raises(http.BrokenAnswerError):
            await anext(chunks)

    serve(Scripted((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", None)), work)


def test_a_cancelled_request_hangs_up() -> None:
    server = Scripted((), (OK,))

    async def work(client: http.Client, address: Address) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await post(client, address)
        assert (await post(client, address)).body == b"ok"

    serve(server, work)
    assert server.connections == 2


def test_line_ends_in_a_value_begin_no_header() -> None:
    server = Scripted((OK,))

    async def work(client: http.Client, address: Address) -> None:
        await client.post(address, "/invocations", {"X-Evil": "a\r\nX-Other: b"}, b"", 1 << 20)

    serve(server, work)
    assert b"\r\nX-Other" not in server.requests[0]


@pytest.mark.parametrize("framing", [b"Content-Length: 4000000\r\n", b"Transfer-Encoding: chunked\r\n", b""])
def test_an_answer_without_end_is_broken_off(framing: bytes) -> None:
    block = b"x" * 65536
    part = b"10000\r\n" + block + b"\r\n" if b"chunked" in framing else block
    server = Scripted((b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n", *[part] * 60, None), (OK,))

    async def work(client: http.Client, address: Address) -> None:
        with pytest.raises(http.BrokenAnswerError, match="longer than 1048576 bytes"):
            await post(client, address)
        assert (await post(client, address)).body == b"ok"

    serve(server, work)
    assert server.connections == 2


def test_a_streamed_refusal_that_is_endless_or_breaks_off_is_the_models_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invoke, "MAX_ANSWER_BYTES", 1000)
    reply = http.Reply()
    reply.status = 500
    cx: Any = SimpleNamespace(region="us-east-1", account="000000000000")
    fleet: Any = SimpleNamespace(endpoint="e")
    container: Any = SimpleNamespace(name="c")

    async def endless() -> AsyncGenerator[bytes]:
        while True:
            yield b"x" * 100

    async def broken() -> AsyncGenerator[bytes]:
        yield b"x"
        raise http.BrokenAnswerError("the connection was closed")

    for chunks, text in ((endless(), "longer than 1000 bytes"), (broken(), "the connection was closed")):
        with pytest.raises(AwsError, match=text) as caught:
            asyncio.run(invoke._check_streamed(cx, fleet, container, reply, chunks))
        assert caught.value.code == "ModelError"


def test_who_has_an_ended_containers_address_now_is_not_asked() -> None:
    server = Scripted((OK,))

    async def work(client: http.Client, address: Address) -> None:
        with pytest.raises(http.NoAnswerError, match="has ended"):
            await client.post(address, "/invocations", {}, b"in", 1 << 20, lambda: True)
        with pytest.raises(http.NoAnswerError, match="has ended"):
            await client.stream(address, "/invocations", {}, b"in", lambda: True)

    serve(server, work)
    assert server.requests == []
