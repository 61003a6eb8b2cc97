"""Where a package comes from: SourceUri (another package, a model, anything else) or an algorithm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors, rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context

# Unverified: what of a package is taken over into its clone.
CLONED = (
    "InferenceSpecification", "AdditionalInferenceSpecifications", "ModelMetrics", "DriftCheckBaselines", "Domain", "Task",
    "SamplePayloadUrl", "CustomerMetadataProperties", "MetadataProperties", "SkipModelValidation",
)  # fmt: skip
CONTAINER = ("ContainerHostname", "Image", "ModelDataUrl", "ModelDataSource", "Environment")


def with_source(cx: Context, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request with what its source adds. ValidationException for a source that is not there, or two of them."""
    if "SourceAlgorithmSpecification" in request:
        if "InferenceSpecification" in request:  # Unverified: AWS's wording
            raise errors.validation("Only one of InferenceSpecification and SourceAlgorithmSpecification may be given.")
        return {"InferenceSpecification": _of_algorithm(cx, request["SourceAlgorithmSpecification"]), **request}
    uri = request.get("SourceUri", "")
    kind = {"model-package": "ModelPackage", "model": "Model"}.get(uri.rpartition(":")[2].partition("/")[0])
    if not uri.startswith("arn:") or kind is None:
        return dict(request)
    row = rows.find_arn(cx, kind, uri)
    if row is None:
        raise cx.kernel.resources[kind].not_found(cx, uri)
    if kind == "ModelPackage":
        return {**{k: v for k, v in row.document.items() if k in CLONED}, **request}
    containers = row.document.get("Containers") or [row.document["PrimaryContainer"]]
    taken = [{k: v for k, v in container.items() if k in CONTAINER} for container in containers]
    return {"InferenceSpecification": {"Containers": taken}, **request}


def _of_algorithm(cx: Context, specification: Mapping[str, Any]) -> dict[str, Any]:
    """Return an algorithm's inference specification, with the model data that it was trained to."""
    (source,) = specification["SourceAlgorithms"]
    algorithm = cx.call("DescribeAlgorithm", {"AlgorithmName": source["AlgorithmName"]})
    inference: dict[str, Any] = algorithm.get("InferenceSpecification", {})
    if not inference:  # Unverified: AWS's wording
        raise errors.validation(f"The algorithm {source['AlgorithmName']} has no InferenceSpecification.")
    data = {k: v for k, v in source.items() if k in {"ModelDataUrl", "ModelDataSource", "ModelDataETag"}}
    first, *others = inference["Containers"]
    return {**inference, "Containers": [{**first, **data}, *others]}
