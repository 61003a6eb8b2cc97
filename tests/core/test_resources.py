"""Declared resources: composite keys, parents, versions, filters, client tokens, quotas. Nouns of the model, no component."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from api_specs import model
from backends.core import idempotency, listing
from backends.core.errors import AwsError
from backends.core.lifecycle import transition
from backends.core.resource import resource
from backends.core.states import machine
from backends.core.tables import events, facets
from tests.core.conftest import ACCOUNT, REGION
from tests.toy.component import NOTEBOOK

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.kernel import Kernel

COMPONENT = sys.modules[__name__]
RECORD = ("Create", "Describe", "Update", "List", "Delete")
DOMAIN = resource("Domain", arn_path="domain", derives=("Describe", "List", "Delete"))
PROFILE = resource(
    "UserProfile",
    arn_path="user-profile",
    parent=DOMAIN,
    in_use="Unable to delete Domain {name}: it has the user profile {child}.",
    derives=RECORD,
)
APP = resource(
    "App",
    arn_path="app",
    key=("DomainId", "UserProfileName|SpaceName", "AppType", "AppName"),
    filters={"UserProfileNameEquals": "UserProfileName", "SpaceNameEquals": "SpaceName"},
    derives=RECORD,
)
IMAGE = resource("Image", arn_path="image", status_member="ImageStatus", derives=RECORD)
VERSION = resource(
    "ImageVersion",
    arn_path="image-version",
    key=("ImageName", "Version"),
    numbered=True,
    parent=IMAGE,
    sorts={"VERSION": "Version"},
    derives=("Describe", "List"),
)
JOB = resource(
    "CompilationJob",
    arn_path="compilation-job",
    status_member="CompilationJobStatus",
    machine=machine(INPROGRESS={"STOPPED", "Stopping"}),
    derives=("Describe", "List", "Delete", "Stop"),
)
SERVER = resource(
    "MlflowTrackingServer",
    arn_path="mlflow-tracking-server",
    filters={"TrackingServerStatus": ""},
    derives=("Describe",),
)
REPOSITORY = resource("CodeRepository", arn_path="code-repository", quota=2, derives=RECORD)


class Session:
    """Calls operations of a kernel's as a client does, each in a transaction of its own."""

    def __init__(self, kernel: Kernel) -> None:
        self.cx = kernel.context(ACCOUNT, REGION)

    async def __call__(self, operation: str, **request: Any) -> Any:
        """Call an operation."""
        return await self.cx.transact(lambda cx: cx.call(operation, request))

    async def domain(self, name: str) -> None:
        """Make a domain of an id."""
        await self.cx.transact(lambda cx: DOMAIN.insert(cx, name, {"DomainId": name, "DomainName": name}))


async def names(call: Session, operation: str, member: str, **request: Any) -> list[str]:
    answer = await call(operation, **request)
    return [each[member] for each in next(value for value in answer.values() if isinstance(value, list))]


