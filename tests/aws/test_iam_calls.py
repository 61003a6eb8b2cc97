"""LOCALMAKER_IAM=soft: nothing is refused, what would be is said, and the least policy of a run can be printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from backends.aws.iam import calls
from backends.core.policy import Decision, Question, decide, parse
from server.cli import app
from tests.aws.test_iam import TRUST, allow, refused, signed_by
from tests.aws.test_iam_enforced import read_calls
from tests.conftest import LiveServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def soft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    live = LiveServer(tmp_path_factory.mktemp("soft") / "data", {"iam": "soft", "roles": "existing"})
    live.start()
    yield live
    live.stop()


def printed(live: LiveServer, *arguments: str) -> Any:
    """Run `localmaker iam policy`."""
    return CliRunner().invoke(app, ["iam", "policy", "--data-dir", str(live.data_dir), *arguments])


def test_the_least_policy_of_a_run(soft: LiveServer, account: str) -> None:
    iam, s3 = soft.client("iam", account), soft.client("s3", account)
    role = iam.create_role(RoleName="job", Path="/team/", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    iam.put_role_policy(RoleName="job", PolicyName="p", PolicyDocument=allow("s3:PutObject"))
    key = soft.client("sts", account).assume_role(RoleArn=role, RoleSessionName="run")["Credentials"]
    client = {name: signed_by(soft, key, name, key["SessionToken"]) for name in ("s3", "sagemaker", "sqs")}
    s3.create_bucket(Bucket=f"soft-{account}")
    for _ in range(2):
        client["s3"].put_object(Bucket=f"soft-{account}", Key="a*b", Body=b"x")
        client["s3"].list_objects_v2(Bucket=f"soft-{account}")
        client["sagemaker"].list_models()
    client["sqs"].create_queue(QueueName="q")

    document = json.loads(printed(soft, "--role", "job", "--account", account).output)
    assert document["Statement"] == [
        {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [f"arn:aws:s3:::soft-{account}"]},
        {"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": [f"arn:aws:s3:::soft-{account}/a${{*}}b"]},
        {"Effect": "Allow", "Action": ["sagemaker:ListModels"], "Resource": "*"},
        {"Effect": "Allow", "Action": ["sqs:CreateQueue"], "Resource": [f"arn:aws:sqs:us-east-1:{account}:q"]},
    ]
    allowed = json.loads(printed(soft, "--role", "job", "--account", account, "--allowed-only").output)
    assert [s["Action"] for s in allowed["Statement"]] == [["s3:PutObject"]]
    said = [line for line in soft.log.read_text().splitlines() if "would deny" in line and account in line]
    session = f"arn:aws:sts::{account}:assumed-role/job/run"
    assert any(f"would deny {session} sagemaker:ListModels on *" in line for line in said)
    assert not any("s3:PutObject" in line for line in said)
    assert iam.get_role(RoleName="job")["Role"]["RoleLastUsed"]["Region"] == "us-east-1"

    nobody = printed(soft, "--role", "nobody", "--account", account)
    assert (nobody.exit_code, nobody.output.strip()) == (1, "No call of role/nobody is recorded.")
    assert printed(soft).exit_code == 2
    soft.kill()
    soft.start()
    assert [c["action"] for c in read_calls(soft, account, "role/job")["calls"]] == [
        "s3:ListBucket", "s3:PutObject", "sagemaker:ListModels", "sqs:CreateQueue"
    ]  # fmt: skip


def test_what_sagemaker_does_with_a_role_is_recorded_too(soft: LiveServer, account: str) -> None:
    role = soft.client("iam", account).get_role(RoleName="SageMakerExecutionRole")["Role"]["Arn"]
    container = {"Image": "i", "ModelDataUrl": "s3://b/m.tar.gz"}
    soft.client("sagemaker", account).create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer=container)
    calls = read_calls(soft, account, "role/SageMakerExecutionRole")
    needed = {(call["action"], call["resource"]) for call in calls["calls"]}
    assert {
        ("sagemaker:CreateModel", f"arn:aws:sagemaker:us-east-1:{account}:model/m"),
        ("iam:PassRole", role),
        ("s3:GetObject", "arn:aws:s3:::b/m.tar.gz*"),
        ("ecr:BatchGetImage", "*"),
    } <= needed
    policy = [parse(calls["policy"])]
    assert all(decide(policy, Question(action, resource)) is Decision.ALLOW for action, resource in needed)


def test_only_existing_roles_that_trust_sagemaker_pass(soft: LiveServer, account: str) -> None:
    """LOCALMAKER_ROLES=existing."""
    iam, sagemaker = soft.client("iam", account), soft.client("sagemaker", account)
    other = TRUST.replace("sagemaker.amazonaws.com", "lambda.amazonaws.com")
    iam.create_role(RoleName="lambda", AssumeRolePolicyDocument=other)
    iam.create_role(RoleName="good", Path="/p/", AssumeRolePolicyDocument=TRUST)
    for name in ("missing", "lambda", "good"):
        role = f"arn:aws:iam::{account}:role/{name}"
        container = {"PrimaryContainer": {"Image": "i"}}
        answered = refused(lambda: sagemaker.create_model(ModelName="m", ExecutionRoleArn=role, **container))  # noqa: B023
        sentence = (
            f"Could not assume role {role}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role."
        )
        assert answered == ("ValidationException", sentence, 400)
    assert sagemaker.list_models()["Models"] == []
    role = f"arn:aws:iam::{account}:role/p/good"
    sagemaker.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer={"Image": "i"})
    tagging = TRUST.replace('"sts:AssumeRole"', '["sts:AssumeRole", "sts:TagSession"]')
    maker = iam.create_role(RoleName="maker", AssumeRolePolicyDocument=tagging)
    tagged = {"RoleArn": maker["Role"]["Arn"], "RoleSessionName": "maker", "Tags": [{"Key": "k", "Value": "v"}]}
    key = soft.client("sts", account).assume_role(**tagged)["Credentials"]
    theirs = signed_by(soft, key, "sagemaker", key["SessionToken"])
    chained: dict[str, Any] = {
        "TrainingJobName": "j", "RoleArn": role, "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "AlgorithmSpecification": {"TrainingImage": "i", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://no-such-bucket/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "SessionChainingConfig": {"EnableSessionTagChaining": True},
    }  # fmt: skip
    assert "Could not assume role" in refused(lambda: theirs.create_training_job(**chained))[1]
    iam.update_assume_role_policy(RoleName="good", PolicyDocument=tagging)
    assert "Could not assume role" not in refused(lambda: theirs.create_training_job(**chained))[1]
    made_up = f"arn:aws:iam::{account}:role/made-up"
    simulate = {"PolicySourceArn": made_up, "ActionNames": ["s3:GetObject"]}
    assert refused(lambda: iam.simulate_principal_policy(**simulate))[0] == "NoSuchEntity"


ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:ListBucket", "sagemaker:CreateModel"]
RESOURCES = st.one_of(
    st.just("*"),
    st.text(st.sampled_from("ab*?${}/:"), min_size=1, max_size=6).map(lambda text: f"arn:aws:s3:::b/{text}"),
)
CALLS = st.lists(st.tuples(st.sampled_from(ACTIONS), RESOURCES), min_size=1, max_size=8)


@given(CALLS, CALLS)
def test_the_least_policy_allows_exactly_the_calls(made: list[tuple[str, str]], others: list[tuple[str, str]]) -> None:
    rows = [
        {"action": action, "resource": "*" if resource == "*" else calls.literal(resource)} for action, resource in made
    ]
    policy = parse(calls.least_policy(rows))
    everywhere = {action for action, resource in made if resource == "*"}
    for action, resource in [*made, *others]:
        expected = (action, resource) in made or action in everywhere
        assert (decide([policy], Question(action, resource)) is Decision.ALLOW) is expected
