"""The workforce, its teams, interfaces and flow definitions through boto3: what their life does not show."""

from __future__ import annotations

import hashlib
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.ground_truth.kinds import POOL
from tests.registry.test_registry import refused

if TYPE_CHECKING:
    from collections.abc import Callable

POINTS = ("Issuer", "AuthorizationEndpoint", "TokenEndpoint", "UserInfoEndpoint", "LogoutEndpoint", "JwksUri")
OIDC = {"ClientId": "c", "ClientSecret": "secret", **{point: f"https://login/{point}" for point in POINTS}}
WORKER = {"CognitoMemberDefinition": {**POOL, "UserGroup": "group"}}
OTHER_WORKERS = (
    {"CognitoMemberDefinition": {**POOL, "UserPool": "us-east-1_other", "UserGroup": "group"}},
    {"OidcMemberDefinition": {"Groups": ["g"]}},
)


@pytest.fixture
def client(aws: Callable[..., Any]) -> Any:
    return aws("sagemaker")


def team(client: Any, name: str = "Team", *workers: Any, **more: Any) -> str:
    made = client.create_workteam(
        WorkteamName=name, MemberDefinitions=list(workers or (WORKER,)), Description="d", **more
    )
    return str(made["WorkteamArn"])


def test_a_workforce_is_the_only_one_and_holds_its_teams(client: Any, account: str) -> None:
    assert refused(lambda: team(client)) == ("ValidationException", "No workforce found with name default.")
    for wrong in ({}, {"CognitoConfig": POOL, "OidcConfig": OIDC}):
        assert refused(partial(client.create_workforce, WorkforceName="w", **wrong))[0] == "ValidationException"
    client.create_workforce(WorkforceName="default", CognitoConfig=POOL)
    workforce = client.describe_workforce(WorkforceName="default")["Workforce"]
    assert (workforce["Status"], workforce["CognitoConfig"]) == ("Active", POOL)
    assert workforce["SubDomain"].endswith(".labeling.us-east-1.sagemaker.aws")
    second = partial(client.create_workforce, WorkforceName="second", OidcConfig=OIDC)
    assert refused(second)[0] == "ValidationException"
    for other in OTHER_WORKERS:
        assert refused(partial(team, client, "Team", other))[0] == "ValidationException"
    assert refused(lambda: team(client, WorkforceName="second"))[0] == "ValidationException"
    arn = team(client, Tags=[{"Key": "k", "Value": "v"}])
    assert arn == f"arn:aws:sagemaker:us-east-1:{account}:workteam/private-crowd/team"
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    shown = client.describe_workteam(WorkteamName="Team")["Workteam"]
    assert (shown["SubDomain"], shown["WorkforceArn"]) == (workforce["SubDomain"], workforce["WorkforceArn"])
    assert refused(lambda: team(client))[0] == "ResourceInUse"
    changed = client.update_workteam(WorkteamName="Team", Description="e")["Workteam"]
    assert (changed["Description"], changed["MemberDefinitions"]) == ("e", [WORKER])
    team(client, "alpha")
    by_name = client.list_workteams(SortBy="Name", NameContains="A")["Workteams"]
    assert [each["WorkteamName"] for each in by_name] == ["Team", "alpha"]
    assert refused(lambda: client.delete_workforce(WorkforceName="default"))[0] == "ResourceInUse"
    for name in ("Team", "alpha"):
        assert client.delete_workteam(WorkteamName=name)["Success"]
    assert refused(lambda: client.describe_workteam(WorkteamName="Team"))[1].startswith("The work team")
    client.delete_workforce(WorkforceName="default")
    second()


def test_a_providers_secret_is_not_shown_and_the_provider_stays_while_there_are_teams(client: Any) -> None:
    client.create_workforce(WorkforceName="own", OidcConfig=OIDC)
    shown = client.describe_workforce(WorkforceName="own")["Workforce"]["OidcConfig"]
    assert shown == {k: v for k, v in OIDC.items() if k != "ClientSecret"}
    change = partial(client.update_workforce, WorkforceName="own", OidcConfig={**OIDC, "ClientId": "d"})
    assert change()["Workforce"]["OidcConfig"]["ClientId"] == "d"
    team(client, "Team", OTHER_WORKERS[1])
    assert refused(change)[0] == "ConflictException"
    ranges = {"Cidrs": [f"10.{n}.0.0/16" for n in range(11)]}
    many = partial(client.update_workforce, WorkforceName="own", SourceIpConfig=ranges)
    assert refused(many)[0] == "ValidationException"
    for n in range(24):
        team(client, f"team-{n}", OTHER_WORKERS[1])
    assert refused(lambda: team(client, "one-more", OTHER_WORKERS[1]))[0] == "ResourceLimitExceeded"