def test_a_composite_key_belongs_to_its_parent(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        call = Session(kernel)
        with pytest.raises(AwsError, match="ResourceNotFound"):
            await call("CreateUserProfile", DomainId="d-none", UserProfileName="ann")
        for domain in ("d-one", "d-two"):
            await call.domain(domain)
            for name in ("ann", "Bob"):
                answer = await call("CreateUserProfile", DomainId=domain, UserProfileName=name)
        assert answer == {"UserProfileArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:user-profile/d-two/bob"}
        assert (await call("DescribeUserProfile", DomainId="d-one", UserProfileName="Bob"))["DomainId"] == "d-one"
        assert await names(call, "ListUserProfiles", "DomainId", DomainIdEquals="d-two") == ["d-two", "d-two"]
        listed = await names(
            call, "ListUserProfiles", "UserProfileName", DomainIdEquals="d-two", UserProfileNameContains="bO"
        )
        assert listed == ["Bob"]
        with pytest.raises(AwsError, match=r"Unable to delete Domain d-two: it has the user profile ann\."):
            await call("DeleteDomain", DomainId="d-two")
        for name in ("ann", "Bob"):
            await call("DeleteUserProfile", DomainId="d-two", UserProfileName=name)
        await call("DeleteDomain", DomainId="d-two")

    with_kernel(work, COMPONENT)


def test_a_part_of_a_key_may_be_either_of_two_members(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        call = Session(kernel)
        common = {"DomainId": "d-one", "AppType": "JupyterLab", "AppName": "default"}
        await call("CreateApp", UserProfileName="ann", **common)
        await call("CreateApp", SpaceName="hall", **common)
        assert "SpaceName" in await call("DescribeApp", SpaceName="hall", **common)
        assert await names(call, "ListApps", "AppName", SpaceNameEquals="hall") == ["default"]
        assert await names(call, "ListApps", "UserProfileName", UserProfileNameEquals="ann") == ["ann"]
        with pytest.raises(AwsError):
            await call("CreateApp", UserProfileName="ann", **common)

    with_kernel(work, COMPONENT)


def test_versions_count_up_and_do_not_come_again_and_go_with_their_parent(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        call = Session(kernel)
        await call("CreateImage", ImageName="i", RoleArn=f"arn:aws:iam::{ACCOUNT}:role/r")

        def version(cx: Any) -> Any:
            number = VERSION.next_number(cx, "i")
            return VERSION.insert(cx, f"i/{number}", {"Version": number, "BaseImage": "b"})

        rows = [await call.cx.transact(version) for _ in range(11)]
        assert rows[1].arn.endswith(":image-version/i/2")
        assert (await call("DescribeImageVersion", ImageName="i"))["Version"] == 11
        assert (await call("DescribeImageVersion", ImageName="i", Version=3))["Version"] == 3
        await call.cx.transact(lambda cx: VERSION.delete(cx, rows[10]))
        assert (await call.cx.transact(version)).key == "i/12"
        listed = await names(
            call, "ListImageVersions", "Version", ImageName="i", SortBy="VERSION", SortOrder="ASCENDING", MaxResults=100
        )
        assert listed == [*range(1, 11), 12]
        await call("DeleteImage", ImageName="i")
        stored = await kernel.db.read(lambda tx: tx.connection.execute(select(facets)).all())
        kinds = await kernel.db.read(
            lambda tx: tx.connection.execute(select(events.c.kind).where(events.c.new == "Deleted")).scalars().all()
        )
        assert (stored, kinds.count("ImageVersion"), kinds.count("Image")) == ([], 12, 1)

    with_kernel(work, COMPONENT)


def test_stop_and_delete_follow_the_declared_moves(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        call = Session(kernel)
        await call.cx.transact(lambda cx: JOB.insert(cx, "j", {"CompilationJobName": "j"}, status="INPROGRESS"))
        with pytest.raises(AwsError, match="is in status INPROGRESS and cannot be deleted"):
            await call("DeleteCompilationJob", CompilationJobName="j")
        assert await call("StopCompilationJob", CompilationJobName="j") == {}
        assert await call("StopCompilationJob", CompilationJobName="j") == {}
        assert await names(call, "ListCompilationJobs", "CompilationJobName", StatusEquals="STOPPING") == []
        await call("DeleteCompilationJob", CompilationJobName="j")
        with pytest.raises(AwsError):
            await call("StopCompilationJob", CompilationJobName="j")

    with_kernel(work, COMPONENT)


def test_what_is_being_deleted_is_not_deleted_again_and_only_what_stopped_is_started(
    with_kernel: Callable[..., Any],
) -> None:
    async def work(kernel: Kernel) -> None:
        call = Session(kernel)
        name = {"NotebookInstanceName": "n"}

        async def be(status: str) -> None:
            await call.cx.transact(lambda cx: transition(cx, NOTEBOOK, NOTEBOOK.get(cx, "n"), status))

        await call(
            "CreateNotebookInstance", **name, InstanceType="ml.t3.medium", RoleArn=f"arn:aws:iam::{ACCOUNT}:role/r"
        )
        with pytest.raises(AwsError, match="is in status Pending"):
            await call("StartNotebookInstance", **name)
        await call("StopNotebookInstance", **name)
        with pytest.raises(AwsError, match="is in status Stopping"):
            await call("StartNotebookInstance", **name)
        await be("Stopped")
        await call("StartNotebookInstance", **name)
        assert (await call("DescribeNotebookInstance", **name))["NotebookInstanceStatus"] == "Pending"
        await call("DeleteNotebookInstance", **name)
        for verb in ("Delete", "Stop", "Start"):
            with pytest.raises(AwsError, match="is in status Deleting"):
                await call(f"{verb}NotebookInstance", **name)
        assert (await call("DescribeNotebookInstance", **name))["NotebookInstanceStatus"] == "Deleting"

    with_kernel(work, COMPONENT)


def test_update_changes_what_describe_shows(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        call = Session(kernel)
        await call("CreateImage", ImageName="i", RoleArn=f"arn:aws:iam::{ACCOUNT}:role/r", Description="old")
        assert "ImageArn" in await call("UpdateImage", ImageName="i", Description="new")
        assert (await call("DescribeImage", ImageName="i"))["Description"] == "new"

    with_kernel(work, COMPONENT)


def test_an_arn_of_another_account_or_region_is_none(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        own = kernel.context(ACCOUNT, REGION)
        row = await own.transact(lambda cx: DOMAIN.insert(cx, "d", {"DomainId": "d", "DomainName": "d"}))
        request = {"DomainId": "d", "DomainArn": row.arn}
        assert (await own.read(lambda cx: DOMAIN.named(cx, request))).key == "d"
        for other in (kernel.context("999988887777", REGION), kernel.context(ACCOUNT, "eu-west-1")):
            with pytest.raises(AwsError):
                await other.read(lambda cx: DOMAIN.named(cx, request))
            assert await other.read(lambda cx: DOMAIN.find(cx, row.arn)) is None

    with_kernel(work, COMPONENT)


def test_a_key_that_lacks_a_part_or_has_a_slash_in_one_is_refused(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        cx = kernel.context(ACCOUNT, REGION)
        common = {"DomainId": "d-one", "AppType": "JupyterLab", "AppName": "default"}
        call = Session(kernel)
        for operation in ("CreateApp", "DescribeApp", "DeleteApp"):
            with pytest.raises(AwsError, match="UserProfileName or SpaceName of App is required"):
                await call(operation, **common)
        for bad in ({}, {"ImageName": "a/b", "Version": 1}):
            with pytest.raises(AwsError, match="ImageName of ImageVersion is required, without a slash"):
                await cx.read(lambda inside, bad=bad: VERSION.named(inside, bad))  # type: ignore[misc]

    with_kernel(work, COMPONENT)


def test_a_client_token_does_a_request_once(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        call, count = Session(kernel), []

        def handler(_cx: Any, request: dict[str, Any]) -> dict[str, Any]:
            count.append(request)
            return {"ImageVersionArn": f"arn-{len(count)}"}

        from backends.core.operation import Operation

        kernel.operations["sagemaker", "CreateImageVersion"] = Operation(
            "sagemaker", "CreateImageVersion", handler, reads=False, waits=False
        )
        request = {"BaseImage": "b", "ClientToken": "t" * 36, "ImageName": "i"}
        assert [await call("CreateImageVersion", **request) for _ in range(2)] == [{"ImageVersionArn": "arn-1"}] * 2
        with pytest.raises(AwsError, match="ConflictException"):
            await call("CreateImageVersion", **{**request, "BaseImage": "other"})
        assert await call("CreateImageVersion", **{**request, "ClientToken": "u" * 36}) == {"ImageVersionArn": "arn-2"}

    with_kernel(work, COMPONENT)


def test_a_client_token_at_once_does_a_request_once(with_kernel: Callable[..., Any]) -> None:
    """On PostgreSQL the same request comes again while the first is under way, as a client's retry does."""

    async def work(kernel: Kernel) -> None:
        cx = kernel.context(ACCOUNT, REGION)
        request = {"ClientToken": "t" * 36, "ImageName": "i"}
        count: list[int] = []

        def make() -> dict[str, Any]:
            count.append(1)
            time.sleep(0.02)
            return {"ImageVersionArn": f"arn-{len(count)}"}

        def once(inside: Any) -> Any:
            return idempotency.once(inside, "sagemaker", "CreateImageVersion", request, make)

        answers = await asyncio.gather(*(cx.transact(once) for _ in range(8)))
        assert answers == [{"ImageVersionArn": "arn-1"}] * 8
        assert count == [1]

    with_kernel(work, COMPONENT)


def test_a_quota_is_of_an_account_and_region(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        call = Session(kernel)
        config = {"RepositoryUrl": "https://example.com/r"}
        for name in ("a", "b"):
            await call("CreateCodeRepository", CodeRepositoryName=name, GitConfig=config)
        with pytest.raises(AwsError, match="ResourceLimitExceeded: The account-level service limit"):
            await call("CreateCodeRepository", CodeRepositoryName="c", GitConfig=config)

    with_kernel(work, COMPONENT)


def test_arn_members_are_what_describe_calls_them() -> None:
    assert SERVER.arn_member == "TrackingServerArn"
    assert {noun: model.arn_member(noun) for noun in ("InferenceExperiment", "ModelQualityJobDefinition", "MlflowApp", "Workteam")} == {
        "InferenceExperiment": "Arn", "ModelQualityJobDefinition": "JobDefinitionArn", "MlflowApp": "Arn", "Workteam": "",
    }  # fmt: skip


def test_a_filter_or_sort_that_means_nothing_is_refused_when_the_kernel_is_built() -> None:
    with pytest.raises(listing.UndeclaredError, match="ListMonitoringSchedules: MonitoringSchedule does not declare"):
        listing.List(
            resource("MonitoringSchedule", arn_path="m", status_member="MonitoringScheduleStatus"),
            "ListMonitoringSchedules",
        )
    with pytest.raises(listing.UndeclaredError, match="SortBy Status"):
        listing.List(
            resource(
                "MonitoringSchedule",
                arn_path="m",
                filters={
                    "StatusEquals": "S",
                    "EndpointName": "E",
                    "MonitoringJobDefinitionName": "M",
                    "MonitoringTypeEquals": "T",
                },
            ),
            "ListMonitoringSchedules",
        )
