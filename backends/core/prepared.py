"""Statements of the measured hot paths: written in SQLAlchemy, compiled once, run on SQLite's driver without it.

SQLAlchemy's execution costs some 50 µs around the 4 µs that SQLite takes for a point read (bench/README.md). PostgreSQL,
where the round trip costs more than that, gets the same statement the ordinary way. Values go in and out as the driver
has them, so this is for columns of text, numbers and bytes: no result of a converting type, no expanding IN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Select, Table, UpdateBase

    from backends.core.db import Transaction

_DIALECT = sqlite.dialect(paramstyle="named")


class Prepared:
    """One statement with named parameters. `columns`: those that an INSERT gives a value, all that have a default too."""

    __slots__ = ("_columns", "_fixed", "_sql", "_statement")

    def __init__(self, statement: Select[Any] | UpdateBase, columns: Sequence[str] | None = None) -> None:
        self._statement, self._columns, self._sql = statement, columns, ""
        self._fixed: dict[str, Any] = {}

    def rows(self, tx: Transaction, values: Mapping[str, Any]) -> Sequence[Any]:
        """Run it and give all rows, as tuples in the order of the statement's columns."""
        if tx.driver is None:
            return tx.connection.execute(self._statement, values).all()
        rows: list[Any] = self._execute(tx.driver, values).fetchall()
        return rows

    def row(self, tx: Transaction, values: Mapping[str, Any]) -> Any:
        """Run it and give the first row, None when there is none."""
        if tx.driver is None:
            return tx.connection.execute(self._statement, values).first()
        rows = self._execute(tx.driver, values).fetchall()  # all: an open cursor would keep its read transaction
        return rows[0] if rows else None

    def run(self, tx: Transaction, values: Mapping[str, Any]) -> None:
        """Run it for its effect."""
        if tx.driver is None:
            tx.connection.execute(self._statement, values)
        else:
            self._execute(tx.driver, values)

    def run_many(self, tx: Transaction, values: Sequence[Mapping[str, Any]]) -> None:
        """Run it for its effect once for each of several sets of values."""
        if tx.driver is None:
            tx.connection.execute(self._statement, values)
            return
        self._compile()
        tx.driver.executemany(self._sql, [{**self._fixed, **each} for each in values] if self._fixed else values)

    def _execute(self, driver: Any, values: Mapping[str, Any]) -> Any:
        self._compile()
        return driver.execute(self._sql, {**self._fixed, **values} if self._fixed else values)

    def _compile(self) -> None:
        if self._sql:
            return
        compiled: Any = self._statement.compile(dialect=_DIALECT, column_keys=self._columns)
        # What the statement itself fixes: a literal, the OFFSET 0 that SQLAlchemy writes for SQLite.
        self._fixed = {name: bind.value for bind, name in compiled.bind_names.items() if not bind.required}
        self._sql = str(compiled)


class PreparedRows:
    """An INSERT of several rows at once: one statement of SQLite's for all of them costs half of one for each."""

    __slots__ = ("_columns", "_statement", "_texts")

    MOST = 100

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        self._statement, self._columns = insert(table), tuple(columns)
        row = f"({', '.join('?' * len(columns))})"
        self._texts = [
            f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES {', '.join([row] * count)}"  # noqa: S608 - our own names
            for count in range(self.MOST + 1)
        ]

    def run(self, tx: Transaction, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows, each with its values in the order of the columns."""
        if tx.driver is None:
            tx.connection.execute(self._statement, [dict(zip(self._columns, row, strict=True)) for row in rows])
            return
        for first in range(0, len(rows), self.MOST):
            part = rows[first : first + self.MOST]
            tx.driver.execute(self._texts[len(part)], [value for row in part for value in row])
