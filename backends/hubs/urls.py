"""Presigned URLs of what a content's document names in S3: each object, under the caller's own rights, for 15 minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from backends.core import errors, paging
from backends.core.objects import presigned, role_access
from backends.core.objects.store import parse_uri
from backends.core.operation import operation
from backends.hubs.operations import HUB, REFERENCE, version_of
from backends.jobs import channels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backends.core.context import Context

DEFAULT_PAGE = 100  # API reference
PUBLIC, EULA = "SageMakerPublicHub", "HostingEulaUri"


@operation("CreateHubContentPresignedUrls", acts_on=("HubContent", "Hub"))
def create_hub_content_presigned_urls(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of URLs. ValidationException without an accepted licence, or where what is expected is none of its artifacts."""
    if request["HubName"].rpartition("/")[2] == PUBLIC or request["HubContentType"] == REFERENCE:
        raise errors.not_implemented("the artifacts of SageMaker's public hub")
    content = orjson.loads(version_of(cx, HUB.named(cx, request), request).document["HubContentDocument"])
    access = request.get("AccessConfig", {})
    if content.get(EULA) and not access.get("AcceptEula"):  # Unverified, as the next one: AWS's wording
        raise errors.validation(
            "The end-user license agreement of this content must be accepted: set AcceptEula to true."
        )
    expected = access.get("ExpectedS3Url", "")
    uris = [uri for uri in sorted(set(_uris(content))) if uri.startswith(expected)]
    if expected and not uris:
        raise errors.validation(f"ExpectedS3Url is not the place of an artifact of this content: {expected}")
    objects = [(bucket, key, path) for uri in uris for bucket, key, path in _objects(cx, uri)]
    start, binding = 0, paging.binding_of("CreateHubContentPresignedUrls", request)
    if "NextToken" in request:
        (start,) = paging.read_token(cx, request["NextToken"], binding)
    end = start + request.get("MaxResults", DEFAULT_PAGE)
    shown = objects[start:end]
    signed = presigned.urls(cx, [(bucket, key) for bucket, key, _ in shown])
    configs = [{"Url": url, "LocalPath": path} for url, (_, _, path) in zip(signed, shown, strict=True)]
    answer: dict[str, Any] = {"AuthorizedUrlConfigs": configs}
    if end < len(objects):
        answer["NextToken"] = paging.write_token(cx, [end], binding)
    return answer


def _uris(value: Any) -> Iterator[str]:
    """Yield the S3 URIs of a document's artifacts, wherever they stand in it."""
    values = [value]
    while values:
        value = values.pop()
        if isinstance(value, str) and value.startswith("s3://"):
            yield value
        elif isinstance(value, (dict, list)):
            values += value.values() if isinstance(value, dict) else value


def _objects(cx: Context, uri: str) -> Iterator[tuple[str, str, str]]:
    """Yield bucket, key and local path of each object at a URI, or below it. NoSuchBucket, AccessDenied, ValidationException."""
    bucket, key = parse_uri(uri)
    role_access.check(cx, bucket, "s3:GetObject", key)
    if not key.endswith("/") and cx.objects.head(cx, bucket, key) is not None:
        yield bucket, key, "/" + key.rpartition("/")[2]
        return
    prefix = f"{key.rstrip('/')}/".lstrip("/")
    for stored in cx.objects.list_keys(cx, bucket, prefix):
        try:
            yield bucket, stored.key, "/" + channels.relative_path(prefix, stored.key)
        except channels.DataError as error:  # it would lead a client out of its folder
            raise errors.validation(f"An artifact cannot be downloaded: {error}.") from error
