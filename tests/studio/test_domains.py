"""Domains, profiles, spaces and lifecycle configurations through boto3: what their life does not show."""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.registry.test_registry import refused

if TYPE_CHECKING:
    from collections.abc import Callable

OWNED = {
    "OwnershipSettings": {"OwnerUserProfileName": "Alice"},
    "SpaceSharingSettings": {"SharingType": "Private"},
    "SpaceSettings": {"AppType": "JupyterLab"},
}


@pytest.fixture
def client(aws: Callable[..., Any]) -> Any:
    return aws("sagemaker")


@pytest.fixture
def role(account: str) -> str:
    return f"arn:aws:iam::{account}:role/role"


def domain(client: Any, name: str = "team", **more: Any) -> str:
    made: str = client.create_domain(DomainName=name, **{"AuthMode": "IAM", "DefaultUserSettings": {}, **more})[
        "DomainId"
    ]
    return made


def test_a_domain_has_the_documented_defaults_and_goes_last(client: Any, account: str, role: str) -> None:
    made = client.create_domain(
        DomainName="Team",
        AuthMode="IAM",
        DefaultUserSettings={"ExecutionRole": role},
        Tags=[{"Key": "k", "Value": "v"}],
    )
    key = made["DomainId"]
    assert made["DomainArn"] == f"arn:aws:sagemaker:us-east-1:{account}:domain/{key}"
    assert (key[:2], len(key)) == ("d-", 14)
    assert client.list_tags(ResourceArn=made["DomainArn"])["Tags"] == [{"Key": "k", "Value": "v"}]
    shown = client.describe_domain(DomainId=key)
    assert shown["AppNetworkAccessType"] == "PublicInternetOnly"
    assert shown["HomeEfsFileSystemId"].startswith("fs-")
    assert (shown["Status"], shown["Url"]) == ("InService", made["Url"])
    assert refused(lambda: domain(client, "team"))[0] == "ResourceInUse"
    profile = client.create_user_profile(DomainId=key, UserProfileName="Alice")["UserProfileArn"]
    assert profile.endswith(f":user-profile/{key}/alice")
    assert client.describe_user_profile(DomainId=key, UserProfileName="aLICE")["UserProfileName"] == "Alice"
    assert refused(lambda: client.create_user_profile(DomainId=key, UserProfileName="alice"))[0] == "ResourceInUse"
    client.create_space(DomainId=key, SpaceName="own", **OWNED)
    (space,) = client.list_spaces(DomainIdEquals=key, SpaceNameContains="OW", SortBy="LastModifiedTime")["Spaces"]
    assert space["OwnershipSettingsSummary"] == OWNED["OwnershipSettings"]
    assert space["SpaceSettingsSummary"] == {"AppType": "JupyterLab"}
    for call in (
        lambda: client.delete_domain(DomainId=key),
        lambda: client.delete_user_profile(DomainId=key, UserProfileName="Alice"),
    ):
        code, message = refused(call)
        assert code == "ResourceInUse"
        assert "(s) are associated with it" in message
    client.delete_space(DomainId=key, SpaceName="own")
    client.delete_user_profile(DomainId=key, UserProfileName="ALICE")
    client.delete_domain(DomainId=key, RetentionPolicy={"HomeEfsFileSystem": "Delete"})
    assert client.list_domains()["Domains"] == []
    assert refused(lambda: client.list_tags(ResourceArn=made["DomainArn"]))[0] == "ResourceNotFound"
    assert refused(lambda: client.describe_domain(DomainId=key))[0] == "ResourceNotFound"


def test_what_contradicts_itself_is_refused_and_settings_are_merged(client: Any, role: str) -> None:
    assert refused(lambda: domain(client, AppNetworkAccessType="VpcOnly"))[0] == "ValidationException"
    key = domain(client, VpcId="vpc-1", SubnetIds=["subnet-1"], HomeEfsFileSystemCreation="Disabled")
    assert "HomeEfsFileSystemId" not in client.describe_domain(DomainId=key)
    client.update_domain(
        DomainId=key,
        HomeEfsFileSystemCreation="Enabled",
        DomainSettingsForUpdate={"ExecutionRoleIdentityConfig": "USER_PROFILE_NAME"},
        AppNetworkAccessType="VpcOnly",
    )
    client.update_domain(DomainId=key, DefaultSpaceSettings={"ExecutionRole": role})
    shown = client.describe_domain(DomainId=key)
    assert shown["DomainSettings"] == {"ExecutionRoleIdentityConfig": "USER_PROFILE_NAME"}
    assert (shown["AppNetworkAccessType"], "HomeEfsFileSystemId" in shown) == ("VpcOnly", True)
    assert (
        refused(lambda: client.update_domain(DomainId=key, HomeEfsFileSystemCreation="Disabled"))[0]
        == "ValidationException"
    )
    sign_on = {"SingleSignOnUserIdentifier": "UserName", "SingleSignOnUserValue": "alice"}
    by_sign_on = domain(client, "sso", AuthMode="SSO")
    client.create_user_profile(DomainId=by_sign_on, UserProfileName="a", **sign_on)
    for wrong in ({"DomainId": key, **sign_on}, {"DomainId": by_sign_on}):
        request = partial(client.create_user_profile, UserProfileName="b", **wrong)
        assert refused(request)[0] == "ValidationException"
    assert refused(lambda: client.create_user_profile(DomainId="d-none", UserProfileName="b"))[0] == "ResourceNotFound"
    assert refused(lambda: client.create_space(DomainId=key, SpaceName="s", **OWNED))[0] == "ResourceNotFound"
    no_owner = {k: v for k, v in OWNED.items() if k != "OwnershipSettings"}
    assert refused(lambda: client.create_space(DomainId=key, SpaceName="s", **no_owner))[0] == "ValidationException"


