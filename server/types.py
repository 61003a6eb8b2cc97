"""The vocabulary that every part of the server speaks: ASGI's names, one request, who signed it, one response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from botocore.model import OperationModel

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signed, and how. `version` is 4, 2, or 0 where nobody did.

    `scope` (Version 4 alone) is day/region/service/aws4_request; `date` the X-Amz-Date of a query or form; `ends` when a
    presigned URL of Version 2 ends (epoch seconds); `signed` the names of the signed headers.
    """

    version: int = 0
    key: str = ""
    scope: str = ""
    signature: str = ""
    algorithm: str = ""
    signed: str = ""
    date: str = ""
    token: str = ""
    ends: str = ""
    presigned: bool = False

    @property
    def region(self) -> str:
        """The scope's region; empty where there is none."""
        return _place(self.scope)[0]

    @property
    def signing_name(self) -> str:
        """The service that it is signed for; Version 2 is S3's alone."""
        return "s3" if self.version == 2 else _place(self.scope)[1]


@lru_cache(1024)
def _place(scope: str) -> tuple[str, str]:
    parts = scope.split("/")
    return (parts[1], parts[2]) if len(parts) == 4 else ("", "")


@dataclass(slots=True)
class HttpRequest:
    """One request as it came over the wire.

    `path` is percent-decoded, `raw_path` is not; header names are lower-case. `body` is empty while `stream` is set:
    streamed bodies (S3 objects) are never held in memory as a whole. `matched` is what the path was found to mean,
    with its labels, so that nobody has to match it twice; `credentials` what `server/authentication/credentials.py` read.
    """

    method: str
    path: str
    raw_path: bytes
    query_string: bytes
    headers: Mapping[str, str]
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None
    host: str = ""
    matched: tuple[OperationModel, dict[str, str]] | None = None
    credentials: Credentials | None = None


@dataclass(slots=True)
class HttpResponse:
    """One answer: `body` is bytes, or an iterator of chunks for what is too large or not yet known."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | AsyncIterator[bytes] = b""
