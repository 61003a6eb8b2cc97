"""Ways around signatures, ends, accounts and policies that were found open once, under `LOCALMAKER_AUTH=enforce`."""

from __future__ import annotations

import datetime as dt
import urllib.error
import urllib.request
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from server.authentication import sigv4
from tests.conftest import LiveServer
from tests.server.test_authentication import ACCESS, KEYS, SECRET, client, status_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("strict")
    (folder / "keys").write_text(KEYS)
    live = LiveServer(folder / "data", {"auth": "enforce", "iam": "enforce", "keys_file": folder / "keys"})
    live.start()
    yield live
    live.stop()


@pytest.fixture(scope="module")
def bucket(strict: LiveServer) -> str:
    client(strict, "s3").create_bucket(Bucket="signed")
    return "signed"


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_presigned_url_that_ran_out_is_not_revived(strict: LiveServer, bucket: str, version: str) -> None:
    """By an end whose name is spelled otherwise, nor by the other version's, which this one does not sign."""
    s3 = client(strict, "s3", signature_version=version)
    s3.put_object(Bucket=bucket, Key="over", Body=b"1")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "over"}, ExpiresIn=-60)
    now = dt.datetime.now(dt.UTC).strftime(sigv4.DATE)
    for revived in (
        url,
        url.replace("Expires=", "Expire%73="),
        f"{url}&X-Amz-Expires=600&X-Amz-Date={now}&X-Amz-Signature=1",
        f"{url}&AWSAccessKeyId={ACCESS}&Expires=9999999999&Signature=1",
    ):
        assert status_of(revived) in {400, 403}, revived


def test_a_presigned_url_without_an_end_is_refused(strict: LiveServer, bucket: str) -> None:
    request = AWSRequest("GET", f"{strict.url}/{bucket}")

    class Endless(S3SigV4QueryAuth):
        def canonical_query_string(self, request: Any) -> str:
            request.url = request.url.replace("X-Amz-Expires=3600&", "")
            return str(super().canonical_query_string(request))

    Endless(Credentials(ACCESS, SECRET), "s3", "us-east-1").add_auth(request)
    assert "X-Amz-Signature" in request.url
    assert "Expires" not in request.url
    with pytest.raises(urllib.error.HTTPError, match="400") as error, urllib.request.urlopen(request.url):
        pass
    with closing(error.value):
        assert b"X-Amz-Expires parameters" in error.value.read()
