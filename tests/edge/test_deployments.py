"""Packaging jobs and deployment plans through boto3, with an agent that fetches and reports; and what stages decide."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from backends.edge import stages
from tests.compilation.test_compilation import ended, request
from tests.edge.test_edge import fleet_of, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.site import Site

WAIT_S = 60.0


def packaged(site: Site, name: str, **members: Any) -> dict[str, Any]:
    """Package a compiled model; return the job's last description."""
    given = {"CompilationJobName": "compiled", "ModelName": "model", "ModelVersion": "1.0", "RoleArn": site.role}
    output = {"OutputConfig": {"S3OutputLocation": f"s3://{site.bucket}/packages/"}}
    site.sagemaker.create_edge_packaging_job(EdgePackagingJobName=name, **{**given, **output, **members})
    deadline = time.monotonic() + WAIT_S
    while True:
        job: dict[str, Any] = site.sagemaker.describe_edge_packaging_job(EdgePackagingJobName=name)
        if job["EdgePackagingJobStatus"] in {"COMPLETED", "FAILED", "STOPPED"}:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.02)


def stage(name: str, **selection: Any) -> dict[str, Any]:
    return {"StageName": name, "DeviceSelectionConfig": selection}


def statuses(site: Site, plan: str) -> dict[str, str]:
    """Return the status of each stage."""
    described = site.sagemaker.describe_edge_deployment_plan(EdgeDeploymentPlanName=plan)
    return {each["StageName"]: each["DeploymentStatus"]["StageStatus"] for each in described["Stages"]}


def devices_of(site: Site, plan: str, name: str, **more: Any) -> dict[str, str]:
    given = {"EdgeDeploymentPlanName": plan, "StageName": name, **more}
    listed = site.sagemaker.list_stage_devices(**given)["DeviceDeploymentSummaries"]
    return {each["DeviceName"]: each["DeviceDeploymentStatus"] for each in listed}


def compiled(site: Site, files: dict[str, bytes]) -> None:
    site.sagemaker.create_compilation_job(**request(site, "XGBOOST", files, "compiled"))


def test_a_compiled_model_is_packaged(local: Site, made: Callable[[str], dict[str, bytes]]) -> None:
    client = local.sagemaker
    compiled(local, made("xgboost"))
    assert refused(lambda: packaged(local, "early"))[1].endswith("not COMPLETED.")
    assert ended(local, "compiled")["CompilationJobStatus"] == "COMPLETED"
    job = packaged(local, "package")
    assert job["EdgePackagingJobStatus"] == "COMPLETED", job
    assert job["ModelArtifact"] == f"s3://{local.bucket}/packages/model-1.0.tar.gz"
    files = local.archive(job["ModelArtifact"])
    assert set(files) == {"model.onnx", "report.json", "manifest.json"}
    assert json.loads(files["manifest.json"])["ModelVersion"] == "1.0"
    assert refused(lambda: packaged(local, "package"))[0] == "ValidationException"
    assert refused(lambda: packaged(local, "x", CompilationJobName="none"))[0] == "ValidationException"
    greengrass = {"S3OutputLocation": f"s3://{local.bucket}/p", "PresetDeploymentType": "GreengrassV2Component"}
    assert refused(lambda: packaged(local, "x", OutputConfig=greengrass))[0] == "NotImplemented"
    assert refused(lambda: client.stop_edge_packaging_job(EdgePackagingJobName="package"))[0] == "ValidationException"
    (summary,) = client.list_edge_packaging_jobs(ModelNameContains="ode", SortBy="MODEL_NAME")[
        "EdgePackagingJobSummaries"
    ]
    assert summary["EdgePackagingJobStatus"] == "COMPLETED"


