"""Rules by the clock and EventBridge Scheduler, on an account's test clock."""

from __future__ import annotations

import itertools
import json
import sqlite3
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from botocore.exceptions import ClientError

from backends.aws.events import schedules, timers
from tests import postgresql
from tests.conftest import LiveServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.aws.conftest import AccountClock
    from tests.aws.events.conftest import Queue

OFF = {"Mode": "OFF"}


def at(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]


def make(scheduler: Any, name: str, expression: str, target: dict[str, Any], account: str, **more: Any) -> str:
    """Make a schedule; return its ARN."""
    target = {"RoleArn": f"arn:aws:iam::{account}:role/r", **target}
    given = {"Name": name, "ScheduleExpression": expression, "FlexibleTimeWindow": OFF, "Target": target, **more}
    arn: str = scheduler.create_schedule(**given)["ScheduleArn"]
    return arn


def test_rules_come_by_the_accounts_clock(bridge: Any, queue: Queue, clock: AccountClock) -> None:
    clock.to(at(2027, 3, 1, 11, 59, 30))
    rule = bridge.put_rule(Name="noon", ScheduleExpression="cron(0 12 ? * MON-FRI *)")["RuleArn"]
    bridge.put_rule(Name="hourly", ScheduleExpression="rate(1 hour)")
    bridge.put_rule(Name="off", ScheduleExpression="rate(1 minute)", State="DISABLED")
    for name in ("noon", "hourly", "off"):
        bridge.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": queue.arn}])
    clock.forward(2 * 86400)  # every time on the way comes: two noons, and an event for each hour
    events = queue.events(2 + 48)
    noons = [event for event in events if event["resources"] == [rule]]
    assert sorted(event["time"] for event in noons) == ["2027-03-01T12:00:00Z", "2027-03-02T12:00:00Z"]
    assert (noons[0]["source"], noons[0]["detail-type"], noons[0]["detail"]) == ("aws.events", "Scheduled Event", {})


def test_a_schedule_in_a_zone_starts_ends_and_goes(
    scheduler: Any, queue: Queue, clock: AccountClock, account: str
) -> None:
    clock.to(at(2027, 3, 26, 0, 0))
    target = {"Arn": queue.arn, "Input": '"<aws.scheduler.scheduled-time>"'}
    make(  # the clocks of Berlin go forward on the 28th
        scheduler, "daily", "cron(30 2 * * ? *)", target, account, ScheduleExpressionTimezone="Europe/Berlin",
        StartDate=at(2027, 3, 27), EndDate=at(2027, 3, 30), ActionAfterCompletion="DELETE",
    )  # fmt: skip
    clock.forward(7 * 86400)
    assert sorted(map(json.loads, queue.take(2))) == ["2027-03-27T01:30:00Z", "2027-03-29T00:30:00Z"]
    assert scheduler.list_schedules()["Schedules"] == []


def test_once_and_by_a_rate(scheduler: Any, queue: Queue, clock: AccountClock, account: str) -> None:
    clock.to(at(2027, 1, 1))
    arn = make(scheduler, "once", "at(2027-01-01T08:00:00)", {"Arn": queue.arn}, account)
    made = make(scheduler, "now", "rate(5 minutes)", {"Arn": queue.arn, "Input": "1"}, account)
    queue.take(1)  # a rate begins at once
    scheduler.delete_schedule(Name="now")
    clock.to(at(2027, 1, 1, 9))
    event = json.loads(queue.take(2)[1])
    assert (event["source"], event["detail-type"], event["resources"], event["time"]) == (
        "aws.scheduler", "Scheduled Event", [arn], "2027-01-01T08:00:00Z",
    )  # fmt: skip
    assert scheduler.get_schedule(Name="once")["State"] == "ENABLED"
    assert made.endswith(":schedule/default/now")


