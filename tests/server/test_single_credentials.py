"""Doubled and mixed credentials are refused in every mode; percent-encoded names are the names."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from server import route
from server.authentication import credentials
from server.exchange import request_of
from server.types import HttpRequest
from tests.server.test_authentication import ACCESS, client, status_of, strict

if TYPE_CHECKING:
    from tests.conftest import LiveServer

__all__ = ["strict"]
SCOPE = f"{ACCESS}/20260101/us-east-1/s3/aws4_request"
HEADER = f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host, Signature=0"


@pytest.mark.parametrize("version", ["s3", "s3v4"])
@pytest.mark.parametrize("ends", [600, -60])
def test_a_presigned_url_is_read_in_one_way(strict: LiveServer, version: str, ends: int) -> None:
    s3 = client(strict, "s3", signature_version=version)
    client(strict, "s3").create_bucket(Bucket="single")
    s3.put_object(Bucket="single", Key="k", Body=b"1")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "single", "Key": "k"}, ExpiresIn=ends)
    assert status_of(url) in ({200} if ends > 0 else {400, 403})
    encoded = url.replace("AWSAccessKeyId=", "%41WSAccessKeyId=").replace("X-Amz-Credential=", "X%2DAmz-Credential=")
    assert status_of(encoded) in ({200} if ends > 0 else {400, 403})
    twice = {"s3": [f"AWSAccessKeyId={ACCESS}", "Expires=9999999999", "Signature=1", f"X-Amz-Credential={SCOPE}"],
             "s3v4": [f"X-Amz-Credential={SCOPE}", "X-Amz-Expires=600", f"X%2dAmz-Credential={SCOPE}",
                      f"AWSAccessKeyId={ACCESS}"]}  # fmt: skip
    for more in twice[version]:
        assert status_of(f"{url}&{more}") in {400, 403}, more
    for header in (HEADER, f"AWS {ACCESS}:x"):
        with pytest.raises(urllib.error.HTTPError, match=r"40[03]") as error:
            urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": header}))
        error.value.close()


@pytest.mark.parametrize("header", [
    HEADER.replace("Credential=", f"Credential=1/{SCOPE}, Credential="), HEADER.replace("Credential", "XCredential"),
    f"{HEADER}, Signature=1",
])  # fmt: skip
def test_a_header_with_parts_twice_or_of_other_names_is_refused(server: LiveServer, header: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400") as error:
        urllib.request.urlopen(urllib.request.Request(server.url, headers={"Authorization": header}))
    assert b"AuthorizationHeaderMalformed" in error.value.read()
    error.value.close()


def test_a_header_that_was_signed_whole_is_read_whole() -> None:
    """Split in two at its comma it signs the same; what is done must be the same, too."""
    split = [(b"x-amz-copy-source", b"/b/k"), (b"x-amz-copy-source", b"other/key")]
    scope = {"path": "/", "query_string": b"", "headers": [*split, (b"host", b"localhost")]}
    assert request_of(scope).headers["x-amz-copy-source"] == "/b/k,other/key"


@pytest.mark.parametrize(
    ("query", "headers", "spoken"),
    [
        (f"X%2DAmz-Credential={SCOPE}", {}, "s3"),
        ("%41WSAccessKeyId=x", {}, "s3"),
        ("prefix=AWSAccessKeyId%3Dx", {}, "sagemaker"),
        ("xAWSAccessKeyId=x", {}, "sagemaker"),
        ("", {"authorization": HEADER}, "s3"),
        ("", {"authorization": "AWS key:signature"}, "s3"),
        ("", {"authorization": HEADER.replace("/s3/", "/sqs/").replace("=host", "=/s3/aws4_request")}, "sagemaker"),
    ],
)
def test_who_signed_is_read_by_names(query: str, headers: dict[str, str], spoken: str) -> None:
    """Not by a text that stands anywhere in a query or a header."""
    request = HttpRequest("GET", "/", b"/", query.encode(), headers)
    assert route.spoken_like(request) == spoken
    assert bool(credentials.of(request).version) == (spoken == "s3" or "authorization" in headers)
