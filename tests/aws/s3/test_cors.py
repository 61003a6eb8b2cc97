"""CORS in force: preflights as a browser sends them, and the headers of the answers that follow."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.aws.s3.refusal import refused

if TYPE_CHECKING:
    from tests.conftest import LiveServer

RULES = [
    {
        "ID": "one",
        "AllowedMethods": ["GET", "PUT"],
        "AllowedOrigins": ["https://*.example.com"],
        "AllowedHeaders": ["x-amz-*", "content-type"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 300,
    },
    {"AllowedMethods": ["HEAD"], "AllowedOrigins": ["*"]},
]
PAGE = "https://a.example.com"


@pytest.fixture
def configured(s3: Any, bucket: str) -> str:
    """Return a bucket with rules."""
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": RULES})
    return bucket


def send(server: LiveServer, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    """Send a request as a browser would; give status, headers (lower-case) and body."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    reply = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return reply


def preflight(server: LiveServer, bucket: str, method: str, wished: str = "", origin: str = PAGE) -> Any:
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    if wished:
        headers["Access-Control-Request-Headers"] = wished
    return send(server, "OPTIONS", f"/{bucket}/k?X-Amz-Signature=1", headers)


def test_the_rules_are_kept(s3: Any, configured: str) -> None:
    assert s3.get_bucket_cors(Bucket=configured)["CORSRules"] == RULES
    s3.delete_bucket_cors(Bucket=configured)
    assert refused(s3.get_bucket_cors, Bucket=configured) == ("NoSuchCORSConfiguration", 404)


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"AllowedMethods": ["PATCH"], "AllowedOrigins": ["*"]}, "InvalidRequest"),
        ({"AllowedMethods": ["GET"], "AllowedOrigins": ["http://*.*"]}, "InvalidRequest"),
        ({"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "AllowedHeaders": ["*-*"]}, "InvalidRequest"),
        ({"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "ExposeHeaders": ["x-*"]}, "InvalidRequest"),
        ({"AllowedMethods": [], "AllowedOrigins": ["*"]}, "MalformedXML"),
    ],
)
def test_wrong_rules_are_refused(s3: Any, bucket: str, rule: dict[str, Any], code: str) -> None:
    given = {"Bucket": bucket, "CORSConfiguration": {"CORSRules": [rule]}}
    assert refused(s3.put_bucket_cors, **given) == (code, 400)
    assert refused(s3.get_bucket_cors, Bucket=bucket)[1] == 404


def test_a_preflight_says_what_is_allowed(server: LiveServer, configured: str) -> None:
    status, headers, body = preflight(server, configured, "PUT", "Content-Type, X-Amz-Meta-a")
    assert (status, body) == (200, b"")
    assert headers["access-control-allow-origin"] == PAGE
    assert headers["access-control-allow-methods"] == "GET, PUT"
    assert headers["access-control-allow-headers"] == "content-type, x-amz-meta-a"
    assert headers["access-control-expose-headers"] == "ETag"
    assert headers["access-control-max-age"] == "300"
    assert headers["access-control-allow-credentials"] == "true"
    assert headers["vary"] == "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
    status, headers, _ = preflight(server, configured, "HEAD", origin="http://anybody")
    assert (status, headers["access-control-allow-origin"]) == (200, "*")
    assert "access-control-allow-credentials" not in headers


def test_a_preflight_of_others_is_refused(server: LiveServer, configured: str, s3: Any) -> None:
    for method, wished, origin in (
        ("DELETE", "", PAGE), ("PUT", "authorization", PAGE), ("PUT", "", "https://example.com"),
    ):  # fmt: skip
        status, headers, body = preflight(server, configured, method, wished, origin)
        assert (status, "access-control-allow-origin" in headers) == (403, False)
        assert b"<Code>AccessForbidden</Code>" in body
        assert b"CORSResponse: This CORS request is not allowed." in body
    assert preflight(server, configured, "NONE")[0] == 400
    assert send(server, "OPTIONS", f"/{configured}/k", {})[0] == 400
    s3.delete_bucket_cors(Bucket=configured)
    status, _, body = preflight(server, configured, "GET")
    assert (status, b"CORS is not enabled for this bucket" in body) == (403, True)
    assert preflight(server, "no-such-bucket-anywhere", "GET")[0] == 404


def test_answers_carry_the_headers(server: LiveServer, s3: Any, configured: str) -> None:
    s3.put_object(Bucket=configured, Key="k", Body=b"seen")
    path = urlsplit(s3.generate_presigned_url("get_object", Params={"Bucket": configured, "Key": "k"}))
    url = f"{path.path}?{path.query}"
    status, headers, body = send(server, "GET", url, {"Origin": PAGE})
    assert (status, body, headers["access-control-allow-origin"]) == (200, b"seen", PAGE)
    assert headers["access-control-expose-headers"] == "ETag"
    missing = url.replace("/k?", "/missing?")
    status, headers, _ = send(server, "GET", missing, {"Origin": PAGE})
    assert (status, headers["access-control-allow-origin"]) == (404, PAGE)
    status, headers, _ = send(server, "GET", url, {})
    assert (status, "access-control-allow-origin" in headers) == (200, False)
    status, headers, body = send(server, "GET", url, {"Origin": "https://evil.org"})  # as `server/browser.py` has it
    assert (status, "access-control-allow-origin" in headers, b"seen" in body) == (403, False, False)
