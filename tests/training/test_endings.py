"""How jobs end: failures, stops, limits, checkpoints, retries (contract: training.md §7-§9)."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import LiveServer
from tests.site import Site, channel

WAITS_FOR_STOP = """
import pathlib, signal, sys, time
def stop(number, frame):
    pathlib.Path("/opt/ml/model/stopped").write_text(signal.Signals(number).name)
    print("saw", signal.Signals(number).name, flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
pathlib.Path("/opt/ml/model/begun").write_text("1")
print("ready", flush=True)
while True:
    time.sleep(0.1)
"""


def secondary(job: dict[str, Any]) -> list[str]:
    """Return the secondary statuses that a job has passed, without waiting for capacity."""
    return [entry["Status"] for entry in job["SecondaryStatusTransitions"] if entry["Status"] != "Pending"]


def test_a_failure_file_is_the_reason(site: Site) -> None:
    code = """
import sys
open("/opt/ml/output/failure", "w").write("ValueError: no such column\\nmore")
open("/opt/ml/output/data/trace.txt", "w").write("trace")
open("/opt/ml/model/half", "w").write("half")
sys.exit(3)
"""
    job = site.ended(site.start(code))
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"] == "AlgorithmError: ValueError: no such column\nmore, exit code: 3"
    assert "Uploading" in secondary(job)
    base = f"s3://{site.bucket}/out/{job['TrainingJobName']}/output/"
    assert site.keys(base) == ["output.tar.gz"]
    assert "ModelArtifacts" not in job or "S3ModelArtifacts" not in job["ModelArtifacts"]


@pytest.mark.same_on_docker
def test_without_a_failure_file_the_exit_code_is_the_reason(site: Site) -> None:
    job = site.ended(site.start("raise SystemExit(7)"))
    assert job["FailureReason"] == "AlgorithmError: , exit code: 7"


@pytest.mark.parametrize("said", ["ClientError: a bad hyperparameter", "CapacityError: no device"])
def test_a_container_may_say_whose_fault_it_was(local: Site, said: str) -> None:
    job = local.ended(local.start(f"open('/opt/ml/output/failure', 'w').write({said!r}); raise SystemExit(1)"))
    assert job["FailureReason"] == f"{said}, exit code: 1"


def test_a_long_reason_is_cut(local: Site) -> None:
    job = local.ended(local.start("open('/opt/ml/output/failure', 'w').write('ü' * 5000); raise SystemExit(1)"))
    assert len(job["FailureReason"]) == 1024
    assert job["FailureReason"].endswith(", exit code: 1")


def test_a_failure_file_that_is_a_link_tells_nothing_of_this_machine(site: Site) -> None:
    job = site.ended(site.start("import os; os.symlink('/etc/passwd', '/opt/ml/output/failure'); raise SystemExit(1)"))
    assert job["FailureReason"] == "AlgorithmError: , exit code: 1"


def test_an_entrypoint_that_is_not_there(site: Site) -> None:
    job = site.ended(site.start("", algorithm={"ContainerEntrypoint": ["/no/such/program"]}))
    assert job["TrainingJobStatus"] == "Failed"
    assert "/no/such/program" in job["FailureReason"], job["FailureReason"]


def test_stop_sends_sigterm_and_keeps_the_artifacts(site: Site) -> None:
    name = site.start(WAITS_FOR_STOP)
    site.printed(name, "ready")
    site.sagemaker.stop_training_job(TrainingJobName=name)
    assert site.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] in {"Stopping", "Stopped"}
    job = site.ended(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert "FailureReason" not in job
    assert site.artifact(job) == {"begun": b"1", "stopped": b"SIGTERM"}
    assert "saw SIGTERM" in site.lines(name)
    assert secondary(job)[2:] in (["Training", "Stopping", "Stopped"], ["Training", "Stopping", "Uploading", "Stopped"])
    with pytest.raises(site.sagemaker.exceptions.ClientError, match="in status Stopped"):
        site.sagemaker.stop_training_job(TrainingJobName=name)


def test_stop_before_the_container_runs(local: Site) -> None:
    name = local.start(WAITS_FOR_STOP)
    local.sagemaker.stop_training_job(TrainingJobName=name)
    assert local.ended(name)["TrainingJobStatus"] == "Stopped"


@pytest.mark.same_on_docker
def test_max_runtime(site: Site) -> None:
    name = site.start(WAITS_FOR_STOP, StoppingCondition={"MaxRuntimeInSeconds": 3600})
    site.printed(name, "ready")
    site.move_clock(3700)
    job = site.ended(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert site.artifact(job)["stopped"] == b"SIGTERM"
    assert secondary(job)[-3:] in (
        ["Stopping", "Uploading", "MaxRuntimeExceeded"],
        ["Training", "Stopping", "MaxRuntimeExceeded"],
    )
    assert 3600 <= job["TrainingTimeInSeconds"] < 3900


def test_checkpoints_go_both_ways(site: Site) -> None:
    code = """
import pathlib, sys
folder = pathlib.Path("/opt/ml/checkpoints")
found = sorted(p.name for p in folder.iterdir())
print("found", found, flush=True)
step = len([name for name in found if name.startswith("step-")])
(folder / f"step-{step}").write_text(str(step))
(folder / "sub").mkdir(exist_ok=True)
(folder / "sub/latest").write_text(str(step))
(folder / "gone").write_text("x")
(folder / "gone").unlink()
if "old" in found:
    (folder / "old").unlink()
pathlib.Path("/opt/ml/model/step").write_text(str(step))
"""
    uri = site.upload({"old": "to be deleted"})
    first = site.run(code, CheckpointConfig={"S3Uri": uri})
    assert site.artifact(first) == {"step": b"0"}
    assert sorted(site.keys(uri)) == ["step-0", "sub/latest"]
    second = site.run(code, CheckpointConfig={"S3Uri": uri})
    assert site.artifact(second) == {"step": b"1"}
    assert sorted(site.keys(uri)) == ["step-0", "step-1", "sub/latest"]
    assert site.read(f"{uri}sub/latest") == b"1"


def test_a_checkpoint_whose_name_is_no_text_is_stored_and_ends_nothing(local: Site) -> None:
    code = """
import os
for name in (b"\\xff", b"plain", b"n" * 250):
    with open(b"/opt/ml/checkpoints/" + name, "w") as file:
        file.write("x")
"""
    uri = local.upload({})
    folder = "f" * 100
    uri += "/".join([folder] * 8) + "/"  # with it the longest of the names is no key any more
    local.run(code, CheckpointConfig={"S3Uri": uri})
    assert sorted(local.keys(uri)) == ["plain", "\ufffd"]


@pytest.mark.same_on_docker
def test_checkpoints_are_in_s3_while_the_job_runs_and_may_lie_elsewhere(site: Site) -> None:
    code = "open('/tmp/state/now', 'w').write('1')\n" + WAITS_FOR_STOP
    uri = site.upload({})
    name = site.start(code, CheckpointConfig={"S3Uri": uri, "LocalPath": "/tmp/state"})
    deadline = time.monotonic() + 60
    while site.keys(uri) != ["now"]:
        assert time.monotonic() < deadline, site.lines(name)
        time.sleep(0.05)
    assert site.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "InProgress"
    site.sagemaker.stop_training_job(TrainingJobName=name)
    assert site.ended(name)["TrainingJobStatus"] == "Stopped"


@pytest.mark.same_on_docker
def test_a_gpu_type_without_a_gpu_is_refused_with_a_sentence(site: Site) -> None:
    resources = {"InstanceType": "ml.p3.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1}
    job = site.ended(site.start("print('ran')", ResourceConfig=resources))
    if job["TrainingJobStatus"] == "Completed":
        pytest.skip("this machine has a GPU")
    assert job["FailureReason"].startswith("CapacityError: ml.p3.2xlarge asks for 1 GPU(s)"), job["FailureReason"]
    assert "LOCALMAKER_GPU=cpu" in job["FailureReason"]


def test_a_gpu_type_on_the_cpu_when_that_is_allowed(tmp_path: Path, account: str) -> None:
    live = LiveServer(tmp_path / "data", {"gpu": "cpu", "strict_images": "1"})
    live.start()
    site = Site(live, account, "process")
    try:
        resources = {"InstanceType": "ml.p3.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1}
        name = site.start(
            "print('ran')", ResourceConfig=resources, algorithm={"TrainingImage": "localmaker/scikit_learn"}
        )
        assert site.ended(name)["TrainingJobStatus"] == "Completed"
        lines = site.lines(name)
        assert any("runs on the CPU" in line for line in lines)
        assert "ran" in lines
        # StrictImages: the tag's version is not the one that is here.
        job = site.ended(site.start("print('ran')"))
        assert job["FailureReason"].startswith("ClientError: sagemaker-scikit-learn:1.4-2 has"), job["FailureReason"]
        assert "LOCALMAKER_STRICT_IMAGES=1 refuses that" in job["FailureReason"]
    finally:
        site.close()
        live.end_jobs()
        live.stop()


def test_a_substituted_version_is_said_in_the_log(local: Site) -> None:
    job = local.run("print(1)")
    assert any(
        "sagemaker-scikit-learn:1.4-2 has scikit-learn 1.4" in line for line in local.lines(job["TrainingJobName"])
    )


def test_a_job_whose_supervisor_was_lost_is_tried_again_when_that_was_asked(local: Site) -> None:
    """The supervisor of the first attempt is killed; the second attempt finds its mark in S3 and ends."""
    code = """
import boto3, os, pathlib, time
s3 = boto3.client("s3")
key = "attempts/" + str(time.time_ns())
s3.put_object(Bucket=os.environ["BUCKET"], Key=key, Body=b"")
count = s3.list_objects_v2(Bucket=os.environ["BUCKET"], Prefix="attempts/")["KeyCount"]
print("attempt", count, flush=True)
if count == 1:
    time.sleep(600)
pathlib.Path("/opt/ml/model/attempt").write_text(str(count))
"""
    name = local.start(code, RetryStrategy={"MaximumRetryAttempts": 1}, Environment={"BUCKET": local.bucket})
    local.printed(name, "attempt 1")
    os.kill(supervisor_of(local.live.data_dir, name), signal.SIGKILL)
    job = local.ended(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert "Restarting" in secondary(job)
    assert local.artifact(job) == {"attempt": b"2"}
    assert [line for line in local.lines(name) if line.startswith("attempt")] == ["attempt 1", "attempt 2"]


def test_a_job_whose_supervisor_was_lost_fails_by_our_fault(local: Site) -> None:
    name = local.start("import time; print('up', flush=True); time.sleep(600)")
    local.printed(name, "up")
    os.kill(supervisor_of(local.live.data_dir, name), signal.SIGKILL)
    job = local.ended(name)
    assert job["FailureReason"].startswith("InternalServerError: "), job["FailureReason"]


def supervisor_of(data_dir: Path, name: str) -> int:
    """Find the supervisor of a job's first attempt: the process whose argument is its state directory."""
    for plan in data_dir.glob("jobs/*/attempt-1/supervisor/plan.json"):
        if name not in json.dumps(json.loads(plan.read_text())):
            continue
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = process.read_bytes().split(b"\0")
            except OSError:
                continue
            if os.fsencode(plan.parent) in words and b"-S" in words:
                return int(process.parent.name)
    raise AssertionError("no supervisor found")


@pytest.mark.same_on_docker
def test_groups_of_instances(site: Site) -> None:
    groups = [
        {"InstanceGroupName": "workers", "InstanceType": "ml.m5.large", "InstanceCount": 2},
        {"InstanceGroupName": "servers", "InstanceType": "ml.c5.xlarge", "InstanceCount": 1},
    ]
    code = """
import json, pathlib
config = json.load(open("/opt/ml/input/config/resourceconfig.json"))
data = pathlib.Path("/opt/ml/input/data/train")
config["train"] = sorted(p.name for p in data.iterdir()) if data.exists() else None
print("here", flush=True)
pathlib.Path(f"/opt/ml/model/{config['current_host']}").write_text(json.dumps(config))
"""
    data = site.upload({"1": "1", "2": "2", "3": "3", "4": "4"})
    entry = channel("train", data, InstanceGroupNames=["workers"], S3DataDistributionType="ShardedByS3Key")
    job = site.run(code, [entry], ResourceConfig={"InstanceGroups": groups, "VolumeSizeInGB": 1})
    seen = {name: json.loads(text) for name, text in site.artifact(job).items()}
    assert sorted(seen) == ["algo-1", "algo-2", "algo-3"]
    assert [seen[name]["current_group_name"] for name in sorted(seen)] == ["workers", "workers", "servers"]
    assert seen["algo-3"]["current_instance_type"] == "ml.c5.xlarge"
    expected = [
        {"instance_group_name": "workers", "instance_type": "ml.m5.large", "hosts": ["algo-1", "algo-2"]},
        {"instance_group_name": "servers", "instance_type": "ml.c5.xlarge", "hosts": ["algo-3"]},
    ]
    assert seen["algo-2"]["instance_groups"] == expected
    assert sorted([*seen["algo-1"]["train"], *seen["algo-2"]["train"]]) == ["1", "2", "3", "4"]
    assert seen["algo-3"]["train"] is None
    assert len(site.streams(f"{job['TrainingJobName']}/")) == 3


@pytest.mark.same_on_docker
def test_one_host_that_fails_fails_the_job(site: Site) -> None:
    code = """
import json, pathlib, sys, time
if json.load(open("/opt/ml/input/config/resourceconfig.json"))["current_host"] == "algo-2":
    open("/opt/ml/output/failure", "w").write("algo-2 gave up")
    sys.exit(4)
time.sleep(300)
"""
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}
    job = site.ended(site.start(code, ResourceConfig=resources))
    assert job["FailureReason"] == "AlgorithmError: algo-2 gave up, exit code: 4"


def test_checkpoints_that_cannot_be_stored_fail_the_job(local: Site) -> None:
    bucket = f"gone-{uuid.uuid4().hex[:10]}"
    local.s3.create_bucket(Bucket=bucket)
    code = """
import pathlib, time
print("up", flush=True)
time.sleep(1)
pathlib.Path("/opt/ml/checkpoints/one").write_text("1")
time.sleep(60)
"""
    name = local.start(code, CheckpointConfig={"S3Uri": f"s3://{bucket}/here"})
    local.printed(name, "up")
    local.s3.delete_bucket(Bucket=bucket)
    job = local.ended(name)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Checkpoint upload failed:")
