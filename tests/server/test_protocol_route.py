"""Paths to operations. That every operation's own request finds it is asserted in the round trip; here, the edges."""

from __future__ import annotations

import pytest

from api_specs import model
from backends.core.errors import AwsError
from server.protocol import rest_bindings, rest_route
from server.types import HttpRequest


def _match(service: str, method: str, target: str, **headers: str) -> tuple[str, dict[str, str]] | None:
    path, _, query = target.partition("?")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = HttpRequest(method, path, path.encode(), query.encode(), named)
    match = rest_route.matcher(model.load_service(service)).match(request)
    return None if match is None else (match[0].name, match[1])


@pytest.mark.parametrize(
    ("method", "target", "name", "labels"),
    [
        ("GET", "/", "ListBuckets", {}),
        ("GET", "/b", "ListObjects", {"Bucket": "b"}),
        ("GET", "/b/", "ListObjects", {"Bucket": "b"}),
        ("GET", "/b?list-type=2&prefix=x", "ListObjectsV2", {"Bucket": "b"}),
        ("GET", "/b?list-type=1", "ListObjects", {"Bucket": "b"}),
        ("GET", "/b?versions", "ListObjectVersions", {"Bucket": "b"}),
        ("GET", "/b?versions=", "ListObjectVersions", {"Bucket": "b"}),
        ("GET", "/b?lifecycle", "GetBucketLifecycleConfiguration", {"Bucket": "b"}),
        ("GET", "/b?analytics&id=1", "GetBucketAnalyticsConfiguration", {"Bucket": "b"}),
        ("GET", "/b?analytics", "ListBucketAnalyticsConfigurations", {"Bucket": "b"}),
        ("GET", "/b/k", "GetObject", {"Bucket": "b", "Key": "k"}),
        ("GET", "/b//k", "GetObject", {"Bucket": "b", "Key": "/k"}),
        ("GET", "/b/a/b/", "GetObject", {"Bucket": "b", "Key": "a/b/"}),
        ("GET", "/b/a%2Fb%20%C3%BC%0A", "GetObject", {"Bucket": "b", "Key": "a/b \u00fc\n"}),
        ("GET", "/b/k?uploadId=1", "ListParts", {"Bucket": "b", "Key": "k"}),
        ("PUT", "/b/k?partNumber=1&uploadId=1", "UploadPart", {"Bucket": "b", "Key": "k"}),
        ("POST", "/b/k?uploads", "CreateMultipartUpload", {"Bucket": "b", "Key": "k"}),
        ("POST", "/b/k?uploadId=1", "CompleteMultipartUpload", {"Bucket": "b", "Key": "k"}),
        ("DELETE", "/b/k?uploadId=1", "AbortMultipartUpload", {"Bucket": "b", "Key": "k"}),
        ("DELETE", "/b/k?versionId=1", "DeleteObject", {"Bucket": "b", "Key": "k"}),
        ("POST", "/b?delete", "DeleteObjects", {"Bucket": "b"}),
        ("HEAD", "/b/k", "HeadObject", {"Bucket": "b", "Key": "k"}),
    ],
)
def test_s3(method: str, target: str, name: str, labels: dict[str, str]) -> None:
    assert _match("s3", method, target) == (name, labels)


def test_s3_copies_are_told_by_their_header() -> None:
    for target, plain, copy in (
        ("/b/k", "PutObject", "CopyObject"),
        ("/b/k?partNumber=1&uploadId=1", "UploadPart", "UploadPartCopy"),
    ):
        without, with_header = _match("s3", "PUT", target), _match("s3", "PUT", target, x_amz_copy_source="b/j")
        assert without is not None
        assert with_header is not None
        assert (without[0], with_header[0]) == (plain, copy)


@pytest.mark.parametrize(
    ("service", "method", "target", "name"),
    [
        ("sagemaker-runtime", "POST", "/endpoints/e/invocations", "InvokeEndpoint"),
        ("sagemaker-runtime", "POST", "/endpoints/e/async-invocations", "InvokeEndpointAsync"),
        ("sagemaker-featurestore-runtime", "GET", "/FeatureGroup/g", "GetRecord"),
        ("sagemaker-a2i-runtime", "POST", "/human-loops/stop", "StopHumanLoop"),
        ("sagemaker-a2i-runtime", "GET", "/human-loops/stop", "DescribeHumanLoop"),
        ("sagemaker-metrics", "PUT", "/BatchPutMetrics", "BatchPutMetrics"),
        ("sagemakerjobruntime", "POST", "/sample", "Sample"),
    ],
)
def test_the_runtimes(service: str, method: str, target: str, name: str) -> None:
    match = _match(service, method, target)
    assert match is not None
    assert match[0] == name


@pytest.mark.parametrize("target", ["/", "/endpoints", "/endpoints/e", "/endpoints//invocations", "/nothing"])
def test_other_paths_find_nothing(target: str) -> None:
    assert _match("sagemaker-runtime", "POST", target) is None


def test_a_path_must_be_utf8() -> None:
    with pytest.raises(AwsError, match="SerializationException"):
        _match("s3", "GET", "/b/%ff")


def test_what_no_request_can_name_is_listed_with_its_reason() -> None:
    names = set(model.operations("s3"))
    assert set(rest_route.SHADOWED) <= names
    assert set(rest_route.HEADER_TOLD_APART) <= names


def test_header_lists_keep_quoted_commas() -> None:
    assert rest_bindings.split_list('a, "b,c" ,"d\\"e"') == ["a", "b,c", 'd"e']
