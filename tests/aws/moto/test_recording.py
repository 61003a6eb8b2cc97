"""Which requests are recorded."""

from __future__ import annotations

import pytest

from backends.aws.moto import recording
from backends.aws.moto.wsgi import MotoRequest

FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


def request(
    method: str = "POST", path: str = "/", query: str = "", headers: dict[str, str] | None = None, body: bytes = b""
) -> MotoRequest:
    return MotoRequest(method, path, query, headers or {}, body, "1" * 12)


@pytest.mark.parametrize(
    ("requested", "operation", "changes"),
    [
        (request(headers={"x-amz-target": "AmazonSQS.SendMessage"}), "SendMessage", True),
        (request(headers={"x-amz-target": "AmazonSQS.ReceiveMessage"}), "ReceiveMessage", True),
        (request(headers={"x-amz-target": "AmazonSQS.GetQueueUrl"}), "GetQueueUrl", False),
        (request(headers={"x-amz-target": "TrentService.Encrypt"}), "Encrypt", False),
        (request(headers={"x-amz-target": "TrentService.CreateKey"}), "CreateKey", True),
        (request(headers={"x-amz-target": "DynamoDB_20120810.Query"}), "Query", False),
        (request(headers={"x-amz-target": "TrentService.Sign"}), "Sign", False),
        (
            request(headers={"x-amz-target": "SimpleWorkflowService.SignalWorkflowExecution"}),
            "SignalWorkflowExecution",
            True,
        ),
        (request(headers={"x-amz-target": "AWSCognitoIdentityService.GetId"}), "GetId", True),
        (request(headers=FORM, body=b"Action=Publish&Version=1"), "Publish", True),
        (request(headers=FORM, body=b"Version=1&Action=ListTopics"), "ListTopics", False),
        (request("GET", query="Action=DescribeInstances&Version=1"), "DescribeInstances", False),
        (request("GET", query="Action=RunInstances&Version=1"), "RunInstances", True),
        (request(path="/service/Any/operation/PutThing"), "PutThing", True),
        (request("GET", "/2015-03-31/functions"), "", False),
        (request("POST", "/2015-03-31/functions"), "", True),
        (request("DELETE", "/2015-03-31/functions/f"), "", True),
        (request("POST", "/2015-03-31/functions/f/invocations"), "", False),
        (request("POST", "/v1/submitjob"), "", False),
    ],
)
def test_what_changes_moto_is_known_by_its_operation(requested: MotoRequest, operation: str, changes: bool) -> None:
    assert (recording.operation_of(requested), recording.changes(requested)) == (operation, changes)


def test_a_poll_without_messages_is_not_worth_keeping() -> None:
    poll = request(headers={"x-amz-target": "AmazonSQS.ReceiveMessage"})
    assert not recording.worth_keeping(poll, b"{}")
    assert recording.worth_keeping(poll, b'{"Messages": [{"MessageId": "m"}]}')
