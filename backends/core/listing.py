"""Lists: the filters, sorts and pages that 88 List operations share.

Pages are keyset pages on (sort key, row id): what is created or deleted between two pages neither repeats nor hides
anything else. A token is signed with the installation's secret and bound to the request it continues.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import ColumnElement, Integer, Text, and_, bindparam, func, or_, select

from api_specs import model
from backends.core import errors
from backends.core.prepared import Prepared
from backends.core.tables import resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context
    from backends.core.resource import Resource

DEFAULT_PAGE = 10
SORT_COLUMNS = {
    "Name": resources.c.key,
    "CreationTime": resources.c.created,
    "LastModifiedTime": resources.c.modified,
    "Status": resources.c.status,
}
PAGING = frozenset({"NextToken", "MaxResults"})
# Each filter's condition, with a parameter of the member's own name.
FILTERS: dict[str, ColumnElement[bool]] = {
    "CreationTimeAfter": resources.c.created > bindparam("CreationTimeAfter"),
    "CreationTimeBefore": resources.c.created < bindparam("CreationTimeBefore"),
    "LastModifiedTimeAfter": resources.c.modified > bindparam("LastModifiedTimeAfter"),
    "LastModifiedTimeBefore": resources.c.modified < bindparam("LastModifiedTimeBefore"),
    "NameContains": func.lower(resources.c.key).like(bindparam("NameContains", type_=Text), escape="/"),
    "StatusEquals": resources.c.status == bindparam("StatusEquals"),
}


def page(cx: Context, resource: Resource, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a List operation: one page of summaries, and NextToken while there is more."""
    operation = model.list_operation(resource.noun)
    assert operation is not None
    result_member, summary_members = model.summary_shape(operation)
    descending = request.get("SortOrder", resource.order) == "Descending"
    size = request.get("MaxResults", DEFAULT_PAGE)
    values = {"kind": resource.noun, "account": cx.account, "region": cx.region, "size": size + 1}
    # The API reference of ListTrainingJobs: with MaxResults, jobs are taken first and filtered by status then.
    filters_after = resource.pages_before_status and "MaxResults" in request and "StatusEquals" in request
    filters = tuple(m for m in FILTERS if m in request and not (filters_after and m == "StatusEquals"))
    values |= {member: request[member] for member in filters}
    if "NameContains" in request:
        values["NameContains"] = _like(request["NameContains"])
    binding = _binding(operation, request)
    if "NextToken" in request:
        values["mark"], values["mark_id"] = read_token(cx, request["NextToken"], binding)
    statement = _statement(request.get("SortBy", "CreationTime"), filters, descending, "NextToken" in request)
    rows = statement.rows(cx.transaction, values)
    documents = [orjson.loads(document) for _, _, document in rows[:size]]
    if filters_after:
        documents = [doc for doc in documents if doc.get(resource.status_member) == request["StatusEquals"]]
    answer: dict[str, Any] = {result_member: [{m: doc[m] for m in summary_members if m in doc} for doc in documents]}
    if len(rows) > size:
        last_id, last_mark, _ = rows[size - 1]
        answer["NextToken"] = write_token(cx, [last_mark, last_id], binding)
    return answer


@lru_cache(512)
def _statement(sort_by: str, filters: tuple[str, ...], descending: bool, marked: bool) -> Prepared:
    """Write a page's query once for each form of it: SQLAlchemy takes longer to write one than SQLite to answer it."""
    column: Any = SORT_COLUMNS[sort_by]
    conditions = [resources.c[name] == bindparam(name) for name in ("kind", "account", "region")]
    conditions += [FILTERS[member] for member in filters]
    if marked:
        conditions.append(_after(column, descending=descending))
    order = (column.desc(), resources.c.id.desc()) if descending else (column, resources.c.id)
    query = select(resources.c.id, column.label("mark"), resources.c.document).where(*conditions).order_by(*order)
    return Prepared(query.limit(bindparam("size", type_=Integer)))


def _like(text: str) -> str:
    """Write the LIKE pattern of a part of a name, in lower case."""
    for special in "/%_":
        text = text.replace(special, f"/{special}")
    return f"%{text.lower()}%"


def _after(column: Any, *, descending: bool) -> ColumnElement[bool]:
    value, row_id = bindparam("mark", type_=column.type), bindparam("mark_id", type_=resources.c.id.type)
    beyond = column < value if descending else column > value
    beyond_id = resources.c.id < row_id if descending else resources.c.id > row_id
    return or_(beyond, and_(column == value, beyond_id))


def _binding(operation: str, request: Mapping[str, Any]) -> bytes:
    kept = {k: v for k, v in request.items() if k not in PAGING}
    return operation.encode() + orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)


def write_token(cx: Context, mark: list[Any], binding: bytes) -> str:
    """Make an opaque token: where the page ended, signed for the request (`binding`) and account it belongs to."""
    body = orjson.dumps(mark)
    return base64.urlsafe_b64encode(_signature(cx, body, binding) + body).decode()


def read_token(cx: Context, token: str, binding: bytes) -> list[Any]:
    """Return where the last page ended; raise ValidationException for a token that this request did not get."""
    try:
        raw = base64.urlsafe_b64decode(token)
        if hmac.compare_digest(raw[:16], _signature(cx, raw[16:], binding)):
            mark: list[Any] = orjson.loads(raw[16:])
            return mark
    except ValueError:
        pass
    raise errors.validation("Invalid Pagination Token")  # Unverified: AWS's wording


def _signature(cx: Context, body: bytes, binding: bytes) -> bytes:
    message = b"\0".join((cx.account.encode(), cx.region.encode(), binding, body))
    return hmac.digest(cx.kernel.secret, message, hashlib.sha256)[:16]
