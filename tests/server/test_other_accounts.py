"""What moto answers stays within the caller's account, service and region, however a request names another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.server.test_authentication import ACCESS, SECRET, client, strict
from tests.server.test_bypasses import JSON, send

if TYPE_CHECKING:
    from tests.conftest import LiveServer

__all__ = ["strict"]
B = "444455556666"
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("sns", "publish", {"TopicArn": f"arn:aws:sns:us-east-1:{B}:t", "Message": "m"}),
    ("sns", "delete_topic", {"TopicArn": f"arn:aws:sns:us-east-1:{B}:t"}),
    ("sns", "get_topic_attributes", {"TopicArn": f"arn:aws:sns:us-east-1:{B}:t"}),
    ("sqs", "send_message", {"QueueUrl": f"http://localhost/{B}/q", "MessageBody": "m"}),
    ("sqs", "get_queue_url", {"QueueName": "q", "QueueOwnerAWSAccountId": B}),
    ("kms", "describe_key", {"KeyId": f"arn:aws:kms:us-east-1:{B}:key/k"}),
    ("lambda", "get_function", {"FunctionName": f"arn:aws:lambda:us-east-1:{B}:function:f"}),
    ("secretsmanager", "get_secret_value", {"SecretId": f"arn:aws:secretsmanager:us-east-1:{B}:secret:s"}),
    ("dynamodb", "describe_table", {"TableName": f"arn:aws:dynamodb:us-east-1:{B}:table/t"}),
    ("events", "put_targets", {"Rule": "r", "Targets": [{"Id": "1", "Arn": f"arn:aws:events:us-east-1:{B}:event-bus/b"}]}),
    ("kinesis", "describe_stream", {"StreamARN": f"arn:aws:kinesis:us-east-1:{B}:stream/s"}),
    ("stepfunctions", "describe_state_machine", {"stateMachineArn": f"arn:aws:states:us-east-1:{B}:stateMachine:s"}),
    ("glue", "get_tables", {"CatalogId": B, "DatabaseName": "d"}),
    ("ssm", "get_parameter", {"Name": f"arn:aws:ssm:us-east-1:{B}:parameter/p"}),
    ("rds", "describe_db_clusters", {"DBClusterIdentifier": f"arn:aws:rds:us-east-1:{B}:cluster:c"}),
]  # fmt: skip


@pytest.mark.parametrize(("service", "operation", "given"), CALLS)
def test_what_is_another_accounts_is_not_reached(
    strict: LiveServer, service: str, operation: str, given: dict[str, Any]
) -> None:
    with pytest.raises(Exception, match="another account's"):
        getattr(client(strict, service), operation)(**given)


def test_what_only_speaks_of_another_account_passes(strict: LiveServer) -> None:
    sns, sqs, ssm = client(strict, "sns"), client(strict, "sqs"), client(strict, "ssm")
    topic = sns.create_topic(Name="t")["TopicArn"]
    sns.publish(TopicArn=topic, Message=f"arn:aws:sns:us-east-1:{B}:t")
    sns.add_permission(TopicArn=topic, Label="l", AWSAccountId=[B], ActionName=["Publish"])
    statement = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{B}:root"}, "Action": "sqs:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    queue = sqs.create_queue(QueueName="q", Attributes={"Policy": policy})["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"a": f"arn:aws:sns:us-east-1:{B}:t"}))
    ssm.put_parameter(Name="p", Type="String", Value=f"arn:aws:iam::{B}:role/r")


def test_the_data_of_each_service_may_speak_of_another_account(strict: LiveServer) -> None:
    there = f"arn:aws:sqs:us-east-1:{B}:q"
    dynamodb, kinesis, events = client(strict, "dynamodb"), client(strict, "kinesis"), client(strict, "events")
    key = {"k": {"S": there}}
    dynamodb.create_table(
        TableName="t", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
    )  # fmt: skip
    dynamodb.put_item(TableName="t", Item=key)
    assert dynamodb.batch_get_item(RequestItems={"t": {"Keys": [key]}})["Responses"]["t"] == [key]
    kinesis.create_stream(StreamName="s", ShardCount=1)
    kinesis.put_record(StreamName="s", Data=b"x", PartitionKey=there)
    events.put_events(Entries=[{"Source": "s", "DetailType": "d", "Detail": "{}", "Resources": [there]}])
    events.put_rule(Name="r", EventPattern=json.dumps({"account": [B], "resources": [there]}))
    client(strict, "ec2").describe_images(Owners=[B])
    event = json.dumps({"Records": [{"eventSourceARN": there}]})
    with pytest.raises(Exception, match="ResourceNotFoundException"):  # and not AccessDenied: there is no function
        client(strict, "lambda").invoke(FunctionName="none", Payload=event)


def test_a_request_is_what_it_was_signed_for(strict: LiveServer) -> None:
    keys = (ACCESS, SECRET)
    status, text = send(strict, keys, "POST", "/", b"{}", X__Amz__Target="TrentService.CreateKey", Content__Type=JSON)
    assert (status, b"Credential should be scoped to correct service: 'kms'." in text) == (403, True), text
    status, text = send(strict, keys, "POST", "/?x=.eu-west-1.amazonaws.com", b"{}", service="kms",
                       X__Amz__Target="TrentService.CreateKey", Content__Type=JSON,
                       User__Agent="a region/eu-west-1")  # fmt: skip
    assert (status, b":us-east-1:" in text) == (200, True), text
    assert client(strict, "kms", region="eu-west-1").list_keys()["Keys"] == []
