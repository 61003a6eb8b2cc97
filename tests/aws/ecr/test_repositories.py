"""Repositories, their settings and policies, through boto3."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from backends.aws.ecr import lifecycle
from backends.core.errors import AwsError
from tests.aws.conftest import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.aws.conftest import AccountClock
    from tests.aws.ecr.conftest import Registry
    from tests.conftest import LiveServer

DAY_S = 86_400
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Sid": "pull", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}],
}


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    """Return the code and the sentence with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_a_repository_is_made_described_and_deleted(ecr: Any, account: str, server: LiveServer) -> None:
    made = ecr.create_repository(repositoryName="second", tags=[{"Key": "a", "Value": "1"}])["repository"]
    assert made["repositoryUri"] == f"{server.url.removeprefix('http://')}/{account}.us-east-1/second"
    assert made["repositoryArn"] == f"arn:aws:ecr:us-east-1:{account}:repository/second"
    assert (made["registryId"], made["imageTagMutability"]) == (account, "MUTABLE")
    assert ecr.describe_repositories(repositoryNames=["second"])["repositories"] == [made]
    assert ecr.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"] == [{"Key": "a", "Value": "1"}]
    pages = ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 1})
    assert [[r["repositoryName"] for r in page["repositories"]] for page in pages] == [["second"], ["team/app"]]
    assert ecr.delete_repository(repositoryName="second")["repository"] == made
    code, sentence = refusal(ecr.describe_repositories, repositoryNames=["second"])
    assert code == "RepositoryNotFoundException"
    assert sentence == f"The repository with name 'second' does not exist in the registry with id '{account}'"


def test_a_repository_is_made_once_and_goes_with_its_images_only_by_force(ecr: Any, registry: Registry) -> None:
    assert refusal(ecr.create_repository, repositoryName="team/app")[0] == "RepositoryAlreadyExistsException"
    registry.push_image("1", b"layer")
    assert refusal(ecr.delete_repository, repositoryName="team/app")[0] == "RepositoryNotEmptyException"
    ecr.delete_repository(repositoryName="team/app", force=True)
    ecr.create_repository(repositoryName="team/app")
    assert ecr.list_images(repositoryName="team/app")["imageIds"] == []
    assert registry.request("GET", "manifests/1").code == "MANIFEST_UNKNOWN"


def test_accounts_and_regions_do_not_mix(ecr: Any, aws: Callable[..., Any], registry: Registry, account: str) -> None:
    registry.push_image("1", b"layer")
    other = aws("ecr", account=f"9{account[1:]}")
    assert other.describe_repositories()["repositories"] == []
    assert aws("ecr", region="eu-west-1").describe_repositories()["repositories"] == []
    requested = {"registryId": account, "repositoryName": "team/app"}
    assert refusal(other.list_images, **requested)[0] == "AccessDeniedException"
    assert len(ecr.list_images(**requested)["imageIds"]) == 1


def test_a_bad_name_or_setting_changes_nothing(ecr: Any) -> None:
    assert refusal(ecr.create_repository, repositoryName="Upper")[0] == "InvalidParameterException"
    kms = {"encryptionType": "KMS", "kmsKey": "k"}
    assert refusal(ecr.create_repository, repositoryName="kk", encryptionConfiguration=kms)[0] == "NotImplemented"
    requested = {"repositoryName": "kk", "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"}
    assert refusal(ecr.create_repository, **requested)[0] == "InvalidParameterException"
    assert [r["repositoryName"] for r in ecr.describe_repositories()["repositories"]] == ["team/app"]
    assert refusal(ecr.list_images, repositoryName="team/app", nextToken="x")[0] == "InvalidParameterException"
    assert refusal(ecr.start_image_scan, repositoryName="team/app", imageId={"imageTag": "1"})[0] == "NotImplemented"


def test_policies_are_kept_and_checked(ecr: Any) -> None:
    name = {"repositoryName": "team/app"}
    assert refusal(ecr.get_repository_policy, **name)[0] == "RepositoryPolicyNotFoundException"
    assert refusal(ecr.set_repository_policy, policyText="{}", **name)[0] == "InvalidParameterException"
    ecr.set_repository_policy(policyText=json.dumps(POLICY), **name)
    assert json.loads(ecr.get_repository_policy(**name)["policyText"]) == POLICY
    ecr.delete_repository_policy(**name)
    assert refusal(ecr.delete_repository_policy, **name)[0] == "RepositoryPolicyNotFoundException"
    assert refusal(ecr.get_lifecycle_policy, **name)[0] == "LifecyclePolicyNotFoundException"
    assert refusal(ecr.put_lifecycle_policy, lifecyclePolicyText='{"rules":[{"a":1}]}' + " " * 90, **name)[0] == (
        "InvalidParameterException"
    )


