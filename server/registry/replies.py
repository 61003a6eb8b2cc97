"""What the registry's routes share: who visits which repository, answers, and the specification's errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import orjson

from server.types import HttpResponse

if TYPE_CHECKING:
    from backends.aws.ecr.scope import Repository
    from backends.core.context import Context
    from backends.core.errors import AwsError
    from server.exchange import Exchange
    from server.types import HttpRequest

VERSION = ("Docker-Distribution-Api-Version", "registry/2.0")
CODES = {
    "RepositoryNotFoundException": (404, "NAME_UNKNOWN"),
    "ImageTagAlreadyExistsException": (400, "TAG_INVALID"),
    "LayersNotFoundException": (400, "MANIFEST_BLOB_UNKNOWN"),
    "ReferencedImagesNotFoundException": (400, "MANIFEST_BLOB_UNKNOWN"),
    "ImageReferencedByManifestList": (409, "DENIED"),
    "UploadNotFoundException": (404, "BLOB_UPLOAD_UNKNOWN"),
    "InvalidParameterException": (400, "BLOB_UPLOAD_INVALID"),
    "RequestEntityTooLargeException": (413, "MANIFEST_INVALID"),
    "AccessDenied": (403, "DENIED"),
    "AccessDeniedException": (403, "DENIED"),
    "NotImplemented": (501, "UNSUPPORTED"),
}
"""ECR's codes in the specification's words; everything else is UNKNOWN."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to one repository, by somebody who may."""

    exchange: Exchange
    cx: Context
    repository: Repository

    @property
    def request(self) -> HttpRequest:
        """The request."""
        return self.exchange.request

    def query(self, name: str) -> str:
        """Return a parameter of the query, or nothing."""
        values = parse_qs(self.request.query_string.decode("latin-1"), keep_blank_values=True)
        return values.get(name, [""])[0]

    def path(self, rest: str) -> str:
        """Write the path of something in this repository, as the client knows the repository."""
        return f"/v2/{self.repository.account}.{self.repository.region}/{self.repository.name}/{rest}"


class RegistryError(Exception):
    """An answer that is an error of the specification."""

    def __init__(
        self, status: int, code: str, message: str, headers: tuple[tuple[str, str], ...] = (), detail: Any = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers, self.detail = status, code, message, headers, detail

    def response(self, method: str) -> HttpResponse:
        """Write it. After what has a body the connection ends: nobody may have read it."""
        entry = {"code": self.code, "message": self.message}
        if self.detail is not None:
            entry["detail"] = self.detail
        content = orjson.dumps({"errors": [entry]})
        ending = () if method in {"GET", "HEAD", "DELETE"} else (("Connection", "close"),)
        return reply(self.status, content, ("Content-Type", "application/json"), *ending, *self.headers)


def refused(error: AwsError) -> RegistryError:
    """Put an error of ECR's into the specification's words."""
    status, code = CODES.get(error.code, (error.status, "UNKNOWN"))
    return RegistryError(status, code, error.message)


def reply(status: int, content: Any = b"", *headers: tuple[str, str]) -> HttpResponse:
    """Write an answer."""
    return HttpResponse(status, [VERSION, *headers], content)
