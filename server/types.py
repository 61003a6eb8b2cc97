"""The HTTP vocabulary every part of the server speaks: one request, one response."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from botocore.model import OperationModel

    from server.authentication.credentials import Credentials


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
