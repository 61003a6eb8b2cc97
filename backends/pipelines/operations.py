"""Pipelines and their versions: every change of a pipeline makes the next version of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors, rows
from backends.core.operation import operation
from backends.core.resource import resource
from backends.core.states import machine
from backends.pipelines import definition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context
    from backends.core.rows import Row

ALIASES = "PipelineVersionAliases"

PIPELINE = resource(
    "Pipeline",
    arn_path="pipeline",
    lower_arn=False,
    status_member="PipelineStatus",
    machine=machine(Active=set()),
    filters={"ManagedBy": "ManagedBy"},  # Unverified: what manages a pipeline; nothing does here
    derives=("List",),
)
VERSION = resource(
    "PipelineVersion",
    arn_path="pipeline/{PipelineName}/version/{PipelineVersionId}",
    lower_arn=False,
    key=("PipelineName", "PipelineVersionId"),
    numbered=True,
    parent=PIPELINE,
    described_by="Pipeline",
    derives=("List",),
)


@operation("CreatePipeline")
def create_pipeline(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Store a pipeline and its first version. ValidationException for a taken name, or a definition that is none."""
    name = request["PipelineName"]
    if PIPELINE.find(cx, name) is not None:  # not the ConflictException of the model: both SDKs look for this
        raise errors.validation(
            f"Pipeline names must be unique within an AWS account and region. Pipeline with name ({name}) already exists."
        )
    text = definition.text_of(cx, request, request["RoleArn"])
    if not text:  # Unverified: AWS's wording
        raise errors.validation("One of PipelineDefinition and PipelineDefinitionS3Location must be given.")
    given = {**request, "PipelineDefinition": text}
    members = {"PipelineDisplayName": name, **{k: v for k, v in given.items() if k != ALIASES}}
    row = PIPELINE.insert(cx, name, members, status="Active", tag_list=request.get("Tags"))
    _next_version(cx, row, request.get(ALIASES, ()))
    return {"PipelineArn": row.arn}


@operation("DescribePipeline")
def describe_pipeline(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a pipeline as it is, or as a version of it was. ResourceNotFound."""
    row = PIPELINE.named(cx, request)
    if "PipelineVersionId" not in request and "PipelineVersionAlias" not in request:
        return {**row.document, **_last_run(cx, row)}
    version = version_of(cx, row, request)
    return {k: v for k, v in version.document.items() if k != "PipelineVersionId"}


def _last_run(cx: Context, pipeline: Row) -> dict[str, float]:
    last = rows.children(cx, "PipelineExecution", pipeline.key, newest_first=True, limit=1)
    return {"LastRunTime": last[0].created} if last else {}


@operation("DeletePipeline")
def delete_pipeline(cx: Context, request: dict[str, Any]) -> dict[str, str]:
    """Delete a pipeline with its versions and executions. ConflictException while one is executed."""
    row = PIPELINE.named(cx, request)
    running = [
        each for each in rows.children(cx, "PipelineExecution", row.key) if each.status in {"Executing", "Stopping"}
    ]
    if running:  # Unverified: AWS's wording
        raise errors.conflict(f"Pipeline {row.arn} cannot be deleted: {running[0].arn} is {running[0].status}.")
    PIPELINE.delete(cx, row)
    return {"PipelineArn": row.arn}


@operation("UpdatePipeline")
def update_pipeline(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change a pipeline, and keep what it is now as its next version."""
    row = PIPELINE.named(cx, request)
    text = definition.text_of(cx, request, request.get("RoleArn", row.document["RoleArn"]))
    changes = {k: v for k, v in request.items() if k in PIPELINE.shown and k not in {"PipelineName", ALIASES}}
    document = {**row.document, **changes, **({"PipelineDefinition": text} if text else {})}
    row = PIPELINE.update(cx, row, document)
    return {"PipelineArn": row.arn, "PipelineVersionId": _next_version(cx, row, request.get(ALIASES, ()))}


@operation("UpdatePipelineVersion", acts_on=("Pipeline",))
def update_pipeline_version(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Name and describe a version, and give it aliases or take them. ConflictException for another version's alias."""
    pipeline = PIPELINE.get(cx, request["PipelineArn"])
    version = version_of(cx, pipeline, request)
    changed = request.get("PipelineVersionAliasOperations", {})
    removed, added = changed.get("Remove", ()), changed.get("Add", ())
    _check_aliases(cx, pipeline, added, of=version)
    aliases = [alias for alias in version.document.get(ALIASES, ()) if alias not in (*removed, *added)]
    document = {
        **version.document,
        **{k: v for k, v in request.items() if k in VERSION.shown},
        ALIASES: [*aliases, *added],
    }
    VERSION.update(cx, version, {**document, "PipelineArn": pipeline.arn})
    return {"PipelineArn": pipeline.arn, "PipelineVersionId": request["PipelineVersionId"]}


def _next_version(cx: Context, pipeline: Row, aliases: Any) -> int:
    _check_aliases(cx, pipeline, aliases)
    number = VERSION.next_number(cx, pipeline.key)
    document = {**pipeline.document, "PipelineVersionId": number, **({ALIASES: aliases} if aliases else {})}
    VERSION.insert(cx, f"{pipeline.key}/{number}", document)
    return number


def _check_aliases(cx: Context, pipeline: Row, aliases: Any, of: Row | None = None) -> None:
    others = [row for row in VERSION.children_of(cx, pipeline.key) if of is None or row.id != of.id] if aliases else ()
    for alias in aliases:
        if any(alias in row.document.get(ALIASES, ()) for row in others):  # Unverified: AWS's wording
            raise errors.conflict(f"The alias {alias} is another version's of {pipeline.arn}.")


def version_of(cx: Context, pipeline: Row, request: Mapping[str, Any]) -> Row:
    """Return the version of a pipeline that a request names, by number or alias; the last where it names none. ResourceNotFound."""
    if "PipelineVersionId" in request:
        return VERSION.get(cx, f"{pipeline.key}/{request['PipelineVersionId']}")
    if "PipelineVersionAlias" not in request:
        return rows.children(cx, VERSION.noun, pipeline.key, newest_first=True, limit=1)[0]
    alias = request["PipelineVersionAlias"]
    for row in VERSION.children_of(cx, pipeline.key):
        if alias in row.document.get(ALIASES, ()):
            return row
    raise VERSION.not_found(cx, f"{pipeline.key}/{alias}")
