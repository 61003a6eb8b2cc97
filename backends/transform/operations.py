"""TransformJob's declaration, and Create, which checks what the model cannot; Describe, List and Stop are derived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.core.objects import parse_uri
from backends.core.operation import operation
from backends.core.resource import resource
from backends.jobs import artifacts
from backends.jobs.states import JOB_STATES, NAME_TAKEN
from backends.transform.document import DEFAULT_PAYLOAD_MB, MOST_MB, with_defaults
from backends.transform.jsonpath import JsonPathError
from backends.transform.processing import CSV, JSON, JSON_LINES, kind_of, processing_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_sagemaker.type_defs import CreateTransformJobRequestTypeDef

    from backends.core.context import Context

TRANSFORM_JOB = resource(
    "TransformJob",
    arn_path="transform-job",
    status_member="TransformJobStatus",
    machine=JOB_STATES,
    exists=NAME_TAKEN,
    derives=("Describe", "List", "Stop"),
)


@operation("CreateTransformJob")
def create_transform_job(cx: Context, request: CreateTransformJobRequestTypeDef) -> dict[str, str]:
    """Accept a transform job as InProgress; it runs from the event this writes.

    ValidationException for what cannot work (no such model, no bucket, filters of what is no CSV or JSON), ResourceInUse for a taken name.
    """
    TRANSFORM_JOB.check_free(cx, request["TransformJobName"])
    model = cx.call("DescribeModel", {"ModelName": request["ModelName"]})
    document = with_defaults(request)
    _check_payload(document)
    _check_processing(document)
    parse_uri(document["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"])
    output = document["TransformOutput"]["S3OutputPath"].rstrip("/")
    artifacts.check_may_store(cx, model.get("ExecutionRoleArn", ""), f"{output}/", "TransformOutput")
    if "DataCaptureConfig" in request:
        captured = request["DataCaptureConfig"]["DestinationS3Uri"].rstrip("/")
        artifacts.check_may_store(cx, model.get("ExecutionRoleArn", ""), f"{captured}/", "DataCaptureConfig")
    row = TRANSFORM_JOB.insert(
        cx, request["TransformJobName"], document, status="InProgress", tag_list=request.get("Tags")
    )
    return {"TransformJobArn": row.arn}


# Unverified, all of the sentences below: the guide says what is wrong, not in which words AWS says so.


def _check_payload(document: Mapping[str, Any]) -> None:
    concurrent = document.get("MaxConcurrentTransforms") or 1
    if concurrent * document.get("MaxPayloadInMB", DEFAULT_PAYLOAD_MB) > MOST_MB:
        raise errors.validation(f"MaxConcurrentTransforms * MaxPayloadInMB must not exceed {MOST_MB} MB.")
    if document.get("MaxPayloadInMB") == 0 and document["TransformInput"]["SplitType"] != "None":
        raise errors.validation("MaxPayloadInMB of 0, which streams whole objects, needs SplitType None.")


def _check_processing(document: Mapping[str, Any]) -> None:
    """Check that filters and joins are of records that can be read, in and out alike."""
    given, output = document["TransformInput"], document["TransformOutput"]
    try:
        processing = processing_of(document)
    except JsonPathError as error:
        raise errors.validation(f"Invalid JSONPath in DataProcessing: {error}") from error
    if processing.changes_nothing:
        return
    kind, answer = kind_of(given.get("ContentType", "")), kind_of(output.get("Accept", ""))
    if kind not in {CSV, JSON_LINES, JSON}:
        raise errors.validation(f"DataProcessing needs a ContentType of {CSV}, {JSON_LINES} or {JSON}.")
    if processing.is_output_changed and answer != kind:
        raise errors.validation("DataProcessing needs the same content type in ContentType and Accept.")
    by_line = (given["SplitType"], output["AssembleWith"])
    if kind != JSON and by_line != ("Line", "Line"):
        raise errors.validation("DataProcessing of CSV and JSON lines needs Line for both SplitType and AssembleWith.")
    if kind == CSV and (processing.input_filter.has_keys or processing.output_filter.has_keys):
        raise errors.validation("A JSONPath for CSV has indexes only: a row has no keys.")