def test_tags_of_repositories(ecr: Any, account: str) -> None:
    arn = f"arn:aws:ecr:us-east-1:{account}:repository/team/app"
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    ecr.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert ecr.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "b", "Value": "2"}]
    assert refusal(ecr.tag_resource, resourceArn=arn, tags=[{"Key": "aws:x", "Value": ""}])[0] == (
        "InvalidTagParameterException"
    )
    assert refusal(ecr.list_tags_for_resource, resourceArn=f"{arn}x")[0] == "RepositoryNotFoundException"


def test_a_token_names_user_and_registry(ecr: Any, server: LiveServer, account: str) -> None:
    [data] = ecr.get_authorization_token()["authorizationData"]
    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    assert (user, bool(password), data["proxyEndpoint"]) == ("AWS", True, server.url)
    assert ecr.describe_registry()["registryId"] == account


def rule(priority: int, kind: str, number: int, **selection: Any) -> dict[str, Any]:
    unit = {"countUnit": "days"} if kind == lifecycle.AGE else {}
    return {
        "rulePriority": priority,
        "selection": {"tagStatus": "any", "countType": kind, "countNumber": number, **unit, **selection},
        "action": {"type": "expire"},
    }


def test_images_expire_by_the_accounts_clock(ecr: Any, registry: Registry, clock: AccountClock) -> None:
    rules = [
        rule(1, lifecycle.COUNT, 1, tagStatus="tagged", tagPrefixList=["prod"]),
        rule(2, lifecycle.AGE, 14),
    ]
    registry.push_image("old", b"0")
    listed = registry.push_image("part", b"1")
    entry = {"mediaType": "application/vnd.docker.distribution.manifest.v2+json", "size": 9, "digest": listed}
    clock.forward(15 * DAY_S)
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    registry.push("list", index, "application/vnd.oci.image.index.v1+json")
    registry.push_image("prod1", b"2")
    clock.forward(60)
    registry.push_image("prod2", b"3")
    name = {"repositoryName": "team/app"}
    ecr.put_lifecycle_policy(lifecyclePolicyText=json.dumps({"rules": rules}), **name)
    until(lambda: len(ecr.list_images(**name)["imageIds"]) == 3)
    # What stands in a manifest list stays, however old.
    assert {i["imageTag"] for i in ecr.list_images(**name)["imageIds"]} == {"part", "list", "prod2"}


def test_rules_leave_what_a_rule_before_them_matches() -> None:
    now = 100 * DAY_S
    there = [lifecycle.Aged(str(n), now - n * DAY_S, tags) for n, tags in enumerate([[], ["a1"], ["b"], [], ["a2"]])]
    text = json.dumps(
        {
            "rules": [
                rule(5, lifecycle.AGE, 1),
                rule(1, lifecycle.COUNT, 3, tagStatus="tagged", tagPatternList=["a*"]),
                rule(2, lifecycle.COUNT, 1, tagStatus="untagged"),
            ]
        }
    )
    assert lifecycle.expired(lifecycle.parse(text), there, now) == {"2", "3"}


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [rule(1, lifecycle.COUNT, 0)],
        [rule(1, lifecycle.COUNT, 1), rule(1, lifecycle.COUNT, 1)],
        [rule(1, lifecycle.COUNT, 1), rule(2, lifecycle.COUNT, 1, tagStatus="untagged")],
        [rule(1, lifecycle.COUNT, 1, tagStatus="tagged")],
        [rule(1, lifecycle.COUNT, 1, tagPrefixList=["a"])],
        [rule(1, lifecycle.COUNT, 1, countUnit="days")],
        [rule(1, lifecycle.AGE, 1, countUnit="hours")],
        [{"rulePriority": 1}],
        "x",
    ],
)
def test_policies_that_ecr_refuses(rules: Any) -> None:
    with pytest.raises(AwsError) as caught:
        lifecycle.parse(json.dumps({"rules": rules}))
    assert caught.value.code == "InvalidParameterException"
