"""The OCI Distribution API by plain HTTP: what a client may do, what is refused, and what a crash leaves."""

from __future__ import annotations

import base64
import http.client
import json
import random
import ssl
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest

from server.listener import authority
from tests import postgresql
from tests.aws.conftest import until
from tests.aws.ecr.conftest import DOCKER, INDEX, Registry, digest_of
from tests.conftest import LiveServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOWHERE = f"sha256:{'0' * 64}"
LAYER = random.Random(7).randbytes(3_000_000)
CHUNKED = {"Transfer-Encoding": "chunked"}


def test_the_registry_answers_and_says_what_it_is(registry: Registry) -> None:
    for path in ("/v2", "/v2/"):
        answer = registry.request("GET", path)
        assert (answer.status, answer.headers["docker-distribution-api-version"]) == (200, "registry/2.0")
    assert registry.request("GET", "/v2/_catalog").code == "UNSUPPORTED"
    assert registry.request("PUT", "tags/list").status == 405


def test_a_layer_goes_in_by_stream_and_comes_out_in_parts(registry: Registry) -> None:
    digest = digest_of(LAYER)
    assert registry.request("HEAD", f"blobs/{digest}").status == 404
    begun = registry.request("POST", "blobs/uploads/")
    assert begun.status == 202
    where = begun.headers["location"]
    sent = registry.request("PATCH", where, iter([LAYER[:1_000_000], LAYER[1_000_000:]]), CHUNKED)
    assert (sent.status, sent.headers["range"]) == (202, f"0-{len(LAYER) - 1}")
    made = registry.request("PUT", f"{where}?digest={digest}")
    assert (made.status, made.headers["docker-content-digest"]) == (201, digest)
    assert registry.request("GET", made.headers["location"]).body == LAYER
    head = registry.request("HEAD", f"blobs/{digest}")
    assert (head.status, head.headers["content-length"], head.body) == (200, str(len(LAYER)), b"")
    for requested, part in (
        ("0-9", LAYER[:10]),
        ("2999990-", LAYER[-10:]),
        ("-5", LAYER[-5:]),
        ("9-99999999", LAYER[9:]),
    ):
        ranged = registry.request("GET", f"blobs/{digest}", headers={"Range": f"bytes={requested}"})
        assert (ranged.status, ranged.body) == (206, part)
    assert registry.request("GET", f"blobs/{digest}", headers={"Range": "bytes=3000000-"}).status == 416
    assert registry.request("PUT", f"{where}?digest={digest}").code == "BLOB_UPLOAD_UNKNOWN"


def test_numbers_of_any_length_are_answered(registry: Registry) -> None:
    """Python reads no number of more than 4,300 digits."""
    digest, nines = digest_of(b"x"), "9" * 5000
    assert registry.request("POST", f"blobs/uploads/?digest={digest}", b"x").status == 201
    assert registry.request("GET", f"blobs/{digest}", headers={"Range": f"bytes=0-{nines}"}).status == 416
    assert registry.request("GET", f"tags/list?n={nines}").code == "PAGINATION_NUMBER_INVALID"
    where = registry.request("POST", "blobs/uploads/").headers["location"]
    assert registry.request("PATCH", where, b"x", {"Content-Range": f"0-{nines}"}).status == 416


def test_chunks_come_in_order(registry: Registry) -> None:
    where = registry.request("POST", "blobs/uploads/").headers["location"]
    assert registry.request("PATCH", where, b"abc", {"Content-Range": "0-2"}).headers["range"] == "0-2"
    for wrong in ("0-2", "4-6", "x"):
        refused = registry.request("PATCH", where, b"def", {"Content-Range": wrong})
        assert (refused.status, refused.headers["range"]) == (416, "0-2")
    assert registry.request("PATCH", where, b"def", {"Content-Range": "3-9"}).code == "SIZE_INVALID"
    status = registry.request("GET", where)
    assert (status.status, status.headers["range"]) == (204, "0-2")
    last = registry.request("PUT", f"{where}?digest={digest_of(b'abcdef')}", b"def", {"Content-Range": "3-5"})
    assert last.status == 201


