"""Search: every resource kind that it knows, by any scalar of its documents and by tags.

Source: API reference of Search, Filter, NestedFilters and SearchExpression (2026-11). What the service's own answers were
not seen for is marked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import and_, not_, or_, select

from api_specs import model
from backends.core import errors, tags
from backends.core.dialects import folded, like_pattern
from backends.core.listing import Order, facet_of, page_of
from backends.core.operation import operation
from backends.core.paging import binding_of, read_token, write_token
from backends.core.rows import scope
from backends.core.search.facets import kept_text, number_of
from backends.core.tables import facets, resources
from backends.core.tables import tags as tag_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from botocore.model import Shape
    from sqlalchemy import ColumnElement

    from backends.core.context import Context
    from backends.core.resource import Resource

    Condition = ColumnElement[bool]

DEFAULT_PAGE = 10
TAGS = "Tags."
ORDERED = {
    "GreaterThan": "__gt__",
    "GreaterThanOrEqualTo": "__ge__",
    "LessThan": "__lt__",
    "LessThanOrEqualTo": "__le__",
}
TIMES = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d")
OFTEN = ("Name", "Tags", "InputArtifacts", "OutputArtifacts")
"""What the properties are called of which an expression may ask Contains more than once."""


MOST_FILTERS = 100
"""How many filters and sub-expressions an expression may have in all, and MOST_VALUES how many values of In: what both
databases take.

AWS documents 20 of each list; Unverified: its limit for all together."""
MOST_VALUES = 4000


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
    _check_size(request.get("SearchExpression") or {})
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


@dataclass(frozen=True, slots=True)
class Searched:
    """A kind as Search sees it: where its properties are stored, and what its records show."""

    resource: Resource
    record: Shape

    def type_of(self, path: str) -> str:
        """Return a property's type. ValidationException for one that the kind does not have."""
        is_free = path.startswith((TAGS, "Metrics.")) or self.is_parameter(path)
        kind = "string" if is_free else model.type_within(self.record, path)
        kind = kind or model.type_at(self.resource.describe, path)
        if not kind or kind in {"structure", "list", "map"}:  # Unverified: AWS's wording
            raise errors.validation(f"Unknown property name: {path} is no property of {self.resource.noun}.")
        return kind

    def is_parameter(self, path: str) -> bool:
        """Return whether a path is that of a trial component's parameter, a text or a number."""
        return path.startswith("Parameters.") and "Parameters" in self.record.members

    def column_of(self, path: str) -> Any:
        """Return the column that holds a property; None where it is a facet."""
        resource = self.resource
        columns = {
            resource.status_member: resources.c.status,
            resource.arn_member: resources.c.arn,
            resource.times[0]: resources.c.created,
            resource.times[1]: resources.c.modified,
        }
        if len(resource.key_members) == 1:
            columns[resource.name_member] = resources.c.key
        return columns.get(path) if path else None

    def own(self, path: str) -> str:
        """Return a property as the document has it: a model's record has the model in a member of that name."""
        return path.removeprefix(f"{self.resource.noun}.") if self.resource.noun in self.record.members else path

    def order_by(self, path: str) -> Order:
        """Return what a property orders by."""
        path = self.own(path)
        if path in {"LastModifiedTime", "CreationTime"}:
            return Order(resources.c.modified if path == "LastModifiedTime" else resources.c.created)
        as_number = self.type_of(path) in model.NUMBERS or path.startswith(("Metrics.", "HyperParameters."))
        as_number = as_number or self.is_parameter(path)
        column = self.column_of(path)
        return Order(column) if column is not None else facet_of(path, as_number=as_number)

    def shown(self, cx: Context, stored: bytes) -> dict[str, Any]:
        """Return a document as a search record, with its tags."""
        document, noun = orjson.loads(stored), self.resource.noun
        inner = self.record.members.get(noun, self.record)
        record = {member: document[member] for member in inner.members if member in document}
        if "Tags" in inner.members:
            record["Tags"] = tags.as_list(tags.of(cx, document[self.resource.arn_member]))
        return record if inner is self.record else {noun: record}


def _check_size(given: Mapping[str, Any]) -> None:
    """Refuse an expression that no database would plan. ValidationException."""
    filters: list[Mapping[str, Any]] = []
    expressions = [given]
    for each in expressions:
        expressions += each.get("SubExpressions", ())
        filters += each.get("Filters", ())
        filters += [inner for nested in each.get("NestedFilters", ()) for inner in nested["Filters"]]
    values = sum(each.get("Value", "").count(",") + 1 for each in filters if each.get("Operator") == "In")
    if len(filters) + len(expressions) > MOST_FILTERS or values > MOST_VALUES:  # Unverified: AWS's wording
        raise errors.validation(
            f"The SearchExpression has more than {MOST_FILTERS} filters and sub-expressions, or {MOST_VALUES} values."
        )


def expression(searched: Searched, given: Mapping[str, Any]) -> Condition:
    """Return the condition of a SearchExpression: its filters, nested filters and sub-expressions, all or any of them."""
    filters: Sequence[Mapping[str, Any]] = given.get("Filters", ())
    rarely = [f for f in filters if f.get("Operator") == "Contains" and not any(part in f["Name"] for part in OFTEN)]
    if len(rarely) > 1:
        raise errors.validation("'CONTAINS' operator usage limit of 1 exceeded.")
    conditions = [
        *(_condition(searched, each) for each in filters),
        *(_nested(searched, each) for each in given.get("NestedFilters", ())),
        *(expression(searched, each) for each in given.get("SubExpressions", ())),
    ]
    joined = or_ if given.get("Operator", "And") == "Or" and conditions else and_
    return joined(*conditions) if conditions else and_(True)


