"""The training jobs of a search, as they are stored: pages of them, and all of them for a search that begins from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import func, select

from backends.core.listing import DEFAULT_PAGE, Order, page_of
from backends.core.paging import binding_of, read_token, write_token
from backends.core.rows import SCOPE, scope
from backends.core.search.facets import kept_text
from backends.core.tables import facets, resources
from backends.tuning.summaries import summary_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import ColumnElement

    from backends.core.context import Context
    from backends.core.rows import Row

COLUMNS = {"Name": resources.c.key, "CreationTime": resources.c.created, "Status": resources.c.status}
LIST = "ListTrainingJobsForHyperParameterTuningJob"


def documents(cx: Context, tuning_job_arn: str) -> Iterator[dict[str, Any]]:
    """Yield the documents of all training jobs of a search, in the order they were made."""
    query = select(resources.c.document).where(SCOPE, _is_child(tuning_job_arn)).order_by(resources.c.id)
    for row in cx.db.execute(query, scope(cx, "TrainingJob")):
        yield orjson.loads(row.document)


def page(cx: Context, tuning_job: Row, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a page of summaries. By the objective only those are listed that have one."""
    definitions = tuning_job.hidden["definitions"]
    sort_by = request.get("SortBy", "Name")
    conditions = [SCOPE, _is_child(tuning_job.arn)]
    if "StatusEquals" in request:
        conditions.append(resources.c.status == request["StatusEquals"])
    if sort_by == "FinalObjectiveMetricValue":
        order, has_one = _by_objective({f"Metrics.{definition['metric']}" for definition in definitions})
        conditions += [has_one, resources.c.status.in_(("Completed", "Stopped"))]
    else:
        order = Order(COLUMNS[sort_by])
    size = request.get("MaxResults", DEFAULT_PAGE)
    values = scope(cx, "TrainingJob", size=size + 1)
    binding = binding_of(LIST, request)
    if "NextToken" in request:
        values["mark"], values["mark_id"] = read_token(cx, request["NextToken"], binding)
    descending = request.get("SortOrder", "Ascending") == "Descending"
    query = page_of(order, conditions, descending=descending, marked="NextToken" in request)
    rows = cx.db.execute(query, values).all()
    summaries = [summary_of(definitions, orjson.loads(row.document)) for row in rows[:size]]
    answer: dict[str, Any] = {"TrainingJobSummaries": summaries}
    if len(rows) > size:
        answer["NextToken"] = write_token(cx, [rows[size - 1].mark, rows[size - 1].id], binding)
    return answer


def _is_child(tuning_job_arn: str) -> ColumnElement[bool]:
    has_arn = (facets.c.path == "TuningJobArn") & (facets.c.text == kept_text(tuning_job_arn))
    return resources.c.id.in_(select(facets.c.resource_id).where(has_arn))


def _by_objective(paths: set[str]) -> tuple[Order, ColumnElement[bool]]:
    """Return the order by the last values of metrics, and the condition that there is one."""
    values = (
        select(facets.c.resource_id, func.min(facets.c.number).label("value"))
        .where(facets.c.path.in_(paths))
        .group_by(facets.c.resource_id)
        .subquery()
    )
    return Order(values.c.value, values), values.c.value.is_not(None)
