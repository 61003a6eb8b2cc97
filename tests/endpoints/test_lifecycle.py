"""Endpoints from creation to deletion: updates under load, scaling, failures with their reasons (inference.md §5)."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.endpoints.served import Served, variant
from tests.site import SCIKIT_LEARN, packed

if TYPE_CHECKING:
    from types import TracebackType

DOWNLOAD = (
    'Failed to download model data for container "container_1" from URL: "{url}". Please ensure that there is an object '
    "located at the URL and that the role passed to CreateModel has permissions to download the object."
)
EXTRACT = (
    'Failed to extract model data archive for container "container_1" from URL "{url}". Please ensure that the object '
    "located at the URL is a valid tar.gz archive."
)


class Load:
    """Asks an endpoint all the time, from several threads; every answer and every failure is kept."""

    def __init__(self, served: Served, threads: int = 3) -> None:
        self._served = served
        self._stop = threading.Event()
        self._answered = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(threads)]
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []

    def _send(self) -> None:
        site = self._served.site
        client = site.live.client("sagemaker-runtime", site.account)
        while not self._stop.is_set():
            try:
                answer = client.invoke_endpoint(EndpointName=self._served.name, Body=b"x", ContentType="text/plain")
                self.answers[answer["Body"].read().decode()] += 1
                self._answered.set()
            except Exception as error:  # noqa: BLE001 - whatever it was, it must not have happened
                self.failures.append(repr(error))
        client.close()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        assert self._answered.wait(30), self.failures  # what follows must meet a load that is under way
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


def test_an_update_drops_no_request(served: Served) -> None:
    first = served.config(variant(served.model(served.container("old"))))
    second = served.config(variant(served.model(served.container("new"))))
    served.deploy(first)
    with Load(served) as load:
        served.site.sagemaker.update_endpoint(EndpointName=served.name, EndpointConfigName=second)
        during = served.describe()
        if during["EndpointStatus"] == "Updating":
            assert during["PendingDeploymentSummary"]["EndpointConfigName"] == second
        described = served.settled("InService")
        for _ in range(5):
            assert served.invoke("x") == "x|new|new"
    assert load.failures == []
    assert set(load.answers) == {"x|old|old", "x|new|new"}
    assert described["EndpointConfigName"] == second
    assert "PendingDeploymentSummary" not in described
    with pytest.raises(ClientError, match="the configuration it already uses"):
        served.site.sagemaker.update_endpoint(EndpointName=served.name, EndpointConfigName=second)


ECHO_ACCEPT = """
def model_fn(directory):
    return None
def transform_fn(model, body, content_type, accept):
    return (body if isinstance(body, str) else body.decode()) + "|" + accept, "text/plain"
