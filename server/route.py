"""Which service a request is for: by target header, signing name, host and path.

The SageMaker runtime services share the signing name `sagemaker` with the control plane; a request without a target is
told apart by its path. S3 is reached in path style and in virtual-host style. What is not ours goes to moto.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from api_specs import model
from backends.core import errors
from server.authentication import credentials
from server.listener import hosts
from server.protocol import name_of, query, rest_route, rpc_v2_cbor

if TYPE_CHECKING:
    from botocore.model import OperationModel

    from server.identify import Identity
    from server.types import HttpRequest

OWN = (
    "sagemaker",
    *model.SAGEMAKER_SERVICES[1:],
    "s3",
    "sts",
    "iam",
    "logs",
    "cloudwatch",
    "ecr",
    "resourcegroupstaggingapi",
    "events",
    "scheduler",
    "lambda",
)
"""Services with handlers here, in the order in which paths are tried."""

SHARED_WITH_MOTO = frozenset({"iam", "sts", "resourcegroupstaggingapi", "lambda"})
"""Services of which we have the operations that SageMaker's clients insist on; moto answers the others."""

RUNTIME_SERVICES = tuple(name for name in model.SAGEMAKER_SERVICES if name != "sagemaker")
SIGNING_NAMES = {
    "sagemaker-geospatial": "sagemaker-geospatial",
    "s3": "s3",
    "sts": "sts",
    "iam": "iam",
    "logs": "logs",
    "monitoring": "cloudwatch",
    "ecr": "ecr",
    "tagging": "resourcegroupstaggingapi",
    "events": "events",
    "scheduler": "scheduler",
    "lambda": "lambda",
}
TARGETS = {
    "SageMaker": "sagemaker",
    "Logs_20140328": "logs",
    "GraniteServiceVersion20100801": "cloudwatch",
    "AmazonEC2ContainerRegistry_V20150921": "ecr",
    "ResourceGroupsTaggingAPI_20170126": "resourcegroupstaggingapi",
    "AWSEvents": "events",
}
OTHER = ""
FORM = "application/x-www-form-urlencoded"
FORM_WITH_FILE = "multipart/form-data"


def service_of(request: HttpRequest, identity: Identity) -> str:
    """Name the service by botocore's name; empty when it is one that moto answers."""
    target = request.headers.get("x-amz-target")
    if target is not None and identity.signing_name != "s3":  # S3 has none, and does not look at it
        return TARGETS.get(target.partition(".")[0], OTHER)
    if rpc_v2_cbor.HEADER[0] in request.headers:
        return TARGETS.get(rpc_v2_cbor.target(request.path), OTHER)
    name = identity.signing_name
    if name == "sagemaker":
        return _runtime_service(request)
    if name:
        return SIGNING_NAMES.get(name, OTHER)
    return _unsigned(request)


def _runtime_service(request: HttpRequest) -> str:
    for service in RUNTIME_SERVICES:
        request.matched = rest_route.matcher(model.load_service(service)).match(request)
        if request.matched is not None:
            return service
    return "sagemaker"


def is_runtime(request: HttpRequest) -> bool:
    """Return whether a path is one of the runtime services'."""
    return any(
        rest_route.matcher(model.load_service(service)).match(request) is not None for service in RUNTIME_SERVICES
    )


def _unsigned(request: HttpRequest) -> str:
    host = hosts.aws_host(request.host)
    if host is not None:
        return host.service if host.service in OWN else OTHER
    if request.method == "POST" and request.headers.get("content-type", "").startswith(FORM):
        return _query_service(request.body)
    return "s3"


@cache
def _query_service_actions() -> dict[bytes, str]:
    return {
        f"Action={name}".encode(): service
        for service in ("cloudwatch", "sts", "iam")
        for name in model.operations(service)
    }


def _query_service(body: bytes) -> str:
    for field in body.split(b"&"):
        if field.startswith(b"Action="):
            return _query_service_actions().get(field, OTHER)
    return OTHER


def operation_of(service: str, request: HttpRequest) -> OperationModel:
    """Find the operation: by target, by Action, or by method and path. UnknownOperationException when there is none."""
    protocol = name_of(model.load_service(service), request)
    if protocol == "json":
        name = request.headers.get("x-amz-target", "").partition(".")[2]
    elif protocol == "query":
        name = query.form(request).get("Action", "")
    elif protocol == "smithy-rpc-v2-cbor":
        name = rpc_v2_cbor.operation_name(request.path)
    else:
        if request.matched is None:
            request.matched = rest_route.matcher(model.load_service(service)).match(request)
        if request.matched is not None:
            return request.matched[0]
        if service == "s3":
            raise errors.AwsError(
                "MethodNotAllowed", "The specified method is not allowed against this resource.", status=405
            )
        name = ""
    if not model.has_operation(name, service):
        code = "InvalidAction" if protocol == "query" else "UnknownOperationException"
        raise errors.AwsError(code, f"The requested operation {name!r} is not recognized by the service.")
    return model.operation(name, service)


def is_upload(request: HttpRequest) -> bool:
    """Return whether a request is a form with a file, which only S3 takes."""
    return request.method == "POST" and request.headers.get("content-type", "").startswith(FORM_WITH_FILE)


def spoken_like(request: HttpRequest) -> str:
    """Return a service of ours that speaks as the asked one does, for errors before the service is known or of moto's."""
    if credentials.of(request).signing_name == "s3":
        return "s3"
    if rpc_v2_cbor.HEADER[0] in request.headers:
        return "cloudwatch"
    return "iam" if request.headers.get("content-type", "").startswith(FORM) else "sagemaker"


def virtual_host(request: HttpRequest) -> None:
    """Rewrite `Host: bucket.s3...` to path style, which is all that the S3 routes know."""
    bucket = hosts.bucket_of(request.host)
    if bucket:
        request.path = f"/{bucket}{request.path}"
        request.raw_path = f"/{bucket}".encode() + request.raw_path
