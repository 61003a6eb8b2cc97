"""EventBridge with what stands around it: a stack's rules, and a pipeline that an object's arrival or a schedule starts."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from tests.aws.events.conftest import Queue, entry, listen
from tests.aws.lambda_.functions import function

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.aws.conftest import AccountClock
    from tests.site import Site

STEPS = json.dumps({"Version": "2020-12-01", "Steps": [], "Parameters": [{"Name": "Key", "Type": "String"}]})
WAIT_S = 60.0


def executions(sagemaker: Any, pipeline: str, count: int) -> list[dict[str, Any]]:
    """Wait until a pipeline has been started so many times."""
    deadline = time.monotonic() + WAIT_S
    while len(shown := sagemaker.list_pipeline_executions(PipelineName=pipeline)["PipelineExecutionSummaries"]) < count:
        assert time.monotonic() < deadline, shown
        time.sleep(0.05)  # a delivery beside this one
    return [sagemaker.describe_pipeline_execution(PipelineExecutionArn=each["PipelineExecutionArn"]) for each in shown]


def test_an_object_and_a_schedule_start_a_pipeline(
    aws: Callable[..., Any], bridge: Any, scheduler: Any, clock: AccountClock, account: str
) -> None:
    s3, sagemaker, role = aws("s3"), aws("sagemaker"), f"arn:aws:iam::{account}:role/r"
    failing = {"Name": "F", "Type": "Fail", "Arguments": {"ErrorMessage": "enough"}}
    document = json.dumps({**json.loads(STEPS), "Steps": [failing]})
    arn = sagemaker.create_pipeline(PipelineName="p", RoleArn=role, PipelineDefinition=document)["PipelineArn"]
    bucket = f"arrivals-{account}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}, "object": {"key": [{"suffix": ".csv"}]}}}
    bridge.put_rule(Name="arrived", EventPattern=json.dumps(pattern))
    parameters = {"PipelineParameterList": [{"Name": "Key", "Value": "by-rule"}]}
    target = {"Id": "1", "Arn": arn, "RoleArn": role, "SageMakerPipelineParameters": parameters}
    bridge.put_targets(Rule="arrived", Targets=[target])
    for key in ("in/a.txt", "in/a.csv"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    (execution,) = executions(sagemaker, "p", 1)
    listed = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=execution["PipelineExecutionArn"])
    assert listed["PipelineParameters"] == [{"Name": "Key", "Value": "by-rule"}]
    clock.forward(60)
    parameters = {"PipelineParameterList": [{"Name": "Key", "Value": "by-clock"}]}
    scheduled = {"Arn": arn, "RoleArn": role, "SageMakerPipelineParameters": parameters}
    scheduler.create_schedule(
        Name="s", ScheduleExpression="rate(1 day)", FlexibleTimeWindow={"Mode": "OFF"}, Target=scheduled
    )
    assert len(executions(sagemaker, "p", 2)) == 2


def test_a_stacks_rules_are_these(
    aws: Callable[..., Any], bridge: Any, scheduler: Any, queue: Queue, account: str
) -> None:
    stacks = aws("cloudformation")
    pattern: dict[str, Any] = {"source": ["shop"]}
    rule = {"EventPattern": pattern, "Targets": [{"Id": "1", "Arn": queue.arn}], "EventBusName": {"Ref": "Bus"}}
    role = f"arn:aws:iam::{account}:role/r"
    schedule = {
        "ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": {"Mode": "OFF"}, "State": "DISABLED",
        "Target": {"Arn": queue.arn, "RoleArn": role},
    }  # fmt: skip
    resources = {
        "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "own"}},
        "Rule": {"Type": "AWS::Events::Rule", "Properties": rule},
        "Schedule": {"Type": "AWS::Scheduler::Schedule", "Properties": schedule},
    }
    outputs = {"Arn": {"Value": {"Fn::GetAtt": ["Rule", "Arn"]}}, "Schedule": {"Value": {"Ref": "Schedule"}}}
    stacks.create_stack(StackName="stack", TemplateBody=json.dumps({"Resources": resources, "Outputs": outputs}))
    (stack,) = stacks.describe_stacks(StackName="stack")["Stacks"]
    shown = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    (made,) = bridge.list_rules(EventBusName="own")["Rules"]
    assert (stack["StackStatus"], shown["Arn"]) == ("CREATE_COMPLETE", made["Arn"])
    assert [each["Name"] for each in scheduler.list_schedules()["Schedules"]] == [shown["Schedule"]]
    bridge.put_events(Entries=[entry(EventBusName="own")])
    assert queue.events(1)[0]["source"] == "shop"
    pattern["source"] = ["bank"]
    stacks.update_stack(StackName="stack", TemplateBody=json.dumps({"Resources": resources, "Outputs": outputs}))
    bridge.put_events(Entries=[entry(EventBusName="own"), entry("bank", EventBusName="own")])
    assert queue.events(2)[1]["source"] == "bank"
    stacks.delete_stack(StackName="stack")
    assert [bus["Name"] for bus in bridge.list_event_buses()["EventBuses"]] == ["default"]
    assert scheduler.list_schedules()["Schedules"] == []


def test_a_stack_with_a_bad_rule_is_rolled_back(aws: Callable[..., Any], bridge: Any) -> None:
    stacks = aws("cloudformation")
    resources = {
        "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "own"}},
        "Rule": {"Type": "AWS::Events::Rule", "Properties": {"ScheduleExpression": "cron(x)"}, "DependsOn": "Bus"},
    }
    stacks.create_stack(StackName="bad", TemplateBody=json.dumps({"Resources": resources}))
    (stack,) = stacks.describe_stacks(StackName="bad")["Stacks"]
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    events = stacks.describe_stack_events(StackName="bad")["StackEvents"]
    assert any("ScheduleExpression is not valid" in event.get("ResourceStatusReason", "") for event in events)
    assert [bus["Name"] for bus in bridge.list_event_buses()["EventBuses"]] == ["default"]


def test_a_training_jobs_statuses_are_heard(local: Site) -> None:
    """In AWS's shape: Describe's members, times in milliseconds as text, tags as an object."""
    queue, bridge = Queue(local.client("sqs"), f"t-{local.account}"), local.client("events")
    kinds = ["SageMaker Training Job State Change"]
    listen(
        bridge,
        queue,
        {
            "source": ["aws.sagemaker"],
            "detail-type": kinds,
            "detail": {"TrainingJobStatus": [{"anything-but": "Stopping"}]},
        },
    )
    job = local.run("print(1)")
    events = {event["detail"]["TrainingJobStatus"]: event for event in queue.events(2)}
    assert set(events) == {"InProgress", "Completed"}
    detail = events["Completed"]["detail"]
    assert events["Completed"]["resources"] == [detail["TrainingJobArn"]] == [job["TrainingJobArn"]]
    assert detail["CreationTime"] == str(round(job["CreationTime"].timestamp() * 1000))
    assert (detail["SecondaryStatus"], detail["Tags"]) == ("Completed", {})


def test_a_function_runs_for_a_rule_and_for_a_schedule(local: Site) -> None:
    """EventBridge's target is the function's ARN; Scheduler's too, or `lambda:invoke`."""
    name = function(
        local, "def handle(event, context): print('heard', event['detail'] if 'detail' in event else event)"
    )
    arn = local.client("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    bridge, logs = local.client("events"), local.client("logs")
    bridge.put_rule(Name="f", EventPattern='{"source": ["shop"]}')
    bridge.put_targets(Rule="f", Targets=[{"Id": "1", "Arn": arn}])
    bridge.put_events(Entries=[entry(detail={"order": 7})])
    request = json.dumps({"FunctionName": arn, "InvocationType": "Event", "Payload": '{"by": "schedule"}'})
    universal = {"Arn": "arn:aws:scheduler:::aws-sdk:lambda:invoke", "RoleArn": local.role, "Input": request}
    local.client("scheduler").create_schedule(
        Name="s", ScheduleExpression="rate(1 day)", FlexibleTimeWindow={"Mode": "OFF"}, Target=universal
    )
    deadline, lines = time.monotonic() + 60, ""
    while not ("heard {'order': 7}" in lines and "heard {'by': 'schedule'}" in lines):
        assert time.monotonic() < deadline, lines
        time.sleep(0.1)  # a function's environment starts
        if logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")["logGroups"]:
            shown = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
            lines = "".join(event["message"] for event in shown)