"""


@pytest.mark.same_on_docker
def test_accept_in_a_pipeline_and_an_update_whose_old_configuration_is_gone(served: Served) -> None:
    pipeline = served.model(*(served.container(who, script=ECHO_ACCEPT) for who in ("one", "two")))
    first, second = served.config(variant(pipeline)), served.config(variant(pipeline))
    served.deploy(first)
    answer = served.site.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=served.name, Body=b"x", ContentType="text/csv", Accept="text/csv"
    )
    assert answer["Body"].read() == b"x|application/json|text/csv"
    served.site.sagemaker.delete_endpoint_config(EndpointConfigName=first)
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        served.site.sagemaker.update_endpoint(EndpointName=served.name, EndpointConfigName=second)


def test_an_update_that_fails_leaves_the_old_configuration(served_here: Served) -> None:
    served = served_here
    good = served.config(variant(served.model(served.container("good"))))
    bad = served.config(variant(served.model(served.container("bad", script="raise RuntimeError('cannot load')"))))
    served.deploy(good)
    with Load(served) as load:
        served.site.sagemaker.update_endpoint(EndpointName=served.name, EndpointConfigName=bad)
        described = served.settled("InService")
    assert load.failures == []
    assert set(load.answers) == {"x|good|good"}
    assert described["EndpointConfigName"] == good
    assert "did not pass the ping health check" in described["FailureReason"]


@pytest.mark.same_on_docker
def test_weights_and_capacities(served: Served) -> None:
    models = [variant(served.model(served.container(who)), who) for who in ("a", "b")]
    served.deploy(served.config(*models))
    with Load(served) as load:
        wanted = [
            {"VariantName": "a", "DesiredWeight": 0.0},
            {"VariantName": "b", "DesiredWeight": 2.0, "DesiredInstanceCount": 2},
        ]
        served.site.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=served.name, DesiredWeightsAndCapacities=wanted
        )
        described = served.settled("InService")
    assert load.failures == []
    shown = {entry["VariantName"]: entry for entry in described["ProductionVariants"]}
    assert (shown["a"]["CurrentWeight"], shown["b"]["CurrentWeight"]) == (0.0, 2.0)
    assert (shown["a"]["CurrentInstanceCount"], shown["b"]["CurrentInstanceCount"]) == (1, 2)
    assert {served.invoke("x") for _ in range(20)} == {"x|b|b"}
    with Load(served) as load:
        fewer = [{"VariantName": "b", "DesiredInstanceCount": 1}]
        served.site.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=served.name, DesiredWeightsAndCapacities=fewer
        )
        served.settled("InService")
    assert load.failures == []


@pytest.mark.same_on_docker
def test_describe_while_it_comes_up_and_delete(served: Served) -> None:
    config = served.config(variant(served.model(served.container("one"))), Tags=[{"Key": "k", "Value": "v"}])
    client = served.site.sagemaker
    arn = client.create_endpoint(EndpointName=served.name, EndpointConfigName=config)["EndpointArn"]
    assert arn == f"arn:aws:sagemaker:us-east-1:{served.site.account}:endpoint/{served.name}"
    with pytest.raises(ClientError, match="Cannot create already existing endpoint"):
        client.create_endpoint(EndpointName=served.name, EndpointConfigName=config)
    client.get_waiter("endpoint_in_service").wait(EndpointName=served.name)
    described = served.describe()
    assert described["EndpointConfigName"] == config
    (shown,) = described["ProductionVariants"]
    assert shown["DeployedImages"][0]["SpecifiedImage"] == SCIKIT_LEARN
    assert (shown["CurrentInstanceCount"], shown["DesiredInstanceCount"]) == (1, 1)
    listed = client.list_endpoints(NameContains=served.name, StatusEquals="InService")["Endpoints"]
    assert [entry["EndpointArn"] for entry in listed] == [arn]
    served.delete()
    with pytest.raises(ClientError, match="Could not find endpoint"):
        served.describe()
    with pytest.raises(ClientError, match="not found"):
        served.invoke("x")


def test_a_model_that_does_not_load_fails_the_endpoint(served: Served) -> None:
    broken = served.container("broken", script="raise RuntimeError('cannot be loaded')")
    config = served.config(variant(served.model(broken)))
    served.site.sagemaker.create_endpoint(EndpointName=served.name, EndpointConfigName=config)
    with pytest.raises(WaiterError):
        served.site.sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=served.name)
    described = served.settled("Failed")
    assert described["FailureReason"] == (
        "The primary container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    assert any("cannot be loaded" in line for line in served.lines())
    with pytest.raises(ClientError, match="is in status Failed"):
        served.invoke("x")


@pytest.mark.parametrize(
    ("key", "content", "reason", "said"),
    [
        (
            "gone.tar.gz",
            None,
            DOWNLOAD,
            "",
        ),
        ("m.tar.gz", b"no archive", EXTRACT, "Not a gzipped file"),
        ("out.tar.gz", packed({"../../../escaped": "x", "code/inference.py": ""}), EXTRACT, "leads upwards"),
    ],
)
def test_model_data_that_cannot_be_delivered(
    served_here: Served, key: str, content: bytes | None, reason: str, said: str
) -> None:
    served = served_here
    uri = served.site.upload({key: content} if content is not None else {})
    config = served.config(variant(served.model(served.container("x", ModelDataUrl=f"{uri}{key}"))))
    served.site.sagemaker.create_endpoint(EndpointName=served.name, EndpointConfigName=config)
    assert served.settled("Failed")["FailureReason"] == reason.format(url=f"{uri}{key}")
    assert not said or any(said in line for line in served.lines())
    assert not list(served.site.live.data_dir.rglob("escaped"))


def test_a_file_name_that_no_file_system_has_fails_the_endpoint(served_here: Served) -> None:
    served = served_here
    uri = served.site.upload({"n" * 300: "x"})
    container = served.container("x")
    del container["ModelDataUrl"]
    source = {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}
    config = served.config(variant(served.model({**container, "ModelDataSource": {"S3DataSource": source}})))
    served.site.sagemaker.create_endpoint(EndpointName=served.name, EndpointConfigName=config)
    assert "is longer than a file name can be" in served.settled("Failed")["FailureReason"]


def test_uncompressed_model_data(served_here: Served) -> None:
    from tests.endpoints.served import SCRIPT

    served = served_here
    uri = served.site.upload({"name": "files", "code/inference.py": SCRIPT})
    container = served.container("files")
    del container["ModelDataUrl"]
    source = {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}
    container["ModelDataSource"] = {"S3DataSource": source}
    served.deploy(served.config(variant(served.model(container))))
    assert served.invoke("x") == "x|files|files"


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"ShadowProductionVariants": True}, 501),
        ({"DataCaptureConfig": True}, 501),
        ({"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://no-such-bucket-here/x"}}}, 400),
    ],
)
def test_configurations_that_are_refused(served_here: Served, members: dict[str, Any], status: int) -> None:
    served = served_here
    one = variant(served.model(served.container("x")))
    given = dict(members)
    if "ShadowProductionVariants" in given:
        given["ShadowProductionVariants"] = [variant(one["ModelName"], "shadow")]
    if "DataCaptureConfig" in given:
        given["DataCaptureConfig"] = {
            "EnableCapture": True,
            "InitialSamplingPercentage": 50,
            "DestinationS3Uri": f"s3://{served.site.bucket}/x",
            "CaptureOptions": [{"CaptureMode": "Input"}],
        }
    with pytest.raises(ClientError) as caught:
        served.config(one, **given)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    with pytest.raises(ClientError, match="Could not find model"):
        served.config(variant("no-such-model"))
