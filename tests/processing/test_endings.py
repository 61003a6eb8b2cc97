"""How processing jobs end, what is said of it, and what is uploaded then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.processing.document import MESSAGE_BYTES, exit_message
from tests.processing.processor import (
    LOG_GROUP,
    cluster,
    ended,
    left,
    run,
    s3_input,
    s3_output,
    start,
)

if TYPE_CHECKING:
    from tests.site import Site

MESSAGE = """
import pathlib, sys
pathlib.Path("/opt/ml/processing/out/kept").write_text("kept")
pathlib.Path("/opt/ml/output/message").write_bytes({!r})
sys.exit({})
"""


def stop(site: Site, name: str) -> None:
    site.sagemaker.stop_processing_job(ProcessingJobName=name)


def test_a_failed_job_says_what_aws_says_and_its_outputs_are_uploaded(site: Site) -> None:
    name = start(site, MESSAGE.format(b"why \xc3\xbc", 3))
    job = ended(site, name)
    assert (job["ProcessingJobStatus"], job["FailureReason"]) == (
        "Failed",
        "AlgorithmError: See job logs for more information",
    )
    assert job["ExitMessage"] == "why ü"
    assert left(site, name) == {"kept": b"kept"}


def test_an_exit_message_that_is_no_text_fails_the_job(local: Site) -> None:
    job = ended(local, start(local, MESSAGE.format(b"\xff\xfe", 0)))
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: ")
    assert "ExitMessage" not in job


@pytest.mark.parametrize("planted", ["symlink_to('/etc/passwd')", "mkdir()"])
def test_an_exit_message_that_is_no_file_is_none(local: Site, planted: str) -> None:
    job = run(local, f"import pathlib\npathlib.Path('/opt/ml/output/message').{planted}")
    assert "ExitMessage" not in job


@given(st.lists(st.text(max_size=1500), max_size=3))
def test_an_exit_message_is_the_first_kilobyte_of_all_hosts(texts: list[str]) -> None:
    message = exit_message([text.encode()[: MESSAGE_BYTES + 1] for text in texts])
    assert len(message.encode()) <= MESSAGE_BYTES
    if all(len(text.encode()) <= MESSAGE_BYTES for text in texts):
        assert "".join(texts).startswith(message)
        assert len("".join(texts).encode()) - len(message.encode()) <= 3 or len(message.encode()) > MESSAGE_BYTES - 4
    elif texts:
        assert texts[0].startswith(message[: len(texts[0])])


STOPPED = """
import pathlib, signal, sys, time
def end(number, frame):
    pathlib.Path("/opt/ml/processing/out/on-stop").write_text("stopped")
    pathlib.Path("/opt/ml/output/message").write_text("was stopped")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("begun", flush=True)
time.sleep(300)
"""


def test_stop_sends_sigterm_and_uploads_the_outputs(site: Site) -> None:
    name = start(site, STOPPED)
    while "begun" not in site.lines(name, group=LOG_GROUP):
        time.sleep(0.05)
    with pytest.raises(site.sagemaker.exceptions.ResourceInUse):
        site.sagemaker.delete_processing_job(ProcessingJobName=name)
    stop(site, name)
    stop(site, name)  # a second one changes nothing
    job = ended(site, name)
    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Stopped", "was stopped")
    assert "FailureReason" not in job
    assert left(site, name) == {"on-stop": b"stopped"}


MANY = """
import pathlib
for n in range(1500):
    pathlib.Path(f"/opt/ml/processing/out/{n}").write_text("x")
"""


def test_a_stop_while_outputs_are_uploaded_stops_the_job(local: Site) -> None:
    name = start(local, MANY)
    while not left_names(local, name):
        time.sleep(0.002)
    stop(local, name)
    job = ended(local, name)
    assert (job["ProcessingJobStatus"], len(left_names(local, name))) == ("Stopped", 1500)
    assert "cannot go from" not in local.live.log.read_text(), "no error on the way"


def test_max_runtime_stops_a_job(local: Site) -> None:
    name = start(local, STOPPED, StoppingCondition={"MaxRuntimeInSeconds": 60})
    while "begun" not in local.lines(name, group=LOG_GROUP):
        time.sleep(0.05)
    local.move_clock(61)
    job = ended(local, name)
    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Stopped", "was stopped")


def test_one_host_that_fails_fails_the_job(local: Site) -> None:
    code = """
