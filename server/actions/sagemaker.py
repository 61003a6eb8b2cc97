"""SageMaker's actions: `sagemaker:<Operation>` on the resource that the request names, and iam:PassRole for its roles."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.model import ListShape, MapShape, StructureShape

from api_specs import model
from backends.core import arn as arns
from server.actions.types import AuthorizationRequest, ServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from botocore.model import Shape

    from backends.core.context import Context

SERVICE = "sagemaker.amazonaws.com"
VERB = re.compile(r"^(?:[A-Z][a-z]+)")
MAKING = ("Create", "Update", "Start", "Import")
ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/")
MANY = ("List", "Search")
DEPTH = 6
ROLE_MEMBERS = ("RoleArn", "ExecutionRoleArn", "ExecutionRole", "RolePermissionsBoundary")
CONTEXT = {
    "sagemaker:InstanceTypes": ("InstanceType",),
    "sagemaker:VpcSecurityGroupIds": ("SecurityGroupIds", "SecurityGroups"),
    "sagemaker:VpcSubnets": ("Subnets", "SubnetIds"),
    "sagemaker:VolumeKmsKey": ("VolumeKmsKeyId",),
    "sagemaker:OutputKmsKey": ("KmsKeyId",),
    "sagemaker:NetworkIsolation": ("EnableNetworkIsolation",),
    "sagemaker:InterContainerTrafficEncryption": ("EnableInterContainerTrafficEncryption",),
    "sagemaker:MaxRuntimeInSeconds": ("MaxRuntimeInSeconds",),
    "sagemaker:DirectInternetAccess": ("DirectInternetAccess",),
    "sagemaker:RootAccess": ("RootAccess",),
    "sagemaker:TargetModel": ("TargetModel",),
}
"""Condition keys and the members, at any depth, that give their values."""


def authorizations(cx: Context, request: ServiceRequest) -> list[AuthorizationRequest]:
    """Return what a SageMaker request needs: the operation itself, tags for what is made, roles that are passed."""
    given, context = request.input, context_of(request.input)
    resources = list(_resources(cx, request)) or ["*"]
    made = [AuthorizationRequest(f"sagemaker:{request.operation}", resource, context) for resource in resources]
    if given.get("Tags") and request.operation.startswith("Create"):
        made.append(AuthorizationRequest("sagemaker:AddTags", resources[0], context))
    for role in roles_of(request):
        named = arns.parse(role)
        passed = {"iam:PassedToService": SERVICE, "iam:AssociatedResourceArn": resources[0]}
        made.append(AuthorizationRequest("iam:PassRole", role, passed, named.account if named is not None else ""))
    return made


def roles_of(request: ServiceRequest) -> list[str]:
    """Return the ARNs of the roles that a request hands to SageMaker."""
    if not request.operation.startswith(MAKING):
        return []
    values = (value for member in ROLE_MEMBERS for value in values_of(request.input, member))
    return sorted({value for value in values if isinstance(value, str) and ":role/" in value})


def roles_in(request: ServiceRequest) -> list[str]:
    """Return the ARNs of all roles in a request, in whatever member whose shape is that of a role's ARN."""
    shape = model.operation(request.operation, "sagemaker").input_shape
    return list(_role_arns(shape, request.input)) if shape is not None else []


def _role_arns(shape: Shape, given: Any) -> Iterator[str]:
    if isinstance(given, str):
        if ROLE.match(given):
            yield given
    elif isinstance(given, dict) and isinstance(shape, StructureShape):
        leading = _members_with_roles(shape)
        for name, value in given.items():
            if name in leading:
                yield from _role_arns(leading[name], value)
    elif isinstance(given, dict) and isinstance(shape, MapShape):
        for value in given.values():
            yield from _role_arns(shape.value, value)
    elif isinstance(given, list) and isinstance(shape, ListShape):
        for value in given:
            yield from _role_arns(shape.member, value)


@cache
def _members_with_roles(shape: StructureShape) -> Mapping[str, Shape]:
    """Return the members of a structure in which a role's ARN can stand, at any depth."""
    return {name: member for name, member in shape.members.items() if _has_roles(member, frozenset())}


def _has_roles(shape: Shape, above: frozenset[str]) -> bool:
    if shape.name in above:  # a shape that has itself as a member
        return False
    above |= {shape.name}
    if isinstance(shape, StructureShape):
        return any(_has_roles(member, above) for member in shape.members.values())
    if isinstance(shape, MapShape):
        return _has_roles(shape.value, above)
    if isinstance(shape, ListShape):
        return _has_roles(shape.member, above)
    return ":iam::" in shape.metadata.get("pattern", "")


