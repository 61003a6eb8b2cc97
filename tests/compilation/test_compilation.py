"""Compilation jobs through boto3: models of each framework, what they become and predict, and how a job fails or is stopped."""

from __future__ import annotations

import hashlib
import json
import pickle
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.endpoints.served import Served, variant
from tests.site import packed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.site import Site

LAST = {"COMPLETED", "FAILED", "STOPPED"}
WAIT_S = 120.0


def request(
    site: Site, framework: str, files: dict[str, bytes] | None, name: str = "job", **source: Any
) -> dict[str, Any]:
    """Return a CreateCompilationJob request; without files there is no artifact."""
    where = site.upload({"model.tar.gz": packed(files)} if files is not None else {})
    return {
        "CompilationJobName": name,
        "RoleArn": site.role,
        "InputConfig": {"S3Uri": f"{where}model.tar.gz", "Framework": framework, **source},
        "OutputConfig": {"S3OutputLocation": f"s3://{site.bucket}/compiled/{name}", "TargetDevice": "ml_c5"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 300},
    }


def ended(site: Site, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT_S
    while True:
        job: dict[str, Any] = site.sagemaker.describe_compilation_job(CompilationJobName=name)
        if job["CompilationJobStatus"] in LAST:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


def report_of(site: Site, job: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return what a job that must have completed says of its model, and all that it left."""
    lines = site.lines(job["CompilationJobName"], group="/aws/sagemaker/CompilationJobs")
    assert job["CompilationJobStatus"] == "COMPLETED", (job["FailureReason"], lines)
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert job["ModelDigests"]["ArtifactDigest"] == hashlib.blake2b(site.read(uri)).hexdigest()
    files = site.archive(uri)
    assert set(files) == {"model.onnx", "report.json"}
    return json.loads(files["report.json"]), files


@pytest.mark.same_on_docker
def test_a_booster_becomes_a_model_that_predicts_the_same(site: Site, made: Callable[[str], dict[str, bytes]]) -> None:
    client = site.sagemaker
    given = request(site, "XGBOOST", made("xgboost"))
    tags = [{"Key": "k", "Value": "v"}]
    arn = client.create_compilation_job(**given, Tags=tags)["CompilationJobArn"]
    assert client.describe_compilation_job(CompilationJobName="job")["CompilationJobStatus"] in {
        "STARTING",
        "INPROGRESS",
    }
    job = ended(site, "job")
    report, files = report_of(site, job)
    assert report["Converted"] == "An XGBoost booster (binary:logistic)"
    assert report["Inputs"] == {"features": {"Type": "tensor(float)", "Shape": [None, 3]}}
    comparison = report["Comparison"]
    assert comparison["Rows"] == 256
    assert comparison["Outputs"][0]["MaxAbsoluteDifference"] < 1e-4
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{site.bucket}/compiled/job/model-ml_c5.tar.gz"
    assert job["InferenceImage"] == "localmaker/inference"
    assert json.loads(job["DerivedInformation"]["DerivedDataInputConfig"]) == {"features": [None, 3]}
    assert job["CompilationStartTime"] <= job["CompilationEndTime"]
    assert client.list_tags(ResourceArn=arn)["Tags"] == tags
    (summary,) = client.list_compilation_jobs(StatusEquals="COMPLETED")["CompilationJobSummaries"]
    assert (summary["CompilationJobArn"], summary["CompilationTargetDevice"]) == (arn, "ml_c5")
    with pytest.raises(ClientError) as taken:
        client.create_compilation_job(**given)
    assert taken.value.response["Error"]["Code"] == "ResourceInUse"
    again = request(site, "ONNX", {"model.onnx": files["model.onnx"]}, "again")
    again["OutputConfig"].pop("TargetDevice")
    again["OutputConfig"]["TargetPlatform"] = {"Os": "LINUX", "Arch": "X86_64"}
    client.create_compilation_job(**again)
    client.delete_compilation_job(CompilationJobName="job")
    passed_on = ended(site, "again")
    assert report_of(site, passed_on)[1]["model.onnx"] == files["model.onnx"]
    assert "InferenceImage" not in passed_on
    assert [each["CompilationJobName"] for each in client.list_compilation_jobs()["CompilationJobSummaries"]] == [
        "again"
    ]


@pytest.mark.slow
def test_estimators_programs_and_torchscript_become_models(
    local: Site, made: Callable[[str], dict[str, bytes]]
) -> None:
    client, torch = local.sagemaker, made("pytorch")
    shape = {"DataInputConfig": '{"input0": [1, 3]}'}
    given = {
        "sklearn": ("SKLEARN", made("scikit_learn"), {}),
        "program": ("PYTORCH", {"model.pt2": torch["model.pt2"]}, {}),
        "script": ("PYTORCH", {"model.pth": torch["model.pth"]}, shape),
        "weights": ("PYTORCH", {"weights.pth": torch["weights.pth"]}, shape),
        "shapeless": ("PYTORCH", {"model.pth": torch["model.pth"]}, {}),
    }
    for name, (framework, files, more) in given.items():
        client.create_compilation_job(**request(local, framework, files, name, **more))
    reports = {name: report_of(local, ended(local, name))[0] for name in ("sklearn", "program", "script")}
    kinds = {name: report["Converted"] for name, report in reports.items()}
    assert kinds == {
        "sklearn": "A scikit-learn LogisticRegression",
        "program": "An exported PyTorch program",
        "script": "A TorchScript module",
    }
    outputs = reports["sklearn"]["Comparison"]["Outputs"]
    assert [sorted(output) for output in outputs] == [
        ["DifferentLabels", "Name"], ["MaxAbsoluteDifference", "Name", "Relative"],
    ]  # fmt: skip
    for name in ("program", "script"):
        assert reports[name]["Comparison"]["Outputs"][0]["MaxAbsoluteDifference"] < 1e-5
    assert reports["script"]["Inputs"] == {"input0": {"Type": "tensor(float)", "Shape": [1, 3]}}
    assert "is no TorchScript module" in ended(local, "weights")["FailureReason"]
    assert "DataInputConfig" in ended(local, "shapeless")["FailureReason"]


def test_what_is_wrong_with_an_artifact_fails_its_job(local: Site, made: Callable[[str], dict[str, bytes]]) -> None:
    client = local.sagemaker
    wrong: dict[str, tuple[str, dict[str, bytes] | None]] = {
        "missing": ("XGBOOST", None),
        "empty": ("XGBOOST", {}),
        "nonsense": ("XGBOOST", {"xgboost-model": b"nonsense"}),
        "several": ("ONNX", {"a.onnx": b"", "b.onnx": b""}),
        "broken": ("ONNX", {"a.onnx": b"nonsense"}),
        "outside": ("XGBOOST", {"../../outside": made("xgboost")["xgboost-model.json"]}),
    }
    for name, (framework, files) in wrong.items():
        client.create_compilation_job(**request(local, framework, files, name))
    reasons = {name: ended(local, name)["FailureReason"] for name in wrong}
    sentences = {
        "missing": "model.tar.gz does not exist",
        "empty": "one model file is expected in the artifact; found: none.",
        "nonsense": "xgboost-model is no XGBoost model.",
        "several": "found: a.onnx, b.onnx.",
        "broken": "a.onnx is no valid ONNX model",
        "outside": "cannot be extracted",
    }
    assert all(reasons[name].startswith("ClientError: InputConfiguration: ") for name in wrong), reasons
    assert {name: sentence for name, sentence in sentences.items() if sentence not in reasons[name]} == {}, reasons
    assert all(local.keys(f"s3://{local.bucket}/compiled/{name}/") == [] for name in wrong)


def test_a_job_is_stopped_or_runs_out_of_time(local: Site) -> None:
    """A pickle is code: this one waits for ever."""
    client, waits = local.sagemaker, {"xgboost-model": b"\x80\x04cos\nsystem\n(X\x09\x00\x00\x00sleep 600tR."}
    client.create_compilation_job(**request(local, "XGBOOST", waits, "stopped"))
    limited = request(local, "XGBOOST", waits, "limited")
    client.create_compilation_job(**{**limited, "StoppingCondition": {"MaxRuntimeInSeconds": 1}})
    deadline = time.monotonic() + WAIT_S
    while client.describe_compilation_job(CompilationJobName="stopped")["CompilationJobStatus"] != "INPROGRESS":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(ClientError) as refused:
        client.delete_compilation_job(CompilationJobName="stopped")
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    client.stop_compilation_job(CompilationJobName="stopped")
    assert ended(local, "stopped")["CompilationJobStatus"] == "STOPPED"
    late = ended(local, "limited")
    assert (late["CompilationJobStatus"], late["FailureReason"]) == (
        "FAILED", "ClientError: TimeOut: MaxRuntimeInSeconds was exceeded.",
    )  # fmt: skip


def test_a_compiled_model_is_served_by_the_image_that_its_job_names(
    local: Site, made: Callable[[str], dict[str, bytes]]
) -> None:
    local.sagemaker.create_compilation_job(**request(local, "XGBOOST", made("xgboost")))
    job = ended(local, "job")
    served = Served(local)
    data = {"Image": job["InferenceImage"], "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"]}
    served.deploy(served.config(variant(served.model(data))))
    answer = local.runtime.invoke_endpoint(EndpointName=served.name, ContentType="text/csv", Body="9,-9,0\n-9,9,0\n")
    high, low = json.loads(answer["Body"].read())["predictions"]
    assert 0 < low < 0.5 < high < 1
    local.sagemaker.delete_endpoint(EndpointName=served.name)


class Code:
    """What a pickle may do: this one prints the names of its variables."""

    def __reduce__(self) -> Any:
        return exec, ("import os; print('variables', sorted(os.environ))",)


def test_an_artifact_is_code_that_gets_no_keys(local: Site) -> None:
    client = local.sagemaker
    client.create_compilation_job(**request(local, "XGBOOST", {"xgboost-model": pickle.dumps(Code())}))
    job = ended(local, "job")
    lines = local.lines("job", group="/aws/sagemaker/CompilationJobs")
    (variables,) = [line for line in lines if line.startswith("variables")]
    assert not [word for word in ("AWS_ACCESS", "AWS_SECRET", "AWS_CONTAINER", "AWS_WEB") if word in variables]
    assert job["CompilationJobStatus"] == "FAILED"


def test_a_package_is_compiled_and_what_no_job_can_do_is_refused(
    local: Site, made: Callable[[str], dict[str, bytes]]
) -> None:
    client = local.sagemaker
    good = request(local, "XGBOOST", made("xgboost"))
    source, output = good["InputConfig"], good["OutputConfig"]
    client.create_model_package_group(ModelPackageGroupName="g")
    container = {"Image": "image:1", "ModelDataUrl": source["S3Uri"], "Framework": "XGBOOST"}
    package = client.create_model_package(
        ModelPackageGroupName="g", InferenceSpecification={"Containers": [container]}
    )["ModelPackageArn"]
    wrong: list[tuple[str, str, dict[str, Any]]] = [
        ("ValidationException", "Exactly one of InputConfig", {"ModelPackageVersionArn": package}),
        ("ValidationException", "tar archive", {"InputConfig": {**source, "S3Uri": "s3://b/model.zip"}}),
        ("NotImplemented", "DARKNET", {"InputConfig": {**source, "Framework": "DARKNET"}}),
        ("NotImplemented", "jetson_nano", {"OutputConfig": {**output, "TargetDevice": "jetson_nano"}}),
        (
            "ValidationException",
            "Exactly one of TargetDevice",
            {"OutputConfig": {**output, "TargetPlatform": {"Os": "LINUX", "Arch": "X86_64"}}},
        ),
        ("ValidationException", "CompilerOptions", {"OutputConfig": {**output, "CompilerOptions": "{'mcpu': 1}"}}),
        ("ValidationException", "OutputConfig", {"OutputConfig": {**output, "S3OutputLocation": "s3://none/o"}}),
    ]
    for code, sentence, members in wrong:
        with pytest.raises(ClientError) as refused:
            client.create_compilation_job(**{**good, **members})
        error = refused.value.response["Error"]
        assert (error["Code"], sentence in error["Message"]) == (code, True), error
    assert client.list_compilation_jobs()["CompilationJobSummaries"] == []
    with pytest.raises(ClientError) as missing:
        client.stop_compilation_job(CompilationJobName="none")
    assert missing.value.response["Error"]["Code"] == "ResourceNotFound"
    del good["InputConfig"]
    client.create_compilation_job(**good, ModelPackageVersionArn=package)
    job = ended(local, "job")
    assert (job["ModelPackageVersionArn"], job["InputConfig"]["S3Uri"]) == (package, source["S3Uri"])
    assert report_of(local, job)[0]["Source"] == "xgboost-model.json"