def test_lists_are_of_one_domain_the_oldest_first(client: Any, role: str) -> None:
    first, second = domain(client, "a"), domain(client, "b")
    for key, name in ((first, "zoe"), (first, "adam"), (second, "zoe")):
        client.create_user_profile(DomainId=key, UserProfileName=name)

    def names(**request: Any) -> list[str]:
        pages = client.get_paginator("list_user_profiles").paginate(PaginationConfig={"PageSize": 1}, **request)
        return [profile["UserProfileName"] for page in pages for profile in page["UserProfiles"]]

    assert names(DomainIdEquals=first) == ["zoe", "adam"]
    assert names(DomainIdEquals=first, SortOrder="Descending") == ["adam", "zoe"]
    assert names(UserProfileNameContains="OE") == ["zoe", "zoe"]
    client.update_user_profile(DomainId=first, UserProfileName="zoe", UserSettings={"ExecutionRole": role})
    assert names(DomainIdEquals=first, SortBy="LastModifiedTime") == ["adam", "zoe"]
    assert [each["DomainId"] for each in client.list_domains()["Domains"]] == [first, second]


def test_a_lifecycle_configuration_is_base64_and_stays_while_settings_name_it(client: Any) -> None:
    def make(name: str, content: str, kind: str = "JupyterLab") -> str:
        made = client.create_studio_lifecycle_config(
            StudioLifecycleConfigName=name, StudioLifecycleConfigContent=content, StudioLifecycleConfigAppType=kind
        )
        return str(made["StudioLifecycleConfigArn"])

    for content in ("#!/bin/bash", "ä"):
        assert refused(partial(make, "a", content))[0] == "ValidationException"
    script = base64.b64encode(b"#!/bin/bash\necho hello\n").decode()
    arn, _ = make("lab", script), make("code", script, "CodeEditor")
    listed = client.list_studio_lifecycle_configs(AppTypeEquals="CodeEditor")["StudioLifecycleConfigs"]
    assert [each["StudioLifecycleConfigName"] for each in listed] == ["code"]
    by_name = client.list_studio_lifecycle_configs(SortBy="Name")["StudioLifecycleConfigs"]
    assert [each["StudioLifecycleConfigName"] for each in by_name] == ["lab", "code"]
    key = domain(client, DefaultUserSettings={"JupyterLabAppSettings": {"LifecycleConfigArns": [arn]}})
    delete = {"StudioLifecycleConfigName": "lab"}
    assert refused(lambda: client.delete_studio_lifecycle_config(**delete))[0] == "ResourceInUse"
    client.update_domain(DomainId=key, DefaultUserSettings={"JupyterLabAppSettings": {}})
    client.delete_studio_lifecycle_config(**delete)


def test_applications_wait_and_say_so(client: Any) -> None:
    key = domain(client)
    client.create_user_profile(DomainId=key, UserProfileName="a")
    app = {"DomainId": key, "UserProfileName": "a", "AppType": "JupyterServer", "AppName": "default"}
    for call in (
        lambda: client.create_app(**app),
        lambda: client.create_presigned_domain_url(DomainId=key, UserProfileName="a"),
        lambda: client.start_session(ResourceIdentifier=f"arn:aws:sagemaker:us-east-1:111122223333:space/{key}/s"),
    ):
        code, message = refused(call)
        assert (code, "waits for Studio applications" in message) == ("NotImplemented", True)
    assert refused(lambda: client.describe_app(**app)) == ("ValidationException", "RecordNotFound")
    assert client.list_apps(DomainIdEquals=key, UserProfileNameEquals="a")["Apps"] == []
