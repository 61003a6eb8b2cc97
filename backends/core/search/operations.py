"""Search: every resource kind that it knows, by any scalar of its documents and by tags.

Source: API reference of Search (2026-11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_

from api_specs import model
from backends.core import errors
from backends.core.listing import page_of
from backends.core.operation import operation
from backends.core.paging import binding_of, read_token, write_token
from backends.core.rows import scope
from backends.core.search.conditions import Searched, check_size, expression
from backends.core.tables import resources

if TYPE_CHECKING:
    from botocore.model import Shape

    from backends.core.context import Context

DEFAULT_PAGE = 10


@operation("Search", is_long=lambda _request: True)
def search(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return one page of the resources of a kind that an expression is true of. ValidationException for a bad filter."""
    name = request["Resource"]
    noun = model.SEARCHED.get(name, name)
    known, record = cx.kernel.resources.get(noun), model.search_record(noun)
    if known is None or record is None:
        raise errors.not_implemented(f"Search of {name}")
    if request.get("VisibilityConditions"):
        raise errors.not_implemented("Search's VisibilityConditions")
    if request.get("CrossAccountFilterOption") == "CrossAccount":  # nothing is shared between accounts here
        return {"Results": []}
    searched = Searched(known, record[1])
    check_size(request.get("SearchExpression") or {})
    condition = expression(searched, request.get("SearchExpression") or {})
    column = searched.order_by(request.get("SortBy", "LastModifiedTime"))
    descending = request.get("SortOrder", "Descending") == "Descending"
    size = request.get("MaxResults", DEFAULT_PAGE)
    binding = binding_of("Search", request)
    values = scope(cx, noun, size=size + 1)
    if "NextToken" in request:
        values["mark"], values["mark_id"] = read_token(cx, request["NextToken"], binding)
    stored = and_(*(resources.c[member] == values[member] for member in ("kind", "account", "region")))
    query = page_of(column, [stored, condition], descending=descending, marked="NextToken" in request)
    marks = {name: value for name, value in values.items() if name in {"size", "mark", "mark_id"}}
    rows = cx.db.execute(query, marks).all()
    answer: dict[str, Any] = {"Results": [{noun: searched.shown(cx, row[2])} for row in rows[:size]]}
    if len(rows) > size:
        last_id, last_mark, _ = rows[size - 1]
        answer["NextToken"] = write_token(cx, [last_mark, last_id], binding)
    return answer


@operation("GetSearchSuggestions")
def get_search_suggestions(_cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return the names of properties that begin as the hint does."""
    name = request["Resource"]
    record = model.search_record(model.SEARCHED.get(name, name))
    hint = request.get("SuggestionQuery", {}).get("PropertyNameQuery", {}).get("PropertyNameHint", "")
    names = sorted(_scalar_paths(record[1])) if record is not None else []
    return {"PropertyNameSuggestions": [{"PropertyName": path} for path in names if path.startswith(hint)]}


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
