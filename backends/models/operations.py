"""Model: Create and its checks. Describe, List and Delete are derived from the declaration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.core.operation import operation
from backends.core.resource import resource
from backends.jobs.model_container import RUN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_sagemaker.type_defs import (
        ContainerDefinitionOutputTypeDef,
        ContainerDefinitionTypeDef,
        CreateModelInputTypeDef,
    )

    from backends.core.context import Context

    Container = ContainerDefinitionTypeDef | ContainerDefinitionOutputTypeDef

MODEL = resource(
    "Model",
    arn_path="model",
    exists='Cannot create already existing model "{arn}".',
)
# Options of a container that nothing here honours yet; accepting them would be a pretence.
LATER = {
    "MultiModelConfig": "multi-model containers",
    "AdditionalModelDataSources": "additional model data sources",
}


@operation("CreateModel")
def create_model(cx: Context, request: CreateModelInputTypeDef) -> dict[str, str]:
    """Store a model. ValidationException: no container, both forms at once, a taken name, an artifact that is none."""
    containers = containers_of(request)
    for container in containers:
        _check_container(container)
    if request.get("InferenceExecutionConfig", {}).get("Mode") == "Direct":
        raise errors.not_implemented("direct invocation of a multi-container model's containers")
    names_package = any("ModelPackageName" in container for container in containers)
    row = MODEL.insert(
        cx,
        request["ModelName"],
        {"EnableNetworkIsolation": False, **request},
        hidden={RUN: [made for container in containers for made in _run(cx, container)]} if names_package else None,
        tag_list=request.get("Tags"),
    )
    return {"ModelArn": row.arn}


def containers_of(request: CreateModelInputTypeDef) -> Sequence[Container]:
    """Return a model's containers, in the order in which a request passes them."""
    primary, several = request.get("PrimaryContainer"), request.get("Containers")
    if primary is not None and several:
        raise errors.validation("Only one of PrimaryContainer and Containers may be given.")
    if primary is None and not several:
        raise errors.validation("At least one container definition is required: PrimaryContainer or Containers.")
    containers = [primary] if primary is not None else list(several or [])
    names = [c["ContainerHostname"] for c in containers if "ContainerHostname" in c]
    if len(set(names)) != len(names):
        raise errors.validation("ContainerHostname must be unique among the containers of a model.")
    return containers


def _run(cx: Context, container: Container) -> list[dict[str, Any]]:
    """Return the containers that are run for one of a request: itself, or those of the model package that it names.

    ValidationException for a package that is not there, is not approved, or has nothing to run. Unverified: AWS's wordings.
    """
    if "ModelPackageName" not in container:
        return [dict(container)]
    if "Image" in container:
        raise errors.validation("Only one of Image and ModelPackageName may be given for a container.")
    package = cx.call("DescribeModelPackage", {"ModelPackageName": container["ModelPackageName"]})
    status = package.get("ModelApprovalStatus", "Approved")
    if status != "Approved":
        raise errors.validation(f"Model package {package['ModelPackageArn']} is not approved: its status is {status}.")
    own = {"": package.get("InferenceSpecification", {})}
    own |= {each["Name"]: each for each in package.get("AdditionalInferenceSpecifications", ())}
    name = container.get("InferenceSpecificationName", "")
    if not own.get(name, {}).get("Containers"):
        raise errors.validation(
            f"Model package {package['ModelPackageArn']} has no inference specification {name}".rstrip() + "."
        )
    return [_of_package(each, container) for each in own[name]["Containers"]]


def _of_package(each: Mapping[str, Any], container: Container) -> dict[str, Any]:
    taken = {
        member: each[member]
        for member in ("ContainerHostname", "Image", "ModelDataUrl", "ModelDataSource")
        if member in each
    }
    return {**taken, "Environment": {**each.get("Environment", {}), **container.get("Environment", {})}}


def _check_container(container: Container) -> None:
    for member, what in LATER.items():
        if container.get(member):
            raise errors.not_implemented(what)
    if container.get("Mode") == "MultiModel":
        raise errors.not_implemented("multi-model containers")
    if "Image" not in container and "ModelPackageName" not in container:
        raise errors.validation("Either Image or ModelPackageName must be given for each container.")
    if "ModelDataUrl" in container and "ModelDataSource" in container:
        raise errors.validation("Only one of ModelDataUrl and ModelDataSource may be given for a container.")
    url = container.get("ModelDataUrl")
    if url and not url.startswith(("s3://", "https://")):
        raise errors.validation(f'Invalid S3 URI "{url}" for model data.')
    if url and not url.endswith((".tar.gz", ".tgz")):
        raise errors.validation(
            f'Model data "{url}" must be a gzip-compressed tar archive (.tar.gz); use ModelDataSource for other forms.'
        )
