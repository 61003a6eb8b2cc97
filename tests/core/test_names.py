"""NameContains through the index of names answers as reading every row does; also on PostgreSQL (LOCALMAKER_TEST_POSTGRESQL=1)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from backends import load_components
from backends.core import listing, reset
from backends.core.kernel import Kernel
from backends.core.names import index
from backends.core.settings import Settings
from tests import postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backends.core.context import Context

REGION = "us-east-1"
NAMES = st.text("aAbB-_%/\\é", min_size=1, max_size=6)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("make"), NAMES),
        st.tuples(st.just("drop last"), st.integers(1, 3)),
        st.tuples(st.just("drop"), st.integers(0, 20)),
        st.tuples(st.just("find"), st.text("aAbB-_%é", min_size=1, max_size=4)),
        st.tuples(st.just("forget everything"), st.none()),
    ),
    max_size=40,
)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with opened(tmp_path_factory.mktemp("names")) as kernel:
        yield kernel


@contextmanager
def opened(folder: Path) -> Iterator[Kernel]:
    url = postgresql.database_for(folder) if postgresql.is_wanted() else None
    kernel = Kernel(Settings.read({}, data_dir=folder, database_url=url), load_components())
    kernel.open()
    yield kernel
    kernel.lease.release()
    kernel.db.close()


def ascii_lower(name: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in name)


def names_with(kernel: Kernel, cx: Context, part: str) -> list[str]:
    request = {"NameContains": part, "MaxResults": 100, "SortBy": "Name", "SortOrder": "Ascending"}
    models = listing.List(kernel.resources["Model"], "ListModels")
    return [row["ModelName"] for row in cx.look(lambda inside: models.page(inside, request))["Models"]]


@given(st.integers(0, 5), STEPS)
@settings(max_examples=60, deadline=None)
def test_names_are_found_as_if_each_was_read(kernel: Kernel, few: int, steps: list[tuple[str, Any]]) -> None:
    """`few`: with more matches than so many times the root of all, rows are read one by one. Dropping the last lets its id come again."""
    cx, model = kernel.context("111122223333", REGION), kernel.resources["Model"]
    kernel.db.write_blocking(lambda tx: reset._forget(tx, None))
    index.FEW_OF_ROOT = few
    stored: dict[str, str] = {}
    for what, value in steps:
        match what:
            case "make" if ascii_lower(value) not in map(ascii_lower, stored):
                cx.write(lambda inside, value=value: model.insert(inside, value, {"ModelName": value}))  # type: ignore[misc]
                stored[value] = value
            case "drop" | "drop last":
                dropped = list(stored)[-value:] if what == "drop last" else list(stored)[value : value + 1]
                for name in dropped:
                    cx.write(lambda inside, name=name: model.delete(inside, model.get(inside, name)))  # type: ignore[misc]
                    del stored[name]
            case "forget everything":
                kernel.db.write_blocking(lambda tx: reset._forget(tx, None))
                stored = {}
            case "find":
                wanted = [name for name in stored if ascii_lower(value) in ascii_lower(name)]
                assert names_with(kernel, cx, value) == sorted(wanted, key=str.encode)
    index.FEW_OF_ROOT = 5


def test_an_id_that_comes_again_while_somebody_reads_is_not_missed(kernel: Kernel) -> None:
    """A reader that indexes the table between the writing of a row and its commit has seen the one that had its id before."""
    if not kernel.db.is_sqlite:
        pytest.skip("ids come again on SQLite only")
    cx, model = kernel.context("222233334444", REGION), kernel.resources["Model"]
    cx.write(lambda inside: model.insert(inside, "before", {"ModelName": "before"}))
    assert names_with(kernel, cx, "fore") == ["before"]

    def exchange(inside: Context) -> None:
        row = model.get(inside, "before")
        model.delete(inside, row)
        assert model.insert(inside, "after", {"ModelName": "after"}).id == row.id
        assert names_with(kernel, cx, "fore") == ["before"]  # on a connection of its own: not committed yet

    cx.write(exchange)
    assert names_with(kernel, cx, "ter") == ["after"]
    assert names_with(kernel, cx, "fore") == []


def test_postgresql_has_an_index_of_trigrams(tmp_path: Path) -> None:
    """And does without where the extension cannot be made."""
    if not postgresql.is_wanted():
        pytest.skip("PostgreSQL's")
    with opened(tmp_path) as kernel, kernel.db.engine.connect() as connection:
        assert connection.execute(
            text("SELECT 1 FROM pg_indexes WHERE indexname = 'ix_resources_name_trigrams'")
        ).scalar()
        connection.execute(text("SET enable_seqscan = off"))
        plan = connection.execute(text("EXPLAIN SELECT id FROM resources WHERE lower(key) LIKE '%abcde%' ESCAPE '/'"))
        assert "ix_resources_name_trigrams" in "".join(plan.scalars())
