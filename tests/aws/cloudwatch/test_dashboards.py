"""Dashboards are kept as they were put."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

BODY = json.dumps({"widgets": [{"type": "text", "properties": {"markdown": "# \u00e9"}}]})


def test_a_dashboard_is_put_read_listed_and_deleted(cloudwatch: Any) -> None:
    for name in ("first", "second"):
        assert cloudwatch.put_dashboard(DashboardName=name, DashboardBody=BODY)["DashboardValidationMessages"] == []
    dashboard = cloudwatch.get_dashboard(DashboardName="first")
    assert (dashboard["DashboardBody"], dashboard["DashboardName"]) == (BODY, "first")
    entries = cloudwatch.list_dashboards(DashboardNamePrefix="f")["DashboardEntries"]
    assert [(entry["DashboardName"], entry["Size"]) for entry in entries] == [("first", len(BODY.encode()))]
    with pytest.raises(ClientError) as caught:
        cloudwatch.delete_dashboards(DashboardNames=["first", "none"])
    assert caught.value.response["Error"]["Code"] == "ResourceNotFound"
    cloudwatch.delete_dashboards(DashboardNames=["first"])
    assert [e["DashboardName"] for e in cloudwatch.list_dashboards()["DashboardEntries"]] == ["second"]
    with pytest.raises(ClientError) as caught:
        cloudwatch.get_dashboard(DashboardName="first")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


@pytest.mark.parametrize(("name", "body"), [("a b", BODY), ("a", "{"), ("a", "[]"), ("a", '{"widgets": 1}')])
def test_a_bad_dashboard_is_refused(cloudwatch: Any, name: str, body: str) -> None:
    with pytest.raises(ClientError) as caught:
        cloudwatch.put_dashboard(DashboardName=name, DashboardBody=body)
    assert caught.value.response["Error"]["Code"] == "InvalidParameterInput"
    assert cloudwatch.list_dashboards()["DashboardEntries"] == []
