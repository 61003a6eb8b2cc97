"""Several hosts: rows stay where they are, XGBoost's own collective sums the histograms."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TRACKER_PORT = 9099
_RESOLVE_S = 60


@contextlib.contextmanager
def communicator(host: str, hosts: list[str]) -> Iterator[bool]:
    """Join the group of `hosts` for the time of the block; yields whether this host is the one that stores the model.

    The first host runs the tracker. A lone host joins nothing.
    """
    if len(hosts) == 1:
        yield True
        return
    from xgboost import collective
    from xgboost.tracker import RabitTracker

    address = _resolved(hosts[0])
    first = host == hosts[0]
    tracker = None
    if first:
        tracker = RabitTracker(host_ip=address, port=TRACKER_PORT, n_workers=len(hosts), sortby="task")
        tracker.start()
    else:
        _await_tracker(address)
    settings = {
        "dmlc_communicator": "rabit",
        "dmlc_tracker_uri": address,
        "dmlc_tracker_port": TRACKER_PORT,
        "dmlc_task_id": f"{hosts.index(host):04d}",
        "dmlc_retry": 60,
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


def _await_tracker(address: str) -> None:
    """Wait until the first host has loaded the library and listens; the collective's own retries are too few for that."""
    deadline = time.monotonic() + _RESOLVE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((address, TRACKER_PORT), timeout=2):
            return
        time.sleep(0.1)
    raise TimeoutError(f"no tracker at {address}:{TRACKER_PORT} after {_RESOLVE_S} s")
