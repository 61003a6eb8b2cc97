"""One request on its way through the server: what each step has learnt of it, for the next ones."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from api_specs import model
from server.protocol import protocol_of
from server.types import HttpRequest

if TYPE_CHECKING:
    from botocore.model import OperationModel

    from backends.core.context import Context
    from backends.core.kernel import Kernel
    from server.identify import Identity
    from server.types import HttpResponse, Receive, Scope


def new_request_id() -> str:
    """Make a request id, a random UUID, which nobody need be unable to guess; `uuid` takes eight times as long."""
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


@dataclass(slots=True)
class Exchange:
    """One request on its way through the steps; each step fills in what the next ones read."""

    kernel: Kernel
    request: HttpRequest
    scope: Scope
    receive: Receive
    request_id: str = field(default_factory=new_request_id)
    identity: Identity | None = None
    service: str = ""
    operation: OperationModel | None = None
    input: dict[str, Any] = field(default_factory=dict)
    output: Any = b""
    response: HttpResponse | None = None
    body_read: bool = False
    """The body has been read to its end: `request.body` is all of it."""
    foreign: bool = False
    """A browser sends it for a page of another origin."""

    @property
    def protocol(self) -> Any:
        """The module that reads and writes this service's bytes."""
        return protocol_of(model.load_service(self.service), self.request)

    def context(self) -> Context:
        """Make the context that the handler acts in."""
        assert self.identity is not None
        return self.kernel.context(
            self.identity.account, self.identity.region, caller=self.identity.caller, request_id=self.request_id,
            headers=self._told() if self.service == "s3" else None,
        )  # fmt: skip

    def _told(self) -> dict[str, str]:
        """Return the headers, and what bucket policies ask beside them, under names that no header can have."""
        client = self.scope.get("client")
        return {
            **self.request.headers,
            ":scheme": self.scope.get("scheme", "http"),
            ":client": client[0] if client else "",
        }


def request_of(scope: Scope) -> HttpRequest:
    """Read an ASGI scope. Header names are lower-case; a repeated header of AWS's is joined, as signatures read it."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    if len(headers) != len(scope["headers"]):
        for name in [name for name in headers if name.startswith("x-amz-")]:
            values = [
                value.decode("latin-1").strip() for key, value in scope["headers"] if key == name.encode("latin-1")
            ]
            headers[name] = ",".join(values)
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    return HttpRequest(
        scope.get("method", "GET"),  # a WebSocket has none
        unquote(raw_path.decode("latin-1"), errors="surrogateescape"),
        raw_path,
        scope["query_string"],
        headers,
        host=headers.get("host", ""),
    )
