"""The definition of a pipeline: where it comes from, and whether it is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from backends.core import errors
from backends.core.objects import role_access
from backends.pipelines import checks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context

LONGEST = 1_048_576
"""Characters (API reference of CreatePipeline)."""


def text_of(cx: Context, request: Mapping[str, Any], role_arn: str) -> str:
    """Return the definition that a request gives or names, checked; empty where it has none. ValidationException for a bad one."""
    if "PipelineDefinition" in request and "PipelineDefinitionS3Location" in request:  # Unverified: AWS's wording
        raise errors.validation("Only one of PipelineDefinition and PipelineDefinitionS3Location may be given.")
    text = request.get("PipelineDefinition", "")
    if "PipelineDefinitionS3Location" in request:
        text = _stored(cx, request["PipelineDefinitionS3Location"], role_arn)
    if text:
        check(text)
    return str(text)


def check(text: str) -> None:
    """Raise ValidationException for what is no definition: no JSON, or what `checks.py` finds wrong with it."""
    try:
        document = orjson.loads(text)
    except ValueError as error:
        raise errors.validation(f"Unable to parse pipeline definition. {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("Steps"), list):
        raise errors.validation("Unable to parse pipeline definition. Expecting start of Json Array.")
    wrong = next(checks.problems(document), "")
    if wrong:  # Unverified: AWS's wording
        raise errors.validation(f"Unable to parse pipeline definition. {wrong}.")


def _stored(cx: Context, location: Mapping[str, Any], role_arn: str) -> str:
    """Read a definition from S3, as the pipeline's role."""
    bucket, key = location["Bucket"], location["ObjectKey"]
    uri, there = f"s3://{bucket}/{key}", role_access.as_role(cx, role_arn)
    role_access.check(there, bucket, "s3:GetObject", key)
    stored = cx.objects.version(cx, bucket, key, location.get("VersionId"))
    if stored is None or stored.size > LONGEST:  # Unverified: AWS's wording
        raise errors.validation(f"No pipeline definition of at most {LONGEST} bytes at {uri}.")
    try:
        return cx.objects.read_bytes(stored).decode()
    except UnicodeDecodeError as error:
        raise errors.validation(f"Unable to parse pipeline definition. {uri} is not UTF-8.") from error
