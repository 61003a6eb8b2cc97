"""Contents of hubs through boto3: versions and which of them is shown, references, presigned URLs."""

from __future__ import annotations

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import pytest

from tests.registry.test_registry import refused

if TYPE_CHECKING:
    from collections.abc import Callable

PUBLIC = "arn:aws:sagemaker:us-east-1:aws:hub-content/SageMakerPublicHub/Model/llama"
MODEL = {"HubName": "Hub", "HubContentType": "Model"}


@pytest.fixture
def client(aws: Callable[..., Any]) -> Any:
    made = aws("sagemaker")
    made.create_hub(HubName="Hub", HubDescription="d")
    return made


def put(client: Any, name: str, version: str = "", schema: str = "2.0.0", document: Any = None, **more: Any) -> str:
    request = {**MODEL, "HubContentName": name, "DocumentSchemaVersion": schema, **more}
    if version:
        request["HubContentVersion"] = version
    arn: str = client.import_hub_content(HubContentDocument=json.dumps(document or {"Url": "u"}), **request)[
        "HubContentArn"
    ]
    return arn


def listed(client: Any, **more: Any) -> list[tuple[str, str]]:
    pages = client.get_paginator("list_hub_contents") if client.can_paginate("list_hub_contents") else None
    assert pages is None  # botocore has none: tokens by hand
    shown, token = [], {"MaxResults": 1}
    while True:
        page = client.list_hub_contents(**{**MODEL, **more, **token})
        shown += [(each["HubContentName"], each["HubContentVersion"]) for each in page["HubContentSummaries"]]
        if "NextToken" not in page:
            return shown
        token = {"MaxResults": 1, "NextToken": page["NextToken"]}


def versions(client: Any, name: str, **more: Any) -> list[str]:
    page = client.list_hub_content_versions(
        **MODEL, HubContentName=name, SortBy="CreationTime", SortOrder="Ascending", **more
    )
    return [each["HubContentVersion"] for each in page["HubContentSummaries"]]


def test_the_newest_version_is_shown_by_its_numbers_and_the_hub_stays_while_there_are_any(
    client: Any, account: str
) -> None:
    arn = put(client, "A", "1.9.0", Tags=[{"Key": "k", "Value": "v"}])
    assert arn == f"arn:aws:sagemaker:us-east-1:{account}:hub-content/Hub/Model/A/1.9.0"
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    put(client, "A", "1.10.0", schema="2.10.0", HubContentDescription="newest")
    put(client, "A", "1.2.0", HubName=f"arn:aws:sagemaker:us-east-1:{account}:hub/Hub")
    put(client, "B", SupportStatus="Deprecated")
    put(client, "C", HubContentType="Notebook")
    newest = client.describe_hub_content(**MODEL, HubContentName="A")
    assert (newest["HubContentVersion"], newest["HubContentDescription"], newest["SupportStatus"]) == (
        "1.10.0", "newest", "Supported",
    )  # fmt: skip
    assert "IsLatest" not in newest
    assert sorted(listed(client)) == [("A", "1.10.0"), ("B", "1.0.0")]
    assert sorted(listed(client, MaxSchemaVersion="2.9.0")) == [("A", "1.9.0"), ("B", "1.0.0")]
    assert listed(client, NameContains="b", SortBy="HubContentName") == [("B", "1.0.0")]
    assert versions(client, "A") == ["1.9.0", "1.10.0", "1.2.0"]
    assert versions(client, "A", MinVersion="1.9.0", MaxSchemaVersion="2.0.0") == ["1.9.0"]
    assert put(client, "A").endswith("/1.10.1")
    for version in ("1.10.1", "1.10.0"):
        client.delete_hub_content(**MODEL, HubContentName="A", HubContentVersion=version)
    assert listed(client, NameContains="a") == [("A", "1.9.0")]
    results = client.search(
        Resource="HubContent", SearchExpression={"Filters": [{"Name": "HubContentName", "Value": "A"}]}
    )["Results"]
    assert sorted(each["HubContent"]["HubContentVersion"] for each in results) == ["1.2.0", "1.9.0"]
    assert refused(lambda: client.delete_hub(HubName="Hub"))[0] == "ResourceInUse"
    for name, version in (("A", "1.2.0"), ("A", "1.9.0"), ("B", "1.0.0")):
        client.delete_hub_content(**MODEL, HubContentName=name, HubContentVersion=version)
    client.delete_hub_content(HubName="Hub", HubContentType="Notebook", HubContentName="C", HubContentVersion="1.0.0")
    client.delete_hub(HubName="Hub")
    assert refused(lambda: listed(client))[0] == "ResourceNotFound"


