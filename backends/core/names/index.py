"""All names of a kind in one piece of memory, for SQLite: where a text is rare, searching there finds the few rows that have it.

SQLite reads 100,000 rows in 42 ms to compare their names; `bytes.find` goes through the same names in a tenth of a millisecond
(3 MB). Nothing is written for it: an index is made when a name is first asked for and caught up, by the ids of what is new,
before each search. What is found is a superset, since rows that are deleted stay in it; the List's own condition decides.
The ids of rows at the end of the table come again once those are deleted: an insert of one forgets all indexes.

On PostgreSQL names have an index of trigrams where its extension is allowed (migration `core_0006`).
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_right
from collections import OrderedDict
from math import isqrt
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import Integer, Text, and_, bindparam, column, func, literal_column, select

from backends.core.memory import InMemory
from backends.core.prepared import Prepared
from backends.core.tables import resources

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backends.core.types import Context

FEW_OF_ROOT = 5
"""Where more names have a text than this many times the root of all, reading rows in the order of the page costs less."""
MOST_INDEXES = 32
SEPARATOR = b"\xff"
"""No byte of UTF-8."""
_IDS = func.json_each(bindparam("ids")).table_valued(column("value", Integer))
AMONG = resources.c.id.in_(select(_IDS.c.value))
"""A row's id is among the parameter `ids`, a JSON list."""
OF_FEW = and_(
    *((resources.c[name] + literal_column("''", Text)) == bindparam(name) for name in ("kind", "account", "region"))
)
"""Of a kind in an account and region, said so that no index of it is used: SQLite would walk all of a kind in the page's order, and has no statistics."""
_OF_ALL = and_(*(resources.c[name] == bindparam(name) for name in ("kind", "account", "region")))
_COLUMNS = select(resources.c.id, resources.c.key).where(resources.c.id <= bindparam("highest"))
_HIGHEST = Prepared(select(func.max(resources.c.id)))
_ALL = Prepared(_COLUMNS.where(_OF_ALL))
_NEWER = Prepared(_COLUMNS.where(resources.c.id > bindparam("known"), OF_FEW))


class Names:
    """The names of one kind in an account and region."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.highest = 0
        """All rows up to this id are known, and none above."""
        self._text = bytearray()
        self._starts, self._ids = array("q"), array("q")

    def catch_up(self, rows: Iterable[tuple[int, str]], highest: int) -> None:
        """Add rows, up to an id."""
        for row_id, key in rows:
            self._starts.append(len(self._text))
            self._ids.append(row_id)
            self._text += key.encode().lower() + SEPARATOR  # what is ASCII, as SQLite's `lower`
        self.highest = highest

    def having(self, part: str) -> list[int] | None:
        """Return the ids of the rows whose names have a text, of any case; None where there are too many."""
        most = FEW_OF_ROOT * isqrt(len(self._ids))
        text, at = part.casefold().encode().lower(), 0
        ids: list[int] = []
        while (at := self._text.find(text, at)) >= 0:
            if len(ids) == most:
                return None
            place = bisect_right(self._starts, at) - 1
            ids.append(self._ids[place])
            at = self._starts[place + 1] if place + 1 < len(self._starts) else len(self._text)
        return ids


class Indexes:
    """The indexes in use, those last asked last."""

    def __init__(self) -> None:
        self.highest = 0
        """No index knows a row with a higher id."""
        self._indexes: OrderedDict[tuple[str, str, str], Names] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, key: tuple[str, str, str], highest: int) -> Names:
        """Return the index of a kind, account and region, which is about to know all rows up to an id."""
        with self._lock:
            self.highest = max(self.highest, highest)
            names = self._indexes.setdefault(key, Names())
            self._indexes.move_to_end(key)
            while len(self._indexes) > MOST_INDEXES:
                self._indexes.popitem(last=False)
            return names

    def forget(self) -> None:
        """Forget all of them: an id that they know may be another row's from now on."""
        with self._lock:
            self._indexes, self.highest = OrderedDict(), 0


INDEXES = InMemory[Indexes]("core.names", lambda _kernel: Indexes())


def few_with(cx: Context, kind: str, part: str) -> bytes | None:
    """Return the ids of the rows of a kind whose names have a text, as JSON; None where SQL is to look for them."""
    if cx.transaction.driver is None or not part:
        return None
    highest = _HIGHEST.rows(cx.transaction, {})[0][0] or 0
    names = INDEXES.of(cx.kernel).of((kind, cx.account, cx.region), highest)
    with names.lock:
        if names.highest < highest:  # read after `of`, so that an id is noticed that becomes another row's meanwhile
            own = {"kind": kind, "account": cx.account, "region": cx.region, "highest": highest}
            newer = _NEWER if names.highest else _ALL
            names.catch_up(newer.rows(cx.transaction, {**own, "known": names.highest}), highest)
        ids = names.having(part)
    return None if ids is None else orjson.dumps(ids)


def inserted(cx: Context, row_id: int) -> None:
    """Take note of a new row: where its id is one that an index knows, it was a deleted row's."""
    indexes = INDEXES.get(cx.kernel)
    if indexes is not None and row_id <= indexes.highest:
        indexes.forget()
        cx.transaction.after_commit.append(indexes.forget)  # what a reader has indexed meanwhile was the old row