def test_a_rate_begins_at_once_however_slow_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first time was its beginning, and lay in the past where a millisecond went by meanwhile: it came one period later."""
    account, readings, comes = "111122223333", itertools.count(1000.0), list[float | None]()
    monkeypatch.setattr(schedules, "SCHEDULES", SimpleNamespace(find=lambda *_: None, put=lambda *_: None))
    monkeypatch.setattr(timers, "put", lambda _cx, _kind, _key, next_at: comes.append(next_at))
    cx: Any = SimpleNamespace(
        account=account,
        region="us-east-1",
        clock=SimpleNamespace(now=lambda: next(readings)),
        settings=SimpleNamespace(auth="off", iam="off"),
        caller=SimpleNamespace(access_key=account),
    )
    schedules.create_schedule(
        cx,
        {
            "Name": "now",
            "ScheduleExpression": "rate(5 minutes)",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": f"arn:aws:sqs:us-east-1:{account}:q",
                "RoleArn": f"arn:aws:iam::{account}:role/r",
            },
        },
    )
    assert comes == [1000.0]


def test_universal_targets_call_any_operation(
    scheduler: Any, queue: Queue, clock: AccountClock, account: str, aws: Callable[..., Any]
) -> None:
    """SageMaker's by this server, as the role; SQS's by moto; what fails goes to the dead-letter queue."""
    clock.to(at(2027, 1, 1))
    role, sagemaker = f"arn:aws:iam::{account}:role/r", aws("sagemaker")
    model = {"ModelName": "made", "ExecutionRoleArn": role, "PrimaryContainer": {"Image": "i"}}
    for name, call, request in (
        ("model", "sagemaker:createModel", model),
        ("again", "sagemaker:createModel", model),
        ("send", "sqs:sendMessage", {"QueueUrl": queue.url, "MessageBody": "sent"}),
    ):
        target = {"Arn": f"arn:aws:scheduler:::aws-sdk:{call}", "Input": json.dumps(request)}
        minute = {"model": 1, "again": 2, "send": 3}[name]
        make(
            scheduler,
            name,
            f"at(2027-01-01T00:0{minute}:00)",
            {**target, "DeadLetterConfig": {"Arn": queue.arn}},
            account,
        )
    for _ in range(3):
        clock.forward(70)
        if _ == 0:
            sagemaker_is_there(sagemaker)
    bodies = queue.take(2)
    assert "sent" in bodies
    assert sum(json.loads(body).get("ModelName") == "made" for body in bodies if body != "sent") == 1


def sagemaker_is_there(sagemaker: Any) -> None:
    """Wait until the first schedule has made its model."""
    deadline = time.monotonic() + 60
    while not sagemaker.list_models()["Models"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)  # a delivery beside this one


def test_groups_and_schedules(scheduler: Any, queue: Queue, account: str) -> None:
    arn = scheduler.create_schedule_group(Name="g", Tags=[{"Key": "k", "Value": "v"}])["ScheduleGroupArn"]
    assert scheduler.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    scheduler.untag_resource(ResourceArn=arn, TagKeys=["k"])
    scheduler.tag_resource(ResourceArn=arn, Tags=[{"Key": "l", "Value": "w"}])
    assert scheduler.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "l", "Value": "w"}]
    assert scheduler.get_schedule_group(Name="default")["State"] == "ACTIVE"
    assert [group["Name"] for group in scheduler.list_schedule_groups()["ScheduleGroups"]] == ["default", "g"]
    for name in ("a", "b", "c"):
        make(scheduler, name, "cron(0 0 1 1 ? 2190)", {"Arn": queue.arn}, account, GroupName="g", State="DISABLED")
    pages = scheduler.get_paginator("list_schedules").paginate(GroupName="g", PaginationConfig={"PageSize": 2})
    assert [each["Name"] for page in pages for each in page["Schedules"]] == ["a", "b", "c"]
    assert scheduler.list_schedules(State="ENABLED")["Schedules"] == []
    shown = scheduler.get_schedule(Name="a", GroupName="g")
    assert (shown["ScheduleExpressionTimezone"], shown["ActionAfterCompletion"]) == ("UTC", "NONE")
    flexible = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5}
    scheduler.update_schedule(
        Name="a", GroupName="g", ScheduleExpression="rate(1 day)", FlexibleTimeWindow=flexible, Target=shown["Target"],
        StartDate=datetime(2190, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    changed = scheduler.get_schedule(Name="a", GroupName="g")
    assert (changed["FlexibleTimeWindow"], changed["State"]) == (flexible, "ENABLED")
    assert changed["StartDate"] == datetime(2190, 1, 1, tzinfo=UTC)
    with pytest.raises(ClientError, match="ConflictException"):
        make(scheduler, "b", "rate(1 day)", {"Arn": queue.arn}, account, GroupName="g")
    scheduler.delete_schedule_group(Name="g")
    with pytest.raises(ClientError, match="Schedule group g does not exist"):
        scheduler.get_schedule(Name="b", GroupName="g")
    assert scheduler.list_schedules()["Schedules"] == []


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"ScheduleExpression": "cron(0 0 * * *)"}, "Invalid Schedule Expression"),
        ({"ScheduleExpression": "at(2027-13-01T00:00:00)"}, "Invalid Schedule Expression"),
        ({"ScheduleExpressionTimezone": "Mars/Olympus"}, "Invalid ScheduleExpressionTimezone"),
        ({"ScheduleExpressionTimezone": "../etc/passwd"}, "Invalid ScheduleExpressionTimezone|ValidationException"),
        ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "MaximumWindowInMinutes"),
        ({"StartDate": 2_000_000_000, "EndDate": 1_900_000_000}, "EndDate"),
        ({"GroupName": "none"}, "Schedule group none does not exist"),
        ({"Target": {"Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:makeGold"}}, "ValidationException"),
        ({"Target": {"Arn": "arn:aws:scheduler:::aws-sdk:nonsense:createModel"}}, "ValidationException"),
        ({"Target": {"Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:createModel", "Input": "["}}, "ValidationException"),
    ],
)
def test_bad_schedules_are_refused_and_leave_nothing(
    scheduler: Any, account: str, given: dict[str, Any], match: str
) -> None:
    role = {"RoleArn": f"arn:aws:iam::{account}:role/r"}
    good = {
        "ScheduleExpression": "rate(1 day)",
        "FlexibleTimeWindow": OFF,
        "Target": {"Arn": f"arn:aws:sqs:us-east-1:{account}:q"},
    }
    request = {"Name": "bad", **good, **given}
    request["Target"] = {**request["Target"], **role}
    with pytest.raises(ClientError, match=match):
        scheduler.create_schedule(**request)
    assert scheduler.list_schedules()["Schedules"] == []


def test_what_an_older_version_left_to_moto_is_there_after_the_upgrade(tmp_path: Path) -> None:
    """Its recorded requests are done again: as rows that the older version wrote, since no older server can be started here."""
    if postgresql.is_wanted():
        pytest.skip("it writes to SQLite's file")
    account, live = "123400005678", LiveServer(tmp_path / "data")
    live.start()
    live.kill()
    database = sqlite3.connect(tmp_path / "data" / "state.db", timeout=30)
    signed = (
        f"AWS4-HMAC-SHA256 Credential={account}/20260101/us-east-1/{{}}/aws4_request, SignedHeaders=host, Signature=0"
    )
    role = f"arn:aws:iam::{account}:role/r"
    recorded = [
        ("POST", "/", "AWSEvents.PutRule", {"Name": "r", "EventPattern": '{"source": ["shop"]}'}),
        ("POST", "/", "AWSEvents.PutTargets", {"Rule": "r", "Targets": [{"Id": "1", "Arn": f"arn:aws:sqs:us-east-1:{account}:q"}]}),
        ("POST", "/", "AWSEvents.PutRule", {"Name": "broken", "EventPattern": "{"}),
        ("POST", "/", "AWSEvents.PutEvents", {"Entries": []}),
        ("POST", "/schedules/s", "", {"ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": OFF,
                                      "Target": {"Arn": f"arn:aws:sqs:us-east-1:{account}:q", "RoleArn": role}}),
        ("POST", "/schedule-groups/g", "", {}),
    ]  # fmt: skip
    with database:
        database.execute("DELETE FROM installation WHERE name = 'moto.handed_over'")
        for method, path, target, body in recorded:
            headers = {"authorization": signed.format("events" if target else "scheduler")}
            head = orjson.dumps([method, path, "", {**headers, **({"x-amz-target": target} if target else {})}])
            row = (account, 1.0, 1, 0, head, orjson.dumps(body))
            database.execute(
                "INSERT INTO moto_requests (account, time, seed, pending, head, body) VALUES (?, ?, ?, ?, ?, ?)", row
            )
    live.start()
    try:
        bridge, scheduler = live.client("events", account), live.client("scheduler", account)
        assert [rule["Name"] for rule in bridge.list_rules()["Rules"]] == ["r"]
        assert [target["Id"] for target in bridge.list_targets_by_rule(Rule="r")["Targets"]] == ["1"]
        assert [each["Name"] for each in scheduler.list_schedules()["Schedules"]] == ["s"]
        assert scheduler.get_schedule_group(Name="g")["State"] == "ACTIVE"
        assert database.execute("SELECT count(*) FROM moto_requests").fetchone() == (0,)
    finally:
        live.kill()
        database.close()
