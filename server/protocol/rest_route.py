"""Paths to operations, for the services that route by method and path (rest-json, rest-xml).

The model's `requestUri` holds literals, labels (`{Bucket}`, greedy `{Key+}`) and query literals (`?uploads`,
`?list-type=2`). Where several operations share a path, the one that asks for most and gets all of it is meant: query
literals, then required query members, then (a table, S3 only) a header.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from server.protocol.failures import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.model import OperationModel, ServiceModel

    from server.types import HttpRequest

HEADER_TOLD_APART = {"CopyObject": "x-amz-copy-source", "UploadPartCopy": "x-amz-copy-source"}
"""S3 operations that differ from another one by a header alone: without it, PutObject or UploadPart is meant."""

SHADOWED = {
    "GetBucketLifecycle": "deprecated; GetBucketLifecycleConfiguration answers the same path",
    "PutBucketLifecycle": "deprecated; PutBucketLifecycleConfiguration answers the same path",
    "GetBucketNotification": "deprecated; GetBucketNotificationConfiguration answers the same path",
    "PutBucketNotification": "deprecated; PutBucketNotificationConfiguration answers the same path",
    "ListDirectoryBuckets": "differs from ListBuckets by its host (s3express-control) alone",
}
"""Operations that no request can name on one host, with the reason."""


@dataclass(frozen=True, slots=True)
class Route:
    """One operation's conditions beyond method and path."""

    operation: OperationModel
    literals: tuple[tuple[str, str | None], ...]
    """Query parameters that must be there, with their value where the model gives one."""
    needs: frozenset[str]
    """All query parameters that must be there: the literals' and the required members'."""
    header: str | None

    @property
    def rank(self) -> tuple[int, int, int]:
        """Return how much the route asks for: the largest is tried first."""
        return len(self.literals), len(self.needs), 0 if self.header is None else 1

    def accepts(self, query: dict[str, list[str]], headers: Mapping[str, str]) -> bool:
        """Return whether the request fulfils the conditions."""
        if not self.needs <= query.keys() or (self.header is not None and self.header not in headers):
            return False
        return not self.literals or all(value is None or value in query[name] for name, value in self.literals)


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """One path with the names of its labels; `match` works on the raw path: a label may hold an encoded slash."""

    regex: re.Pattern[str]
    labels: tuple[str, ...]

    def match(self, raw_path: str) -> dict[str, str] | None:
        """Return the labels' decoded values, None for another path. Raises SerializationException for non-UTF-8."""
        matched = self.regex.fullmatch(raw_path)
        if matched is None:
            return None
        texts = matched.groups()
        try:
            if "%" in raw_path:
                texts = tuple(unquote_to_bytes(text).decode() for text in texts)
        except UnicodeDecodeError as error:
            raise refuse("The path is not UTF-8.") from error
        return dict(zip(self.labels, texts, strict=True))


@dataclass(frozen=True, slots=True)
class PathRoutes:
    """The operations that share a path; `bare` are those that ask for no query parameter."""

    path: PathTemplate
    routes: list[Route]
    bare: list[Route]


@cache
def template(request_uri: str) -> PathTemplate:
    """Compile the path part of a `requestUri`."""
    path = request_uri.partition("?")[0]
    labels = tuple(re.findall(r"\{(\w+)\+?\}", path))
    pieces = re.split(r"(\{\w+\+?\})", path)
    patterns = [
        "(.+)" if piece.endswith("+}") else "([^/]+)" if piece.startswith("{") else re.escape(piece) for piece in pieces
    ]
    # `/bucket/` is the bucket: a greedy label takes the slash itself, elsewhere it is not significant.
    tail = "" if path.endswith(("+}", "/")) else "/?"
    return PathTemplate(re.compile("".join(patterns) + tail, re.DOTALL), labels)


class Matcher:
    """One service's routes, by method and path."""

    def __init__(self, service: ServiceModel) -> None:
        groups: dict[tuple[str, str], list[Route]] = {}
        for name in service.operation_names:
            if name in SHADOWED and service.service_name == "s3":
                continue
            operation = service.operation_model(name)
            path = operation.http["requestUri"].partition("?")[0]
            groups.setdefault((operation.http["method"], path), []).append(_route(operation))
        self._by_method: dict[str, list[PathRoutes]] = {}
        # Fewer labels first, and a greedy one last: `/human-loops/stop` before `/human-loops/{HumanLoopName}`.
        for (method, path), routes in sorted(
            groups.items(), key=lambda item: (item[0][1].count("{"), "+}" in item[0][1])
        ):
            routes.sort(key=lambda route: route.rank, reverse=True)
            bare = [route for route in routes if not route.needs]
            self._by_method.setdefault(method, []).append(PathRoutes(template(path), routes, bare))

    def match(self, request: HttpRequest) -> tuple[OperationModel, dict[str, str]] | None:
        """Return the operation that a request means and its path labels (decoded), None when there is none."""
        raw_path = request.raw_path.decode("latin-1").partition("?")[0]
        for candidates in self._by_method.get(request.method, ()):
            labels = candidates.path.match(raw_path)
            if labels is None:
                continue
            query = query_of(request)
            for route in candidates.routes if query else candidates.bare:
                if route.accepts(query, request.headers):
                    return route.operation, labels
        return None


@cache
def matcher(service: ServiceModel) -> Matcher:
    """Return the service's matcher, compiled once."""
    return Matcher(service)


def _route(operation: OperationModel) -> Route:
    literals = []
    for part in filter(None, operation.http["requestUri"].partition("?")[2].split("&")):
        name, equals, value = part.partition("=")
        literals.append((name, value if equals else None))
    taken = operation.input_shape
    required = frozenset(
        member.serialization.get("name", name)
        for name, member in (taken.members.items() if taken is not None else ())
        if member.serialization.get("location") == "querystring" and name in taken.required_members
    )
    # Only S3 tells operations apart by required members; elsewhere a missing one is a validation error.
    if operation.service_model.service_name != "s3":
        required = frozenset()
    return Route(
        operation, tuple(literals), required | {name for name, _ in literals}, HEADER_TOLD_APART.get(operation.name)
    )


def query_of(request: HttpRequest) -> dict[str, list[str]]:
    """Read the query string; a name without a value has the empty one. Raises SerializationException for non-UTF-8."""
    values: dict[str, list[str]] = {}
    for part in request.query_string.split(b"&") if request.query_string else ():
        name, _, value = part.partition(b"=")
        if not part:
            continue
        try:
            key = unquote_to_bytes(name.replace(b"+", b" ")).decode()
            values.setdefault(key, []).append(unquote_to_bytes(value.replace(b"+", b" ")).decode())
        except UnicodeDecodeError as error:
            raise refuse("The query string is not UTF-8.") from error
    return values