import json, time
if json.load(open("/opt/ml/config/resourceconfig.json"))["current_host"] == "algo-2":
    raise SystemExit(1)
time.sleep(300)
"""
    began = time.monotonic()
    assert ended(local, start(local, code, ProcessingResources=cluster(2)))["ProcessingJobStatus"] == "Failed"
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"uri": "s3://{bucket}/nothing/"}, "no objects under"),
        ({"uri": "s3://{bucket}-not-there/x"}, "NoSuchBucket|does not exist"),
        ({"uri": "{data}a.csv", "S3DataType": "ManifestFile"}, "is not a manifest"),
        ({"path": "/opt/ml/processing/input/code/job.py"}, "input/code/job.py"),
        ({"path": "/opt/ml/processing/input/code/job.py/x", "S3InputMode": "Pipe"}, "input/code/job.py"),
        ({"path": "/opt/ml/processing/out", "S3InputMode": "Pipe", "beside": "/opt/ml/processing/out_0"}, "out_0"),
    ],
)
def test_inputs_that_cannot_be_delivered_fail_the_job(local: Site, members: dict[str, Any], told: str) -> None:
    data = local.upload({"a.csv": "1"})
    uri = members.pop("uri", "{data}").format(bucket=local.bucket, data=data)
    beside = [s3_input("beside", data, members.pop("beside"))] if "beside" in members else []
    job = ended(local, start(local, "print('never')", [s3_input("data", uri, **members), *beside]))
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Failed to download data. ")
    assert any(each in job["FailureReason"] for each in told.split("|")), job["FailureReason"]
    assert "/tmp" not in job["FailureReason"], "no path of this machine"


HOSTILE = """
import os, pathlib, shutil
out = pathlib.Path("/opt/ml/processing/out")
for name in (b"\\xff\\xfe", b"new\\nline", b"n" * 255):
    with open(os.fsencode(out) + b"/" + name, "w") as file:
        file.write("x")
os.mkfifo(out / "fifo")
deep = out / "deep"
deep.symlink_to("/opt/ml/config")
gone = pathlib.Path("/opt/ml/processing/gone")
shutil.rmtree(gone)
gone.symlink_to("/etc")
file = pathlib.Path("/opt/ml/processing/file")
file.rmdir()
file.write_text("was a folder")
"""


@pytest.mark.same_on_docker
def test_outputs_with_hostile_names_and_links_upload_only_what_is_theirs(site: Site) -> None:
    outputs = [s3_output(name, f"s3://{site.bucket}/{name}") for name in ("gone", "file")]
    outputs.append(s3_output("empty", f"s3://{site.bucket}"))
    job = run(site, HOSTILE, (), outputs)
    assert sorted(left_names(site, job["ProcessingJobName"])) == ["new\nline", "n" * 255, "��"]
    assert site.keys(f"s3://{site.bucket}/gone/") == []
    assert site.keys(f"s3://{site.bucket}/file") == []


def left_names(site: Site, name: str) -> list[str]:
    return site.keys(f"s3://{site.bucket}/out/{name}/")


@pytest.mark.parametrize("mode", ["EndOfJob", "Continuous"])
def test_outputs_that_cannot_be_stored_fail_the_job(local: Site, mode: str) -> None:
    local.s3.create_bucket(Bucket=f"{local.bucket}-gone")
    outputs = [s3_output("lost", f"s3://{local.bucket}-gone/x", mode)]
    code = """
import pathlib, time
print("begun", flush=True)
pathlib.Path("/opt/ml/output/message").write_text("said")
while not pathlib.Path("/opt/ml/processing/lost/go").exists():
    time.sleep(1)
    pathlib.Path("/opt/ml/processing/lost/go").write_text("x")
"""
    name = start(local, code, (), outputs)
    local.s3.delete_bucket(Bucket=f"{local.bucket}-gone")
    job = ended(local, name)
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Failed to upload data. ")
    assert job["ExitMessage"] == "said"