def plan_of(site: Site, files: dict[str, bytes]) -> dict[str, str]:
    """Package a model, and plan to deploy it to a fleet of three: first to two of them, then to all."""
    compiled(site, files)
    ended(site, "compiled")
    packaged(site, "package")
    fleet_of(site.sagemaker, "f", "cam-1", "cam-2", "dog-1")
    models = [{"ModelHandle": "handle", "EdgePackagingJobName": "package"}]
    given = {"EdgeDeploymentPlanName": "plan", "ModelConfigs": models, "DeviceFleetName": "f"}
    first = stage("first", DeviceSubsetType="NAMECONTAINS", DeviceNameContains="cam")
    wrong: dict[str, dict[str, Any]] = {
        "No device fleet": {"DeviceFleetName": "none"},
        "no edge packaging job": {"ModelConfigs": [{**models[0], "EdgePackagingJobName": "none"}]},
        "ModelHandle must be unique": {"ModelConfigs": models * 2},
        "StageName must be unique": {"Stages": [first, first]},
        "needs Percentage": {"Stages": [stage("a", DeviceSubsetType="PERCENTAGE")]},
    }
    create = site.sagemaker.create_edge_deployment_plan
    for sentence, members in wrong.items():
        code, message = refused(lambda members=members: create(**{**given, **members}))  # type: ignore[misc]
        assert (code, sentence in message) == ("ValidationException", True), message
    create(**given, Stages=[first])
    rest = stage("rest", DeviceSubsetType="PERCENTAGE", Percentage=100)
    nobody = stage("no", DeviceSubsetType="SELECTION", DeviceNames=["x"])
    site.sagemaker.create_edge_deployment_stage(EdgeDeploymentPlanName="plan", Stages=[rest, nobody])
    return {"EdgeDeploymentPlanName": "plan"}


def check_stages(site: Site, plan: dict[str, str]) -> None:
    """Read a plan's stages page by page, and take away the one that selects no device."""
    client = site.sagemaker
    assert statuses(site, "plan") == dict.fromkeys(("first", "rest", "no"), "READYTODEPLOY")
    pages = [client.describe_edge_deployment_plan(**plan, MaxResults=2)]
    pages.append(client.describe_edge_deployment_plan(**plan, MaxResults=2, NextToken=pages[0]["NextToken"]))
    assert [each["StageName"] for page in pages for each in page["Stages"]] == ["first", "rest", "no"]
    assert "selects no device" in refused(lambda: client.start_edge_deployment_stage(**plan, StageName="no"))[1]
    assert refused(lambda: client.start_edge_deployment_stage(**plan, StageName="none"))[0] == "ValidationException"
    client.delete_edge_deployment_stage(**plan, StageName="no")
    assert devices_of(site, "plan", "first") == {"cam-1": "READYTODEPLOY", "cam-2": "READYTODEPLOY"}


def test_a_stage_is_what_its_devices_report(local: Site, made: Callable[[str], dict[str, bytes]]) -> None:
    client, agent = local.sagemaker, local.client("sagemaker-edge")
    plan = plan_of(local, made("xgboost"))
    check_stages(local, plan)
    client.start_edge_deployment_stage(**plan, StageName="first")
    for call in (
        lambda: client.delete_edge_deployment_plan(**plan),
        lambda: client.delete_edge_deployment_stage(**plan, StageName="first"),
    ):
        assert refused(call)[0] == "ResourceInUse"
    assert agent.get_deployments(DeviceFleetName="f", DeviceName="dog-1")["Deployments"] == []
    device = {"DeviceFleetName": "f", "DeviceName": "cam-1"}
    (deployment,) = agent.get_deployments(**device)["Deployments"]
    (definition,) = deployment["Definitions"]
    sha1 = hashlib.sha1(local.read(definition["S3Url"])).hexdigest()
    assert (definition["ModelHandle"], definition["Checksum"]) == ("handle", {"Type": "SHA1", "Sum": sha1})
    assert deployment["FailureHandlingPolicy"] == "ROLLBACK_ON_FAILURE"
    assert devices_of(local, "plan", "first") == {"cam-1": "INPROGRESS", "cam-2": "READYTODEPLOY"}
    result = {"DeploymentName": deployment["DeploymentName"]}
    heartbeat = {**device, "AgentVersion": "1"}
    agent.send_heartbeat(**heartbeat, DeploymentResult={**result, "DeploymentModels": [{"Status": "SUCCESS"}]})
    assert agent.get_deployments(**device)["Deployments"] == []
    other = {**heartbeat, "DeviceName": "cam-2"}
    agent.send_heartbeat(**other, DeploymentResult={"DeploymentName": "another", "DeploymentStatus": "FAIL"})
    assert statuses(local, "plan")["first"] == "INPROGRESS"
    failure = {**result, "DeploymentStatus": "FAIL", "DeploymentStatusMessage": "no room"}
    agent.send_heartbeat(**other, DeploymentResult=failure)
    described = client.describe_edge_deployment_plan(**plan)
    counted = [described[f"EdgeDeployment{word}"] for word in ("Success", "Pending", "Failed")]
    assert (counted, statuses(local, "plan")["first"]) == ([1, 0, 1], "FAILED")
    listed = client.list_stage_devices(**plan, StageName="first")["DeviceDeploymentSummaries"]
    assert [each.get("DeviceDeploymentStatusMessage") for each in listed] == [None, "no room"]
    check_stop(local, plan, device)


