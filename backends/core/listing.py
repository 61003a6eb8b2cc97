"""Lists: the filters, sorts and pages that 88 List operations share.

Pages are keyset pages on (sort key, row id): what is created or deleted between two pages neither repeats nor hides
anything else. A token is signed with the installation's secret and bound to the request it continues.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import ColumnElement, and_, func, or_, select

from api_specs import model
from backends.core import errors
from backends.core.tables import resources

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backends.core.context import Context
    from backends.core.resource import Resource

DEFAULT_PAGE = 10
SORT_COLUMNS = {
    "Name": resources.c.key,
    "CreationTime": resources.c.created,
    "LastModifiedTime": resources.c.modified,
    "Status": resources.c.status,
}
TIME_FILTERS: dict[str, Callable[[float], ColumnElement[bool]]] = {
    "CreationTimeAfter": lambda value: resources.c.created > value,
    "CreationTimeBefore": lambda value: resources.c.created < value,
    "LastModifiedTimeAfter": lambda value: resources.c.modified > value,
    "LastModifiedTimeBefore": lambda value: resources.c.modified < value,
}
PAGING = frozenset({"NextToken", "MaxResults"})


def page(
    cx: Context, resource: Resource, request: dict[str, Any], extra: Sequence[ColumnElement[bool]] = ()
) -> dict[str, Any]:
    """Answer a List operation: one page of summaries, and NextToken while there is more."""
    operation = model.list_operation(resource.noun)
    assert operation is not None
    result_member, summary_members = model.summary_shape(operation)
    column = SORT_COLUMNS[request.get("SortBy", "CreationTime")]
    descending = request.get("SortOrder", resource.order) == "Descending"
    size = request.get("MaxResults", DEFAULT_PAGE)
    conditions = [
        resources.c.kind == resource.noun,
        resources.c.account == cx.account,
        resources.c.region == cx.region,
        *_filters(request),
        *extra,
    ]
    binding = _binding(operation, request)
    if "NextToken" in request:
        conditions.append(_after(column, descending=descending, mark=read_token(cx, request["NextToken"], binding)))
    order = (column.desc(), resources.c.id.desc()) if descending else (column, resources.c.id)
    query = select(resources.c.id, column.label("mark"), resources.c.document).where(*conditions)
    rows = cx.db.execute(query.order_by(*order).limit(size + 1)).all()
    documents = [orjson.loads(row.document) for row in rows[:size]]
    answer: dict[str, Any] = {result_member: [{m: doc[m] for m in summary_members if m in doc} for doc in documents]}
    if len(rows) > size:
        answer["NextToken"] = write_token(cx, [rows[size - 1].mark, rows[size - 1].id], binding)
    return answer


def _filters(request: dict[str, Any]) -> list[ColumnElement[bool]]:
    found = [make(request[member]) for member, make in TIME_FILTERS.items() if member in request]
    if "NameContains" in request:
        found.append(func.lower(resources.c.key).contains(request["NameContains"].lower(), autoescape=True))
    if "StatusEquals" in request:
        found.append(resources.c.status == request["StatusEquals"])
    return found


def _after(column: Any, *, descending: bool, mark: list[Any]) -> ColumnElement[bool]:
    value, row_id = mark
    beyond = column < value if descending else column > value
    beyond_id = resources.c.id < row_id if descending else resources.c.id > row_id
    return or_(beyond, and_(column == value, beyond_id))


def _binding(operation: str, request: dict[str, Any]) -> bytes:
    kept = {k: v for k, v in request.items() if k not in PAGING}
    return operation.encode() + orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)


def write_token(cx: Context, mark: list[Any], binding: bytes) -> str:
    """Make an opaque token: where the page ended, signed for the request (`binding`) and account it belongs to."""
    body = orjson.dumps(mark)
    return base64.urlsafe_b64encode(_signature(cx, body, binding) + body).decode()


def read_token(cx: Context, token: str, binding: bytes) -> list[Any]:
    """Give back where the last page ended; raise ValidationException for a token that this request did not get."""
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