def test_what_is_not_what_it_says_is_not_kept(registry: Registry) -> None:
    wrong = registry.request("POST", f"blobs/uploads/?digest={NOWHERE}", b"content")
    assert (wrong.status, wrong.code) == (400, "DIGEST_INVALID")
    assert registry.request("HEAD", f"blobs/{NOWHERE}").status == 404
    assert registry.request("POST", "blobs/uploads/?digest=md5:0", b"").code == "DIGEST_INVALID"
    where = registry.request("POST", "blobs/uploads/").headers["location"]
    assert registry.request("DELETE", where).status == 204
    assert registry.request("PATCH", where, b"x").code == "BLOB_UPLOAD_UNKNOWN"
    manifest = registry.manifest(b"there")
    assert registry.push(NOWHERE, manifest).code == "DIGEST_INVALID"
    lacking = registry.push("1", manifest.replace(digest_of(b"there").encode(), NOWHERE.encode()))
    assert (lacking.code, lacking.json["errors"][0]["detail"]) == ("MANIFEST_BLOB_UNKNOWN", [NOWHERE])
    for content in (b"", b"[]", b'{"schemaVersion": 1}', b'{"schemaVersion": 2}', manifest[:-1]):
        assert registry.push("1", content).code == "MANIFEST_INVALID"
    assert registry.push("1", manifest, INDEX).code == "MANIFEST_INVALID"
    assert registry.push("-bad", manifest).code == "MANIFEST_INVALID"
    assert registry.push("1", manifest + b" " * 5_000_000).status == 413
    assert registry.request("GET", "tags/list").json["tags"] == []


def test_a_repository_is_named_whole_and_is_there(registry: Registry, account: str) -> None:
    missing = registry.request("POST", f"/v2/{account}.us-east-1/none/blobs/uploads/")
    assert (missing.status, missing.code) == (404, "NAME_UNKNOWN")
    assert missing.json["errors"][0]["message"] == (
        f"The repository with name 'none' does not exist in the registry with id '{account}'"
    )
    assert "<account>.<region>/<name>" in registry.request("GET", "/v2/team/app/tags/list").json["errors"][0]["message"]
    host = {"Host": f"{account}.dkr.ecr.us-east-1.amazonaws.com"}
    assert registry.request("GET", "/v2/team/app/tags/list", headers=host).json == {"name": "team/app", "tags": []}
    elsewhere = {"Host": f"{account}.dkr.ecr.eu-west-1.amazonaws.com"}
    assert registry.request("GET", "/v2/team/app/tags/list", headers=elsewhere).code == "NAME_UNKNOWN"


def test_amazons_own_name_leads_here_through_the_proxy(registry: Registry, account: str) -> None:
    digest = registry.push_image("1", b"layer")
    name, parts = f"{account}.dkr.ecr.us-east-1.amazonaws.com", urlsplit(registry.live.url)
    trusted = ssl.create_default_context(cafile=authority.ensure(registry.live.data_dir))
    with closing(http.client.HTTPSConnection(parts.hostname or "", parts.port, context=trusted)) as connection:
        connection.set_tunnel(name, 443)
        connection.request("HEAD", "/v2/team/app/manifests/1")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["docker-content-digest"]) == (200, digest)


def test_manifests_by_tag_and_digest(registry: Registry) -> None:
    manifest = registry.manifest(LAYER)
    digest = digest_of(manifest)
    put = registry.push("v1", manifest)
    assert (put.status, put.headers["docker-content-digest"]) == (201, digest)
    for reference in ("v1", digest):
        answer = registry.request("GET", f"manifests/{reference}")
        assert (answer.body, answer.headers["content-type"]) == (manifest, DOCKER)
        head = registry.request("HEAD", f"manifests/{reference}")
        assert (head.status, head.headers["content-length"], head.body) == (200, str(len(manifest)), b"")
    registry.push("v2", manifest)
    assert registry.request("DELETE", "manifests/v1").status == 202
    assert registry.request("GET", "manifests/v1").code == "MANIFEST_UNKNOWN"
    assert registry.request("GET", "tags/list").json["tags"] == ["v2"]
    assert registry.request("DELETE", f"manifests/{digest}").status == 202
    assert registry.request("DELETE", f"manifests/{digest}").status == 404
    assert registry.request("GET", "tags/list").json["tags"] == []


