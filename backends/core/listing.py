"""Lists: the filters, sorts and pages that the List operations share.

What a request's members mean is read off their names (`CreationTimeAfter`, `NameContains`, `DomainIdEquals`,
`SpaceNameContains`), or the resource declares a path of the document for them; a List with a member or a SortBy value that
means nothing is refused when the kernel is built. Pages are keyset pages on (sort key, row id): what is created or deleted
between two pages neither repeats nor hides anything else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import ColumnElement, Double, Integer, Text, and_, bindparam, func, literal_column, or_, select

from api_specs import model
from backends.core.dialects import begins_with, contains, is_below, like_pattern
from backends.core.names.index import AMONG, OF_FEW, few_with
from backends.core.paging import PAGING, binding_of, read_token, write_token
from backends.core.prepared import Prepared
from backends.core.resource import filtered_member
from backends.core.rows import SCOPE, scope
from backends.core.search.facets import kept_text
from backends.core.tables import facets, resources

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Select

    from backends.core.resource import Resource
    from backends.core.types import Context

DEFAULT_PAGE = 10
ORDER = frozenset({"SortBy", "SortOrder"})
LOWEST = -1.7e308
Few = tuple[ColumnElement[bool], ...]
FEW = 1000
TIMES = {"Created": "created", "CreationTime": "created", "LastModifiedTime": "modified", "ModifiedTime": "modified"}
SORTED = {
    "name": "key",
    "creationtime": "created",
    "createdate": "created",
    "lastmodifiedtime": "modified",
    "status": "status",
}


class UndeclaredError(ValueError):
    """A List operation has a member that nothing says the meaning of; the message names it."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter: its condition, with a parameter of the member's own name, and how the parameter's value is written."""

    condition: ColumnElement[bool]
    value: Callable[[Any], Any]
    is_long: bool = False
    count: Prepared | None = None
    """Counts what an equality of facets is true of, as far as one more than FEW."""
    is_of_name: bool = False


