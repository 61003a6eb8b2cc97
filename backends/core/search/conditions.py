"""Search's expressions as conditions on what is stored: filters, nested filters and sub-expressions.

Source: API reference of Filter, NestedFilters and SearchExpression (2026-11). What the service's own answers were not seen
for is marked.
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
from backends.core.listing import Order, facet_of
from backends.core.search.facets import kept_text, number_of
from backends.core.tables import facets, resources
from backends.core.tables import tags as tag_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from botocore.model import Shape
    from sqlalchemy import ColumnElement

    from backends.core.context import Context
    from backends.core.resource import Resource

    Condition = ColumnElement[bool]

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

    def has(self, path: str) -> bool:
        """Return whether a path is one that a filter may name."""
        try:
            return bool(self.type_of(path))
        except errors.AwsError:
            return False

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
        """Return a document as one of Search's results, with its tags; nothing where the model has no member for the kind."""
        document, noun = orjson.loads(stored), self.resource.noun
        if noun not in model.shape("SearchRecord").members:
            return {}
        inner = self.record.members.get(noun, self.record)
        record = {member: document[member] for member in inner.members if member in document}
        if "Tags" in inner.members:
            record["Tags"] = tags.as_list(tags.of(cx, document[self.resource.arn_member]))
        return {noun: record if inner is self.record else {noun: record}}


def check_size(given: Mapping[str, Any]) -> None:
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


def visible(given: Sequence[Mapping[str, str]]) -> Iterator[Condition]:
    """Yield the conditions that resources with one of some tags have it with its value; those without the tag may stay.

    ValidationException for a key that names no tag. Unverified: a key that is given twice takes either value.
    """
    values: dict[str, list[str]] = {}
    for each in given:
        key, value = each.get("Key", ""), each.get("Value", "")
        if not key.startswith(TAGS):  # Unverified: AWS's wording
            raise errors.validation(f"The key of a visibility condition must be {TAGS}<key>: {key}")
        values.setdefault(key.removeprefix(TAGS), []).append(value)
    for key, some in values.items():
        others = select(tag_rows.c.arn).where(tag_rows.c.key == key, tag_rows.c.value.not_in(some))
        yield resources.c.arn.not_in(others)


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