def test_lists_tags_in_pages_and_what_refers_to_an_image(registry: Registry) -> None:
    manifest = registry.manifest(b"image")
    for tag in ("c", "a", "b"):
        registry.push(tag, manifest)
    first = registry.request("GET", "tags/list?n=2")
    assert first.json["tags"] == ["a", "b"]
    link = first.headers["link"].partition(">")[0].removeprefix("<")
    assert registry.request("GET", link).json["tags"] == ["c"]
    entry = {"mediaType": DOCKER, "size": len(manifest), "digest": digest_of(manifest)}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    assert registry.push("all", json.dumps(index).encode(), INDEX).status == 201
    broken = {**index, "manifests": [{**entry, "digest": NOWHERE}]}
    assert registry.push("all", json.dumps(broken).encode(), INDEX).code == "MANIFEST_BLOB_UNKNOWN"
    signature = registry.manifest(b"signature", subject=digest_of(manifest), annotations={"k": "v"})
    assert registry.push(digest_of(signature), signature).headers["oci-subject"] == digest_of(manifest)
    [about] = registry.request("GET", f"referrers/{digest_of(manifest)}").json["manifests"]
    assert (about["digest"], about["annotations"]) == (digest_of(signature), {"k": "v"})
    assert registry.request("GET", f"referrers/{digest_of(manifest)}?artifactType=none").json["manifests"] == []
    assert registry.request("DELETE", f"manifests/{digest_of(manifest)}").status == 409


def test_a_layer_is_shared_between_repositories(registry: Registry, ecr: Any, account: str) -> None:
    digest = registry.push_layer(LAYER)
    ecr.create_repository(repositoryName="second")
    second = Registry(registry.live, f"{account}.us-east-1/second")
    requested = f"blobs/uploads/?mount={digest}&from="
    assert second.request("POST", f"{requested}{account}.us-east-1/none").status == 202
    assert second.request("POST", f"{requested}{'9' * 12}.us-east-1/team/app").status == 202
    assert second.request("POST", f"{requested}{registry.prefix}").status == 201
    ecr.delete_repository(repositoryName="team/app", force=True)
    assert second.request("GET", f"blobs/{digest}").body == LAYER


def test_a_page_of_another_origin_reaches_no_registry(registry: Registry) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert registry.request("GET", "/v2/", headers=headers).status == 403
        assert registry.request("POST", "blobs/uploads/", headers=headers).code == "DENIED"


def test_a_bucket_may_have_keys_below_v2(registry: Registry, aws: Callable[..., Any], account: str) -> None:
    s3 = aws("s3", s3={"addressing_style": "path"})
    bucket = f"keys-{account}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="v2/", Body=b"mine")
    signed = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "v2/"})
    path, _, query = signed.partition("://")[2].partition("/")[2].partition("?")
    answer = registry.request("GET", f"/{path}?{query}")
    assert (answer.status, answer.body) == (200, b"mine")
    host = {"Host": f"{bucket}.s3.us-east-1.amazonaws.com"}
    anonymous = registry.request("GET", "/v2/", headers=host)
    assert (anonymous.status, b"<Code>AccessDenied</Code>" in anonymous.body) == (403, True)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveServer]:
    """Yield a server that the test may kill."""
    made = LiveServer(tmp_path / "data")
    made.start()
    yield made
    made.stop()


def test_pushes_and_uploads_outlive_a_crash(live: LiveServer, tmp_path: Path, account: str) -> None:
    live.client("ecr", account).create_repository(repositoryName="app")
    registry = Registry(live, f"{account}.us-east-1/app")
    digest = registry.push_image("1", LAYER)
    where = registry.request("POST", "blobs/uploads/").headers["location"]
    registry.request("PATCH", where, b"first ")
    if not postgresql.is_wanted():  # there another server may be writing it: it stays for an hour
        (tmp_path / f"data/registry/blobs/00/{'0' * 32}").write_bytes(b"of a push that was killed")
    live.kill()
    live.start()
    assert registry.request("GET", "manifests/1").headers["docker-content-digest"] == digest
    assert registry.request("GET", f"blobs/{digest_of(LAYER)}").body == LAYER
    registry.request("PATCH", where, b"second")
    assert registry.request("PUT", f"{where}?digest={digest_of(b'first second')}").status == 201
    registry.request("POST", "/_localmaker/reset", b"{}", {"Content-Type": "application/json"})
    assert [path for path in (tmp_path / "data/registry").rglob("*") if path.is_file()] == []


