"""Associations between lineage's and experiments' entities, in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import and_, delete, or_, select

from backends.core import arn as arns
from backends.core import errors, paging, rows, users
from backends.core.dialects import insert_into, one_at_a_time
from backends.core.events import on
from backends.core.operation import operation
from backends.lineage.tables import lineage_edges

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context
    from backends.core.events import Event
    from backends.core.rows import Row

EDGE = lineage_edges.c
NOUNS = {
    "artifact": "Artifact",
    "action": "Action",
    "context": "Context",
    "experiment": "Experiment",
    "experiment-trial-component": "TrialComponent",
}
OF_EXPERIMENTS = {"experiment", "experiment-trial-component"}
EQUAL = {
    "SourceArn": EDGE.source_arn,
    "DestinationArn": EDGE.destination_arn,
    "SourceType": EDGE.source_type,
    "DestinationType": EDGE.destination_type,
    "AssociationType": EDGE.type,
}
SORTS = {**EQUAL, "CreationTime": EDGE.created}
DEFAULT_PAGE = 10


ENDS = (EDGE.source_arn, EDGE.destination_arn)


def holds(cx: Context, arn: str) -> bool:
    """Return whether an entity is the source or the destination of an association; no other request adds one meanwhile."""
    one_at_a_time(cx.db, arn)
    return any(cx.db.execute(select(EDGE.id).where(end == arn).limit(1)).first() for end in ENDS)


def path_of(arn: str) -> str:
    """Return the word of an ARN that says what it names; empty for no ARN."""
    named = arns.parse(arn)
    return named.resource.partition("/")[0] if named is not None else ""


def entity(cx: Context, arn: str) -> Row:
    """Read an entity. ResourceNotFound for none, or another account's."""
    row = rows.find_arn(cx, NOUNS.get(path_of(arn), ""), arn)
    if row is None:
        raise errors.not_found()
    return row


def type_of(arn: str, document: Mapping[str, Any]) -> str:
    """Return an entity's type; a trial component's is that of its source, where it has one."""
    return str(document.get(f"{NOUNS[path_of(arn)]}Type") or document.get("Source", {}).get("SourceType", ""))


@operation("AddAssociation", acts_on=("SourceArn", "DestinationArn"))
def add_association(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store an association. ResourceNotFound without an end of it, ValidationException for one that is there, or cannot be."""
    ends = {"SourceArn": request["SourceArn"], "DestinationArn": request["DestinationArn"]}
    for arn in sorted(ends.values()):
        one_at_a_time(cx.db, arn)
    source, destination = (entity(cx, arn) for arn in ends.values())
    if {
        path_of(arn) for arn in ends.values()
    } <= OF_EXPERIMENTS:  # aws/sagemaker-experiments 157; AWS's wording unverified
        raise errors.validation("Associations cannot be created between two experiment entities.")
    if source.arn == destination.arn:  # Unverified
        raise errors.validation("An entity cannot be associated with itself.")
    edge = {
        "account": cx.account,
        "region": cx.region,
        "source_arn": source.arn,
        "destination_arn": destination.arn,
        "source_type": type_of(source.arn, source.document),
        "destination_type": type_of(destination.arn, destination.document),
        "type": request.get("AssociationType", ""),
        "created": cx.clock.now(),
        "created_by": orjson.dumps(users.user_of(cx)),
    }
    insertion = insert_into(cx.db, lineage_edges).values(edge).on_conflict_do_nothing().returning(EDGE.id)
    if cx.db.execute(insertion).first() is None:
        raise errors.validation(f"Association between {source.arn} and {destination.arn} already exists.")
    return ends


@operation("DeleteAssociation", acts_on=("SourceArn", "DestinationArn"))
def delete_association(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Remove an association. ResourceNotFound for one that is not there."""
    ends = {"SourceArn": request["SourceArn"], "DestinationArn": request["DestinationArn"]}
    own = (EDGE.account == cx.account) & (EDGE.region == cx.region)
    if not cx.db.execute(delete(lineage_edges).where(own, _is(ends))).rowcount:
        raise errors.not_found()
    return ends


def _is(ends: Mapping[str, str]) -> Any:
    return and_(*(EQUAL[member] == arn for member, arn in ends.items()))


@on("TrialComponent", name="lineage.forget_component", to=("Deleted",))
def forget_component(cx: Context, event: Event) -> None:
    """Remove the associations of a trial component that is gone."""
    cx.db.execute(delete(lineage_edges).where(or_(*(end == event.arn for end in ENDS))))


@on("Experiment", name="lineage.forget_experiment", to=("Deleted",))
def forget_experiment(cx: Context, event: Event) -> None:
    """Remove the associations of an experiment that is gone."""
    forget_component(cx, event)


@operation("ListAssociations", is_long=lambda request: not {"SourceArn", "DestinationArn"} & request.keys())
def list_associations(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of associations, by either end, by types and time; the newest first."""
    column = SORTS[request.get("SortBy", "CreationTime")]
    descending = request.get("SortOrder", "Descending") == "Descending"
    size, binding = request.get("MaxResults", DEFAULT_PAGE), paging.binding_of("ListAssociations", request)
    conditions = [EDGE.account == cx.account, EDGE.region == cx.region]
    conditions += [EQUAL[member] == request[member] for member in EQUAL if member in request]
    if "CreatedAfter" in request:
        conditions.append(EDGE.created > request["CreatedAfter"])
    if "CreatedBefore" in request:
        conditions.append(EDGE.created < request["CreatedBefore"])
    if "NextToken" in request:
        mark, mark_id = paging.read_token(cx, request["NextToken"], binding)
        beyond = (column < mark, EDGE.id < mark_id) if descending else (column > mark, EDGE.id > mark_id)
        conditions.append(or_(beyond[0], (column == mark) & beyond[1]))
    order = (column.desc(), EDGE.id.desc()) if descending else (column, EDGE.id)
    query = select(lineage_edges, column.label("mark")).where(*conditions).order_by(*order).limit(size + 1)
    edges = cx.db.execute(query).all()
    answer: dict[str, Any] = {"AssociationSummaries": [_summary(cx, edge) for edge in edges[:size]]}
    if len(edges) > size:
        answer["NextToken"] = paging.write_token(cx, [edges[size - 1].mark, edges[size - 1].id], binding)
    return answer


def _summary(cx: Context, edge: Any) -> dict[str, Any]:
    summary = {
        "SourceArn": edge.source_arn,
        "SourceType": edge.source_type,
        "SourceName": _name_of(cx, edge.source_arn),
        "DestinationArn": edge.destination_arn,
        "DestinationType": edge.destination_type,
        "DestinationName": _name_of(cx, edge.destination_arn),
        "AssociationType": edge.type,
        "CreationTime": edge.created,
        "CreatedBy": orjson.loads(edge.created_by),
    }
    return {member: value for member, value in summary.items() if value != ""}


def _name_of(cx: Context, arn: str) -> str:
    noun = NOUNS[path_of(arn)]
    row = rows.find_arn(cx, noun, arn)
    return str(row.document.get(f"{noun}Name", "")) if row is not None else ""
