"""What moto answers stays within the caller's account, service and region, however a request names another."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest
from botocore.exceptions import ClientError

from tests.server.test_authentication import ACCESS, ACCOUNT, SECRET, client, strict
from tests.server.test_bypasses import JSON, send

if TYPE_CHECKING:
    from collections.abc import Callable

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


def policy(*actions: str, principal: str = ACCOUNT) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def denied(call: Callable[[], Any], code: str) -> None:
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code, caught.value
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_queues_policy_opens_what_it_says(strict: LiveServer) -> None:
    ours, theirs = client(strict, "sqs"), client(strict, "sqs", B, "another")
    opened = theirs.create_queue(
        QueueName="opened", Attributes={"Policy": policy("sqs:SendMessage", "sqs:GetQueueUrl")}
    )
    closed = theirs.create_queue(QueueName="closed")["QueueUrl"]
    url = ours.get_queue_url(QueueName="opened", QueueOwnerAWSAccountId=B)["QueueUrl"]
    assert url == opened["QueueUrl"]
    ours.send_message(QueueUrl=url, MessageBody="let in")
    denied(lambda: ours.receive_message(QueueUrl=url), "AccessDeniedException")
    denied(lambda: ours.send_message(QueueUrl=closed, MessageBody="no"), "AccessDeniedException")
    denied(
        lambda: ours.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy("sqs:*")}), "AccessDeniedException"
    )
    theirs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy("sqs:*", principal="999999999999")})
    denied(lambda: ours.send_message(QueueUrl=url, MessageBody="no"), "AccessDeniedException")
    assert [message["Body"] for message in theirs.receive_message(QueueUrl=url)["Messages"]] == ["let in"]
    assert "Messages" not in theirs.receive_message(QueueUrl=closed)


@pytest.mark.parametrize("trick", ["path", "query", "twice"])
def test_a_policy_of_one_queue_opens_no_other(strict: LiveServer, trick: str) -> None:
    theirs = client(strict, "sqs", B, "another")
    url = theirs.create_queue(QueueName="opened-too", Attributes={"Policy": policy("sqs:*")})["QueueUrl"]
    hidden = theirs.create_queue(QueueName="hidden")["QueueUrl"]
    path = {"path": f"/{B}/hidden", "query": f"/?QueueUrl={quote(hidden)}", "twice": "/"}[trick]
    form = urlencode([("Action", "SendMessage"), ("QueueUrl", url), ("MessageBody", "m")])
    if trick == "twice":
        form = f"QueueUrl={quote(hidden)}&{form}"
    status, text = send(
        strict, (ACCESS, SECRET), "POST", path, form.encode(), service="sqs",
        Content__Type="application/x-www-form-urlencoded",
    )  # fmt: skip
    assert status in {400, 403}, text
    assert "Messages" not in theirs.receive_message(QueueUrl=hidden)


def test_a_topics_policy_opens_what_it_says(strict: LiveServer) -> None:
    ours, theirs = client(strict, "sns"), client(strict, "sns", B, "another")
    topic = theirs.create_topic(Name="opened")["TopicArn"]
    denied(lambda: ours.publish(TopicArn=topic, Message="m"), "AuthorizationError")
    theirs.add_permission(TopicArn=topic, Label="l", AWSAccountId=[ACCOUNT], ActionName=["Publish"])
    ours.publish(TopicArn=topic, Message="m")
    ours.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[{"Id": "1", "Message": "m"}])
    denied(lambda: ours.delete_topic(TopicArn=topic), "AuthorizationError")
    other = theirs.create_topic(Name="closed")["TopicArn"]
    denied(lambda: ours.publish(TopicArn=topic, TargetArn=other, Message="m"), "AuthorizationError")
    denied(lambda: ours.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@b.c"), "AuthorizationError")


def test_a_keys_policy_opens_what_it_says(strict: LiveServer) -> None:
    ours, theirs = client(strict, "kms"), client(strict, "kms", B, "another")
    opened = json.loads(policy("kms:Encrypt", "kms:Decrypt"))
    owner = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{B}:root"}, "Action": "kms:*", "Resource": "*"}
    opened["Statement"].append(owner)
    key, closed = (theirs.create_key(**given)["KeyMetadata"]["Arn"] for given in ({"Policy": json.dumps(opened)}, {}))
    sealed = ours.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    assert ours.decrypt(KeyId=key, CiphertextBlob=sealed)["Plaintext"] == b"secret"
    denied(lambda: ours.describe_key(KeyId=key), "AccessDeniedException")
    denied(lambda: ours.encrypt(KeyId=closed, Plaintext=b"x"), "AccessDeniedException")
    of_closed = theirs.encrypt(KeyId=closed, Plaintext=b"theirs")["CiphertextBlob"]
    denied(lambda: ours.decrypt(KeyId=key, CiphertextBlob=of_closed), "AccessDeniedException")
    denied(lambda: ours.decrypt(KeyId=closed, CiphertextBlob=of_closed), "AccessDeniedException")


def test_a_secrets_policy_opens_what_it_says(strict: LiveServer) -> None:
    ours, theirs = client(strict, "secretsmanager"), client(strict, "secretsmanager", B, "another")
    arn = theirs.create_secret(Name="opened", SecretString="s")["ARN"]
    denied(lambda: ours.get_secret_value(SecretId=arn), "AccessDeniedException")
    theirs.put_resource_policy(SecretId=arn, ResourcePolicy=policy("secretsmanager:GetSecretValue"))
    assert ours.get_secret_value(SecretId=arn)["SecretString"] == "s"
    denied(lambda: ours.put_secret_value(SecretId=arn, SecretString="mine"), "AccessDeniedException")
    denied(lambda: ours.delete_secret(SecretId=arn), "AccessDeniedException")


def test_a_functions_policy_opens_what_it_says(strict: LiveServer) -> None:
    ours, theirs = client(strict, "lambda"), client(strict, "lambda", B, "another")
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as packed:
        packed.writestr("f.py", "def handler(event, context):\n    return 1\n")
    for name in ("opened", "shut"):
        theirs.create_function(
            FunctionName=name, Runtime="python3.12", Handler="f.handler", Code={"ZipFile": code.getvalue()},
            Role=f"arn:aws:iam::{B}:role/SageMakerExecutionRole",
        )  # fmt: skip
    opened, shut = (f"arn:aws:lambda:us-east-1:{B}:function:{name}" for name in ("opened", "shut"))
    denied(lambda: ours.get_function_configuration(FunctionName=opened), "AccessDeniedException")
    for action in ("GetFunctionConfiguration", "GetFunction"):
        theirs.add_permission(
            FunctionName="opened", StatementId=action, Action=f"lambda:{action}", Principal=ACCOUNT
        )  # fmt: skip
    assert ours.get_function_configuration(FunctionName=opened)["FunctionArn"] == opened
    assert ours.get_function(FunctionName=opened)["Configuration"]["FunctionName"] == "opened"
    denied(lambda: ours.invoke(FunctionName=opened), "AccessDeniedException")
    theirs.add_permission(FunctionName="opened", StatementId="i", Action="lambda:InvokeFunction", Principal=ACCOUNT)
    assert ours.invoke(FunctionName=opened)["Payload"].read() == b"1"
    denied(lambda: ours.get_function(FunctionName=opened, Qualifier="1"), "AccessDeniedException")
    denied(lambda: ours.delete_function(FunctionName=opened), "AccessDeniedException")
    denied(lambda: ours.get_function(FunctionName=shut), "AccessDeniedException")
