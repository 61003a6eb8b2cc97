"""CloudFormation's stacks with SageMaker's resources: what a stack makes is what SageMaker's clients see, and the other way round."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from tests.conftest import LiveServer
from tests.endpoints.served import Served

if TYPE_CHECKING:
    from pathlib import Path

    from tests.site import Site

STEPS = json.dumps({"Version": "2020-12-01", "Steps": []})
QUICK = {"Delay": 1, "MaxAttempts": 90}


def model(role: str, **container: Any) -> dict[str, Any]:
    properties = {"ExecutionRoleArn": role, "PrimaryContainer": {"Image": "image:1", **container}}
    return {"Type": "AWS::SageMaker::Model", "Properties": properties}


def config(**variant: Any) -> dict[str, Any]:
    named = {"VariantName": "v", "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]}, "InstanceType": "ml.m5.large"}
    variants = [{**named, "InitialInstanceCount": "1", **variant}]  # a number as text, as templates write it
    return {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": variants}}


def create(local: Site, resources: dict[str, Any], name: str = "stack", **more: Any) -> Any:
    template = json.dumps({"Resources": resources, **more})
    stacks = local.client("cloudformation")
    stacks.create_stack(StackName=name, TemplateBody=template)
    return stacks


def status(local: Site, name: str = "stack") -> str:
    return str(local.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])


def test_a_stacks_resources_are_those_of_sagemaker(local: Site) -> None:
    pipeline = {"PipelineName": "p", "RoleArn": local.role, "PipelineDefinition": {"PipelineDefinitionBody": STEPS}}
    group = {"ModelPackageGroupName": "g", "Tags": [{"Key": "team", "Value": "a"}]}
    resources = {
        "Model": model(local.role),
        "Config": config(),
        "Pipeline": {"Type": "AWS::SageMaker::Pipeline", "Properties": pipeline},
        "Group": {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": group},
    }
    outputs = {
        "Arn": {"Value": {"Ref": "Model"}, "Export": {"Name": "the-model"}},
        "Name": {"Value": {"Fn::GetAtt": ["Model", "ModelName"]}},
        "Pipeline": {"Value": {"Ref": "Pipeline"}},
    }
    stacks = create(local, resources, Outputs=outputs)
    stacks.get_waiter("stack_create_complete").wait(StackName="stack", WaiterConfig=QUICK)
    shown = {each["OutputKey"]: each["OutputValue"] for each in stacks.describe_stacks()["Stacks"][0]["Outputs"]}
    [made] = local.sagemaker.list_models()["Models"]
    assert shown == {"Arn": made["ModelArn"], "Name": made["ModelName"], "Pipeline": "p"}
    assert made["ModelName"].startswith("stack-Model-")
    [configured] = local.sagemaker.list_endpoint_configs()["EndpointConfigs"]
    described = local.sagemaker.describe_endpoint_config(EndpointConfigName=configured["EndpointConfigName"])
    assert described["ProductionVariants"][0]["InitialInstanceCount"] == 1
    arn = local.sagemaker.describe_model_package_group(ModelPackageGroupName="g")["ModelPackageGroupArn"]
    assert local.sagemaker.list_tags(ResourceArn=arn)["Tags"] == group["Tags"]
    kinds = {
        each["LogicalResourceId"]: each["ResourceType"]
        for each in stacks.describe_stack_resources(StackName="stack")["StackResources"]
    }
    assert kinds == {name: each["Type"] for name, each in resources.items()}

    pipeline["PipelineDescription"] = "changed"
    resources["Model"] = model(local.role, Environment={"A": "b"})  # has no Update: a new one takes its place
    stacks.update_stack(StackName="stack", TemplateBody=json.dumps({"Resources": resources, "Outputs": outputs}))
    assert status(local) == "UPDATE_COMPLETE"
    assert local.sagemaker.describe_pipeline(PipelineName="p")["PipelineDescription"] == "changed"
    [replaced] = local.sagemaker.list_models()["Models"]
    assert replaced["ModelName"] != made["ModelName"]

    stacks.delete_stack(StackName="stack")
    assert local.sagemaker.list_models()["Models"] == []
    assert local.sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
    assert local.sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"] == []
    with pytest.raises(local.sagemaker.exceptions.ResourceNotFound):
        local.sagemaker.describe_pipeline(PipelineName="p")


@pytest.mark.parametrize(
    ("failing", "reason"),
    [
        (
            {"Type": "AWS::SageMaker::NotebookInstance", "Properties": {"InstanceType": "ml.t3.medium"}},
            "AWS::SageMaker::NotebookInstance",
        ),
        ({"Type": "AWS::SageMaker::Nonsense"}, "AWS::SageMaker::Nonsense"),
        ({"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"Colour": "red"}}, "unsupported property Colour"),
    ],
)
def test_a_stack_that_cannot_be_made_says_why_and_leaves_nothing(
    local: Site, failing: dict[str, Any], reason: str
) -> None:
    if "InstanceType" in failing.get("Properties", {}):
        failing["Properties"]["RoleArn"] = local.role
    stacks = create(local, {"Model": model(local.role), "Failing": {**failing, "DependsOn": "Model"}})
    assert status(local) == "ROLLBACK_COMPLETE"
    reasons = [
        each.get("ResourceStatusReason", "") for each in stacks.describe_stack_events(StackName="stack")["StackEvents"]
    ]
    assert any(reason in text for text in reasons), reasons
    assert local.sagemaker.list_models()["Models"] == []
    with pytest.raises(WaiterError):
        stacks.get_waiter("stack_create_complete").wait(StackName="stack", WaiterConfig=QUICK)
    stacks.delete_stack(StackName="stack")


def test_a_stack_waits_for_its_endpoint(local: Site) -> None:
    served = Served(local)
    container = served.container("stack")
    endpoint = {"EndpointName": served.name, "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]}}
    resources = {
        "Model": model(local.role, **container),
        "Config": config(),
        "Endpoint": {"Type": "AWS::SageMaker::Endpoint", "Properties": endpoint},
    }
    stacks = create(local, resources)
    assert status(local) == "CREATE_IN_PROGRESS"
    stacks.get_waiter("stack_create_complete").wait(StackName="stack", WaiterConfig=QUICK)
    assert served.invoke("hello") == "hello|stack|stack"
    stacks.delete_stack(StackName="stack")
    waiter = local.sagemaker.get_waiter("endpoint_deleted")
    waiter.wait(EndpointName=served.name, WaiterConfig=QUICK)


def test_a_stack_whose_endpoint_fails_is_rolled_back(local: Site) -> None:
    endpoint = {"EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]}}
    bad = model(local.role, ModelDataUrl="s3://no-such-bucket-of-anybody/model.tar.gz", Image="localmaker/inference")
    resources = {
        "Model": bad,
        "Config": config(),
        "Endpoint": {"Type": "AWS::SageMaker::Endpoint", "Properties": endpoint},
    }
    stacks = create(local, resources)
    with pytest.raises(WaiterError, match="ROLLBACK_COMPLETE"):
        stacks.get_waiter("stack_create_complete").wait(StackName="stack", WaiterConfig=QUICK)
    assert local.sagemaker.list_models()["Models"] == []


def test_a_template_as_cdk_writes_it_is_made(local: Site) -> None:
    version = "/cdk-bootstrap/hnb659fds/version"
    everywhere = [{"Fn::Equals": [{"Ref": "AWS::Region"}, region]} for region in ("us-east-1", "eu-west-1")]
    steps = {"Fn::Sub": json.dumps({"Version": "2020-12-01", "Metadata": {"region": "${AWS::Region}"}, "Steps": []})}
    pipeline = {"PipelineName": "p", "RoleArn": local.role, "PipelineDefinition": {"PipelineDefinitionBody": steps}}
    resources = {
        "Group0A1B": {
            "Type": "AWS::SageMaker::ModelPackageGroup",
            "Properties": {"ModelPackageGroupName": "g"},
            "Metadata": {"aws:cdk:path": "Stack/Group"},
        },
        "Pipe2C3D": {"Type": "AWS::SageMaker::Pipeline", "Properties": pipeline, "DependsOn": ["Group0A1B"]},
        "CDKMetadata": {"Type": "AWS::CDK::Metadata", "Properties": {"Analytics": "v2:x"}, "Condition": "Available"},
    }
    more: dict[str, Any] = {
        "Conditions": {"Available": {"Fn::Or": everywhere}},
        "Parameters": {"BootstrapVersion": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": version}},
        "Rules": {
            "CheckBootstrapVersion": {
                "Assertions": [{"Assert": {"Fn::Not": [{"Fn::Contains": [["1"], {"Ref": "BootstrapVersion"}]}]}}]
            }
        },
    }
    with pytest.raises(ClientError, match=r"Unable to fetch parameters \[/cdk-bootstrap"):
        create(local, resources, **more)
    local.client("ssm").put_parameter(Name=version, Value="21", Type="String")
    create(local, resources, **more)
    assert status(local) == "CREATE_COMPLETE"
    definition = local.sagemaker.describe_pipeline(PipelineName="p")["PipelineDefinition"]
    assert json.loads(definition)["Metadata"] == {"region": "us-east-1"}


def test_a_template_is_read_from_s3_here(local: Site) -> None:
    local.s3.create_bucket(Bucket=f"templates-{local.account}")
    body = json.dumps({"Resources": {"Model": model(local.role)}}).encode()
    local.s3.put_object(Bucket=f"templates-{local.account}", Key="a/t.json", Body=body)
    stacks = local.client("cloudformation")
    url = f"https://templates-{local.account}.s3.us-east-1.amazonaws.com/a/t.json"
    stacks.create_stack(StackName="stack", TemplateURL=url)
    assert len(local.sagemaker.list_models()["Models"]) == 1
    with pytest.raises(ClientError, match="does not exist"):
        stacks.create_stack(StackName="other", TemplateURL=url.replace("t.json", "u.json"))


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("Model", {"PrimaryContainer": "x"}),
        ("Model", {"PrimaryContainer": {"Image": "i"}, "Tags": {}}),
        ("Pipeline", {"PipelineDefinition": "x"}),
        ("Pipeline", {"PipelineDefinition": {"PipelineDefinitionS3Location": {}}}),
        ("ModelPackageGroup", {"ModelPackageGroupName": "g", "ModelPackageGroupPolicy": "none"}),
        ("ModelPackageGroup", {"ModelPackageGroupName": "z\0"}),
    ],
)
def test_properties_of_another_type_fail_the_stack_and_leave_nothing(
    local: Site, kind: str, properties: dict[str, Any]
) -> None:
    first = {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"ModelPackageGroupName": "first"}}
    second = {"Type": f"AWS::SageMaker::{kind}", "Properties": properties, "DependsOn": "First"}
    stacks = create(local, {"First": first, "Second": second})
    assert status(local) == "ROLLBACK_COMPLETE"
    assert stacks.describe_stack_events(StackName="stack")["StackEvents"]
    assert local.sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"] == []


def test_a_stack_that_moto_cannot_make_leaves_nothing(local: Site) -> None:
    first = {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"ModelPackageGroupName": "first"}}
    itself = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "Second"}}, "DependsOn": "First"}
    create(local, {"First": first, "Second": itself})
    assert status(local) == "ROLLBACK_COMPLETE"
    assert local.sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"] == []


def test_a_stack_half_made_at_a_crash_leaves_nothing_and_can_be_made_again(tmp_path: Path, account: str) -> None:
    named = {f"G{number}": {"ModelPackageGroupName": f"g{number}"} for number in range(400)}
    resources = {
        name: {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": each} for name, each in named.items()
    }
    request = {"StackName": "s", "TemplateBody": json.dumps({"Resources": resources})}
    live = LiveServer(tmp_path / "data")
    live.start()
    live.client("cloudformation", account).list_stacks()  # moto is imported
    sagemaker = live.client("sagemaker", account)

    def made() -> list[Any]:
        return list(sagemaker.list_model_package_groups(MaxResults=100)["ModelPackageGroupSummaryList"])

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(live.client("cloudformation", account).create_stack, **request)
        while not made():
            pass
        live.kill()
        with pytest.raises((BotoCoreError, ClientError)):
            answer.result()
    live.start()
    sagemaker, stacks = live.client("sagemaker", account), live.client("cloudformation", account)
    assert stacks.list_stacks()["StackSummaries"] == []  # behind what is taken away, on moto's thread
    assert made() == []
    stacks.create_stack(**request)
    assert stacks.describe_stacks(StackName="s")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    live.kill()
    live.start()  # what is recorded stays
    assert live.client("sagemaker", account).list_model_package_groups()["ModelPackageGroupSummaryList"]
    live.stop()


def test_a_change_that_is_no_template_changes_nothing(local: Site) -> None:
    group = {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"ModelPackageGroupName": "g"}}
    stacks = create(local, {"Group": group})
    with pytest.raises(ClientError, match="Template format error"):
        stacks.update_stack(StackName="stack", TemplateBody='{"Resources": 5}')
    assert status(local) == "CREATE_COMPLETE"
    broken = {"Group": group, "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "Queue"}}}}
    stacks.update_stack(StackName="stack", TemplateBody=json.dumps({"Resources": broken}))
    assert status(local) == "UPDATE_FAILED"


def test_a_stack_of_a_version_that_left_all_to_moto_is_still_there(tmp_path: Path, account: str) -> None:
    """Such a version recorded no outcomes: what moto had besides must not be rolled back in the replay."""
    live = LiveServer(tmp_path / "data")
    live.start()
    group = {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"ModelPackageGroupName": "g"}}
    resources = {"Group": group, "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "q"}}}
    stacks = live.client("cloudformation", account)
    stacks.create_stack(StackName="s", TemplateBody=json.dumps({"Resources": resources}))
    live.kill()
    [database] = live.data_dir.glob("*.db")
    with closing(sqlite3.connect(database)) as connection, connection:
        assert connection.execute("UPDATE moto_requests SET kept = NULL").rowcount == 1
    live.start()
    stacks, sqs = live.client("cloudformation", account), live.client("sqs", account)
    assert stacks.describe_stacks(StackName="s")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    assert len(sqs.list_queues()["QueueUrls"]) == 1
    stacks.delete_stack(StackName="s")
    assert "QueueUrls" not in sqs.list_queues()
    live.stop()
