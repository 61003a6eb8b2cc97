"""Lists are answered from an index, whatever is stored: what SQLite says that it will do."""

from __future__ import annotations

from contextlib import closing
from sqlite3 import connect
from typing import TYPE_CHECKING

import pytest

from api_specs import model
from backends import load_components
from backends.core import listing
from backends.core.kernel import Kernel
from backends.core.names.index import AMONG, OF_FEW
from backends.core.settings import Settings
from tests import postgresql

if TYPE_CHECKING:
    from pathlib import Path

    from backends.core.context import Context

PLANS = (
    ("Model", (), "ix_resources_kind_account_region_created_id (kind=? AND account=? AND region=?)"),
    ("Model", ("CreationTimeAfter",), "created_id (kind=? AND account=? AND region=? AND created>?)"),
    ("Model", ("CreationTimeBefore",), "created_id (kind=? AND account=? AND region=? AND created<?)"),
    ("ProcessingJob", ("StatusEquals",), "status_created_id (kind=? AND account=? AND region=? AND status=?)"),
    ("ProcessingJob", ("StatusEquals", "CreationTimeAfter"), "AND region=? AND status=? AND created>?)"),
    ("UserProfile", ("DomainIdEquals",), "sqlite_autoindex_resources_1 (kind=? AND account=? AND region=? AND key>? AND key<?)"),
    ("Model", ("NameContains",), "SEARCH resources USING INTEGER PRIMARY KEY (rowid=?)"),
    ("Trial", ("ExperimentName",), "SEARCH resources USING INTEGER PRIMARY KEY (rowid=?)"),
)  # fmt: skip


def settings(folder: Path) -> Settings:
    url = postgresql.database_for(folder) if postgresql.is_wanted() else None
    return Settings.read({}, data_dir=folder, database_url=url)


def test_a_filter_that_is_true_of_few_or_of_many_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel(settings(tmp_path), load_components())
    kernel.open()
    cx = kernel.context("111122223333", "us-east-1")

    def fill(inside: Context) -> None:
        for name in "ab":
            kernel.resources["Experiment"].insert(inside, name, {"ExperimentName": name})
            for number in range(3):
                trial = {"TrialName": f"{name}{number}", "ExperimentName": name}
                kernel.resources["Trial"].insert(inside, trial["TrialName"], trial)

    cx.write(fill)
    for few in (1000, 0):
        monkeypatch.setattr(listing, "FEW", few)
        trials = listing.List(kernel.resources["Trial"], "ListTrials")
        request, names = {"ExperimentName": "b", "MaxResults": 2}, []
        while True:
            page = cx.look(lambda inside, trials=trials, request=request: trials.page(inside, request))  # type: ignore[misc]
            names += [each["TrialName"] for each in page["TrialSummaries"]]
            if "NextToken" not in page:
                break
            request = {**request, "NextToken": page["NextToken"]}
        assert names == ["b2", "b1", "b0"]
        assert [form[-1] != () for form in trials._statements] == [few > 0] * 2
    kernel.db.close()
    kernel.lease.release()


@pytest.mark.skipif(postgresql.is_wanted(), reason="SQLite's plans")
def test_lists_use_an_index(tmp_path: Path) -> None:
    kernel = Kernel(settings(tmp_path), load_components())
    kernel.open()
    kernel.db.close()
    kernel.lease.release()
    with closing(connect(tmp_path / "state.db")) as database:
        for noun, filters, expected in PLANS:
            derived = listing.List(kernel.resources[noun], model.list_operation(noun) or "")
            few = {"Trial": (OF_FEW,), "Model": (OF_FEW, AMONG) if "NameContains" in filters else ()}.get(noun, ())
            statement = derived._statement("CreationTime", filters, True, False, few)
            statement._compile()
            nothing = dict.fromkeys(("kind", "account", "region", "size", "ids", *filters)) | statement._fixed
            plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement._sql}", nothing)]
            assert any(expected in step for step in plan), (noun, filters, plan)
            is_sorted = not any("TEMP B-TREE" in step for step in plan)
            assert is_sorted or few or noun == "UserProfile", (noun, filters, plan)  # few, or below one parent
