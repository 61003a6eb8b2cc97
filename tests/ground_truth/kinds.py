"""The kinds of `backends/ground_truth`."""

from __future__ import annotations

from tests.life.kind import ROLE, Kind

POOL = {"UserPool": "us-east-1_abc", "ClientId": "client"}
CIDRS = {"Cidrs": ["10.0.0.0/16"]}
SOURCE = {"AwsManagedHumanLoopRequestSource": "AWS/Textract/AnalyzeDocument/Forms/V1"}

KINDS = (
    Kind(
        "Workforce",
        request=lambda name, _: {"WorkforceName": name, "CognitoConfig": POOL},
        update={"SourceIpConfig": CIDRS},
        holds=True,
        wrapped=True,
        most=1,
    ),
    Kind(
        "Workteam",
        parent="Workforce",
        request=lambda name, workforce: {
            **workforce,
            "WorkteamName": name,
            "Description": "d",
            "MemberDefinitions": [{"CognitoMemberDefinition": {**POOL, "UserGroup": "group"}}],
        },
        update={"Description": "e"},
        wrapped=True,
    ),
    Kind(
        "HumanTaskUi",
        request=lambda name, _: {"HumanTaskUiName": name, "UiTemplate": {"Content": "<crowd-form></crowd-form>"}},
        unlike=frozenset({"UiTemplate"}),
    ),
    Kind(
        "FlowDefinition",
        request=lambda name, _: {
            "FlowDefinitionName": name,
            "RoleArn": ROLE,
            "OutputConfig": {"S3OutputPath": "s3://bucket/out"},
            "HumanLoopRequestSource": SOURCE,
        },
    ),
)
