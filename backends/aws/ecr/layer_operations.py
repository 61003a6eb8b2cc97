"""AWS's API of layers: what `docker push` is made of, for clients that speak it without Docker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.aws.ecr import layers, manifests, scope, tokens
from backends.core.errors import AwsError
from backends.core.operation import operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backends.aws.ecr.scope import Repository
    from backends.core.context import Context

PART_BYTES = 20 * 1024 * 1024
LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@operation("BatchCheckLayerAvailability", service="ecr", reads=True)
def batch_check_layer_availability(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return which of the layers are there, and a failure for each other one."""
    repository, _ = scope.find(cx, request)
    known, failures = [], []
    for digest in request["layerDigests"]:
        if not manifests.DIGEST.fullmatch(digest):
            reason = "Invalid request parameters: layer digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"
            failures.append({"layerDigest": digest, "failureCode": "InvalidLayerDigest", "failureReason": reason})
            continue
        row = layers.find(cx, repository, digest)
        about = {"layerSize": row.size, "mediaType": LAYER_TYPE} if row is not None else {}
        state = "AVAILABLE" if row is not None else "UNAVAILABLE"
        known.append({"layerDigest": digest, "layerAvailability": state, **about})
    return {"layers": known, "failures": failures}


@operation("InitiateLayerUpload", service="ecr")
async def initiate_layer_upload(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Begin an upload."""
    repository, _ = await cx.read(lambda inside: scope.find(inside, request))
    return {"uploadId": await layers.begin(cx, repository), "partSize": PART_BYTES}


@operation("UploadLayerPart", service="ecr")
async def upload_layer_part(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Append a part; InvalidLayerPartException when it does not begin where the last one ended."""
    repository = await _upload(cx, request)
    upload, first, part = request["uploadId"], request["partFirstByte"], request["layerPartBlob"]
    files = layers.files(cx.kernel)
    with files.alone(upload):
        size = files.size(upload)
        if first != size or request["partLastByte"] != first + len(part) - 1:
            named = {"registryId": repository.account, "repositoryName": repository.name, "uploadId": upload}
            raise AwsError(
                "InvalidLayerPartException",
                f"Layer part is invalid: it must begin with byte {size} and be as long as it says",
                members={**named, "lastValidByteReceived": size - 1},
            )
        size = await files.append(upload, _once(part))
    return {**_named(repository, upload), "lastByteReceived": size - 1}


@operation("CompleteLayerUpload", service="ecr")
async def complete_layer_upload(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Make an upload a layer; its digest must be one of those named."""
    repository = await _upload(cx, request)
    upload, digest = request["uploadId"], request["layerDigests"][0]
    files = layers.files(cx.kernel)
    with files.alone(upload):
        if not files.size(upload):
            raise AwsError("EmptyUploadException", f"The upload with id '{upload}' has no parts")
        if await cx.read(lambda inside: layers.find(inside, repository, digest)) is not None:
            raise AwsError(
                "LayerAlreadyExistsException", f"The layer with digest '{digest}' already exists in {repository.words}"
            )
        try:
            await layers.complete(cx, repository, upload, digest)
        except layers.WrongDigestError as error:
            raise AwsError(
                "InvalidLayerException",
                f"Layer digest '{digest}' does not match the digest of what was uploaded, '{error.actual}'",
            ) from error
    return {**_named(repository, upload), "layerDigest": digest}


@operation("GetDownloadUrlForLayer", service="ecr")
def get_download_url_for_layer(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return where a layer is downloaded from: this server's own registry."""
    repository, _ = scope.find(cx, request)
    digest = request["layerDigest"]
    if layers.find(cx, repository, digest) is None:
        raise AwsError(
            "LayersNotFoundException", f"The layer with digest '{digest}' does not exist in {repository.words}"
        )
    path = f"/v2/{repository.account}.{repository.region}/{repository.name}/blobs/{digest}"
    token = tokens.Token(cx.caller.access_key, cx.account, cx.clock.now() + tokens.LINK_S)
    url = f"http://{scope.address(cx.kernel)}{path}?token={tokens.write(cx.kernel, token, path)}"
    return {"downloadUrl": url, "layerDigest": digest}


async def _upload(cx: Context, request: dict[str, Any]) -> Repository:
    def look(inside: Context) -> Repository:
        repository, _ = scope.find(inside, request)
        if not layers.upload_of(inside, repository, request["uploadId"]):
            raise layers.upload_not_found(repository, request["uploadId"])
        return repository

    return await cx.read(look)


def _named(repository: Repository, upload: str) -> dict[str, Any]:
    return {"registryId": repository.account, "repositoryName": repository.name, "uploadId": upload}


async def _once(part: bytes) -> AsyncIterator[bytes]:
    yield part
