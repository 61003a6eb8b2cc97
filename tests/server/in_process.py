"""The whole server without a socket: a gateway on a kernel of its own, asked through ASGI. For many small requests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends import load_components
from backends.core.kernel import Kernel
from backends.core.settings import Settings
from server.serve import make_gateway
from server.types import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from server.gateway import Gateway
    from server.types import HttpRequest


@dataclass
class InProcessClient:
    """A client of a gateway in this process."""

    gateway: Gateway

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send one request; give the answer with its whole body."""
        sent: dict[str, Any] = {"headers": [], "status": 0, "body": b""}
        arrived = iter([{"type": "http.request", "body": request.body, "more_body": False}])

        over = asyncio.Event()

        async def receive() -> dict[str, Any]:
            message = next(arrived, None)
            if message is None:  # the client stays until it has its answer
                await over.wait()
                return {"type": "http.disconnect"}
            return message

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                sent["status"], sent["headers"] = message["status"], message["headers"]
            else:
                sent["body"] += message.get("body", b"")
                if not message.get("more_body"):
                    over.set()

        headers = {"host": "localhost", **request.headers, "content-length": str(len(request.body))}
        scope = {
            "type": "http",
            "method": request.method,
            "path": request.path,
            "raw_path": request.raw_path,
            "query_string": request.query_string,
            "headers": [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()],
        }
        await self.gateway(scope, receive, send)
        given = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in sent["headers"]]
        return HttpResponse(sent["status"], given, sent["body"])


def with_gateway(data_dir: Path, work: Callable[[InProcessClient], Awaitable[Any]], **settings: Any) -> Any:
    """Run `await work(client)` on a server with all its components."""

    async def main() -> Any:
        kernel = Kernel(Settings.read({}, data_dir=data_dir, runner="process", **settings), load_components())
        kernel.open()
        await kernel.start()
        try:
            return await work(InProcessClient(make_gateway(kernel)))
        finally:
            await kernel.stop()

    return asyncio.run(main())


def signed(service: str, account: str = "123456789012") -> dict[str, str]:
    """Return the header by which a request says for which service it is."""
    scope = f"{account}/20261123/us-east-1/{service}/aws4_request"
    return {"authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
