"""The smallest request of an operation that the model finds good: required members only, each the first value that fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api_specs import validate

if TYPE_CHECKING:
    from botocore.model import Shape

ARN = "arn:aws:sagemaker:us-east-1:111122223333:"
TEXTS = (
    "a",
    "aa",
    "abcdefghijkl",
    "1",
    "1.0.0",
    "a" * 32,
    "a" * 36,
    "arn:aws:iam::111122223333:role/role",
    f"{ARN}model/a",
    "s3://bucket/prefix",
    "https://host/a",
    "http://host/a",
    "d-abcdefghijkl",
    "a@example.com",
    "arn:aws:sagemaker:us-east-1:aws:hub-content/SageMakerPublicHub/Model/a/1.0.0",
    "arn:aws:sagemaker:us-east-1:aws:hub-content/SageMakerPublicHub/Model/a",
    "2024-01-01T00:00:00Z",
    "i-0123456789abcdef0",
    "01234567-0123-0123-0123-0123456789ab",
    f"{ARN}action/a",
    f"{ARN}endpoint/a",
    f"{ARN}partner-app/app-ABCDEFGHIJKL",
    f"{ARN}extension/eks-a/a/a",
    f"{ARN}model-card/a/export-job/a",
    f"{ARN}pipeline/a/execution/abcdefghijkl",
    f"{ARN}job/a/a",
    "arn:aws:sagemaker-geospatial:us-east-1:111122223333:earth-observation-job/abcdefghijkl",
    "arn:aws:sagemaker-geospatial:us-east-1:111122223333:vector-enrichment-job/abcdefghijkl",
    "arn:aws:sagemaker-geospatial:us-east-1:111122223333:raster-data-collection/public/abcdefghijkl",
)
"""Tried in this order; an ARN of a noun comes from its pattern."""


def sample(shape: Shape) -> Any:
    """Return the smallest good value of a shape. LookupError for a pattern that none of TEXTS fits."""
    least = shape.metadata.get("min", 0)
    match shape.type_name:
        case "structure":
            members = shape.required_members or (list(shape.members)[:1] if shape.is_tagged_union else [])
            value: Any = {member: sample(shape.members[member]) for member in members}
        case "list":
            value = [sample(shape.member) for _ in range(least)]
        case "map":
            value = {sample(shape.key): sample(shape.value)} if least else {}
        case "string":
            value = _text(shape)
        case kind:
            value = {"boolean": True, "blob": b"x" * max(1, least), "timestamp": 1_700_000_000}.get(kind, max(1, least))
    return value


def _text(shape: Shape) -> str:
    if shape.enum:
        return str(shape.enum[0])
    pattern = shape.metadata.get("pattern", "")
    noun = pattern.rpartition(":")[2].partition("/")[0]
    arn = f"{ARN}{noun.strip('^$')}/abcdefghijkl"
    for text in (*TEXTS, arn, "a" * shape.metadata.get("min", 1)):
        if not validate.violations(shape, text):
            return text
    raise LookupError(f"{shape.name} has the pattern {pattern}: add a text that fits")
