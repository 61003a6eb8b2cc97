"""The loop that applies filters, turn by turn, on a kernel of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from backends import load_components
from backends.aws.logs import follow, groups
from backends.core import reset
from backends.core.kernel import Kernel
from backends.core.settings import Settings
from backends.core.tables import metric_points

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    made = Kernel(Settings.read({}, data_dir=tmp_path / "data"), load_components())
    made.open()
    yield made
    made.lease.release()
    made.db.close()


def call(kernel: Kernel, operation: str, account: str = "1" * 12, **request: Any) -> None:
    kernel.context(account, "us-east-1").write(lambda cx: cx.call(operation, request, "logs"))


def put(kernel: Kernel, group: str, *messages: str, account: str = "1" * 12) -> None:
    events = [{"timestamp": int(time.time() * 1000), "message": message} for message in messages]
    call(kernel, "PutLogEvents", account, logGroupName=group, logStreamName="s", logEvents=events)


def make(kernel: Kernel, group: str, account: str = "1" * 12) -> None:
    call(kernel, "CreateLogGroup", account, logGroupName=group)
    call(kernel, "CreateLogStream", account, logGroupName=group, logStreamName="s")


def count_errors(kernel: Kernel) -> float:
    follow.follow(kernel)
    query = select(func.sum(metric_points.c.samples))
    return float(kernel.db.read_blocking(lambda tx: tx.connection.execute(query).scalar()) or 0.0)


def test_every_event_is_seen_once_whatever_is_deleted_meanwhile(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "BATCH", 3)
    for group in ("/g", "/h"):
        make(kernel, group)
    make(kernel, "/x", "2" * 12)
    entry = {"metricNamespace": "n", "metricName": "m", "metricValue": "1"}
    put(kernel, "/g", "ERROR before the filter")
    call(
        kernel,
        "PutMetricFilter",
        logGroupName="/g",
        filterName="f",
        filterPattern="ERROR",
        metricTransformations=[entry],
    )
    put(kernel, "/g", *["ERROR"] * 8, "fine")
    assert count_errors(kernel) == 8
    assert count_errors(kernel) == 8
    put(kernel, "/h", *["ERROR"] * 20)
    assert count_errors(kernel) == 8
    call(kernel, "DeleteLogGroup", logGroupName="/h")  # the last rows: their ids are given again
    put(kernel, "/g", "ERROR")
    assert count_errors(kernel) == 9
    put(kernel, "/x", *["ERROR"] * 20, account="2" * 12)
    assert count_errors(kernel) == 9
    kernel.db.write_blocking(lambda tx: reset._forget(tx, "2" * 12))
    groups.after_reset(kernel, "2" * 12)
    put(kernel, "/g", "ERROR")
    assert count_errors(kernel) == 10
