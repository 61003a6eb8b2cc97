"""Search: every resource kind that it knows, by any scalar of its documents and by tags.

Source: API reference of Search, VisibilityConditions and GetSearchSuggestions (2026-11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from api_specs import model
from backends.core.dialects import begins
from backends.core.listing import page_of
from backends.core.operation import operation
from backends.core.paging import binding_of, read_token, write_token
from backends.core.resource import Resource
from backends.core.rows import scope
from backends.core.search.conditions import TAGS, Searched, check_size, expression, visible
from backends.core.tables import facets, resources
from backends.core.tables import tags as tag_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from botocore.model import Shape
    from sqlalchemy import ColumnElement

    from backends.core.context import Context

DEFAULT_PAGE = 10
MOST_COUNTED = 10_000
"""Of more hits TotalHits says that there are at least so many. Unverified: where the service stops."""


@operation("Search", is_long=lambda _request: True)
def search(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return one page of the resources of a kind that an expression is true of. ValidationException for a bad filter."""
    searched = _searched(cx, request["Resource"])
    check_size(request.get("SearchExpression") or {})
    conditions = [
        *(resources.c[member] == value for member, value in scope(cx, searched.resource.noun).items()),
        expression(searched, request.get("SearchExpression") or {}),
        *visible(request.get("VisibilityConditions", ())),
    ]
    column = searched.order_by(request.get("SortBy", "LastModifiedTime"))
    descending = request.get("SortOrder", "Descending") == "Descending"
    binding = binding_of("Search", request)
    marks: dict[str, Any] = {"size": request.get("MaxResults", DEFAULT_PAGE) + 1}
    if "NextToken" in request:
        marks["mark"], marks["mark_id"] = read_token(cx, request["NextToken"], binding)
    if request.get("CrossAccountFilterOption") == "CrossAccount":  # nothing is shared between accounts here
        return {"Results": [], "TotalHits": {"Value": 0, "Relation": "EqualTo"}}
    query = page_of(column, conditions, descending=descending, marked="NextToken" in request)
    *page, beyond = [*cx.db.execute(query, marks), None]
    if len(page) == marks["size"]:
        beyond = page.pop()
    answer: dict[str, Any] = {
        "Results": [searched.shown(cx, row.document) for row in page],
        "TotalHits": _total(cx, conditions),
    }
    if beyond is not None:
        answer["NextToken"] = write_token(cx, [page[-1].mark, page[-1].id], binding)
    return answer


def _searched(cx: Context, name: str) -> Searched:
    """Return what Search knows of a resource type of the model; of one that nobody declares there are no rows."""
    noun = model.SEARCHED.get(name, name)
    return Searched(cx.kernel.resources.get(noun) or Resource(noun, arn_path=""), model.search_record(noun))


def _total(cx: Context, conditions: Sequence[ColumnElement[bool]]) -> dict[str, Any]:
    """Return how many resources conditions hold for; more than MOST_COUNTED are not counted to the end."""
    counted = select(resources.c.id).where(*conditions).limit(MOST_COUNTED + 1).subquery()
    value = cx.db.execute(select(func.count()).select_from(counted)).scalar_one()
    exact = value <= MOST_COUNTED
    return {"Value": min(value, MOST_COUNTED), "Relation": "EqualTo" if exact else "GreaterThanOrEqualTo"}


@operation("GetSearchSuggestions", is_long=lambda _request: True)
def get_search_suggestions(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the names of properties that begin as the hint does: the model's, and those in use of maps, metrics and tags."""
    searched = _searched(cx, request["Resource"])
    hint = request.get("SuggestionQuery", {}).get("PropertyNameQuery", {}).get("PropertyNameHint", "")
    names = {path for path in _scalar_paths(searched.record) if path.startswith(hint)}
    names |= {path for path in _used(cx, searched, hint) if searched.has(path)}
    return {"PropertyNameSuggestions": [{"PropertyName": path} for path in sorted(names)]}


def _used(cx: Context, searched: Searched, hint: str) -> Iterator[str]:
    """Yield the paths of the facets and the keys of the tags that resources of the caller have."""
    own = [resources.c[member] == value for member, value in scope(cx, searched.resource.noun).items()]
    there = select(facets.c.path).join(resources, resources.c.id == facets.c.resource_id)
    yield from cx.db.execute(there.where(*own, begins(facets.c.path, hint)).distinct()).scalars()
    tagged = select(tag_rows.c.key).join(resources, resources.c.arn == tag_rows.c.arn)
    names = (f"{TAGS}{key}" for key in cx.db.execute(tagged.where(*own).distinct()).scalars())
    yield from (name for name in names if name.startswith(hint))


def _scalar_paths(shape: Shape, prefix: str = "", depth: int = 6) -> set[str]:
    """Return the dotted paths of a shape's scalars."""
    while shape.type_name == "list":
        shape = shape.member
    if shape.type_name == "structure" and depth:
        paths: set[str] = set()
        for name, member in shape.members.items():
            paths |= _scalar_paths(member, f"{prefix}.{name}" if prefix else name, depth - 1)
        return paths
    return set() if shape.type_name in {"structure", "map"} else {prefix}
