"""The actions of IAM, STS, Logs, and of every service that moto answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backends.aws.iam import store
from backends.core import arn as arns
from server.actions.types import AuthorizationRequest, ServiceRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context

FREE = {"GetCallerIdentity", "GetSessionToken"}
"""STS's operations that need no permission."""

IAM_KEYS = {"iam:PolicyARN": "PolicyArn", "iam:PermissionsBoundary": "PermissionsBoundary"}
PREFIXES = {
    "monitoring": "cloudwatch",
    "email": "ses",
    "aps": "aps",
    "execute-api": "execute-api",
    "resourcegroupstaggingapi": "tag",
    "tagging": "tag",
}
"""Names of services, and those they are signed by, whose actions begin otherwise."""
ROLE_MEMBERS = {"role", "rolearn", "executionrolearn", "servicerolearn", "executionrole"}
"""Members, in lower case, that hand a role to a service."""

ACTIONS = {("lambda", "Invoke"): "InvokeFunction", ("lambda", "InvokeAsync"): "InvokeFunction"}
NAMED = {
    ("sqs", "QueueName"): "{name}",
    ("dynamodb", "TableName"): "table/{name}",
    ("lambda", "FunctionName"): "function:{name}",
    ("kms", "KeyId"): "key/{name}",
    ("secretsmanager", "SecretId"): "secret:{name}",
    ("secretsmanager", "Name"): "secret:{name}",
    ("ssm", "Name"): "parameter/{name}",
    ("ecr", "repositoryName"): "repository/{name}",
    ("sns", "Name"): "{name}",
    ("states", "name"): "stateMachine:{name}",
    ("kinesis", "StreamName"): "stream/{name}",
}
"""(service, member) -> how the resource of that name is written; members that hold an ARN are taken as they are."""


def iam(cx: Context, request: ServiceRequest) -> list[AuthorizationRequest]:
    """Return `iam:<Operation>` on the entity that the request names, with its path when it is there."""
    given = request.input
    context = {key: str(given[member]) for key, member in IAM_KEYS.items() if member in given}
    resource = given.get("PolicySourceArn", "*")
    for kind in (store.ROLE, store.USER, store.GROUP, store.PROFILE):
        if kind.name_member in given:
            name = given[kind.name_member]
            entity = store.peek(cx, kind, name)
            path = given.get("Path", "/")
            resource = entity["Arn"] if entity is not None else f"arn:aws:iam::{cx.account}:{kind.arn_path}{path}{name}"
            break
    else:
        if request.operation == "CreatePolicy":
            resource = f"arn:aws:iam::{cx.account}:policy{given.get('Path', '/')}{given['PolicyName']}"
        elif "PolicyArn" in given:
            resource = given["PolicyArn"]
        elif request.operation in {"GetUser", "CreateAccessKey", "ListAccessKeys"} and ":user/" in cx.caller.arn:
            resource = cx.caller.arn
    return [AuthorizationRequest(f"iam:{request.operation}", resource, context)]


def sts(cx: Context, request: ServiceRequest) -> list[AuthorizationRequest]:
    """Return what an STS request needs; a role's trust must open it."""
    given = request.input
    if request.operation in FREE:
        return []
    if request.operation == "GetFederationToken":
        return [
            AuthorizationRequest("sts:GetFederationToken", f"arn:aws:sts::{cx.account}:federated-user/{given['Name']}")
        ]
    if request.operation != "AssumeRole":
        return [AuthorizationRequest(f"sts:{request.operation}")]
    role = arns.parse(given["RoleArn"])
    members = {
        "sts:ExternalId": "ExternalId",
        "sts:RoleSessionName": "RoleSessionName",
        "sts:SourceIdentity": "SourceIdentity",
    }
    context: dict[str, Any] = {key: given[member] for key, member in members.items() if member in given}
    if "TransitiveTagKeys" in given:
        context["sts:TransitiveTagKeys"] = given["TransitiveTagKeys"]
    owner = role.account if role is not None else ""
    made = [AuthorizationRequest("sts:AssumeRole", given["RoleArn"], context, owner, "trust")]
    if given.get("Tags"):
        made.append(AuthorizationRequest("sts:TagSession", given["RoleArn"], context, owner, "trust"))
    return made


def logs(cx: Context, request: ServiceRequest) -> list[AuthorizationRequest]:
    """Return `logs:<Operation>` on the group, or on the stream where one is named."""
    given = request.input
    named = given.get("logGroupName") or given.get("logGroupIdentifier") or given.get("resourceArn")
    if named is None:
        return [AuthorizationRequest(f"logs:{request.operation}")]
    group = named if named.startswith("arn:") else arns.make("logs", cx.region, cx.account, f"log-group:{named}")
    stream = given.get("logStreamName")
    tail = f"log-stream:{stream}" if stream is not None else "*"
    return [AuthorizationRequest(f"logs:{request.operation}", f"{group.removesuffix(':*')}:{tail}")]


def other(cx: Context, request: ServiceRequest) -> list[AuthorizationRequest]:
    """Return `<service>:<Operation>` on the resources whose ARN follows from the request."""
    prefix = PREFIXES.get(request.service, request.service)
    action = ACTIONS.get((request.service, request.operation), request.operation)
    made = [
        AuthorizationRequest(f"{prefix}:{action}", resource)
        for resource in _resources(cx, prefix, request.input) or ["*"]
    ]
    if prefix == "lambda" and action == "InvokeFunction":
        made = [replace(each, resource=_qualified(each.resource, request.input)) for each in made]
    for member, value in request.input.items():
        if member.lower() in ROLE_MEMBERS and isinstance(value, str) and ":role/" in value:
            named = arns.parse(value)
            context = {"iam:PassedToService": f"{request.service}.amazonaws.com"}
            made.append(
                AuthorizationRequest("iam:PassRole", value, context, named.account if named is not None else "")
            )
    return made


def calling(cx: Context, request: ServiceRequest) -> list[AuthorizationRequest]:
    """Return what a rule's targets or a schedule need: the operation itself, and iam:PassRole for the role of each target."""
    made = other(cx, request)
    targets = request.input.get("Targets") or [request.input.get("Target")]
    for target in targets if isinstance(targets, list) else ():
        if isinstance(target, dict) and target.get("RoleArn"):
            made += other(cx, ServiceRequest(request.service, request.operation, {"RoleArn": target["RoleArn"]}))[1:]
    return made


def _qualified(function: str, given: Mapping[str, Any]) -> str:
    """Return the ARN of what is invoked: a version or an alias where the request names one beside the function."""
    qualifier = given.get("Qualifier", "$LATEST")
    return function if qualifier == "$LATEST" or function.count(":") != 6 else f"{function}:{qualifier}"


def _resources(cx: Context, service: str, given: Any) -> list[str]:
    arns_named = []
    for member, value in given.items():
        if not isinstance(value, str):
            continue
        if value.startswith("arn:") and value.split(":")[2:3] == [service]:
            arns_named.append(value)
        elif service == "sqs" and member == "QueueUrl":
            account, _, name = value.rpartition("/")
            arns_named.append(arns.make("sqs", cx.region, account.rpartition("/")[2], name))
        elif (service, member) in NAMED and not value.startswith("arn:"):
            resource = NAMED[service, member].format(name=value.lstrip("/") if service == "ssm" else value)
            arns_named.append(arns.make(service, cx.region, cx.account, resource))
    return arns_named
