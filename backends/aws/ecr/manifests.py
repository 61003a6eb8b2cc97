"""What a manifest refers to: Docker's schema 2 and manifest lists, OCI's images, artifacts and indexes.

Sources: OCI Image Specification 1.1 (manifest.md, image-index.md), Docker's "Image Manifest Version 2, Schema 2".
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import orjson

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
LISTS = frozenset({DOCKER_LIST, OCI_INDEX})
KINDS = LISTS | {DOCKER_IMAGE, OCI_IMAGE}
MOST_BYTES = 4 * 1024 * 1024
"""A larger manifest is refused; the specification asks registries to take at least this much."""


class InvalidManifestError(ValueError):
    """A manifest that is none of the four kinds, or says of itself what does not hold; the message is the sentence."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as pushed, and what was read of it. `parts` are the digests that must be there: layers or images.

    `size` is that of the layers and the configuration; of a list 0, since only its images have one.
    """

    content: bytes
    digest: str
    media_type: str
    artifact_type: str
    subject: str
    parts: tuple[str, ...]
    size: int

    @property
    def is_list(self) -> bool:
        """Return whether it lists other manifests."""
        return self.media_type in LISTS


def digest_of(content: bytes) -> str:
    """Return the digest of some bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def read(content: bytes, media_type: str = "") -> Manifest:
    """Read a manifest. `media_type` is what its sender calls it, where that is known."""
    if len(content) > MOST_BYTES:
        raise InvalidManifestError(f"the manifest exceeds {MOST_BYTES} bytes")
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InvalidManifestError("the manifest is not JSON") from error
    if not isinstance(document, dict) or document.get("schemaVersion") != 2:
        raise InvalidManifestError("the manifest is not of schema version 2")
    kind = _kind(document, media_type)
    if kind in LISTS:
        listed = [_descriptor(entry) for entry in _list(document, "manifests")]
        config_type, size = "", 0
    else:
        config = _descriptor(document.get("config"))
        # A layer with `urls` lies elsewhere (Windows' base layers): it is not pushed.
        listed = [config, *(d for entry in _list(document, "layers") if not (d := _descriptor(entry)).get("urls"))]
        config_type, size = str(config.get("mediaType", "")), sum(entry["size"] for entry in listed)
    subject = _descriptor(document["subject"])["digest"] if document.get("subject") is not None else ""
    return Manifest(
        content,
        digest_of(content),
        kind,
        str(document.get("artifactType") or config_type),
        subject,
        tuple(dict.fromkeys(entry["digest"] for entry in listed)),
        size,
    )


def annotations_of(content: bytes) -> dict[str, Any]:
    """Return the annotations of a manifest that has been read before."""
    annotations = orjson.loads(content).get("annotations")
    return annotations if isinstance(annotations, dict) else {}


def _kind(document: dict[str, Any], media_type: str) -> str:
    """Return which of the four it is: by what it calls itself, by what its sender calls it, by what is in it."""
    own, sent = document.get("mediaType"), media_type.partition(";")[0].strip()
    if own is not None and sent in KINDS and own != sent:
        raise InvalidManifestError(f"the manifest's media type {own!r} is not that of the request, {sent!r}")
    kind = own or (sent if sent in KINDS else "") or (OCI_INDEX if "manifests" in document else OCI_IMAGE)
    if kind not in KINDS:
        raise InvalidManifestError(f"manifests of media type {kind!r} are not supported")
    if (kind in LISTS) != ("manifests" in document):
        raise InvalidManifestError(f"the manifest is no {kind}")
    return str(kind)


def _list(document: dict[str, Any], name: str) -> list[Any]:
    listed = document.get(name)
    if not isinstance(listed, list):
        raise InvalidManifestError(f"the manifest has no list of {name}")
    return listed


def _descriptor(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not DIGEST.fullmatch(str(value.get("digest"))):
        raise InvalidManifestError("the manifest has a descriptor without a sha256 digest")
    size = value.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 50:
        raise InvalidManifestError("the manifest has a descriptor without a size")
    return value