def test_what_is_no_document_no_version_or_taken_is_refused(client: Any) -> None:
    put(client, "A", "1.0.0")
    assert refused(lambda: put(client, "A", "1.0.0"))[0] == "ResourceInUse"
    assert refused(lambda: put(client, "A", "1a0b0"))[0] == "ValidationException"
    assert refused(lambda: put(client, "A", schema="1a0b0"))[0] == "ValidationException"
    assert refused(lambda: put(client, "A", HubContentType="ModelReference"))[0] == "ValidationException"
    for text in ("no json", "[]", '"text"', "[" * 100_000, '{"a": NaN}'):
        request = partial(
            client.import_hub_content,
            **MODEL,
            HubContentName="A",
            DocumentSchemaVersion="1.0.0",
            HubContentDocument=text,
        )
        assert refused(request)[0] == "ValidationException"
    code, message = refused(lambda: client.describe_hub_content(**MODEL, HubContentName="Z"))
    assert (code, message) == ("ResourceNotFound", "Hub content with name Z does not exist.")
    version = {**MODEL, "HubContentName": "A", "HubContentVersion": "1.0.0"}
    client.update_hub_content(**version, HubContentDisplayName="shown", SupportStatus="Restricted")
    shown = client.describe_hub_content(**version)
    assert (shown["HubContentDisplayName"], shown["SupportStatus"]) == ("shown", "Restricted")
    assert (
        refused(lambda: client.update_hub_content(**{**version, "HubContentVersion": "2.0.0"}))[0] == "ResourceNotFound"
    )
    assert [hub["HubName"] for hub in client.list_hubs(SortBy="AccountIdOwner", NameContains="hu")["HubSummaries"]] == [
        "Hub"
    ]


def test_a_reference_shows_what_it_refers_to(client: Any, account: str) -> None:
    made = client.create_hub_content_reference(HubName="Hub", SageMakerPublicHubContentArn=PUBLIC, MinVersion="1.1.0")
    assert made["HubContentArn"] == f"arn:aws:sagemaker:us-east-1:{account}:hub-content/Hub/ModelReference/llama/1.1.0"
    named = {"HubName": "Hub", "HubContentType": "ModelReference", "HubContentName": "llama"}
    client.update_hub_content_reference(**named, MinVersion="1.0.0")
    shown = client.describe_hub_content(**named)
    assert (shown["SageMakerPublicHubContentArn"], shown["ReferenceMinVersion"]) == (PUBLIC, "1.0.0")
    again = partial(client.create_hub_content_reference, HubName="Hub", SageMakerPublicHubContentArn=PUBLIC)
    assert refused(again)[0] == "ResourceInUse"
    assert refused(partial(client.update_hub_content, **named, HubContentVersion="1.1.0"))[0] == "ValidationException"
    assert refused(partial(client.create_hub_content_presigned_urls, **named))[0] == "NotImplemented"
    wrong = {**named, "HubContentType": "Model"}
    assert refused(partial(client.delete_hub_content_reference, **wrong))[0] == "ValidationException"
    client.delete_hub_content_reference(**named)
    assert refused(partial(client.delete_hub_content_reference, **named))[0] == "ResourceNotFound"


def test_presigned_urls_lead_to_the_artifacts(client: Any, aws: Callable[..., Any], account: str) -> None:
    s3, bucket = aws("s3"), f"models-{account}"
    s3.create_bucket(Bucket=bucket)
    for key in ("a/model.tar.gz", "tree/x y.bin", "tree/sub/z"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    document = {
        "HostingArtifactUri": f"s3://{bucket}/a/model.tar.gz",
        "Training": [{"ArtifactUri": f"s3://{bucket}/tree/"}],
        "HostingEulaUri": f"s3://{bucket}/a/none.txt",
    }
    put(client, "A", document=document)
    urls = partial(client.create_hub_content_presigned_urls, **MODEL, HubContentName="A")
    assert refused(urls)[0] == "ValidationException"
    page = urls(AccessConfig={"AcceptEula": True}, MaxResults=2)
    rest = urls(AccessConfig={"AcceptEula": True}, MaxResults=2, NextToken=page["NextToken"])
    configs = [*page["AuthorizedUrlConfigs"], *rest["AuthorizedUrlConfigs"]]
    bodies = {}
    for config in configs:
        with urllib.request.urlopen(config["Url"], timeout=10) as answer:
            bodies[config["LocalPath"]] = answer.read()
    assert bodies == {"/model.tar.gz": b"a/model.tar.gz", "/x y.bin": b"tree/x y.bin", "/sub/z": b"tree/sub/z"}
    late = configs[0]["Url"].replace("X-Amz-Expires=900", "X-Amz-Expires=0")
    with pytest.raises(HTTPError, match="403"):
        urllib.request.urlopen(late, timeout=10)
    expected = {"AcceptEula": True, "ExpectedS3Url": f"s3://{bucket}/tree"}
    assert len(urls(AccessConfig=expected)["AuthorizedUrlConfigs"]) == 2
    assert refused(lambda: urls(AccessConfig={**expected, "ExpectedS3Url": "s3://other/"}))[0] == "ValidationException"
    s3.put_object(Bucket=bucket, Key="tree/../../home/user/.profile", Body=b"")  # a client writes what LocalPath names
    assert refused(lambda: urls(AccessConfig=expected))[0] == "ValidationException"


def test_of_many_versions_at_once_the_newest_is_shown(client: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: put(client, "A", f"1.{number}.0"), range(8)))
    assert listed(client) == [("A", "1.7.0")]
    with ThreadPoolExecutor(8) as pool:
        counted = list(pool.map(lambda _: put(client, "B"), range(8)))
    assert sorted(arn.rpartition("/")[2] for arn in counted) == [f"1.0.{number}" for number in range(8)]
