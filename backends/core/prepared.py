"""Statements of the measured hot paths: written in SQLAlchemy, compiled once, run on SQLite's driver without it.

SQLAlchemy's execution costs some 50 µs around the 4 µs that SQLite takes for a point read (bench/README.md). PostgreSQL,
where the round trip costs more than that, gets the same statement the ordinary way. Values go in and out as the driver
has them, so this is for columns of text, numbers and bytes: no result of a converting type, no expanding IN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Select, UpdateBase

    from backends.core.db import Transaction

_DIALECT = sqlite.dialect(paramstyle="named")


class Prepared:
    """One statement with named parameters. `columns`: those that an INSERT gives a value, all that have a default too."""

    __slots__ = ("_columns", "_sql", "_statement")

    def __init__(self, statement: Select[Any] | UpdateBase, columns: Sequence[str] | None = None) -> None:
        self._statement, self._columns, self._sql = statement, columns, ""

    def rows(self, tx: Transaction, values: Mapping[str, Any]) -> Sequence[Any]:
        """Run it and give all rows, as tuples in the order of the statement's columns."""
        if tx.driver is None:
            return tx.connection.execute(self._statement, values).all()
        found: list[Any] = tx.driver.execute(self._sql or self._compile(), values).fetchall()
        return found

    def row(self, tx: Transaction, values: Mapping[str, Any]) -> Any:
        """Run it and give the first row, None when there is none."""
        if tx.driver is None:
            return tx.connection.execute(self._statement, values).first()
        found = tx.driver.execute(self._sql or self._compile(), values).fetchall()  # all: an open cursor pins the WAL
        return found[0] if found else None

    def run(self, tx: Transaction, values: Mapping[str, Any]) -> None:
        """Run it for its effect."""
        if tx.driver is None:
            tx.connection.execute(self._statement, values)
        else:
            tx.driver.execute(self._sql or self._compile(), values)

    def _compile(self) -> str:
        compiled: Any = self._statement.compile(dialect=_DIALECT, column_keys=self._columns)
        fixed = [name for name, bind in compiled.binds.items() if not bind.required]
        assert not fixed, f"only what the caller gives is bound; say it with bindparam or literal_column: {fixed}"
        self._sql = str(compiled)
        return self._sql
