"""InvokeEndpoint and InvokeEndpointWithResponseStream, on every runner (contract: inference.md §1, §2)."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.endpoints.served import variant

if TYPE_CHECKING:
    from tests.endpoints.served import Served

CONCURRENCY = 16


def error_of(served: Served, body: str, **members: Any) -> dict[str, Any]:
    """Return the error's whole response."""
    with pytest.raises(ClientError) as caught:
        served.invoke(body, **members)
    response: dict[str, Any] = caught.value.response
    return response


def test_an_answer_comes_back_with_its_headers(shared: Served) -> None:
    answer = shared.site.runtime.invoke_endpoint(
        EndpointName=shared.name, Body=b"hello", ContentType="text/plain", TargetVariant="a", Accept="text/plain"
    )
    assert answer["Body"].read() == b"hello|a|a"
    assert answer["ContentType"].startswith("text/plain")
    assert answer["InvokedProductionVariant"] == "a"


def test_variants_share_by_weight(shared: Served) -> None:
    count = 200
    counts = Counter(shared.invoke("x").rpartition("|")[2] for _ in range(count))
    assert set(counts) == {"a", "b"}
    assert abs(counts["a"] / count - 0.75) < 0.16  # five standard deviations


def test_a_target_variant_overrides_the_weights(shared: Served) -> None:
    assert {shared.invoke("x", TargetVariant="b") for _ in range(10)} == {"x|b|b"}
    assert "Variant nobody was not found" in error_of(shared, "x", TargetVariant="nobody")["Error"]["Message"]


def test_requests_at_once(shared: Served) -> None:
    client = shared.site.live.client("sagemaker-runtime", shared.site.account, max_pool_connections=CONCURRENCY)

    def send(number: int) -> bool:
        answer = client.invoke_endpoint(EndpointName=shared.name, Body=str(number), ContentType="text/plain")
        return bool(answer["Body"].read().startswith(f"{number}|".encode()))

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        assert all(pool.map(send, range(20 * CONCURRENCY)))
    client.close()


def test_what_the_model_refuses_is_a_model_error(shared: Served) -> None:
    response = error_of(shared, "raise", TargetVariant="a")
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] == 500
    assert "this model raises" in response["OriginalMessage"]
    assert response["LogStreamArn"].startswith(
        f"arn:aws:logs:us-east-1:{shared.site.account}:log-group:/aws/sagemaker/"
    )
    message = response["Error"]["Message"]
    assert message.startswith('Received server error (500) from primary with message "')
    assert f"/aws/sagemaker/Endpoints/{shared.name} in account {shared.site.account} for more information." in message


def test_an_answer_may_be_streamed(shared: Served) -> None:
    answer = shared.site.runtime.invoke_endpoint_with_response_stream(
        EndpointName=shared.name, Body=b"stream", ContentType="text/plain", Accept="text/plain"
    )
    parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
    assert b"".join(parts) == b"part 0;part 1;part 2;part 3;part 4;"
    with pytest.raises(ClientError, match="this model raises"):
        shared.site.runtime.invoke_endpoint_with_response_stream(
            EndpointName=shared.name, Body=b"raise", ContentType="text/plain"
        )


def test_large_answers_and_too_large_requests(shared: Served) -> None:
    assert len(shared.invoke("large")) == 5_000_000
    assert shared.invoke("y" * 6_000_000).startswith("yyy")
    response = error_of(shared, "y" * 6_291_457)
    assert response["ResponseMetadata"]["HTTPStatusCode"] in {400, 413}


def test_an_endpoint_that_is_not_there(shared: Served) -> None:
    with pytest.raises(ClientError) as caught:
        shared.site.runtime.invoke_endpoint(EndpointName="nobody", Body=b"")
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationError"
    assert error["Message"] == f"Endpoint nobody of account {shared.site.account} not found."


def test_a_later_issues_members_are_not_pretended(shared: Served) -> None:
    assert error_of(shared, "x", TargetModel="m.tar.gz")["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_the_log_of_an_instance_is_where_aws_puts_it(shared: Served) -> None:
    group = f"/aws/sagemaker/Endpoints/{shared.name}"
    streams = shared.site.streams("a/", group)
    assert len(streams) == 1
    assert streams[0].startswith("a/i-")
    assert "model loaded by a" in shared.lines("a/")


def test_a_pipeline_passes_answers_on(served: Served) -> None:
    containers = [served.container(who, ContainerHostname=who) for who in ("first", "second")]
    served.deploy(served.config(variant(served.model(*containers))))
    assert served.invoke("x") == "x|first|first|second|second"
    response = error_of(served, "raise")
    assert "from first with message" in response["Error"]["Message"]
    streams = served.site.streams("", f"/aws/sagemaker/Endpoints/{served.name}")
    assert {name.rpartition("/")[2] for name in streams} == {"first", "second"}


def test_a_container_that_dies_is_started_again(served: Served) -> None:
    served.deploy(served.config(variant(served.model(served.container("one")))))
    with pytest.raises(ClientError):
        served.invoke("crash")
    deadline = time.monotonic() + 30
    text = ""
    while not text and time.monotonic() < deadline:
        try:
            text = served.invoke("back")
        except ClientError as error:
            assert error.response["Error"]["Code"] in {"ServiceUnavailable", "ModelError"}  # noqa: PT017 - until then
            time.sleep(0.05)
    assert text == "back|one|one", served.lines()
    assert served.describe()["EndpointStatus"] == "InService"


@pytest.mark.same_on_docker
def test_a_model_of_a_package_is_served(served: Served) -> None:
    sagemaker = served.site.sagemaker
    definition = served.container("packed")
    kinds = {"SupportedContentTypes": ["text/plain"], "SupportedResponseMIMETypes": ["text/plain"]}
    sagemaker.create_model_package_group(ModelPackageGroupName="group")
    package = sagemaker.create_model_package(
        ModelPackageGroupName="group",
        ModelApprovalStatus="Approved",
        InferenceSpecification={"Containers": [definition], **kinds},
    )["ModelPackageArn"]
    served.deploy(
        served.config(variant(served.model({"ModelPackageName": package, "Environment": {"WHO": "package"}})))
    )
    assert served.invoke("x") == "x|packed|package"
