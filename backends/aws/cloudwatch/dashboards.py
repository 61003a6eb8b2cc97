"""Dashboards: documents that are kept and given back; nothing draws them. Source: CloudWatch API reference, PutDashboard."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from backends.aws.cloudwatch import refusals
from backends.core import arn as arns
from backends.core import errors, paging, tags
from backends.core.documents import Documents
from backends.core.operation import operation

if TYPE_CHECKING:
    from backends.core.context import Context

DASHBOARDS = Documents("CloudWatchDashboard")
NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
PAGE = 1000


def arn_of(cx: Context, name: str) -> str:
    """Return a dashboard's ARN, which names no region."""
    return f"arn:{arns.partition_of(cx.region)}:cloudwatch::{cx.account}:dashboard/{name}"


@operation("PutDashboard", service="cloudwatch")
def put_dashboard(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Keep a dashboard's body; InvalidParameterInput for a name that is none, or a body that is no JSON object."""
    name, body = request["DashboardName"], request["DashboardBody"]
    if NAME.fullmatch(name) is None:
        raise _invalid(f"The value {name} for field DashboardName contains invalid characters.")
    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _invalid("The field DashboardBody must be a valid JSON object") from error
    if not isinstance(read, dict) or not isinstance(read.get("widgets", []), list):
        raise _invalid("The field DashboardBody must be a valid JSON object")
    if request.get("Tags") and DASHBOARDS.find(cx, name) is None:
        tags.put(cx, arn_of(cx, name), request["Tags"])
    DASHBOARDS.put(cx, name, arn_of(cx, name), {"body": body, "modified": cx.clock.now()})
    return {"DashboardValidationMessages": []}


def _invalid(message: str) -> errors.AwsError:
    return errors.AwsError("DashboardInvalidInputError", message)


def _missing(name: str) -> errors.AwsError:
    return errors.AwsError("DashboardNotFoundError", f"Dashboard {name} does not exist", status=404)


@operation("GetDashboard", service="cloudwatch")
def get_dashboard(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a dashboard's body as it was put."""
    name = request["DashboardName"]
    dashboard = DASHBOARDS.find(cx, name)
    if dashboard is None:
        raise _missing(name)
    return {"DashboardArn": dashboard.arn, "DashboardBody": dashboard.document["body"], "DashboardName": name}


@operation("ListDashboards", service="cloudwatch")
def list_dashboards(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """List dashboards by name."""
    prefix = request.get("DashboardNamePrefix", "")
    binding = b"ListDashboards" + prefix.encode()
    after = refusals.read_token(cx, request["NextToken"], binding)[0] if "NextToken" in request else None
    dashboards = DASHBOARDS.page(cx, prefix, after, PAGE + 1)
    entries = [
        {
            "DashboardName": entry.key,
            "DashboardArn": entry.arn,
            "LastModified": entry.document["modified"],
            "Size": len(entry.document["body"].encode()),
        }
        for entry in dashboards[:PAGE]
    ]
    more = {"NextToken": paging.write_token(cx, [dashboards[PAGE - 1].key], binding)} if len(dashboards) > PAGE else {}
    return {"DashboardEntries": entries} | more


@operation("DeleteDashboards", service="cloudwatch")
def delete_dashboards(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Delete dashboards: all of those named, or none when one of them is not there."""
    dashboards = []
    for name in request["DashboardNames"]:
        dashboard = DASHBOARDS.find(cx, name)
        if dashboard is None:
            raise _missing(name)
        dashboards.append(dashboard)
    for dashboard in dashboards:
        DASHBOARDS.delete(cx, dashboard)
    return {}
