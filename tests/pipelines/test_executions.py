"""Executions with boto3: order, values, branches, failures, stops, retries."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.lambda_.functions import function
from tests.pipelines.pipelines import create, definition, ended, model, processing, run, start, step, steps

if TYPE_CHECKING:
    from tests.site import Site

RATE: dict[str, Any] = {"Name": "Rate", "Type": "Float", "DefaultValue": 0.5}
SLEEP = "import time; time.sleep(60)"


def join(*values: Any) -> dict[str, Any]:
    return {"Std:Join": {"On": "/", "Values": list(values)}}


def test_values_of_steps_and_parameters_come_to_the_steps_that_ask(site: Site) -> None:
    environment = {
        "RATE": {"Get": "Parameters.Rate"},
        "COUNT": {"Get": "Parameters.Count"},
        "FLAG": {"Get": "Parameters.Flag"},
        "FIRST": {"Get": "Steps.First.ModelName"},
        "PATH": join("s3:/", {"Get": "Execution.PipelineName"}, {"Get": "Parameters.Rate"}),
        "EXECUTION": {"Get": "Execution.PipelineExecutionArn"},
        "TRIAL": {"Get": "PipelineExperimentConfig.TrialName"},
    }
    parameters = [
        RATE, {"Name": "Count", "Type": "Integer"}, {"Name": "Flag", "Type": "Boolean", "DefaultValue": True}
    ]  # fmt: skip
    document = definition(model(site, "Second", environment), model(site, "First"), parameters=parameters)
    pipeline = create(site, document)
    arn = start(site, pipeline, parameters={"Count": 7})
    assert ended(site, arn) == "Succeeded"
    done = steps(site, arn)
    assert list(done) == ["First", "Second"]
    assert {each["StepStatus"] for each in done.values()} == {"Succeeded"}
    names = {name: each["Metadata"]["Model"]["Arn"].rpartition("/")[2] for name, each in done.items()}
    shown = site.sagemaker.describe_model(ModelName=names["Second"])["PrimaryContainer"]["Environment"]
    assert shown == {
        "RATE": "0.5",
        "COUNT": "7",
        "FLAG": "true",
        "FIRST": site.sagemaker.describe_model(ModelName=names["First"])["ModelName"],
        "PATH": f"s3://{pipeline}/0.5",
        "EXECUTION": arn,
        "TRIAL": arn.rpartition("/")[2],
    }
    code = arn.rpartition("/")[2]
    assert shown["FIRST"].startswith(f"pipelines-{code}-First-")
    tags = site.sagemaker.list_tags(ResourceArn=done["First"]["Metadata"]["Model"]["Arn"])["Tags"]
    assert {"Key": "sagemaker:pipeline-step-name", "Value": "First"} in tags


def test_what_describes_an_execution(site: Site) -> None:
    sagemaker = site.sagemaker
    document = definition(model(site, "A"), parameters=[RATE])
    pipeline = create(site, document)
    arn = start(site, pipeline, PipelineExecutionDisplayName="first", PipelineExecutionDescription="d")
    assert ended(site, arn) == "Succeeded"
    shown = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert shown["PipelineExecutionDisplayName"] == "first"
    assert shown["PipelineExperimentConfig"] == {"ExperimentName": pipeline, "TrialName": arn.rpartition("/")[2]}
    assert shown["PipelineVersionId"] == 1
    assert (
        json.loads(sagemaker.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)["PipelineDefinition"])
        == document
    )
    values = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)["PipelineParameters"]
    assert values == [{"Name": "Rate", "Value": "0.5"}]
    sagemaker.update_pipeline_execution(PipelineExecutionArn=arn, PipelineExecutionDisplayName="renamed")
    second = start(site, pipeline)
    ended(site, second)
    listed = sagemaker.list_pipeline_executions(PipelineName=pipeline)["PipelineExecutionSummaries"]
    assert [each["PipelineExecutionArn"] for each in listed] == [second, arn]
    assert listed[1]["PipelineExecutionDisplayName"] == "renamed"
    assert "LastRunTime" in sagemaker.describe_pipeline(PipelineName=pipeline)
    sagemaker.delete_pipeline(PipelineName=pipeline)
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)


def test_a_condition_chooses_and_the_other_branch_never_begins(site: Site) -> None:
    condition = step(
        "Check",
        "Condition",
        {
            "Conditions": [
                {"Type": "GreaterThanOrEqualTo", "LeftValue": {"Get": "Parameters.Rate"}, "RightValue": 0.5},
                {"Type": "Not", "Condition": {"Type": "In", "QueryValue": {"Get": "Parameters.Rate"}, "Values": [1, 2]}},
                {"Type": "Or", "Conditions": [
                    {"Type": "Equals", "LeftValue": 1, "RightValue": 2},
                    {"Type": "LessThan", "LeftValue": {"Get": "Parameters.Rate"}, "RightValue": 0.9},
                ]},
            ],
            "IfSteps": [model(site, "Good")],
            "ElseSteps": [model(site, "Bad"), model(site, "Worse", {"BAD": {"Get": "Steps.Bad.ModelName"}})],
        },
    )  # fmt: skip
    after = model(site, "After", DependsOn=["Check"])
    never = model(site, "Never", DependsOn=["Worse"])
    pipeline = create(site, definition(condition, after, never, parameters=[RATE]))
    for rate, outcome, expected in (
        (0.5, "True", {"Check", "Good", "After"}),
        (0.95, "False", {"Check", "Bad", "Worse", "After", "Never"}),
    ):
        arn = start(site, pipeline, parameters={"Rate": rate})
        assert ended(site, arn) == "Succeeded"
        done = steps(site, arn)
        assert set(done) == expected
        assert done["Check"]["Metadata"] == {"Condition": {"Outcome": outcome}}
        last = done["Good" if outcome == "True" else "Worse"]
        assert done["After"]["StartTime"] >= last["EndTime"]


def test_a_fail_step_ends_the_execution_with_its_message(site: Site) -> None:
    message = {"Std:Join": {"On": " ", "Values": ["rate is", {"Get": "Parameters.Rate"}]}}
    status, done = run(site, definition(step("Fail", "Fail", {"ErrorMessage": message}), parameters=[RATE]))
    assert status == "Failed"
    assert done["Fail"]["StepStatus"] == "Failed"
    assert done["Fail"]["Metadata"] == {"Fail": {"ErrorMessage": "rate is 0.5"}}
    pipeline = create(site, definition(step("Fail", "Fail", {"ErrorMessage": "no"})))
    arn = start(site, pipeline)
    ended(site, arn)
    with pytest.raises(site.sagemaker.exceptions.ConflictException, match="Fail step"):
        site.sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn)


def test_a_step_whose_request_is_refused_says_why_and_a_retry_goes_on(site: Site) -> None:
    bad = step("Bad", "Model", {"PrimaryContainer": {"Image": "i"}, "ExecutionRoleArn": {"Get": "Parameters.Role"}})
    parameters = [{"Name": "Role", "Type": "String", "DefaultValue": "none"}]
    document = definition(model(site, "Good"), bad, model(site, "After", DependsOn=["Bad"]), parameters=parameters)
    pipeline = create(site, document)
    arn = start(site, pipeline)
    assert ended(site, arn) == "Failed"
    assert site.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)["FailureReason"]
    done = steps(site, arn)
    assert set(done) == {"Good", "Bad"}
    assert done["Bad"]["FailureReason"].startswith(
        "ClientError: Failed to invoke sagemaker:CreateModel. Error Details: "
    )
    good = done["Good"]["Metadata"]
    site.sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn)
    assert ended(site, arn) == "Failed"
    done = steps(site, arn)
    assert done["Good"]["Metadata"] == good
    assert done["Bad"]["AttemptCount"] == 1


def test_jobs_run_and_a_property_file_decides(site: Site) -> None:
    code = """
