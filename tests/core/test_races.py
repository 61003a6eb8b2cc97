"""What several ask for at once is made once: on PostgreSQL (LOCALMAKER_TEST_POSTGRESQL=1) transactions truly overlap."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from sqlalchemy import select

from backends.aws.iam import roles as iam
from backends.aws.iam import store, tagging
from backends.core import logstore, numbers, tags
from backends.core.errors import AwsError
from backends.core.keys import SEEDED_ROLE
from backends.core.resource import resource
from backends.core.tables import log_events, log_streams
from tests.core.conftest import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.context import Context
    from backends.core.kernel import Kernel

AT_ONCE = 16
EMPTY = '{"Version": "2012-10-17", "Statement": []}'
MODEL = resource("Model", arn_path="model", exists="{arn} exists")


def test_first_uses_at_once(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        def log(number: int) -> Callable[[Context], int]:
            def append(cx: Context) -> int:
                stream = logstore.ensure_stream(cx, "/g", "s")
                logstore.append(cx, stream, [(1000 + number, f"line\0 {number}")])
                return stream

            return append

        cx = kernel.context(ACCOUNT, REGION)
        streams = await asyncio.gather(*(cx.transact(log(n)) for n in range(AT_ONCE)))
        assert len(set(streams)) == 1
        row: Any = await cx.transact(lambda inside: inside.db.execute(select(log_streams)).one())
        assert (row.first_event_ms, row.last_event_ms) == (1000, 1000 + AT_ONCE - 1)
        lines = await cx.transact(lambda inside: inside.db.execute(select(log_events.c.message)).scalars().all())
        assert sorted(lines) == sorted(f"line {n}" for n in range(AT_ONCE))

        request = {"RoleName": SEEDED_ROLE}
        roles = await asyncio.gather(*(cx.transact(lambda inside: iam.get_role(inside, request)) for _ in range(16)))
        assert len({role["Role"]["CreateDate"] for role in roles}) == 1

    with_kernel(work)


def test_a_name_is_given_once(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        def create(cx: Context) -> str:
            MODEL.insert(cx, "m", {"ModelName": "m"})
            return "made"

        cx = kernel.context(ACCOUNT, REGION)
        answers = await asyncio.gather(*(cx.transact(create) for _ in range(AT_ONCE)), return_exceptions=True)
        said = Counter(answer.code if isinstance(answer, AwsError) else answer for answer in answers)
        assert said == {"made": 1, "ValidationException": AT_ONCE - 1}

    with_kernel(work)


def test_a_role_is_kept_and_changed(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        cx, policy = kernel.context(ACCOUNT, REGION), {"PolicyDocument": EMPTY, "RoleName": "mine"}
        made = {"RoleName": "mine", "AssumeRolePolicyDocument": store.TRUST}
        await cx.transact(lambda inside: iam.create_role(inside, made))
        await cx.transact(lambda inside: iam.update_assume_role_policy(inside, policy))
        role = await cx.transact(lambda inside: iam.get_role(inside, made))
        assert unquote(role["Role"]["AssumeRolePolicyDocument"]) == EMPTY

    with_kernel(work)


def test_changes_of_a_role_at_once_are_all_kept(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        def change(number: int) -> Callable[[Context], Any]:
            tags = [{"Key": f"k{number}", "Value": "v"}]
            return lambda cx: tagging.tag(cx, {"RoleName": "mine", "Tags": tags})

        cx = kernel.context(ACCOUNT, REGION)
        made = {"RoleName": "mine", "AssumeRolePolicyDocument": store.TRUST}
        await cx.transact(lambda inside: iam.create_role(inside, made))
        await asyncio.gather(*(cx.transact(change(number)) for number in range(AT_ONCE)))
        role = await cx.transact(lambda inside: iam.get_role(inside, made))
        assert sorted(tag["Key"] for tag in role["Role"]["Tags"]) == sorted(f"k{n}" for n in range(AT_ONCE))

    with_kernel(work)


def test_tags_of_one_resource_at_once_are_all_kept(with_kernel: Callable[..., Any]) -> None:
    """The same keys too, in another order each: one after the other."""

    async def work(kernel: Kernel) -> None:
        cx, keys = kernel.context(ACCOUNT, REGION), [f"k{number}" for number in range(AT_ONCE)]

        def put(number: int) -> Callable[[Context], Any]:
            given = [{"Key": key, "Value": str(number)} for key in (*keys[number:], *keys[:number])]
            return lambda inside: tags.put(inside, "arn:x", given)

        await asyncio.gather(*(cx.transact(put(number)) for number in range(AT_ONCE)))
        kept = await cx.transact(lambda inside: tags.of(inside, "arn:x"))
        assert sorted(kept) == sorted(keys)
        assert len(set(kept.values())) == 1

    with_kernel(work)


def test_of_two_transactions_that_wait_for_each_other_both_are_done(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        if kernel.db.is_sqlite:
            pytest.skip("on SQLite one writes at a time")
        cx, met = kernel.context(ACCOUNT, REGION), threading.Barrier(2)

        def count(*names: str) -> Callable[[Context], None]:
            tries = iter((True,))

            def both(inside: Context) -> None:
                numbers.following(inside, names[0])
                if next(tries, False):
                    met.wait(10)
                numbers.following(inside, names[1])

            return both

        await asyncio.gather(cx.transact(count("a", "b")), cx.transact(count("b", "a")))
        assert await cx.transact(lambda inside: numbers.following(inside, "a")) == 3

    with_kernel(work)
