"""What another account's resource policy opens of what moto holds: queues, topics, keys, secrets and functions.

A request that names one resource of another account, and nothing else of anybody's, is judged by that resource's policy, and
done as its owner's. All else that names another account is refused. Sources: the developer guides of SQS ("Limitations of
cross-account permissions"), SNS, KMS ("Allowing users in other accounts to use a KMS key") and Secrets Manager (2026-11).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from backends.core import arn as arns
from backends.core import errors
from backends.core import policy as policies
from backends.core.policy import Kind, PolicyError, Question
from backends.core.policy.principals import role_of
from server import denial, other_accounts
from server.actions import read
from server.route import FORM

if TYPE_CHECKING:
    from backends.core.arn import Arn
    from backends.core.kernel import Kernel
    from server.actions import ServiceRequest
    from server.identify import Identity
    from server.types import HttpRequest

OPENED = {
    "sqs": {
        "SendMessage", "SendMessageBatch", "ReceiveMessage", "DeleteMessage", "DeleteMessageBatch", "ChangeMessageVisibility",
        "ChangeMessageVisibilityBatch", "GetQueueAttributes", "GetQueueUrl", "PurgeQueue",
    },
    "sns": {
        "Publish", "PublishBatch", "GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission",
        "DeleteTopic", "ListSubscriptionsByTopic",
    },
    "kms": {
        "Encrypt", "Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "DescribeKey", "GetPublicKey", "Sign",
        "Verify", "GenerateMac", "VerifyMac",
    },
    "secretsmanager": {"GetSecretValue", "DescribeSecret", "ListSecretVersionIds", "PutSecretValue"},
    "lambda": {"Invoke", "GetFunction", "GetFunctionConfiguration"},
}  # fmt: skip
"""Operations on one resource that is named. SNS's Subscribe is not among them: it leads on to a receiver."""
MEMBERS = {"sns": "TopicArn", "kms": "KeyId", "secretsmanager": "SecretId", "lambda": "FunctionName"}
FUNCTIONS = "/2015-03-31/functions/"
TAILS = {"Invoke": "/invocations", "GetFunction": "", "GetFunctionConfiguration": "/configuration"}
NEVER = {"TargetArn", "PhoneNumber", "GrantTokens"}
"""Members that lead elsewhere than to the resource."""
ACTIONS = {
    "SendMessageBatch": "SendMessage", "DeleteMessageBatch": "DeleteMessage", "PublishBatch": "Publish",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility", "Invoke": "InvokeFunction",
}  # fmt: skip
ALL = policies.parse('{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}')


async def account_of(kernel: Kernel, request: HttpRequest, identity: Identity, *, lenient: bool) -> str:
    """Return the account in which a request is to be done: the caller's, or that of the one resource that lets it in.

    Raises AccessDenied (as the service calls it) for all else that leads into another account.
    """
    foreign = list(other_accounts.named(request, identity, lenient=lenient))
    if not foreign:
        return identity.account
    requested = read.read(identity.signing_name, request)
    target = _target(requested, request, identity)
    if target is None or not all(_is_target(name, text, target) for name, text in foreign):
        raise other_accounts.denied(foreign[0][1], denial.code(identity.signing_name, request))
    await _judge(kernel, request, identity, requested, target)
    return target.account


def _target(requested: ServiceRequest, request: HttpRequest, identity: Identity) -> Arn | None:
    """Return the one resource that a request is about, where its service's policies can open it; None else."""
    given, service = requested.input, identity.signing_name
    if requested.operation not in OPENED.get(service, ()) or NEVER & given.keys():
        return None
    if not (_is_plain_path(request, requested) if service == "lambda" else _is_plain(request)):
        return None
    text: Any = _queue_arn(given, identity.region) if service == "sqs" else given.get(MEMBERS[service])
    named = arns.parse(text) if isinstance(text, str) else None
    if named is None or (named.service, named.region) != (service, identity.region):
        return None
    if service == "kms" and not (named.resource.startswith("key/") and _is_of_key(given, named.resource[4:])):
        return None
    return named