def _condition(searched: Searched, criterion: Mapping[str, Any]) -> Condition:
    path = searched.own(criterion["Name"])
    if path.startswith(TAGS):
        stored = select(tag_rows.c.arn).where(tag_rows.c.key == path.removeprefix(TAGS))
        return _among(resources.c.arn, stored, tag_rows.c.value, None, "string", criterion)
    kind, column = searched.type_of(path), searched.column_of(path)
    if column is not None:
        return _on_column(column, kind, criterion)
    stored = select(facets.c.resource_id).where(facets.c.path == path.replace("\0", ""))
    return _among(resources.c.id, stored, facets.c.text, facets.c.number, kind, criterion)


def _on_column(column: Any, kind: str, criterion: Mapping[str, Any]) -> Condition:
    operator = _operator(criterion)
    if operator in {"Exists", "NotExists"}:
        return and_(True) if operator == "Exists" else not_(and_(True))
    if operator == "NotEquals":
        return not_(_compared(column, column, kind, {**criterion, "Operator": "Equals"}))
    return _compared(column, column, kind, criterion)


def _among(column: Any, stored: Any, text: Any, number: Any, kind: str, criterion: Mapping[str, Any]) -> Condition:
    """Ask a condition of what is stored beside resources; NotEquals is true where nothing is (Unverified)."""
    operator = _operator(criterion)
    if operator in {"Exists", "NotExists"}:
        return column.in_(stored) if operator == "Exists" else column.not_in(stored)  # type: ignore[no-any-return]
    if operator == "NotEquals":
        same = stored.where(_compared(text, number, kind, {**criterion, "Operator": "Equals"}))
        return column.not_in(same)  # type: ignore[no-any-return]
    return column.in_(stored.where(_compared(text, number, kind, criterion)))  # type: ignore[no-any-return]


def _nested(searched: Searched, criterion: Mapping[str, Any]) -> Condition:
    """Return the condition that one item of a list has all of several properties."""
    first, *others = [
        _item(searched, criterion["NestedPropertyName"], each, facets.alias(f"nested_{n}"))
        for n, each in enumerate(criterion["Filters"])
    ]
    row, condition = first
    query = select(row.c.resource_id).where(condition)
    for other, its_condition in others:
        same = (other.c.resource_id == row.c.resource_id) & (other.c.item == row.c.item)
        query = query.join(other, same).where(its_condition)
    return resources.c.id.in_(query)


def _item(searched: Searched, prefix: str, criterion: Mapping[str, Any], row: Any) -> tuple[Any, Condition]:
    path = criterion["Name"]
    if not path.startswith(f"{prefix}."):
        raise errors.validation(f"The nested filter {path} is not about {prefix}.")  # Unverified: AWS's wording
    if _operator(criterion) in {"NotExists", "NotEquals"}:
        compared = _compared(row.c.text, row.c.number, searched.type_of(path), {**criterion, "Operator": "Equals"})
        return row, and_(row.c.path == path, not_(compared))
    if _operator(criterion) == "Exists":
        return row, row.c.path == path
    return row, and_(row.c.path == path, _compared(row.c.text, row.c.number, searched.type_of(path), criterion))


def _operator(criterion: Mapping[str, Any]) -> str:
    operator: str = criterion.get("Operator", "Equals" if "Value" in criterion else "Exists")
    if operator not in {"Exists", "NotExists"} and "Value" not in criterion:
        raise errors.validation(f"The filter on {criterion['Name']} needs a Value.")  # Unverified: AWS's wording
    return operator


def _compared(text: Any, number: Any, kind: str, criterion: Mapping[str, Any]) -> Condition:
    """Compare what is stored with a filter's value, as what the property is."""
    operator, value = _operator(criterion), criterion["Value"]
    if operator in ORDERED:
        if number is None:
            raise errors.validation(f"The operator {operator} is not supported for {criterion['Name']}.")
        condition: Condition = getattr(number, ORDERED[operator])(_number(kind, value, criterion))
        return condition
    if operator == "Contains":
        return folded(text).like(like_pattern(value), escape="/")
    values: list[Any] = [part.strip() for part in value.split(",")] if operator == "In" else [value]
    stored = number if kind in model.NUMBERS else text
    if kind in model.NUMBERS:
        values = [_number(kind, each, criterion) for each in values]
    elif kind == "boolean":
        values = [each.lower() for each in values]
    else:
        values = [kept_text(each) for each in values]
    return stored == values[0] if len(values) == 1 else stored.in_(values)  # type: ignore[no-any-return]


def _number(kind: str, value: str, criterion: Mapping[str, Any]) -> float:
    """Read a filter's value as a number, or as a time. ValidationException for one that is neither."""
    number = number_of(value)
    if number is not None and not (kind == "timestamp" and value.count("-") > 1):
        return number
    for form in TIMES if kind == "timestamp" else ():
        try:
            when = datetime.strptime(value, form)  # noqa: DTZ007 - the zone follows
        except ValueError:
            continue
        return when.replace(tzinfo=when.tzinfo or UTC).timestamp()
    raise errors.validation(f"Invalid value {value} for {criterion['Name']}.")  # Unverified: AWS's wording


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
