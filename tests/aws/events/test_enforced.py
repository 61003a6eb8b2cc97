"""LOCALMAKER_IAM=enforce: roles of targets are handed over by iam:PassRole, and what they may not is not done."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.aws.events.conftest import Queue
from tests.aws.test_iam import allow, refused, signed_by
from tests.conftest import LiveServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRUST = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}],
})  # fmt: skip


@pytest.fixture(scope="module")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    live = LiveServer(tmp_path_factory.mktemp("enforced") / "data", {"iam": "enforce"})
    live.start()
    yield live
    live.stop()


def test_a_targets_role_is_passed_and_judged(enforced: LiveServer, account: str) -> None:
    iam, queue = enforced.client("iam", account), Queue(enforced.client("sqs", account), "dead")
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    iam.create_user(UserName="ann")
    may = allow(["scheduler:CreateSchedule", "events:PutRule", "events:PutTargets"])
    iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=may)
    ann = partial(signed_by, enforced, iam.create_access_key(UserName="ann")["AccessKey"])
    model = {"ModelName": "m", "ExecutionRoleArn": role, "PrimaryContainer": {"Image": "i"}}
    target = {
        "Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:createModel", "RoleArn": role, "Input": json.dumps(model),
        "DeadLetterConfig": {"Arn": queue.arn},
    }  # fmt: skip
    schedule: dict[str, Any] = {
        "ScheduleExpression": "rate(1 day)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": target,
    }
    code, sentence, _ = refused(partial(ann("scheduler").create_schedule, Name="a", **schedule))
    assert (code, "iam:PassRole" in sentence) == ("AccessDeniedException", True)
    iam.put_user_policy(UserName="ann", PolicyName="q", PolicyDocument=allow("iam:PassRole"))
    ann("scheduler").create_schedule(Name="a", **schedule)
    assert json.loads(queue.take(1)[0])["ModelName"] == "m"  # the role may not
    assert "AccessDenied" in queue.messages[0]["MessageAttributes"]["ERROR_CODE"]["StringValue"]
    assert enforced.client("sagemaker", account).list_models()["Models"] == []


def test_a_schedule_comes_after_a_crash(tmp_path: Path) -> None:
    """It is due at once, when the server is killed: what was promised comes, and the schedule is there."""
    account, live = "123400009876", LiveServer(tmp_path / "data")
    live.start()
    try:
        queue = Queue(live.client("sqs", account), "q")
        scheduler = live.client("scheduler", account)
        target = {"Arn": queue.arn, "RoleArn": f"arn:aws:iam::{account}:role/r", "Input": "1"}
        made = {"FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target}
        scheduler.create_schedule(Name="s", ScheduleExpression="rate(1 minute)", **made)
        live.kill()
        live.start()
        queue.sqs = live.client("sqs", account)
        queue.url = queue.sqs.get_queue_url(QueueName="q")["QueueUrl"]
        assert queue.take(1) == ["1"]
        assert live.client("scheduler", account).get_schedule(Name="s")["State"] == "ENABLED"
    finally:
        live.kill()
