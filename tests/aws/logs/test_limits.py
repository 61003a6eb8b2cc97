"""CloudWatch Logs, asked for what no database holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

STREAM = {"logGroupName": "/g", "logStreamName": "s"}
TOO_LARGE = 2**63


@pytest.fixture
def logs(aws: Callable[..., Any]) -> Any:
    """Return a client of an account that has one group with one stream."""
    client = aws("logs")
    client.create_log_group(logGroupName="/g")
    client.create_log_stream(**STREAM)
    return client


@pytest.mark.parametrize("token", ["²", "9" * 19, "9" * 5000, "-1"])
def test_an_offset_that_is_none_is_refused(logs: Any, token: str) -> None:
    with pytest.raises(logs.exceptions.InvalidParameterException, match="nextToken is invalid"):
        logs.describe_log_streams(logGroupName="/g", nextToken=token)


@pytest.mark.parametrize("token", ["f/" + "²" * 36 + "/s", "f/" + "9" * 36 + "/s", "b/" + "9" * 36 + "/s", "f/1/s"])
def test_a_token_that_is_none_is_refused(logs: Any, token: str) -> None:
    for request, given in ((logs.get_log_events, STREAM), (logs.filter_log_events, {"logGroupName": "/g"})):
        with pytest.raises(logs.exceptions.InvalidParameterException, match="nextToken is invalid"):
            request(**given, nextToken=token)


@pytest.mark.parametrize("member", ["startTime", "endTime"])
def test_a_time_beyond_a_long_is_refused(logs: Any, member: str) -> None:
    for request, given in ((logs.get_log_events, STREAM), (logs.filter_log_events, {"logGroupName": "/g"})):
        with pytest.raises(ClientError, match="can not be converted to a Long"):
            request(**given, **{member: TOO_LARGE})


def test_an_event_at_no_time_is_refused(logs: Any) -> None:
    with pytest.raises(ClientError, match="can not be converted to a Long"):
        logs.put_log_events(**STREAM, logEvents=[{"timestamp": TOO_LARGE, "message": "late"}])
    assert logs.get_log_events(**STREAM, startFromHead=True)["events"] == []