def check_stop(site: Site, plan: dict[str, str], device: dict[str, str]) -> None:
    """Start and stop the other stage, and delete the plan."""
    client = site.sagemaker
    client.start_edge_deployment_stage(**plan, StageName="rest")
    assert set(devices_of(site, "plan", "rest", ExcludeDevicesDeployedInOtherStage=True)) == {"cam-2", "dog-1"}
    client.stop_edge_deployment_stage(**plan, StageName="rest")
    assert statuses(site, "plan")["rest"] == "STOPPED"
    assert site.client("sagemaker-edge").get_deployments(**device)["Deployments"] == []
    assert refused(lambda: client.stop_edge_deployment_stage(**plan, StageName="rest"))[0] == "ValidationException"
    given = {"DeviceFleetNameContains": "f", "SortBy": "DEVICE_FLEET_NAME"}
    (listed,) = client.list_edge_deployment_plans(**given)["EdgeDeploymentPlanSummaries"]
    assert (listed["EdgeDeploymentPlanName"], listed["EdgeDeploymentSuccess"]) == ("plan", 1)
    client.delete_edge_deployment_plan(**plan)
    assert refused(lambda: client.describe_edge_deployment_plan(**plan))[0] == "ResourceNotFound"


def test_a_package_whose_source_is_gone_has_failed(local: Site, made: Callable[[str], dict[str, bytes]]) -> None:
    compiled(local, made("xgboost"))
    bucket, _, key = ended(local, "compiled")["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://").partition("/")
    local.s3.put_object(Bucket=bucket, Key=key, Body=b"no archive")
    broken = packaged(local, "broken")
    local.s3.delete_object(Bucket=bucket, Key=key)
    gone = packaged(local, "gone")
    assert [job["EdgePackagingJobStatus"] for job in (broken, gone)] == ["FAILED", "FAILED"]
    assert "does not exist" in gone["EdgePackagingJobStatusMessage"]
    assert broken["EdgePackagingJobStatusMessage"].startswith("ClientError: ")
    assert local.keys(f"s3://{local.bucket}/packages/") == []


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ({"DeviceSubsetType": "PERCENTAGE", "Percentage": 1}, ["a"]),
        ({"DeviceSubsetType": "PERCENTAGE", "Percentage": 50}, ["a", "ab"]),
        ({"DeviceSubsetType": "SELECTION", "DeviceNames": ["c", "none"]}, ["c"]),
        ({"DeviceSubsetType": "NAMECONTAINS", "DeviceNameContains": "a"}, ["a", "ab"]),
    ],
)
def test_a_stage_selects(selection: Mapping[str, Any], names: list[str]) -> None:
    assert stages.selected(selection, ["c", "ab", "a"]) == names


@pytest.mark.parametrize(
    ("status", "result", "after"),
    [
        ("READYTODEPLOY", {}, "INPROGRESS"),
        ("INPROGRESS", {"DeploymentStatus": "SUCCESS"}, "DEPLOYED"),
        (
            "INPROGRESS",
            {"DeploymentModels": [{"Status": "SUCCESS"}, {"Status": "FAIL", "StatusReason": "r"}]},
            "FAILED",
        ),
        ("STOPPED", {"DeploymentStatus": "SUCCESS"}, "STOPPED"),
    ],
)
def test_a_report_moves_a_device(status: str, result: dict[str, Any], after: str) -> None:
    state = stages.reported({"status": status}, result)
    assert state["status"] == after
    assert state.get("message") == ("r" if after == "FAILED" else None)
