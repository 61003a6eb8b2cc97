"""The switch of the Service Catalog portfolio; projects answer that there are none until something provisions them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import arn as arns
from backends.core.documents import Documents
from backends.core.operation import operation
from backends.core.resource import resource

if TYPE_CHECKING:
    from backends.core.context import Context

PROJECT = resource("Project", arn_path="project", awaits="Service Catalog provisioning")
PORTFOLIO, KEY = Documents("SagemakerServicecatalogPortfolio"), "portfolio"


@operation("EnableSagemakerServicecatalogPortfolio")
def enable_sagemaker_servicecatalog_portfolio(cx: Context, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """Switch the portfolio on, for this account and region."""
    return _switch(cx, "Enabled")


@operation("DisableSagemakerServicecatalogPortfolio")
def disable_sagemaker_servicecatalog_portfolio(cx: Context, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """Switch the portfolio off."""
    return _switch(cx, "Disabled")


def _switch(cx: Context, status: str) -> dict[str, Any]:
    PORTFOLIO.put(cx, KEY, arns.make("servicecatalog", cx.region, cx.account, KEY), {"Status": status})
    return {}


@operation("GetSagemakerServicecatalogPortfolioStatus")
def get_sagemaker_servicecatalog_portfolio_status(cx: Context, request: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """Return whether the portfolio is on; at first it is off."""
    row = PORTFOLIO.find(cx, KEY)
    return {"Status": row.document["Status"] if row is not None else "Disabled"}
