"""Several hosts: rows stay where they are, XGBoost's own collective sums the histograms."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PORTS = range(19000, 29000)
_RESOLVE_S = 60
_BIND_S = 120
"""A closed port stays taken for a minute."""


@contextlib.contextmanager
def communicator(host: str, hosts: list[str]) -> Iterator[bool]:
    """Join the group of `hosts` for the time of the block; yields whether this host is the one that stores the model.

    The first host runs the tracker. A lone host joins nothing.
    """
    if len(hosts) == 1:
        yield True
        return
    from xgboost import collective

    address, port = _resolved(hosts[0]), tracker_port(os.environ.get("TRAINING_JOB_NAME"))
    first = host == hosts[0]
    tracker = None
    if first:
        tracker = _tracker(address, port, len(hosts))
        tracker.start()
    settings = {
        "dmlc_communicator": "rabit",
        "dmlc_tracker_uri": address,
        "dmlc_tracker_port": port,
        "dmlc_task_id": f"{hosts.index(host):04d}",
        # The library waits 2, 4, 6 ... seconds between attempts: the first host may still be loading its image.
        "dmlc_retry": 15,
    }
    with collective.CommunicatorContext(**settings):
        yield first
    if tracker is not None:
        tracker.wait_for(timeout=60)


def _resolved(host: str) -> str:
    """Return the address of the first host; its name may appear a moment later than this process."""
    deadline = time.monotonic() + _RESOLVE_S
    while True:
        try:
            return socket.gethostbyname(host)
        except socket.gaierror:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def tracker_port(job: str | None) -> int:
    """Return the port that all hosts of a job expect the tracker at.

    Jobs that share a machine's network, as under the process runner, must not meet: the name decides.
    """
    return PORTS[zlib.crc32(job.encode()) % len(PORTS)] if job else PORTS[0]


def _tracker(address: str, port: int, hosts: int) -> Any:
    """Bind the tracker; a job that is tried again waits for the port of its first attempt to be free."""
    from xgboost.core import XGBoostError
    from xgboost.tracker import RabitTracker

    deadline = time.monotonic() + _BIND_S
    while True:
        try:
            return RabitTracker(host_ip=address, port=port, n_workers=hosts, sortby="task")
        except XGBoostError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