def test_a_client_that_goes_can_come_back(registry: Registry) -> None:
    where = registry.request("POST", "blobs/uploads/").headers["location"]
    host = registry.live.url.removeprefix("http://")

    def arrived() -> int:
        last = int(registry.request("GET", where).headers["range"].removeprefix("0-"))
        return last + 1 if last else 0

    with closing(http.client.HTTPConnection(host, timeout=10)) as connection:
        connection.putrequest("PATCH", where)
        connection.putheader("Content-Length", str(len(LAYER)))
        connection.endheaders()
        connection.send(LAYER[:2_500_000])
        until(arrived)

    def went_on() -> bool:
        size = arrived()
        headers = {"Content-Range": f"{size}-{len(LAYER) - 1}"}
        with suppress(ConnectionError):  # refused while the rest is on its way
            return registry.request("PUT", f"{where}?digest={digest_of(LAYER)}", LAYER[size:], headers).status == 201
        return False

    until(went_on)  # once the server has noticed that the first one is gone
    assert registry.request("GET", f"blobs/{digest_of(LAYER)}").body == LAYER


KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Yield a server that verifies, with one key of account 111122223333."""
    folder = tmp_path_factory.mktemp("strict")
    (folder / "keys").write_text(
        f"[a]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\naws_account_id = 111122223333\n"
    )
    live = LiveServer(folder / "data", {"auth": "enforce", "iam": "enforce", "keys_file": folder / "keys"})
    live.start()
    yield live
    live.stop()


def login(live: LiveServer, key: str = KEY, secret: str = SECRET) -> dict[str, str]:
    client = boto3.client(
        "ecr", "us-east-1", endpoint_url=live.url, aws_access_key_id=key, aws_secret_access_key=secret
    )
    token = client.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    return {"Authorization": f"Basic {token}"}


def test_under_enforce_only_a_token_lets_in(strict: LiveServer) -> None:
    def client(service: str) -> Any:
        return boto3.client(
            service, "us-east-1", endpoint_url=strict.url, aws_access_key_id=KEY, aws_secret_access_key=SECRET
        )

    client("ecr").create_repository(repositoryName="app")
    anyone = Registry(strict, "111122223333.us-east-1/app")
    refused = anyone.request("GET", "/v2/")
    assert (refused.status, refused.code) == (401, "UNAUTHORIZED")
    assert refused.headers["www-authenticate"].startswith('Basic realm="')
    forged = base64.b64encode(b"AWS:" + base64.urlsafe_b64encode(bytes(32) + b'["' + KEY.encode() + b'","1",9e9]'))
    for wrong in ("Basic !", "Bearer x", f"Basic {forged.decode()}"):
        assert anyone.request("POST", "blobs/uploads/", headers={"Authorization": wrong}).status == 401
    owner = Registry(strict, anyone.prefix, login(strict))
    digest = owner.push_image("1", LAYER)
    assert anyone.request("GET", "manifests/1").status == 401
    url = client("ecr").get_download_url_for_layer(repositoryName="app", layerDigest=digest_of(LAYER))["downloadUrl"]
    path = "/" + url.split("/", 3)[3]
    assert anyone.request("GET", path).body == LAYER
    # The address of a layer opens nothing else.
    assert anyone.request("POST", path).status == 401
    assert anyone.request("GET", f"manifests/1?{path.partition('?')[2]}").status == 401
    link = base64.b64encode(f"AWS:{path.partition('token=')[2]}".encode()).decode()
    assert anyone.request("GET", "manifests/1", headers={"Authorization": f"Basic {link}"}).status == 401
    assert owner.request("GET", "/v2/999900001111.us-east-1/app/tags/list").status == 403
    # A user of IAM may what his policy says, until his key goes.
    iam = client("iam")
    iam.create_user(UserName="puller")
    allowed = ["ecr:GetAuthorizationToken", "ecr:BatchGetImage"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": allowed, "Resource": "*"}]}
    iam.put_user_policy(UserName="puller", PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="puller")["AccessKey"]
    user = Registry(strict, anyone.prefix, login(strict, key["AccessKeyId"], key["SecretAccessKey"]))
    assert user.request("GET", "manifests/1").headers["docker-content-digest"] == digest
    denied = user.request("POST", "blobs/uploads/")
    assert (denied.status, denied.code) == (403, "DENIED")
    assert "ecr:InitiateLayerUpload" in denied.json["errors"][0]["message"]
    iam.delete_access_key(UserName="puller", AccessKeyId=key["AccessKeyId"])
    assert user.request("GET", "manifests/1").status == 401