def context_of(given: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the condition keys that a request's members set."""
    context = {}
    for key, members in CONTEXT.items():
        values = [value for member in members for value in values_of(given, member)]
        flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
        texts = [str(item).lower() if isinstance(item, bool) else str(item) for item in flat]
        if texts:
            context[key] = texts
    return context


def values_of(given: Any, member: str, depth: int = DEPTH) -> Iterator[Any]:
    """Yield the values of a member wherever it stands in a request."""
    if isinstance(given, list) and depth:
        for item in given:
            yield from values_of(item, member, depth - 1)
    elif isinstance(given, dict) and depth:
        for name, value in given.items():
            if name == member:
                yield value
            else:
                yield from values_of(value, member, depth - 1)


def _resources(cx: Context, request: ServiceRequest) -> Iterator[str]:
    """Yield the ARNs of what a request acts on: of the nouns that its operation declares, or the one in its name."""
    if isinstance(request.input.get("ResourceArn"), str):
        yield request.input["ResourceArn"]
    elif not request.operation.startswith(MANY):
        operation = cx.kernel.operations.get((request.service, request.operation))
        nouns = operation.acts_on if operation is not None else ()
        for noun in nouns or (VERB.sub("", request.operation, count=1),):
            if arn := _arn(cx, noun, request.input):
                yield arn


def _arn(cx: Context, noun: str, given: Mapping[str, Any]) -> str:
    """Return the ARN of the resource of a noun that a request names; empty where it does not name one whole.

    Where an operation says a member in the place of a noun, it is that member's ARN.
    """
    declared = cx.kernel.resources.get(noun)
    required = model.key_members(noun) if declared is not None else ()
    members = declared.key_members if declared is not None else (f"{noun}Name",)
    for name in (noun, declared.arn_member if declared is not None else "", *members, *required):
        if str(given.get(name, "")).startswith("arn:"):
            return str(given[name])
    parts = [next((str(given[name]) for name in member.split("|") if name in given), "") for member in members]
    if not all(parts) and len(required) == 1:  # a model package by its name
        parts = [str(given.get(required[0], ""))]
    if not all(parts):
        return ""
    if declared is not None:
        return declared.arn_of(cx, "/".join(parts))
    path = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", noun).lower()
    return arns.make("sagemaker", cx.region, cx.account, f"{path}/{parts[0].lower()}")


def done_with_the_role(request: ServiceRequest) -> Iterator[AuthorizationRequest]:
    """Yield what SageMaker itself does with the role of a job: read its inputs, write its outputs, log.

    Source: developer guide, "How to use SageMaker AI execution roles", the permissions of CreateTrainingJob and
    CreateModel. Nothing of this passes the gateway here, and the least policy of a run needs it on AWS.
    """
    if not request.operation.startswith("Create"):
        return
    for inward, uri in _uris(request.input, inward=True):
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        yield AuthorizationRequest("s3:GetObject" if inward else "s3:PutObject", f"arn:aws:s3:::{bucket}/{key}*")
        if inward:
            yield AuthorizationRequest("s3:ListBucket", f"arn:aws:s3:::{bucket}")
    for action in ("CreateLogGroup", "CreateLogStream", "DescribeLogStreams", "PutLogEvents"):
        yield AuthorizationRequest(f"logs:{action}", "arn:aws:logs:*:*:log-group:/aws/sagemaker/*")
    yield AuthorizationRequest("cloudwatch:PutMetricData")
    for action in ("GetAuthorizationToken", "BatchCheckLayerAvailability", "GetDownloadUrlForLayer", "BatchGetImage"):
        yield AuthorizationRequest(f"ecr:{action}")


def _uris(given: Any, *, inward: bool) -> Iterator[tuple[bool, str]]:
    """Yield the S3 URIs of a request, and whether they are read; what stands under Output or Checkpoint is written."""
    if isinstance(given, str) and given.startswith("s3://"):
        yield inward, given
    elif isinstance(given, list):
        for item in given:
            yield from _uris(item, inward=inward)
    elif isinstance(given, dict):
        for name, value in given.items():
            written = name.startswith(("Output", "Checkpoint", "S3Output", "TensorBoard", "Destination"))
            yield from _uris(value, inward=inward and not written)
            if name.startswith("Checkpoint"):
                yield from _uris(value, inward=True)
