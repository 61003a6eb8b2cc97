"""What SQLite and PostgreSQL say differently: the one place that asks which of them it is."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, cast

import orjson
from sqlalchemy import Text, bindparam, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Table


def insert_into(connection: Connection, table: Table) -> Any:
    """Return an INSERT that can be told what to do about a row that is there already."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def insert_absent(connection: Connection, table: Table, rows: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, but for those whose key is there, be it another transaction's that commits meanwhile (PostgreSQL)."""
    if rows:
        connection.execute(insert_into(connection, table).on_conflict_do_nothing(), rows)


def insert_or_update(
    connection: Connection,
    table: Table,
    key: Mapping[str, Any],
    written: Mapping[str, Any],
    fresh: Mapping[str, Any] | None = None,
) -> None:
    """Insert a row of `key`, `written` and `fresh`, or put `written` into the one that is there (its version grows)."""
    fresh = fresh or {}
    statement = insert_into(connection, table).values(**key, **written, **fresh)
    again = {**written, "version": table.c.version + 1} if "version" in fresh else dict(written)
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=again))


def one_at_a_time(connection: Connection, name: str) -> None:
    """Wait until no other transaction that has called this with the same name is open (PostgreSQL; SQLite has one writer)."""
    if connection.dialect.name == "postgresql":
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        connection.execute(select(func.pg_advisory_xact_lock(number)))


def is_one_of(connection: Connection, column: Any, texts: Sequence[str]) -> ColumnElement[bool]:
    """Return whether a text column is one of many texts: one parameter, however many they are, and the column's index serves."""
    if connection.dialect.name == "postgresql":
        condition: ColumnElement[bool] = column == func.any(literal(list(texts), postgresql.ARRAY(Text)))
        return condition
    listed = func.json_each(orjson.dumps(texts).decode()).table_valued("value")
    return cast("ColumnElement[bool]", column.in_(select(listed.c.value)))


def begins(column: Any, prefix: str) -> ColumnElement[bool]:
    """Return whether a text column begins with a text; LIKE would fold case on SQLite."""
    condition: ColumnElement[bool] = func.substr(column, 1, len(prefix)) == prefix
    return condition


def begins_with(column: Any, parameter: str) -> ColumnElement[bool]:
    """Return whether a text column begins with a parameter."""
    prefix = bindparam(parameter, type_=Text)
    condition: ColumnElement[bool] = func.substr(column, 1, func.length(prefix)) == prefix
    return condition


def is_below(column: Any, parent: Any) -> ColumnElement[bool]:
    """Return whether a key, in a column that sorts by bytes, is that of a parent with a slash and more behind it.

    Said as a range, which has an index: `0` is what follows the slash. The parent's key is a text or a parameter.
    """
    condition: ColumnElement[bool] = (column >= parent + "/") & (column < parent + "0")
    return condition


def contains(column: Any, parameter: str) -> ColumnElement[bool]:
    """Return whether a text column contains a parameter, of any case; the value is to be written by `like_pattern`."""
    return folded(column).like(bindparam(parameter, type_=Text), escape="/")


def folded(column: Any) -> ColumnElement[str]:
    """Return a text column without its case: `lower` folds what is ASCII, on both; what is not stands folded beside it."""
    lower: ColumnElement[str] = func.lower(column)
    beside = column.table.c.get("folded")
    return lower if beside is None else func.coalesce(beside, lower)


def fold(text: str) -> str | None:
    """Return what is stored as `folded` beside a text; None where it is all ASCII."""
    return None if text.isascii() else text.casefold()


def like_pattern(text: str) -> str:
    """Write the LIKE pattern of a part of a text, without its case."""
    for special in "/%_":
        text = text.replace(special, f"/{special}")
    return f"%{text.casefold()}%"