def _is_plain(request: HttpRequest) -> bool:
    """Return whether a request can be read in one way only: no query, no member twice, no path but a queue's."""
    if request.query_string or not (request.path in {"", "/"} or request.path.count("/") == 2):
        return False
    if request.headers.get("content-type", "").startswith(FORM):
        names = [name for name, _ in parse_qsl(request.body.decode("latin-1"), keep_blank_values=True)]
        return len(names) == len(set(names))
    return "x-amz-target" in request.headers and request.path in {"", "/"}


def _is_plain_path(request: HttpRequest, requested: ServiceRequest) -> bool:
    """Return whether a function is named by its ARN, whole and without a version, in the path and nowhere else."""
    name = str(requested.input.get("FunctionName", ""))
    path = unquote(request.raw_path.decode("latin-1"))
    is_whole = name.count(":") == 6 and "%" not in name and "/" not in name
    return (
        is_whole
        and path == f"{FUNCTIONS}{name}{TAILS[requested.operation]}"
        and not request.query_string
        and "x-amz-target" not in request.headers
        and not request.headers.get("content-type", "").startswith(FORM)
    )


def _queue_arn(given: Any, region: str) -> str:
    """Write the ARN of the queue that is meant by its URL, or by its name and owner; empty where it is neither."""
    if "QueueUrl" in given:
        parts = urlsplit(str(given["QueueUrl"])).path.split("/")
        return arns.make("sqs", region, parts[1], parts[2]) if len(parts) == 3 else ""
    owner, name = given.get("QueueOwnerAWSAccountId"), given.get("QueueName")
    return arns.make("sqs", region, owner, name) if isinstance(owner, str) and isinstance(name, str) else ""


def _is_of_key(given: Any, key: str) -> bool:
    """Return whether a ciphertext, where there is one, is of the key that is named: moto decrypts with whichever it is of."""
    if "CiphertextBlob" not in given:
        return True
    try:
        return base64.b64decode(str(given["CiphertextBlob"]), validate=True).startswith(key.encode())
    except (binascii.Error, ValueError):
        return False


def _is_target(name: str, text: str, target: Arn) -> bool:
    if text == str(target):
        return True
    if target.service == "lambda":
        return name == "path"  # which was looked at whole
    if target.service != "sqs":
        return False
    if name == "queueurl":
        return urlsplit(text).path.rstrip("/") == f"/{target.account}/{target.resource}"
    return text == target.account


async def _judge(
    kernel: Kernel, request: HttpRequest, identity: Identity, requested: ServiceRequest, target: Arn
) -> None:
    """Raise AccessDenied unless the resource's own policy lets the caller in; what the caller's own says is judged before."""
    from backends.aws.moto import adapter

    code = denial.code(identity.signing_name, request)
    text = await asyncio.wrap_future(adapter.resource_policy(kernel, str(target)))
    try:
        policy = policies.parse(text, Kind.RESOURCE)
    except PolicyError:  # none, or one that says nothing that is known
        raise other_accounts.denied(str(target), code) from None
    principal = identity.caller.arn or f"arn:aws:iam::{identity.account}:root"
    context = {
        "aws:CurrentTime": datetime.fromtimestamp(kernel.clocks.now(identity.account), UTC).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        ),
        "aws:PrincipalAccount": identity.account,
        "aws:PrincipalArn": role_of(principal) or principal,
        "aws:RequestedRegion": identity.region,
    }
    action = f"{target.service}:{ACTIONS.get(requested.operation, requested.operation)}"
    question = Question(action, str(target), principal, identity.account, context)
    verdict = policies.evaluate(question, identity=[ALL], resource=[policy], owner=target.account)
    if not verdict.allowed:
        raise errors.AwsError(code, verdict.sentence(question), status=403)
