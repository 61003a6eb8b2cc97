"""A registry spoken to by plain HTTP, as the specification says; no Docker."""

from __future__ import annotations

import hashlib
import http.client
import json
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.conftest import LiveServer

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Answer:
    """One answer, whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The specification's code of an error."""
        return str(self.json["errors"][0]["code"])


@dataclass
class Registry:
    """A repository as a server's registry answers for it."""

    live: LiveServer
    prefix: str
    headers: dict[str, str] = field(default_factory=dict)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request; a path without a slash is one of the repository."""
        parts = urlsplit(self.live.url)
        with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)) as connection:
            path = path if path.startswith("/") else f"/v2/{self.prefix}/{path}"
            sent = {**self.headers, **(headers or {})}
            connection.request(method, path, body, sent, encode_chunked="Transfer-Encoding" in sent)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def push_layer(self, content: bytes) -> str:
        """Upload a layer at once; give its digest."""
        digest = digest_of(content)
        answer = self.request("POST", f"blobs/uploads/?digest={digest}", content)
        assert answer.status == 201, answer.body
        return digest

    def manifest(self, *layers: bytes, subject: str = "", **more: Any) -> bytes:
        """Upload layers and a configuration; give the manifest of both."""
        config = json.dumps({"architecture": "amd64", "n": [digest_of(layer) for layer in layers]}).encode()
        described = [
            {"mediaType": kind, "size": len(content), "digest": self.push_layer(content)}
            for kind, content in ((CONFIG, config), *((LAYER, layer) for layer in layers))
        ]
        if subject:
            more["subject"] = {"mediaType": DOCKER, "size": 1, "digest": subject}
        document = {"schemaVersion": 2, "mediaType": DOCKER, "config": described[0], "layers": described[1:], **more}
        return json.dumps(document).encode()

    def push(self, reference: str, manifest: bytes, kind: str = DOCKER) -> Answer:
        """Put a manifest."""
        return self.request("PUT", f"manifests/{reference}", manifest, {"Content-Type": kind})

    def push_image(self, tag: str, *layers: bytes) -> str:
        """Push an image; give its digest."""
        answer = self.push(tag, self.manifest(*layers))
        assert answer.status == 201, answer.body
        return answer.headers["docker-content-digest"]


@pytest.fixture
def ecr(aws: Callable[..., Any]) -> Any:
    """Return a client of an account that has the repository `team/app`."""
    client = aws("ecr")
    client.create_repository(repositoryName="team/app")
    return client


@pytest.fixture
def registry(server: LiveServer, account: str, ecr: Any) -> Registry:
    """Return a registry client of that repository."""
    assert ecr
    return Registry(server, f"{account}.us-east-1/team/app")
