"""State and credentials are their owner's only, and credentials end with what they were made for."""

from __future__ import annotations

import os
import secrets
import stat
from typing import TYPE_CHECKING, Any

from backends.core import keys, private

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from backends.core.kernel import Kernel

ACCOUNT, REGION = "111122223333", "us-east-1"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_state_is_its_owners_only(tmp_path: Path, with_kernel: Callable[..., Any]) -> None:
    tmp_path.chmod(0o755)

    async def work(kernel: Kernel) -> None:
        files = [path for path in kernel.settings.data_dir.iterdir() if path.name.startswith("state.db")]
        assert all(mode(path) == 0o600 for path in files)
        assert mode(kernel.settings.data_dir) == 0o700

    with_kernel(work)


def test_what_an_older_version_left_open_is_closed(tmp_path: Path) -> None:
    state = tmp_path / "data" / "state.db"
    state.parent.mkdir(mode=0o755)
    for path in (state, state.with_name("state.db-wal")):
        path.touch(0o644)
    private.directory(state.parent)
    private.database(state)
    assert (mode(state.parent), mode(state), mode(state.with_name("state.db-wal"))) == (0o700, 0o600, 0o600)
    assert os.path.getsize(state) == 0  # noqa: PTH202 - nothing was written


def test_keys_end_with_their_session(with_kernel: Callable[..., Any]) -> None:
    async def work(kernel: Kernel) -> None:
        cx = kernel.context(ACCOUNT, REGION)
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/Role/"
        made = await cx.transact(lambda c: [keys.issue(c, ACCOUNT, arn + s, 3600.0) for s in ("job_1", "jobx1")])
        assert [kernel.issued_key(key.access_key) for key in made] == made
        await cx.transact(lambda c: keys.end_sessions(c, "job_1"))
        assert [kernel.issued_key(key.access_key) for key in made] == [None, made[1]]

    with_kernel(work)


def test_an_unknown_key_is_looked_up_once(with_kernel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MOST_REMEMBERED", 10)

    async def work(kernel: Kernel) -> None:
        reads: list[str] = []
        monkeypatch.setattr(keys, "find", lambda _, name: reads.append(name))
        for number in range(20):
            for _ in range(2):
                assert kernel.issued_key(f"ASIALM{number}") is None
        assert len(reads) == 20
        assert len(kernel._keys._keys) == 10

    with_kernel(work)


def test_a_key_is_known_as_soon_as_it_is_made(with_kernel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(kernel: Kernel) -> None:
        monkeypatch.setattr(secrets, "choice", lambda letters: letters[0])
        guessed = keys.TEMPORARY + "A" * (20 - len(keys.TEMPORARY))
        assert kernel.issued_key(guessed) is None
        key = await kernel.context(ACCOUNT, REGION).transact(lambda c: keys.issue(c, ACCOUNT, "arn", 60.0))
        assert kernel.issued_key(guessed) == key

    with_kernel(work)
