"""The pure parts of a training job: verdicts, specs, paths, shares and the cluster's description."""

from __future__ import annotations

import string
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.core.instances import instance
from backends.jobs.admission import ResourceRequest
from backends.jobs.channels import DataError, channel_of, relative_path, share
from backends.jobs.logs import compile_metrics, values_in
from backends.jobs.opt_ml import DirectoryLayout, Host, resource_config
from backends.jobs.spec import Exit, HostExit
from backends.jobs.specify import ContainerRequest, environment_of
from backends.jobs.verdict import FAILURE_CHARACTERS, Verdict, verdict
from backends.training.document import (
    container_spec,
    failure_reason,
    hosts_of,
    output_base,
    training_spec,
    variables,
)
from backends.training.status import with_secondary

CODES = st.integers(0, 255)
KEYS = st.text(alphabet=string.ascii_letters + string.digits + "/._-ü ", min_size=1, max_size=40)
DOCUMENT: dict[str, Any] = {
    "TrainingJobName": "job",
    "RoleArn": "arn:aws:iam::111122223333:role/r",
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2},
    "StoppingCondition": {"MaxRuntimeInSeconds": 10},
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/out/"},
}


def ended(*codes: int | None, **members: Any) -> Exit:
    """Return an exit whose hosts ended with `codes`."""
    hosts = {
        f"algo-{n}": HostExit(code, code - 128 if code is not None and code > 128 else None)
        for n, code in enumerate(codes, 1)
    }
    return Exit(hosts, members.pop("reason", "exited"), **members)


def judged(end: Exit, cause: str | None, text: str) -> Verdict:
    """Judge as training does, with what the container wrote to its failure file."""
    return verdict(end, cause, lambda code, oom: failure_reason(text, code, is_out_of_memory=oom))


@given(st.lists(CODES, min_size=1, max_size=5), st.text(max_size=3000))
def test_a_verdict_is_completed_only_when_every_host_succeeded(codes: list[int], text: str) -> None:
    how = judged(ended(*codes), None, text)
    assert (how.status == "Completed") == (not any(codes))
    assert len(how.reason) <= FAILURE_CHARACTERS
    if how.status == "Failed":
        assert how.reason.startswith(("AlgorithmError: ", "ClientError: ", "CapacityError: "))
        assert how.reason.rpartition("exit code: ")[2] in {str(code) for code in codes if code}


@given(st.lists(CODES, max_size=3), st.sampled_from(["Stopped", "MaxRuntimeExceeded", "MaxWaitTimeExceeded"]))
def test_a_stop_is_no_failure(codes: list[int], cause: str) -> None:
    how = judged(ended(*codes, reason="stopped"), cause, "text")
    assert (how.status, how.secondary, how.reason) == ("Stopped", cause, "")


def test_whose_fault_a_failure_was() -> None:
    assert judged(ended(143, 4), None, "").reason == "AlgorithmError: , exit code: 4"
    assert judged(ended(137), None, "").reason == "AlgorithmError: , exit code: 137"
    assert judged(ended(1), None, "ClientError: yours").reason == "ClientError: yours, exit code: 1"
    assert judged(ended(None, reason="lost"), None, "").is_ours
    started = ended(None, reason="start-failed", message="no such file", code="ClientError")
    assert judged(started, None, "").reason == "ClientError: no such file"
    oom = Exit({"algo-1": HostExit(137, 9, oom=True)}, "exited")
    assert judged(oom, None, "").reason == "AlgorithmError: Out of memory: the container was killed, exit code: 137"


@given(KEYS, st.integers(0, 40))
def test_a_path_stays_below_its_channel(key: str, cut: int) -> None:
    prefix = key[:cut]
    try:
        path = PurePosixPath(relative_path(prefix, key))
    except DataError:
        return
    assert not path.is_absolute()
    assert ".." not in path.parts
    assert key.rstrip("/").endswith(path.name)


@pytest.mark.parametrize(
    ("prefix", "key", "path"),
    [
        ("p/", "p/a/b.csv", "a/b.csv"),
        ("p", "p/a/b.csv", "a/b.csv"),
        ("p/a/b.csv", "p/a/b.csv", "b.csv"),
        ("p/a", "p/abc.csv", "abc.csv"),
        ("", "a/b", "a/b"),
        ("p/x-", "p/x-1/y", "x-1/y"),
    ],
)
def test_the_path_below_a_channel(prefix: str, key: str, path: str) -> None:
    assert relative_path(prefix, key) == path


@pytest.mark.parametrize("key", ["p/../../etc/passwd", "p/..", "p/a\0b", f"p/{'ü' * 128}"])
def test_a_key_that_leads_out_or_is_no_file_name_is_refused(key: str) -> None:
    with pytest.raises(DataError):
        relative_path("p/", key)