def test_there_are_no_vendors_teams(client: Any) -> None:
    assert client.list_subscribed_workteams()["SubscribedWorkteams"] == []
    arn = "arn:aws:sagemaker:us-east-1:111122223333:workteam/vendor-crowd/a"
    assert refused(lambda: client.describe_subscribed_workteam(WorkteamArn=arn))[0] == "ValidationException"


def test_a_flow_definition_needs_its_team_and_interface(client: Any, account: str) -> None:
    content = "<crowd-form>ä</crowd-form>"
    ui = client.create_human_task_ui(HumanTaskUiName="ui", UiTemplate={"Content": content})["HumanTaskUiArn"]
    template = client.describe_human_task_ui(HumanTaskUiName="ui")["UiTemplate"]
    assert template["ContentSha256"] == hashlib.sha256(content.encode()).hexdigest()
    with urllib.request.urlopen(template["Url"], timeout=10) as answer:
        assert answer.read().decode() == content
    client.create_workforce(WorkforceName="default", CognitoConfig=POOL)
    loop = {"TaskTitle": "t", "TaskDescription": "d", "TaskCount": 1, "HumanTaskUiArn": ui, "WorkteamArn": team(client)}
    create = partial(
        client.create_flow_definition,
        FlowDefinitionName="flow",
        RoleArn=f"arn:aws:iam::{account}:role/role",
        OutputConfig={"S3OutputPath": "s3://bucket/out"},
    )
    public = f"arn:aws:sagemaker:us-east-1:{account}:workteam/public-crowd/default"
    for member, wrong in (("HumanTaskUiArn", f"{ui}-none"), ("WorkteamArn", f"{loop['WorkteamArn']}-none")):
        assert refused(partial(create, HumanLoopConfig={**loop, member: wrong}))[0] == "ValidationException"
    assert refused(partial(create, HumanLoopConfig={**loop, "WorkteamArn": public}))[0] == "NotImplemented"
    text = {"HumanLoopActivationConditions": "[" * 10_000}
    conditions = {"HumanLoopActivationConditionsConfig": text}
    source = {"AwsManagedHumanLoopRequestSource": "AWS/Textract/AnalyzeDocument/Forms/V1"}
    for more in ({}, {"HumanLoopRequestSource": source}):
        assert refused(partial(create, HumanLoopActivationConfig=conditions, **more))[0] == "ValidationException"
    create(HumanLoopConfig=loop)
    shown = client.describe_flow_definition(FlowDefinitionName="flow")
    assert (shown["FlowDefinitionStatus"], shown["HumanLoopConfig"]) == ("Active", loop)
    assert refused(partial(create, HumanLoopConfig=loop))[0] == "ResourceInUse"


def test_labeling_and_human_loops_wait(client: Any, aws: Callable[..., Any], account: str) -> None:
    client.create_workforce(WorkforceName="default", CognitoConfig=POOL)
    arn = team(client)
    assert client.list_labeling_jobs_for_workteam(WorkteamArn=arn)["LabelingJobSummaryList"] == []
    missing = partial(client.list_labeling_jobs_for_workteam, WorkteamArn=f"{arn}-none")
    assert refused(missing)[0] == "ResourceNotFound"
    flow = f"arn:aws:sagemaker:us-east-1:{account}:flow-definition/flow"
    code, message = refused(lambda: aws("sagemaker-a2i-runtime").list_human_loops(FlowDefinitionArn=flow))
    assert (code, "waits for human review" in message) == ("NotImplemented", True)


def test_of_many_at_once_one_workforce_is_made(client: Any) -> None:
    def make(number: int) -> bool:
        try:
            client.create_workforce(WorkforceName=f"w-{number}", CognitoConfig=POOL)
        except ClientError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(make, range(8))) == 1
    assert len(client.list_workforces()["Workforces"]) == 1
