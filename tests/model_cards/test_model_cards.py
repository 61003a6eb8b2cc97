"""Model cards through boto3: versions, what is no card, lists, Search, and a PDF that says what the card says."""

from __future__ import annotations

import json
import re
import time
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from backends import load_components
from backends.model_cards.pdf import render
from tests.toy.test_life import Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backends.core.kernel import Context

CONTENT = {
    "model_overview": {"model_id": "m-1", "model_name": "trees", "model_description": "secret", "model_version": 2},
    "intended_uses": {"risk_rating": "Low", "purpose_of_model": "to show (all)"},
    "evaluation_details": [
        {"name": "first", "metric_groups": [{"name": "binary", "metric_data": [{"name": "auc", "value": 0.75}]}]}
    ],
    "additional_information": {"custom_details": {"owner": "Zoë"}},
}


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def create(client: Any, name: str, content: Any = CONTENT, status: str = "Draft", **more: Any) -> str:
    text = content if isinstance(content, str) else json.dumps(content)
    arn: str = client.create_model_card(ModelCardName=name, Content=text, ModelCardStatus=status, **more)[
        "ModelCardArn"
    ]
    return arn


def text_of(pdf: bytes) -> str:
    """Return what a PDF shows, of streams as fpdf2 writes them."""
    streams = re.findall(rb"stream\n(.*?)\nendstream", pdf, re.DOTALL)
    shown = b"".join(zlib.decompress(stream) for stream in streams if stream[:1] == b"\x78")
    lines = re.findall(r"\((.*?)(?<!\\)\) Tj", shown.decode("latin-1"))
    return "\n".join(line.replace("\\(", "(").replace("\\)", ")") for line in lines)


@pytest.fixture
def client(aws: Callable[..., Any]) -> Any:
    """Return a client of a fresh account."""
    return aws("sagemaker")


def test_each_content_is_a_version(client: Any, account: str) -> None:
    arn = create(client, "Card", Tags=[{"Key": "k", "Value": "v"}])
    assert arn == f"arn:aws:sagemaker:us-east-1:{account}:model-card/Card"
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    client.update_model_card(ModelCardName="Card", ModelCardStatus="Approved")
    client.update_model_card(ModelCardName=arn, Content="{}")
    client.update_model_card(ModelCardName="Card", ModelCardStatus="Archived")
    now, first = (
        client.describe_model_card(ModelCardName=arn),
        client.describe_model_card(ModelCardName="Card", ModelCardVersion=1),
    )
    assert (now["ModelCardVersion"], now["Content"], now["ModelCardStatus"]) == (2, "{}", "Archived")
    assert (first["ModelCardVersion"], json.loads(first["Content"]), first["ModelCardStatus"]) == (
        1,
        CONTENT,
        "Approved",
    )
    assert first["CreationTime"] == now["CreationTime"]
    sanitized = client.describe_model_card(ModelCardName="Card", ModelCardVersion=1, IncludedData="MetadataOnly")
    assert json.loads(sanitized["Content"]) == {
        "model_overview": {"model_id": "m-1", "model_name": "trees"}, "intended_uses": {"risk_rating": "Low"},
    }  # fmt: skip
    pages = client.get_paginator("list_model_card_versions").paginate(
        ModelCardName="Card", PaginationConfig={"PageSize": 1}
    )
    listed = [each for page in pages for each in page["ModelCardVersionSummaryList"]]
    assert [(each["ModelCardVersion"], each["ModelCardStatus"]) for each in listed] == [
        (2, "Archived"),
        (1, "Approved"),
    ]

    def versions(**query: Any) -> list[int]:
        answer = client.list_model_card_versions(ModelCardName=arn, **query)
        return [each["ModelCardVersion"] for each in answer["ModelCardVersionSummaryList"]]

    assert versions(SortOrder="Ascending") == [1, 2]
    assert versions(ModelCardStatus="Approved") == [1]
    assert versions(CreationTimeBefore=0) == []
    client.delete_model_card(ModelCardName="Card")
    for call in (client.describe_model_card, client.list_model_card_versions, client.delete_model_card):
        assert refused(lambda call=call: call(ModelCardName="Card"))[0] == "ResourceNotFound"  # type: ignore[misc]
    create(client, "Card")
    assert (
        refused(lambda: client.describe_model_card(ModelCardName="Card", ModelCardVersion=2))[0] == "ResourceNotFound"
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "no JSON"),
        ("[]", "no object"),
        ({"model": {}}, "model is no member"),
        ({"intended_uses": {"risk_rating": "None"}}, "intended_uses.risk_rating must be one of"),
        ({"business_details": {"business_problem": "x" * 2049}}, "at most 2048 characters"),
        ({"evaluation_details": {}}, "evaluation_details must be a list"),
        ("[" * 50_000, "nested too deeply"),
    ],
)
def test_what_is_no_content_is_refused(client: Any, content: Any, sentence: str) -> None:
    code, message = refused(lambda: create(client, "bad", content))
    assert code == "ValidationException"
    assert sentence in message
    assert client.list_model_cards()["ModelCardSummaries"] == []


