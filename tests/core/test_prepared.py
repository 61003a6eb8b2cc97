"""Prepared statements: the same rows as SQLAlchemy gives, and no cursor left open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import bindparam, delete, insert, select

from backends.core.prepared import Prepared
from backends.core.tables import tags

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.db import Transaction
    from backends.core.kernel import Kernel

INSERT = insert(tags)
BY_ARN = select(tags.c.key, tags.c.value).where(tags.c.arn == bindparam("arn")).order_by(tags.c.key)
DELETE = delete(tags).where(tags.c.arn == bindparam("of_arn")).returning(tags.c.key)


@pytest.mark.parametrize("through_driver", [True, False])
def test_driver_and_sqlalchemy_agree(with_kernel: Callable[..., Any], *, through_driver: bool) -> None:
    async def work(kernel: Kernel) -> None:
        def inside(tx: Transaction) -> None:
            assert tx.driver is not None
            if not through_driver:
                tx.driver = None
            store, read, remove = Prepared(INSERT, ("arn", "key", "value")), Prepared(BY_ARN), Prepared(DELETE)
            for key in ("b", "a"):
                store.run(tx, {"arn": "x", "key": key, "value": f"{key}'s"})
            assert [tuple(row) for row in read.rows(tx, {"arn": "x"})] == [("a", "a's"), ("b", "b's")]
            assert tuple(read.row(tx, {"arn": "x"})) == ("a", "a's")
            assert read.row(tx, {"arn": "none"}) is None
            assert sorted(row[0] for row in remove.rows(tx, {"of_arn": "x"})) == ["a", "b"]
            assert not list(read.rows(tx, {"arn": "x"}))

        await kernel.db.write(inside)

    with_kernel(work)


def test_values_of_the_statement_itself_are_bound_too(with_kernel: Callable[..., Any]) -> None:
    store = Prepared(INSERT, ("arn", "key", "value"))
    fixed = Prepared(select(tags.c.key).where(tags.c.arn == "x", tags.c.value == bindparam("of")).limit(1))

    async def work(kernel: Kernel) -> None:
        def inside(tx: Transaction) -> None:
            for key in ("a", "b"):
                store.run(tx, {"arn": "x", "key": key, "value": "1"})
            assert len(fixed.rows(tx, {"of": "1"})) == 1
            assert not fixed.rows(tx, {"of": "2"})

        await kernel.db.write(inside)

    with_kernel(work)


def test_a_prepared_write_of_a_failed_unit_is_rolled_back(with_kernel: Callable[..., Any]) -> None:
    store, read = Prepared(INSERT, ("arn", "key", "value")), Prepared(BY_ARN)

    async def work(kernel: Kernel) -> None:
        def failing(tx: Transaction) -> None:
            store.run(tx, {"arn": "x", "key": "a", "value": "1"})
            raise KeyError

        with pytest.raises(KeyError):
            await kernel.db.write(failing)
        assert not await kernel.db.read(lambda tx: read.rows(tx, {"arn": "x"}))

    with_kernel(work)
