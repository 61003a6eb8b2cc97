"""Export jobs: a model card becomes a PDF in S3, as promised work. Describe and List are derived."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from backends.core import errors, work
from backends.core.errors import AwsError
from backends.core.lifecycle import transition
from backends.core.objects import parse_uri, role_access
from backends.core.operation import operation
from backends.core.resource import resource
from backends.core.states import machine
from backends.core.types import Caller
from backends.model_cards import pdf
from backends.model_cards.operations import CARD, VERSION, at_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.context import Context
    from backends.core.objects import Content
    from backends.core.rows import Row
    from backends.core.work import Item

QUEUE = "model_cards.export"
EXPORT = resource(
    "ModelCardExportJob",
    arn_path="model-card/{ModelCardName}/export-job/{ModelCardExportJobName}",
    key=("ModelCardName", "ModelCardExportJobName"),
    parent=CARD,
    lower_arn=False,
    status_member="Status",
    machine=machine(InProgress={"Completed", "Failed"}),
    exists="A model card export job with the name {name} already exists: {arn}",  # Unverified
    times=("CreatedAt", "LastModifiedAt"),
    derives=("Describe", "List"),
)


@operation("CreateModelCardExportJob")
def create_model_card_export_job(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Accept an export. ResourceNotFound without the card or the version, ConflictException for a taken name."""
    card = CARD.named(cx, request)
    name, number = request["ModelCardExportJobName"], request.get(VERSION, card.document[VERSION])
    at_version(cx, card, number)
    place = _place(request["OutputConfig"]["S3OutputPath"], card.key, name)
    try:
        _check_may_store(cx, place)
    except AwsError as error:  # Unverified: AWS's wording
        raise errors.validation(f"The model card cannot be exported to {place}: {error.message}") from error
    members = {**request, "ModelCardName": card.key, VERSION: number}
    row = EXPORT.insert(cx, f"{card.key}/{name}", members, status="InProgress", hidden={"place": place})
    caller = {"access_key": cx.caller.access_key, "arn": cx.caller.arn}
    work.add(cx, QUEUE, cx.account, {"key": row.key, "arn": row.arn, "id": row.id, "caller": caller})
    return {"ModelCardExportJobArn": row.arn}


def _place(path: str, card: str, job: str) -> str:
    """Return the URI of the PDF. Unverified: its name below the path."""
    bucket, prefix = parse_uri(path)
    prefix = f"{prefix.rstrip('/')}/" if prefix else ""
    return f"s3://{bucket}/{prefix}{card}/{job}.pdf"


def _check_may_store(cx: Context, place: str) -> None:
    bucket, key = parse_uri(place)
    role_access.check(cx, bucket, "s3:PutObject", key)


@work.does(QUEUE)
async def export(cx: Context, item: Item) -> Callable[[Context], None] | None:
    """Write the PDF; what it is recorded as is decided in the transaction that removes the item."""
    prepared = await cx.read(lambda inside: _prepare(inside, item))
    if prepared is None:
        return None
    document, when = prepared
    made: Content | Exception
    try:
        content = await asyncio.to_thread(pdf.render, document, json.loads(document["Content"]), when)
        made = await asyncio.to_thread(cx.objects.store_bytes, content)
    except (AwsError, ValueError, OSError) as error:
        made = error
    return lambda inside: _end(inside.acting_as(Caller(**item.body["caller"])), item, made)


def _job_of(cx: Context, item: Item) -> Row | None:
    """Read the job that an item is of; None where it is gone, or another has its name."""
    row = EXPORT.find(cx, item.body["key"])
    return row if row is not None and row.id == item.body["id"] and row.status == "InProgress" else None


def _prepare(cx: Context, item: Item) -> tuple[dict[str, Any], float] | None:
    job = _job_of(cx, item)
    card = CARD.find(cx, job.document["ModelCardName"]) if job is not None else None
    if job is None or card is None:
        return None
    return at_version(cx, card, job.document[VERSION]), cx.clock.now()


def _end(cx: Context, item: Item, made: Content | Exception) -> None:
    """Record the object and complete the job, or fail it: its caller's rights may have changed meanwhile."""
    job = _job_of(cx, item)
    if job is None:
        return
    place = job.hidden["place"]
    try:
        if isinstance(made, Exception):
            raise made
        _check_may_store(cx, place)
        cx.objects.record(cx, *parse_uri(place), made, {"ContentType": "application/pdf"})
    except (AwsError, ValueError, OSError) as error:
        transition(cx, EXPORT, job, "Failed", error.message if isinstance(error, AwsError) else str(error))
        return
    transition(cx, EXPORT, job, "Completed", ExportArtifacts={"S3ExportArtifacts": place})