def test_what_is_taken_or_two_things_at_once_is_refused(client: Any) -> None:
    create(client, "card")
    code, message = refused(lambda: create(client, "card"))
    assert (code, "already exists" in message) == ("ConflictException", True)
    both = {"ModelCardName": "card", "Content": "{}", "ModelCardStatus": "Approved"}
    assert refused(lambda: client.update_model_card(**both))[0] == "ValidationException"
    assert client.describe_model_card(ModelCardName="card")["ModelCardVersion"] == 1


def test_cards_are_listed_and_searched(client: Any) -> None:
    for name, status in (("apple", "Draft"), ("pear", "Approved")):
        create(client, name, status=status)
    client.update_model_card(ModelCardName="apple", Content="{}")

    def names(**query: Any) -> list[str]:
        return [each["ModelCardName"] for each in client.list_model_cards(**query)["ModelCardSummaries"]]

    assert names(SortBy="Name", SortOrder="Ascending") == ["apple", "pear"]
    assert names(NameContains="PP") == ["apple"]
    assert names(ModelCardStatus="Approved") == ["pear"]
    expression = {"Filters": [{"Name": "RiskRating", "Operator": "Equals", "Value": "Low"}]}
    (result,) = client.search(Resource="ModelCard", SearchExpression=expression)["Results"]
    assert (result["ModelCard"]["ModelCardName"], result["ModelCard"]["ModelId"]) == ("pear", "m-1")
    assert "RiskRating" not in client.describe_model_card(ModelCardName="pear")


