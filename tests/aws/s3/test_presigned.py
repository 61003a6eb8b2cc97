"""Presigned URLs, opened without boto3; and forms of requests that boto3 does not send."""

from __future__ import annotations

import re
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


def fetch(url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Open a URL (PUT where there is a body); give the status and the answer's body."""
    method = "GET" if body is None else "PUT"
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.parametrize("signature", ["s3", "s3v4"])
@pytest.mark.parametrize("size", [4, 300_000])
def test_put_and_get(aws: Callable[..., Any], bucket: str, signature: str, size: int) -> None:
    s3 = aws("s3", signature_version=signature)
    key = {"Bucket": bucket, "Key": "dir/ü k"}
    data = b"word" * (size // 4)
    put = s3.generate_presigned_url("put_object", Params={**key, "ContentType": "a/b", "Metadata": {"m": "1"}})
    assert fetch(put, data, {"Content-Type": "a/b", "x-amz-meta-m": "1"}) == (200, b"")
    assert s3.head_object(**key)["ContentType"] == "a/b"
    get = s3.generate_presigned_url("get_object", Params={**key, "ResponseContentType": "x/y"}, ExpiresIn=60)
    assert fetch(get) == (200, data)


@pytest.mark.parametrize("signature", ["s3", "s3v4"])
def test_an_expired_url_is_denied(aws: Callable[..., Any], bucket: str, signature: str) -> None:
    s3 = aws("s3", signature_version=signature)
    s3.put_object(Bucket=bucket, Key="k", Body=b"secret")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=0)
    if signature == "s3v4":
        url = url.replace("X-Amz-Date=20", "X-Amz-Date=19")  # a century ago
    else:
        url = url.split("Expires=")[0] + "Expires=1000000000"
        url = url if "AWSAccessKeyId" in url else url + f"&AWSAccessKeyId={bucket}"
    status, text = fetch(url)
    assert status == 403
    assert b"<Code>AccessDenied</Code><Message>Request has expired</Message>" in text
    assert b"secret" not in text


def test_a_url_of_another_account_is_denied(aws: Callable[..., Any], bucket: str) -> None:
    other = aws("s3", account="999999999998")
    url = other.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert fetch(url)[0] == 403


@pytest.mark.parametrize(
    ("expires", "said"),
    [("²", b"a number"), ("--5", b"a number"), ("-5", b"non-negative"), ("9" * 5000, b"a week"), ("٣", b"a number")],
)
def test_a_duration_that_is_none_is_refused(aws: Callable[..., Any], bucket: str, expires: str, said: bytes) -> None:
    s3 = aws("s3", signature_version="s3v4")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=60)
    status, body = fetch(url.replace("X-Amz-Expires=60", f"X-Amz-Expires={quote(expires)}"))
    assert (status, b"AuthorizationQueryParametersError" in body, said in body) == (400, True, True), body


@pytest.mark.parametrize("expires", ["²", "--5", "9" * 5000])
def test_an_end_that_is_no_time_is_refused(aws: Callable[..., Any], bucket: str, expires: str) -> None:
    s3 = aws("s3", signature_version="s3")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=60)
    status, body = fetch(re.sub(r"Expires=\d+", f"Expires={quote(expires)}", url))
    assert (status, b"Invalid date" in body) == (403, True), body
