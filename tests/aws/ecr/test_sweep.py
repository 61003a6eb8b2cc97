"""What is left on disk, many pushes of one image at once, and what nonsense gets: on a server without a socket."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from backends.aws.ecr import sweep
from server.types import HttpRequest, HttpResponse
from tests.aws.ecr.conftest import CONFIG, DOCKER, digest_of
from tests.server.in_process import InProcessClient, with_gateway

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = "/v2/000000000000.us-east-1/app/"
HOUR_S = 3600.0
PARTS = ["blobs", "uploads", "manifests", "tags", "list", "referrers", "app", "000000000000.us-east-1"]
ODD = ["", "..", "%00", "é", "1", "sha256:1", f"sha256:{'0' * 64}", "x" * 300]
WORDS = st.sampled_from([*PARTS, *ODD])


async def send(client: InProcessClient, method: str, path: str, body: bytes = b"", **headers: str) -> HttpResponse:
    raw, _, query = path.partition("?")
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.send(HttpRequest(method, raw, quote(raw).encode(), query.encode(), headers, body))


def json_of(answer: HttpResponse) -> Any:
    assert isinstance(answer.body, bytes)
    return json.loads(answer.body)


async def create(client: InProcessClient) -> None:
    target = {"x_amz_target": "AmazonEC2ContainerRegistry_V20150921.CreateRepository"}
    made = await send(
        client, "POST", "/", b'{"repositoryName":"app"}', content_type="application/x-amz-json-1.1", **target
    )
    assert made.status == 200, made.body


async def push_layer(client: InProcessClient, content: bytes) -> int:
    return (await send(client, "POST", f"{PREFIX}blobs/uploads/?digest={digest_of(content)}", content)).status


def manifest_of(content: bytes) -> bytes:
    entry = {"mediaType": CONFIG, "size": len(content), "digest": digest_of(content)}
    return json.dumps({"schemaVersion": 2, "mediaType": DOCKER, "config": entry, "layers": []}).encode()


def files(data_dir: Path) -> list[bytes]:
    """Return what lies in the registry's folder."""
    return sorted(path.read_bytes() for path in (data_dir / "registry").rglob("*") if path.is_file())


def test_layers_go_an_hour_after_their_last_image_and_uploads_after_a_day(tmp_path: Path) -> None:
    async def work(client: InProcessClient) -> None:
        kernel = client.gateway.kernel
        await create(client)
        for content in (b"kept", b"alone"):
            assert await push_layer(client, content) == 201
        manifest = manifest_of(b"kept")
        assert (await send(client, "PUT", f"{PREFIX}manifests/1", manifest)).status == 201
        await send(client, "POST", f"{PREFIX}blobs/uploads/")
        await asyncio.to_thread(sweep.forget_unused, kernel, time.time() + HOUR_S - 60)
        assert files(tmp_path) == [b"", b"alone", b"kept"]
        await asyncio.to_thread(sweep.forget_unused, kernel, time.time() + HOUR_S + 60)
        assert files(tmp_path) == [b"", b"kept"]
        await asyncio.to_thread(sweep.forget_unused, kernel, time.time() + 25 * HOUR_S)
        assert files(tmp_path) == [b"kept"]
        assert (await send(client, "DELETE", f"{PREFIX}manifests/{digest_of(manifest)}")).status == 202
        assert (await send(client, "GET", f"{PREFIX}blobs/{digest_of(b'kept')}")).body == b"kept"
        await asyncio.to_thread(sweep.forget_unused, kernel, time.time() + HOUR_S + 60)
        assert files(tmp_path) == []
        assert (await send(client, "GET", f"{PREFIX}blobs/{digest_of(b'kept')}")).status == 404

    with_gateway(tmp_path, work)


def test_one_image_is_pushed_by_many_at_once(tmp_path: Path) -> None:
    async def push(client: InProcessClient, tag: int) -> int:
        assert await push_layer(client, b"layer") == 201
        return (await send(client, "PUT", f"{PREFIX}manifests/{tag}", manifest_of(b"layer"))).status

    async def work(client: InProcessClient) -> None:
        await create(client)
        assert set(await asyncio.gather(*(push(client, tag) for tag in range(32)))) == {201}
        listed = json_of(await send(client, "GET", f"{PREFIX}tags/list"))
        assert listed["tags"] == sorted(str(tag) for tag in range(32))
        assert files(tmp_path) == [b"layer"]

    with_gateway(tmp_path, work)


def test_nonsense_gets_the_specifications_errors(tmp_path: Path) -> None:
    methods = st.sampled_from(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"])
    paths = st.lists(WORDS, max_size=7).map("/".join)
    queries = st.sampled_from(["", "?digest=x", "?n=-1", "?n=0", "?mount=x&from=y", f"?digest={digest_of(b'x')}"])
    headers = st.dictionaries(
        st.sampled_from(["content_range", "range", "authorization", "content_type"]),
        st.sampled_from(["", "0-0", "bytes=0-0", "bytes=5-1", "Basic QVdTOng=", "Basic é", "Bearer x", DOCKER]),
    )

    async def work(client: InProcessClient) -> None:
        await create(client)
        loop = asyncio.get_running_loop()

        @settings(max_examples=300, deadline=None)
        @given(methods, paths, queries, st.sampled_from([b"", b"x", b"{}"]), headers)
        def never_fails(method: str, path: str, query: str, body: bytes, sent: dict[str, str]) -> None:
            requested: Any = send(client, method, f"/v2/{path}{query}", body, **sent)
            answer = asyncio.run_coroutine_threadsafe(requested, loop).result(30)
            assert answer.status < 500, (method, path, query, sent, answer.body)
            if answer.status >= 400 and method != "HEAD":
                assert set(json_of(answer)["errors"][0]) >= {"code", "message"}

        await asyncio.to_thread(never_fails)

    with_gateway(tmp_path, work)