import json, os
os.makedirs("/opt/ml/processing/out/report", exist_ok=True)
json.dump({"metrics": [{"rmse": 3.5}]}, open("/opt/ml/processing/out/report/e.json", "w"))
"""
    evaluate = processing(
        site, "Evaluate", code, ("report",),
        PropertyFiles=[{"PropertyFileName": "Report", "OutputName": "report", "FilePath": "e.json"}],
    )  # fmt: skip
    got = {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Report"}, "Path": "metrics[0].rmse"}}
    uri = {"Get": "Steps.Evaluate.ProcessingOutputConfig.Outputs['report'].S3Output.S3Uri"}
    by_uri = {"Std:JsonGet": {"S3Uri": join(uri, "e.json"), "Path": "metrics[0]['rmse']"}}
    condition = step("Check", "Condition", {
        "Conditions": [{"Type": "LessThan", "LeftValue": got, "RightValue": 4.0}],
        "IfSteps": [model(site, "Good", {"RMSE": by_uri})],
        "ElseSteps": [step("Fail", "Fail", {"ErrorMessage": "bad"})],
    })  # fmt: skip
    status, done = run(site, definition(evaluate, condition))
    assert (status, set(done)) == ("Succeeded", {"Evaluate", "Check", "Good"}), done
    name = done["Good"]["Metadata"]["Model"]["Arn"].rpartition("/")[2]
    assert site.sagemaker.describe_model(ModelName=name)["PrimaryContainer"]["Environment"] == {"RMSE": "3.5"}
    job = done["Evaluate"]["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    assert site.sagemaker.describe_processing_job(ProcessingJobName=job)["ProcessingJobStatus"] == "Completed"


def test_a_stop_stops_the_jobs(local: Site) -> None:
    pipeline = create(local, definition(processing(local, "Slow", SLEEP), model(local, "After", DependsOn=["Slow"])))
    arn = start(local, pipeline)
    while not steps(local, arn).get("Slow", {}).get("Metadata"):
        pass
    with pytest.raises(local.sagemaker.exceptions.ConflictException):
        local.sagemaker.delete_pipeline(PipelineName=pipeline)
    local.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert ended(local, arn) == "Stopped"
    assert {name: each["StepStatus"] for name, each in steps(local, arn).items()} == {"Slow": "Stopped"}
    with pytest.raises(local.sagemaker.exceptions.ConflictException):
        local.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    local.sagemaker.delete_pipeline(PipelineName=pipeline)


def test_a_job_that_fails_fails_its_step_with_its_reason(local: Site) -> None:
    status, done = run(local, definition(processing(local, "Bad", "raise SystemExit(3)")))
    assert status == "Failed"
    assert done["Bad"]["FailureReason"].startswith("ClientError: AlgorithmError")


def test_as_many_run_at_once_as_may(local: Site) -> None:
    slow = [processing(local, f"S{n}", "import time; time.sleep(0.3)") for n in range(3)]
    arn = start(local, create(local, definition(*slow)), ParallelismConfiguration={"MaxParallelExecutionSteps": 1})
    assert ended(local, arn) == "Succeeded"
    times = [(each["StartTime"], each["EndTime"]) for each in steps(local, arn).values()]
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(times))


def test_an_earlier_run_stands_for_a_step_whose_arguments_are_the_same(local: Site) -> None:
    cached = {"CacheConfig": {"Enabled": True, "ExpireAfter": "P1D"}}
    work = processing(local, "Work", "", ("out",), arguments={"Environment": {"R": {"Get": "Parameters.R"}}}, **cached)
    uri = {"Get": "Steps.Work.ProcessingOutputConfig.Outputs['out'].S3Output.S3Uri"}
    document = definition(
        work, model(local, "Use", {"URI": uri}), parameters=[{"Name": "R", "Type": "String", "DefaultValue": "1"}]
    )
    pipeline = create(local, document)
    first = start(local, pipeline)
    assert ended(local, first) == "Succeeded"
    again, other = start(local, pipeline), start(local, pipeline, parameters={"R": "2"})
    assert (ended(local, again), ended(local, other)) == ("Succeeded", "Succeeded")
    hit = steps(local, again)["Work"]
    assert hit["CacheHitResult"] == {"SourcePipelineExecutionArn": first}
    assert hit["Metadata"] == steps(local, first)["Work"]["Metadata"]
    assert "CacheHitResult" not in steps(local, other)["Work"]
    local.client("sagemaker").start_pipeline_execution(PipelineName=pipeline)
    name = steps(local, again)["Use"]["Metadata"]["Model"]["Arn"].rpartition("/")[2]
    shown = local.sagemaker.describe_model(ModelName=name)["PrimaryContainer"]["Environment"]
    assert shown == {"URI": f"s3://{local.bucket}/Work/out"}


def test_selected_steps_stand_on_an_earlier_execution(local: Site) -> None:
    document = definition(
        model(local, "A"), model(local, "B", {"A": {"Get": "Steps.A.ModelName"}}), model(local, "C", DependsOn=["B"])
    )
    pipeline = create(local, document)
    first = start(local, pipeline)
    assert ended(local, first) == "Succeeded"
    selected = {"SelectedSteps": [{"StepName": "B"}]}
    with pytest.raises(ClientError, match=r"Invalid SourcePipelineExecutionArn: null. The selected steps \[B\] have"):
        start(local, pipeline, SelectiveExecutionConfig=selected)
    arn = start(local, pipeline, SelectiveExecutionConfig={**selected, "SourcePipelineExecutionArn": first})
    assert ended(local, arn) == "Succeeded"
    done = steps(local, arn)
    assert set(done) == {"A", "B"}
    assert done["A"]["SelectiveExecutionResult"] == {"SourcePipelineExecutionArn": first}
    assert done["A"]["Metadata"] == steps(local, first)["A"]["Metadata"]
    assert done["B"]["Metadata"] != steps(local, first)["B"]["Metadata"]


def test_a_callback_step_waits_for_whoever_has_its_token(local: Site) -> None:
    sqs = local.client("sqs")
    queue = sqs.create_queue(QueueName="callbacks")["QueueUrl"]
    outputs = [{"OutputName": "where", "OutputType": "String"}]
    callback = step("Ask", "Callback", {"n": {"Get": "Parameters.Rate"}}, SqsQueueUrl=queue, OutputParameters=outputs)
    use = model(local, "Use", {"WHERE": {"Get": "Steps.Ask.OutputParameters['where']"}})
    pipeline = create(local, definition(callback, use, parameters=[RATE]))

    def received() -> dict[str, Any]:
        while not (messages := sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5).get("Messages")):
            pass
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=messages[0]["ReceiptHandle"])
        message: dict[str, Any] = json.loads(messages[0]["Body"])
        return message

    arn = start(local, pipeline)
    message = received()
    assert message["pipelineExecutionArn"] == arn
    assert (message["arguments"], message["status"], len(message["token"])) == ({"n": 0.5}, "Executing", 10)
    with pytest.raises(local.sagemaker.exceptions.ResourceNotFound):
        local.sagemaker.send_pipeline_execution_step_success(CallbackToken="0123456789")
    sent = local.sagemaker.send_pipeline_execution_step_success(
        CallbackToken=message["token"], OutputParameters=[{"Name": "where", "Value": "here"}]
    )
    assert sent["PipelineExecutionArn"] == arn
    assert ended(local, arn) == "Succeeded"
    done = steps(local, arn)
    assert done["Ask"]["Metadata"]["Callback"]["OutputParameters"] == [{"Name": "where", "Value": "here"}]
    name = done["Use"]["Metadata"]["Model"]["Arn"].rpartition("/")[2]
    assert local.sagemaker.describe_model(ModelName=name)["PrimaryContainer"]["Environment"] == {"WHERE": "here"}

    arn = start(local, pipeline)
    local.sagemaker.send_pipeline_execution_step_failure(CallbackToken=received()["token"], FailureReason="no idea")
    assert ended(local, arn) == "Failed"
    assert steps(local, arn)["Ask"]["FailureReason"] == "no idea"

    arn = start(local, pipeline)
    token = received()["token"]
    local.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert (told := received())["status"] == "Stopping"
    assert told["token"] == token
    local.sagemaker.send_pipeline_execution_step_failure(CallbackToken=token, FailureReason="stopped")
    assert ended(local, arn) == "Stopped"


def test_no_callback_reaches_another_accounts_queue(local: Site) -> None:
    url = "https://sqs.us-east-1.amazonaws.com/999988887777/theirs"
    local.live.client("sqs", "999988887777").create_queue(QueueName="theirs")
    status, done = run(local, definition(step("Ask", "Callback", {}, SqsQueueUrl=url)))
    assert status == "Failed"
    assert "another account" in done["Ask"]["FailureReason"]


def test_a_lineage_step_makes_entities_and_what_is_between_them(local: Site) -> None:
    source = {"SourceUri": "s3://b/k"}
    arguments = {
        "Actions": [{"ActionName": "run", "ActionType": "T", "Source": source}],
        "Artifacts": [{"ArtifactName": "made", "ArtifactType": "Model", "Source": source}],
        "Associations": [
            {
                "Source": {"Name": "run", "Type": "Action"},
                "Destination": {"Name": "made", "Type": "Artifact"},
                "AssociationType": "Produced",
            }
        ],
    }
    use = model(local, "Use", {"ARN": {"Get": "Steps.Note.ArtifactArns['made']"}})
    status, done = run(local, definition(step("Note", "Lineage", arguments), use))
    assert status == "Succeeded", done
    made = done["Note"]["Metadata"]["Lineage"]
    associations = local.sagemaker.list_associations(SourceArn=made["ActionArns"]["run"])["AssociationSummaries"]
    assert [each["DestinationArn"] for each in associations] == [made["ArtifactArns"]["made"]]


def test_a_register_step_makes_the_group_and_the_version(local: Site) -> None:
    container = {"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/i", "ModelDataUrl": "s3://b/m.tar.gz"}
    arguments = {
        "ModelPackageGroupName": "group-of-a-pipeline",
        "InferenceSpecification": {
            "Containers": [container],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
        "ModelApprovalStatus": "PendingManualApproval",
    }
    first = step("First", "RegisterModel", arguments)
    status, done = run(local, definition(first, step("Second", "RegisterModel", arguments, DependsOn=["First"])))
    assert status == "Succeeded", done
    arns = [done[name]["Metadata"]["RegisterModel"]["Arn"] for name in ("First", "Second")]
    assert [arn.rpartition("/")[2] for arn in arns] == ["1", "2"]


def test_what_is_not_built_fails_the_step_and_says_so(local: Site) -> None:
    status, done = run(local, definition(step("E", "EMR", {"ClusterId": "j-1"})))
    assert (status, done["E"]["StepStatus"]) == ("Failed", "Failed")
    assert "EMR" in done["E"]["FailureReason"]


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"N": "x"}, "no Integer"), ({"N": "9" * 30}, "no Integer"), ({"N": "1", "M": "1"}, "not defined"), ({}, "must be given"),
        ({"N": "1", "E": "c"}, "one of"),
    ],
)  # fmt: skip
def test_parameters_that_cannot_be_are_refused(local: Site, given: dict[str, str], match: str) -> None:
    parameters: list[dict[str, Any]] = [
        {"Name": "N", "Type": "Integer"},
        {"Name": "E", "Type": "String", "DefaultValue": "a", "EnumValues": ["a", "b"]},
    ]
    pipeline = create(local, definition(parameters=parameters))
    with pytest.raises(ClientError, match=match):
        start(local, pipeline, parameters=given)
    assert local.sagemaker.list_pipeline_executions(PipelineName=pipeline)["PipelineExecutionSummaries"] == []


def test_eventbridge_hears_of_executions_and_of_steps(local: Site) -> None:
    events, sqs = local.client("events"), local.client("sqs")
    queue = sqs.create_queue(QueueName="changes")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(
        Name="changes",
        EventPattern=json.dumps({"source": ["aws.sagemaker"], "detail-type": [{"prefix": "SageMaker Model Building"}]}),
    )
    events.put_targets(Rule="changes", Targets=[{"Id": "q", "Arn": arn}])
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    ]}  # fmt: skip
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    execution = start(local, create(local, definition(step("No", "Fail", {"ErrorMessage": "no"}))))
    assert ended(local, execution) == "Failed"
    changes: dict[str, set[str]] = {"pipelineExecution": set(), "step": set()}
    while len(changes["pipelineExecution"]) < 2 or len(changes["step"]) < 2:
        for message in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5, MaxNumberOfMessages=10).get(
            "Messages", ()
        ):
            detail = json.loads(message["Body"])["detail"]
            assert detail["pipelineExecutionArn"] == execution
            kind = "step" if "stepName" in detail else "pipelineExecution"
            changes[kind].add(detail["currentStepStatus" if kind == "step" else "currentPipelineExecutionStatus"])
    assert changes == {"pipelineExecution": {"Executing", "Failed"}, "step": {"Starting", "Failed"}}


def test_a_lambda_step_runs_the_users_function(local: Site) -> None:
    code = "def handle(event, context):\n    if event.get('fail'): raise ValueError('no')\n    return {'statusCode': 200, 'twice': event['n'] * 2}"
    name = function(local, code)
    arn = local.client("lambda").get_function_configuration(FunctionName=name)["FunctionArn"]
    outputs = [{"OutputName": "twice", "OutputType": "Integer"}]
    call = step("Call", "Lambda", {"n": 21}, FunctionArn=arn, OutputParameters=outputs)
    use = model(local, "Use", {"TWICE": {"Get": "Steps.Call.OutputParameters['twice']"}})
    status, done = run(local, definition(call, use))
    assert status == "Succeeded", done
    assert done["Call"]["Metadata"]["Lambda"]["Arn"] == arn
    assert {"Name": "twice", "Value": "42"} in done["Call"]["Metadata"]["Lambda"]["OutputParameters"]
    model_name = done["Use"]["Metadata"]["Model"]["Arn"].rpartition("/")[2]
    assert local.sagemaker.describe_model(ModelName=model_name)["PrimaryContainer"]["Environment"] == {"TWICE": "42"}
    status, done = run(local, definition(step("Call", "Lambda", {"fail": 1}, FunctionArn=arn)))
    assert status == "Failed"
    assert "ValueError" in done["Call"]["FailureReason"]


def test_a_state_machine_that_would_train_is_refused_by_name(local: Site) -> None:
    """Moto keeps state machines and runs none: one would wait for its training job for ever."""
    task = {"Type": "Task", "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync", "End": True}
    definition_of = {"StartAt": "Train", "States": {"Train": task}}
    machines = local.client("stepfunctions")
    with pytest.raises(ClientError, match=r"sagemaker:createTrainingJob\.sync") as refused:
        machines.create_state_machine(name="m", definition=json.dumps(definition_of), roleArn=local.role)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert machines.list_state_machines()["stateMachines"] == []
