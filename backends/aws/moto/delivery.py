"""What a service sends on its own into another account (S3's notifications, alarms, subscriptions): only what a policy there allows.

Within one account everything is delivered, whatever the receiver's policy says. Sources: S3 User Guide, "Granting permissions
to publish event notification messages to a destination"; SNS, SQS and Lambda developer guides on resource policies.
"""

from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING, Any

from backends.core import arn as arns
from backends.core.policy import Decision, Kind, PolicyError, Question, decide, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.aws.moto.wsgi import Answer

    SendAs = Callable[[str, dict[str, Any]], Answer]
    """Takes an account and a call as `AwsCall` holds one."""

ACTIONS = {"sqs": "sqs:SendMessage", "sns": "sns:Publish", "lambda": "lambda:InvokeFunction"}
POLICIES = {"sqs": "Policy", "sns": "", "lambda": "Policy", "kms": "Policy", "secretsmanager": "ResourcePolicy"}
"""The member of an answer that holds a resource's policy; SNS's answer is XML."""
_BARE_ACCOUNT = re.compile(r'("Principal": )"([0-9]{12})"')
"""How moto writes the account that AddPermission names, which AWS writes as a principal."""
TOPIC_POLICY = re.compile(r"<key>Policy</key>\s*<value>(.*?)</value>", re.DOTALL)


def receiver_of(detail: dict[str, Any]) -> str:
    """Return the ARN of whom a call is made to, where it can be another account's; else an empty string."""
    given = detail["parameters"]
    if "QueueUrl" in given:
        account, name = given["QueueUrl"].rsplit("/", 2)[-2:]
        return f"arn:aws:sqs:{detail['region']}:{account}:{name}"
    text = str(given.get("TopicArn") or given.get("FunctionName") or given.get("StreamARN") or "")
    return text if text.startswith("arn:") else ""


def is_foreign(sender: dict[str, str], receiver: str) -> bool:
    """Return whether a receiver is in another account than its sender."""
    named = arns.parse(receiver)
    return receiver != "" and (named is None or named.account != sender["account"])


def is_allowed(sender: dict[str, str], receiver: str, send: SendAs) -> bool:
    """Return whether the receiver's policy lets a sender (`service`, `account`, `arn`) in; not, if that cannot be known."""
    if not is_foreign(sender, receiver):
        return True
    named = arns.parse(receiver)
    if named is None or named.service not in ACTIONS:
        return False
    try:
        policy = parse(policy_of(receiver, send), Kind.RESOURCE)
    except PolicyError:
        return False
    context = {"aws:SourceArn": sender["arn"], "aws:SourceAccount": sender["account"]}
    of_account = "" if sender["service"].endswith(".amazonaws.com") else sender["account"]  # a caller, not a service
    question = Question(ACTIONS[named.service], receiver, sender["service"], of_account, context)
    return decide([policy], question) is Decision.ALLOW


def policy_of(receiver: str, send: SendAs) -> str:
    """Return the text of a resource's policy, as its owner is told it; empty where there is none, or it cannot be asked for."""
    named = arns.parse(receiver)
    if named is None or named.service not in POLICIES:
        return ""
    operation, parameters = {
        "sqs": ("GetQueueAttributes", {
            "QueueUrl": f"https://sqs.{named.region}.amazonaws.com/{named.account}/{named.resource}",
            "AttributeNames": ["Policy"],
        }),
        "sns": ("GetTopicAttributes", {"TopicArn": receiver}),
        "lambda": ("GetPolicy", {"FunctionName": ":".join(receiver.split(":")[:7])}),  # moto has one for all versions
        "kms": ("GetKeyPolicy", {"KeyId": receiver, "PolicyName": "default"}),
        "secretsmanager": ("GetResourcePolicy", {"SecretId": receiver}),
    }[named.service]  # fmt: skip
    call = {"service": named.service, "operation": operation, "region": named.region, "parameters": parameters}
    status, _, content = send(named.account, call)
    if status >= 400:
        return ""
    if named.service == "sns":
        matched = TOPIC_POLICY.search(content.decode(errors="replace"))
        return unescape(matched[1]) if matched is not None else ""
    answer = json.loads(content or b"{}")
    found_in = answer.get("Attributes") or {} if named.service == "sqs" else answer
    text = str(found_in.get(POLICIES[named.service]) or "")
    return _BARE_ACCOUNT.sub(r'\1{"AWS": "\2"}', text) if named.service == "lambda" else text
