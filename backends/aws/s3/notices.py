"""What S3 tells others about an object: which configuration wants to hear of it, and the JSON that each receiver gets.

Source: S3 User Guide, "Event message structure" and "EventBridge event message structure". Unverified: S3 now numbers
its records from 2.4 on; these are 2.1 and, for lifecycle and tags, 2.3, which later ones are compatible with.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from backends.aws.s3 import access

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backends.core.events import Event
    from backends.core.objects import Bucket

SETTING = "NotificationConfiguration"
KINDS = {
    "QueueConfigurations": ("QueueArn", "sqs"),
    "TopicConfigurations": ("TopicArn", "sns"),
    "LambdaFunctionConfigurations": ("LambdaFunctionArn", "lambda"),
}
BRIDGE = "EventBridgeConfiguration"
REASONS = {
    "Put": "PutObject", "Post": "POST Object", "Copy": "CopyObject",
    "CompleteMultipartUpload": "CompleteMultipartUpload",
}  # fmt: skip


def wanted(bucket: Bucket, event: Event) -> Iterator[tuple[str, str, str]]:
    """Yield (service, destination ARN, message) for everybody that a bucket's configuration wants to tell of an event."""
    document = bucket.settings.get(SETTING, {})
    for kind, (arn, service) in KINDS.items():
        for entry in document.get(kind, []):
            if matches(entry["Events"], event.new) and fits(entry, event.detail["key"]):
                yield service, entry[arn], json.dumps({"Records": [_record(bucket, event, entry["Id"])]})
    if BRIDGE in document:
        yield "events", "", json.dumps(_bridge_entry(bucket, event))


def matches(events: list[str], what: str) -> bool:
    """Return whether a list of events (`s3:ObjectCreated:*`) has this one (`ObjectCreated:Put`)."""
    return f"s3:{what}" in events or f"s3:{what.partition(':')[0]}:*" in events


def filters(configuration: dict[str, Any]) -> tuple[str, str]:
    """Return a configuration's prefix and suffix."""
    rules = configuration.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    by_name = {rule["Name"].lower(): rule.get("Value", "") for rule in rules}
    return by_name.get("prefix", ""), by_name.get("suffix", "")


def fits(configuration: dict[str, Any], key: str) -> bool:
    """Return whether a key passes a configuration's filter."""
    prefix, suffix = filters(configuration)
    return key.startswith(prefix) and key.endswith(suffix)


def test_message(bucket: str, request_id: str) -> str:
    """Return what a queue or a topic is sent when it is configured."""
    return json.dumps({
        "Service": "Amazon S3", "Event": "s3:TestEvent", "Time": iso(datetime.now(UTC).timestamp()), "Bucket": bucket,
        "RequestId": request_id, "HostId": request_id,
    })  # fmt: skip


def queue_url(arn: str) -> str:
    """Return the URL of a queue."""
    _, _, _, region, account, name = arn.split(":", 5)
    return f"https://sqs.{region}.amazonaws.com/{account}/{name}"


def call(service: str, to: str, message: str) -> dict[str, Any]:
    """Return the call that hands a message over, as an `AwsCall` event holds it."""
    if service == "sqs":
        return {"operation": "SendMessage", "parameters": {"QueueUrl": queue_url(to), "MessageBody": message}}
    if service == "sns":
        given = {"TopicArn": to, "Message": message, "Subject": "Amazon S3 Notification"}
        return {"operation": "Publish", "parameters": given}
    invoked = {"FunctionName": to, "InvocationType": "Event"}
    return {
        "operation": "Invoke",
        "parameters": invoked,
        "blobs": {"Payload": base64.b64encode(message.encode()).decode()},
    }


def iso(moment: float) -> str:
    """Write a time as S3's records do, to the millisecond."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _record(bucket: Bucket, event: Event, configuration_id: str) -> dict[str, Any]:
    told = event.detail
    item: dict[str, Any] = {"key": quote_plus(told["key"], safe="/")}
    if event.new.startswith(("ObjectCreated", "ObjectTagging")):
        item |= {"size": told["size"], "eTag": told["etag"]}
    if told["version"] is not None:
        item["versionId"] = told["version"]
    item["sequencer"] = told["sequencer"]
    late = event.new.startswith(("LifecycleExpiration", "ObjectTagging"))
    return {
        "eventVersion": "2.3" if late else "2.1",
        "eventSource": "aws:s3",
        "awsRegion": bucket.region,
        "eventTime": iso(event.time),
        "eventName": event.new,
        "userIdentity": {"principalId": f"AWS:{event.account}"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": told["request"], "x-amz-id-2": told["request"]},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration_id,
            "bucket": {
                "name": bucket.name,
                "ownerIdentity": {"principalId": access.owner(bucket.account)["ID"]},
                "arn": f"arn:aws:s3:::{bucket.name}",
            },
            "object": item,
        },
    }


def _bridge_entry(bucket: Bucket, event: Event) -> dict[str, Any]:
    """Return an entry for PutEvents, which adds id, account and region."""
    told, (what, _, how) = event.detail, event.new.partition(":")
    item: dict[str, Any] = {"key": told["key"]}
    if what in {"ObjectCreated", "ObjectTagging"}:
        item |= {"size": told["size"], "etag": told["etag"]}
    if told["version"] is not None:
        item["version-id"] = told["version"]
    item["sequencer"] = told["sequencer"]
    detail = {
        "version": "0", "bucket": {"name": bucket.name}, "object": item, "request-id": told["request"],
        "requester": event.account, "source-ip-address": "127.0.0.1",
    }  # fmt: skip
    kind = "Object Created"
    if what == "ObjectTagging":
        kind = "Object Tags Added" if how == "Put" else "Object Tags Deleted"
    elif what in {"ObjectRemoved", "LifecycleExpiration"}:
        kind = "Object Deleted"
        detail["deletion-type"] = "Permanently Deleted" if how == "Delete" else "Delete Marker Created"
        detail["reason"] = "DeleteObject" if what == "ObjectRemoved" else "Lifecycle Expiration"
    else:
        detail["reason"] = REASONS[how]
    return {
        "Source": "aws.s3", "DetailType": kind, "Detail": json.dumps(detail), "Time": event.time,
        "Resources": [f"arn:aws:s3:::{bucket.name}"],
    }  # fmt: skip
