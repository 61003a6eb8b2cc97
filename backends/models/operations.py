"""Model: Create and its checks. Describe, List and Delete are derived from the declaration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.core import errors
from backends.core.operation import operation
from backends.core.resource import resource

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    "ModelPackageName": "models made from a model package",
    "InferenceSpecificationName": "models made from an inference specification",
    "AdditionalModelDataSources": "additional model data sources",
}


@operation("CreateModel")
def create_model(cx: Context, request: CreateModelInputTypeDef) -> dict[str, str]:
    """Store a model. ValidationException: no container, both forms at once, a taken name, an artifact that is none."""
    for container in containers_of(request):
        _check_container(container)
    if request.get("InferenceExecutionConfig", {}).get("Mode") == "Direct":
        raise errors.not_implemented("direct invocation of a multi-container model's containers")
    row = MODEL.insert(
        cx,
        request["ModelName"],
        {"EnableNetworkIsolation": False, **request},
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


def _check_container(container: Container) -> None:
    for member, what in LATER.items():
        if container.get(member):
            raise errors.not_implemented(what)
    if container.get("Mode") == "MultiModel":
        raise errors.not_implemented("multi-model containers")
    if "Image" not in container:
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