@dataclass(eq=False)
class List:
    """One List operation, derived. Raises UndeclaredError for what the resource would have to declare."""

    resource: Resource
    operation: str
    filters: dict[str, Filter] = field(init=False)
    sorts: dict[str, Order] = field(init=False)
    _statements: dict[Any, Prepared] = field(default_factory=dict)

    def __post_init__(self) -> None:
        members = [m for m in model.input_members(self.operation) if m not in PAGING | ORDER]
        self.filters = {m: self._filter(m) for m in members if self.resource.filters.get(m) != ""}
        self.sorts = {value: self._sort(value) for value in model.enum_of(self.operation, "SortBy")}

    def page(self, cx: Context, request: Mapping[str, Any], among: Sequence[str] | None = None) -> dict[str, Any]:
        """Return one page of summaries (`among`: of these keys only), and NextToken while there is more."""
        resource = self.resource
        request = self._below_a_parent(cx, request)
        descending = request.get("SortOrder", resource.order).capitalize() == "Descending"
        size = request.get("MaxResults", DEFAULT_PAGE)
        values = scope(cx, resource.noun, size=size + 1)
        # The API reference of ListTrainingJobs: with MaxResults, jobs are taken first and filtered by status then.
        filters_after = resource.pages_before_status and "MaxResults" in request and "StatusEquals" in request
        filters = tuple(m for m in self.filters if m in request and not (filters_after and m == "StatusEquals"))
        values |= {member: self.filters[member].value(request[member]) for member in filters}
        binding = binding_of(self.operation, request)
        if "NextToken" in request:
            values["mark"], values["mark_id"] = read_token(cx, request["NextToken"], binding)
        few = self._few(cx, filters, request, values)
        form = request.get("SortBy", "CreationTime"), filters, descending, "NextToken" in request, few
        if among is None:
            stored = self._statement(*form).rows(cx.transaction, values)
        else:
            stored = cx.db.execute(self._query(*form, resources.c.key.in_(among)), values).all()
        documents = [orjson.loads(document) for _, _, document in stored[:size]]
        if filters_after:
            documents = [doc for doc in documents if doc.get(resource.status_member) == request["StatusEquals"]]
        member, summary = model.summary_shape(self.operation)
        answer: dict[str, Any] = {member: [self._summary(document, summary) for document in documents]}
        if len(stored) > size:
            last_id, last_mark, _ = stored[size - 1]
            answer["NextToken"] = write_token(cx, [last_mark, last_id], binding)
        return answer

    def _few(self, cx: Context, filters: Sequence[str], request: Mapping[str, Any], values: dict[str, Any]) -> Few:
        """Return the conditions of a filter that is true of so few that they are read and sorted, not looked for in the page's order."""
        for member in filters:
            filtered = self.filters[member]
            if filtered.count is not None and filtered.count.rows(cx.transaction, values)[0][0] <= FEW:
                return (OF_FEW,)
            if filtered.is_of_name and (ids := few_with(cx, self.resource.noun, request[member])) is not None:
                values["ids"] = ids
                return (OF_FEW, AMONG)
        return ()

    def _below_a_parent(self, cx: Context, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a request that names its parent by the key. AWS's error for one that is not there, where the model declares it."""
        parent, member = self.resource.parent, self.resource.key_members[0]
        if parent is None or member not in request or not model.declares_error(self.operation, "ResourceNotFound"):
            return request
        return {**request, member: parent.named(cx, request).key}

    def is_long(self, request: Mapping[str, Any]) -> bool:
        """Return whether a request may have to read every row: a part of a name has no index."""
        return any(self.filters[member].is_long for member in request if member in self.filters)

    def _summary(self, document: dict[str, Any], members: tuple[str, ...]) -> Any:
        if not members:  # plain values: the ARNs
            return document[self.resource.arn_member]
        names = self.resource.summary
        summary = {member: _at(document, names.get(member, member)) for member in members}
        return {member: value for member, value in summary.items() if value is not None}

    # -- what the members of a request mean

    def _filter(self, member: str) -> Filter:
        resource = self.resource
        about = resource.filters.get(member)
        if about is None:
            about = filtered_member(member)
            if (known := self._known_filter(member, about)) is not None:
                return known
            if about not in resource.shown:
                raise UndeclaredError(f"{self.operation}: {resource.noun} does not declare what {member} is about")
        if member.endswith(("After", "Before")):
            return _on_facet(about, _compared(member, facets.c.number), is_long=True)
        if member.endswith("Contains"):
            return _on_facet(about, Filter(contains(facets.c.text, member), like_pattern), is_long=True)
        return _on_facet(about, Filter(facets.c.text == bindparam(member, type_=Text), _as_facet), is_counted=True)

    def _known_filter(self, member: str, about: str) -> Filter | None:
        """Return the filter of what a column holds; None for what stands in the document only."""
        if member.endswith(("After", "Before")) and about in TIMES:
            return _compared(member, resources.c[TIMES[about]])
        if (column := self._column(about)) is not None:
            if member.endswith("Contains"):
                is_of_name = column is resources.c.key
                return Filter(contains(column, member), like_pattern, is_long=True, is_of_name=is_of_name)
            if member.endswith("Prefix"):
                return Filter(begins_with(column, member), str, is_long=True)
            has_status = resources.c.status != literal_column("''")  # so that the index of those that have one is used
            condition = column == bindparam(member, type_=Text)
            return Filter(condition & has_status if column is resources.c.status else condition, str)
        if about == self.resource.key_members[0] and not member.endswith("Contains"):
            return Filter(is_below(resources.c.key, bindparam(member, type_=Text)), str)
        return None

    def _column(self, about: str) -> Any:
        """Return the column of what a filter is about by the name that all Lists share, or by the resource's own."""
        resource = self.resource
        if about in {"Status", resource.status_member} and resource.status_member:
            return resources.c.status
        if about in {"Name", resource.name_member} and len(resource.key_members) == 1:
            return resources.c.key
        return None

    def _sort(self, value: str) -> Order:
        """Return what a SortBy value orders by: `CREATION_TIME` is `CreationTime`, `ImageName` an Image's Name."""
        resource = self.resource
        path = resource.sorts.get(value)
        if path is not None:
            return self._facet(path)
        name = value.replace("_", "").lower()
        own = {resource.name_member.lower(): "name", resource.status_member.lower(): "status"}
        column = SORTED.get(own.get(name, name))
        if column == "key" and len(resource.key_members) > 1:
            return self._facet(resource.name_member)
        if column is None and value in resource.shown:
            return self._facet(value)
        if column is None or (column == "status" and not resource.status_member):
            raise UndeclaredError(f"{self.operation}: {resource.noun} does not declare what SortBy {value} orders by")
        return Order(resources.c[column])

    def _facet(self, path: str) -> Order:
        kind = model.type_at(self.resource.describe, path)
        return facet_of(path, as_number=kind in model.NUMBERS)

    def _statement(self, *form: Any) -> Prepared:
        """Write a page's query once for each form of it: SQLAlchemy takes longer to write one than SQLite to answer it."""
        if form not in self._statements:
            self._statements[form] = Prepared(self._query(*form))
        return self._statements[form]

    def _query(
        self, sort_by: str, filters: tuple[str, ...], descending: bool, marked: bool, few: Few,
        *more: ColumnElement[bool],
    ) -> Select[Any]:  # fmt: skip
        column = self.sorts.get(sort_by, Order(resources.c.created))
        conditions = [*(few or (SCOPE,)), *(self.filters[member].condition for member in filters), *more]
        return page_of(column, conditions, descending=descending, marked=marked)


@cache
def _list_of(resource: Resource, operation: str) -> List:
    return List(resource, operation)


def page(
    resource: Resource, cx: Context, request: Mapping[str, Any], among: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return the page that the derived List would, for a component's own handler of it, which has looked at the request."""
    return _list_of(resource, model.list_operation(resource.noun) or "").page(cx, request, among)


def _at(document: Any, path: str) -> Any:
    """Return what stands at a dotted path of structures; None for nothing."""
    for part in path.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document


@dataclass(frozen=True, slots=True)
class Order:
    """What a List is ordered by: a column, and what is to be joined to resources for it."""

    column: Any
    joined: Any = None


def page_of(order: Order, conditions: list[Any], *, descending: bool, marked: bool) -> Select[Any]:
    """Write the query of one page: (id, mark, document), with the parameters `size` and, behind a page, `mark`, `mark_id`."""
    column = order.column
    if marked:
        conditions = [*conditions, _after(column, descending=descending)]
    by = (column.desc(), resources.c.id.desc()) if descending else (column, resources.c.id)
    query = select(resources.c.id, column.label("mark"), resources.c.document)
    if order.joined is not None:
        query = query.select_from(resources.outerjoin(order.joined, order.joined.c.resource_id == resources.c.id))
    return query.where(*conditions).order_by(*by).limit(bindparam("size", type_=Integer))


def _after(column: Any, *, descending: bool) -> ColumnElement[bool]:
    value, row_id = bindparam("mark", type_=column.type), bindparam("mark_id", type_=resources.c.id.type)
    beyond = column < value if descending else column > value
    beyond_id = resources.c.id < row_id if descending else resources.c.id > row_id
    return or_(beyond, and_(column == value, beyond_id))


def _as_facet(value: Any) -> str:
    """Write a request's value as the facet of one is: a number is asked for as a number."""
    return kept_text(str(value).lower() if isinstance(value, bool) else str(value))


def _compared(member: str, column: Any) -> Filter:
    parameter = bindparam(member, type_=Double)
    return Filter(column > parameter if member.endswith("After") else column < parameter, float)


def _on_facet(path: str, filtered: Filter, *, is_long: bool = False, is_counted: bool = False) -> Filter:
    """Ask a condition of the facets at a path."""
    there = select(facets.c.resource_id).where(facets.c.path == path, filtered.condition)
    count = select(func.count()).select_from(there.limit(FEW + 1).subquery())
    return Filter(resources.c.id.in_(there), filtered.value, is_long, Prepared(count) if is_counted else None)


def facet_of(path: str, *, as_number: bool) -> Order:
    """Return the order of what stands at a path; what has nothing there comes before everything."""
    column, none, kind = (facets.c.number, LOWEST, Double) if as_number else (facets.c.text, "", Text)
    first = select(facets.c.resource_id, func.min(column).label("value")).where(facets.c.path == path)
    by_resource = first.group_by(facets.c.resource_id).subquery()
    return Order(func.coalesce(by_resource.c.value, none, type_=kind), by_resource)