@given(st.lists(st.integers()), st.integers(1, 7), st.none() | st.integers(0, 9))
def test_shares_make_up_the_whole(items: list[int], hosts: int, seed: int | None) -> None:
    source = {"S3DataSource": {"S3Uri": "s3://b/p", "S3DataDistributionType": "ShardedByS3Key"}}
    sharded = channel_of({"ChannelName": "c", "DataSource": source}, "File")
    sharded = replace(sharded, shuffle_seed=seed)
    parts = [share(items, sharded, host, hosts) for host in range(hosts)]
    assert sorted(item for part in parts for item in part) == sorted(items)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    whole = replace(sharded, distribution="FullyReplicated")
    assert all(share(items, whole, host, hosts) == items for host in range(hosts))


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 12)), min_size=1, max_size=3, unique_by=lambda x: x[0])
)
def test_the_cluster_is_described_alike_to_all_hosts(groups: list[tuple[str, int]]) -> None:
    wanted = [{"InstanceGroupName": n, "InstanceType": "ml.m5.large", "InstanceCount": c} for n, c in groups]
    hosts = hosts_of({"InstanceGroups": wanted})
    layout = DirectoryLayout(Path("/x"), hosts, (), {}, "eth0")
    described = [resource_config(layout, host) for host in hosts]
    assert [config["current_host"] for config in described] == [f"algo-{n}" for n in range(1, len(hosts) + 1)]
    assert described[0]["hosts"] == sorted(host.name for host in hosts)
    assert all(config["instance_groups"] == described[0]["instance_groups"] for config in described)
    spread = {group["instance_group_name"]: len(group["hosts"]) for group in described[0]["instance_groups"]}
    assert spread == dict(groups)


def test_a_document_is_read_with_its_defaults() -> None:
    spec, training = container_spec(DOCUMENT, {}), training_spec(DOCUMENT)
    assert spec.hosts == (Host("algo-1", "ml.m5.large"), Host("algo-2", "ml.m5.large"))
    assert (spec.entrypoint, spec.arguments, training.compressed, spec.attempts) == (None, (), True, 0)
    assert training.checkpoint_path == "/opt/ml/checkpoints"
    assert output_base(training, "job") == "s3://bucket/out/job/output"
    assert output_base(replace(training, output_uri=None), "job") is None
    assert (spec.request(use_gpus=True), spec.instances[0].vcpus) == (ResourceRequest(2), 2)


def test_the_request_has_the_last_word_in_the_environment() -> None:
    training = replace(training_spec(DOCUMENT), environment={"AWS_REGION": "mine", "X": "1"})
    request = ContainerRequest(
        "job", Path("/x"), (), "arn", "image", instance("ml.m5.large"), "role", "session",
        isolated=False, environment=variables(training, "job", "arn"), gpus=(0, 1),
    )  # fmt: skip
    environment = environment_of("eu-west-1", request, {"AWS_ACCESS_KEY_ID": "key"})
    assert environment["AWS_REGION"] == "mine"
    assert environment["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert environment["LOCALMAKER_REQUIRED_GPUS"] == "2"
    assert (environment["TRAINING_JOB_ARN"], environment["AWS_ACCESS_KEY_ID"], environment["X"]) == ("arn", "key", "1")


def test_secondary_statuses_follow_each_other() -> None:
    document = with_secondary({}, "Starting", 1.0)
    document = with_secondary(document, "Training", 2.0, "told")
    document = with_secondary(document, "Completed", 3.0)
    first, second, third = document["SecondaryStatusTransitions"]
    assert (first["StartTime"], first["EndTime"]) == (1.0, 2.0)
    assert (second["StatusMessage"], second["EndTime"]) == ("told", 3.0)
    assert (third["StartTime"], third["EndTime"]) == (3.0, 3.0)


@pytest.mark.parametrize("line", ["[3]\ttrain-rmse:1.5\tvalid-rmse:2", "[3]#011train-rmse:1.5\tvalid-rmse:2"])
def test_tabs_match_as_cloudwatch_shows_them(line: str) -> None:
    metrics = compile_metrics(
        [
            {"Name": "train", "Regex": r".*\[[0-9]+\].*#011train-rmse:(\S+)"},
            {"Name": "valid", "Regex": r".*#011valid-rmse:(\S+)"},
            {"Name": "text", "Regex": r"(train)-rmse"},
            {"Name": "groupless", "Regex": "train"},
        ]
    )
    assert values_in([line], metrics) == ([(0, "train", 1.5), (0, "valid", 2.0)], [])


def test_what_is_no_number_is_no_metric() -> None:
    metrics = compile_metrics([{"Name": "loss", "Regex": "loss: (.*?);"}])
    lines = ["loss: nan; loss: 1;", "loss: inf;", "loss: many;", "loss: -1e-3;"]
    assert values_in(lines, metrics) == ([(3, "loss", -0.001)], [])
