"""The Service Catalog switch through boto3, and projects, which wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.registry.test_registry import refused

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_portfolio_is_switched_for_one_account(aws: Callable[..., Any]) -> None:
    client = aws("sagemaker")

    def status() -> str:
        return str(client.get_sagemaker_servicecatalog_portfolio_status()["Status"])

    assert status() == "Disabled"
    for _ in range(2):
        client.enable_sagemaker_servicecatalog_portfolio()
        assert status() == "Enabled"
    client.disable_sagemaker_servicecatalog_portfolio()
    assert status() == "Disabled"


def test_projects_wait_and_say_so(aws: Callable[..., Any]) -> None:
    client = aws("sagemaker")
    code, message = refused(lambda: client.create_project(ProjectName="p"))
    assert (code, "waits for Service Catalog provisioning" in message) == ("NotImplemented", True)
    assert refused(lambda: client.describe_project(ProjectName="p")) == (
        "ValidationException",
        "Project p does not exist.",
    )
    assert client.list_projects(SortBy="Name")["ProjectSummaryList"] == []