def exported(client: Any, arn: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while True:
        job: dict[str, Any] = client.describe_model_card_export_job(ModelCardExportJobArn=arn)
        if job["Status"] != "InProgress":
            return job
        assert time.monotonic() < deadline
        time.sleep(0.02)  # another process: there is nothing to wait on


def test_a_card_becomes_a_pdf_in_s3(client: Any, aws: Callable[..., Any], account: str) -> None:
    s3, bucket = aws("s3"), f"cards-{account}"
    s3.create_bucket(Bucket=bucket)
    create(client, "card")
    client.update_model_card(ModelCardName="card", Content="{}")
    output = {"S3OutputPath": f"s3://{bucket}/out/"}

    def export(name: str, **more: Any) -> str:
        request = {"ModelCardName": "card", "ModelCardExportJobName": name, "OutputConfig": output, **more}
        arn: str = client.create_model_card_export_job(**request)["ModelCardExportJobArn"]
        return arn

    arn = export("first", ModelCardVersion=1)
    assert arn.endswith(":model-card/card/export-job/first")
    job = exported(client, arn)
    assert (job["Status"], job["ModelCardVersion"]) == ("Completed", 1), job
    place = job["ExportArtifacts"]["S3ExportArtifacts"]
    stored = s3.get_object(Bucket=bucket, Key=place.removeprefix(f"s3://{bucket}/"))
    pdf = stored["Body"].read()
    assert stored["ContentType"] == "application/pdf"
    assert pdf.startswith(b"%PDF-")
    shown = text_of(pdf)
    for line in (
        "card",
        "Version 1, Draft",
        "Intended uses",
        "Purpose of model: to show (all)",
        "Value: 0.75",
        "Owner: Zoë",
    ):
        assert line in shown.splitlines()
    assert exported(client, export("second"))["ModelCardVersion"] == 2

    def listed(**query: Any) -> list[str]:
        answer = client.list_model_card_export_jobs(ModelCardName="card", **query)
        return [each["ModelCardExportJobName"] for each in answer["ModelCardExportJobSummaries"]]

    assert listed(SortBy="Name", SortOrder="Ascending") == ["first", "second"]
    assert listed(ModelCardVersion=1) == ["first"]
    assert listed(ModelCardExportJobNameContains="SEC", StatusEquals="Completed") == ["second"]
    assert listed(StatusEquals="Failed") == []
    assert refused(lambda: export("first"))[0] == "ConflictException"
    assert refused(lambda: export("third", ModelCardVersion=9))[0] == "ResourceNotFound"
    assert (
        refused(lambda: export("third", OutputConfig={"S3OutputPath": "s3://no-such-bucket/x"}))[0]
        == "ValidationException"
    )
    client.delete_model_card(ModelCardName="card")
    assert refused(lambda: client.describe_model_card_export_job(ModelCardExportJobArn=arn))[0] == "ResourceNotFound"
    assert s3.head_object(Bucket=bucket, Key=place.removeprefix(f"s3://{bucket}/"))["ContentLength"] == len(pdf)


def test_a_bucket_that_refuses_its_own_account_gets_no_card(client: Any, aws: Callable[..., Any], account: str) -> None:
    s3, bucket = aws("s3"), f"closed-{account}"
    s3.create_bucket(Bucket=bucket)
    denied = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [denied]}))
    create(client, "card")
    request = {
        "ModelCardName": "card",
        "ModelCardExportJobName": "j",
        "OutputConfig": {"S3OutputPath": f"s3://{bucket}/x"},
    }
    code, message = refused(lambda: client.create_model_card_export_job(**request))
    assert (code, "not authorized" in message) == ("ValidationException", True)


def test_what_may_no_longer_be_stored_fails_and_leaves_nothing(tmp_path: Path) -> None:
    """The bucket goes in the transaction in which the export is accepted, and so before the work is done."""
    server = Server(tmp_path, load_components())
    server.account = "111122223333"
    try:
        server.call("CreateModelCard", ModelCardName="card", Content="{}", ModelCardStatus="Draft")
        cx = server.kernel.context(server.account, "us-east-1")
        cx.write(lambda inside: inside.call("CreateBucket", {"Bucket": "goes-away"}, "s3"))
        request = {
            "ModelCardName": "card",
            "ModelCardExportJobName": "j",
            "OutputConfig": {"S3OutputPath": "s3://goes-away"},
        }

        def accept(inside: Context) -> str:
            arn: str = inside.call("CreateModelCardExportJob", request)["ModelCardExportJobArn"]
            inside.call("DeleteBucket", {"Bucket": "goes-away"}, "s3")
            return arn

        arn, deadline = cx.write(accept), time.monotonic() + 20
        while (job := server.call("DescribeModelCardExportJob", ModelCardExportJobArn=arn))["Status"] == "InProgress":
            assert time.monotonic() < deadline
            time.sleep(0.01)  # the loop is another thread's
        assert job["Status"] == "Failed"
        assert "goes-away" in job["FailureReason"]
        assert "ExportArtifacts" not in job
    finally:
        server.stop()


def test_any_content_can_be_printed() -> None:
    card = {
        "ModelCardName": "c", "ModelCardVersion": 1, "ModelCardStatus": "Draft", "ModelCardArn": "arn", "CreationTime": 0.0,
        "LastModifiedTime": 0.0,
    }  # fmt: skip
    deep: Any = "x" * 5000
    for _ in range(200):
        deep = [deep]
    content = {"model_package_details": {"深い": deep, "\ud800": None, "tab\tand\x00nul": "a\nb"}}
    shown = text_of(render(card, content, 0.0))
    assert "Model package details" in shown
    assert "Tab and nul: a" in shown
