"""Start to the first answer, and memory at rest."""

from __future__ import annotations

from bench.control_plane import call
from bench.load import run as send
from bench.peers import moto, ours
from bench.report import Table

ROUNDS = 5


def run() -> list[Table]:
    """Start both some times by turns; the best counts."""
    table = Table("Start", "moto")
    ready: list[tuple[float, float]] = []
    memory: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        with moto() as theirs, ours() as localmaker:
            ready.append((theirs.ready_s, localmaker.ready_s))
            for peer in (theirs, localmaker):  # the first request loads what is loaded lazily
                send(peer.url, lambda _: call("ListModels", {}), 1, count=1)
            memory.append((theirs.pss_mib(), localmaker.pss_mib()))
    best = [min(values) for values in zip(*ready, strict=True)]
    table.row("start to first answer, s", *best, less=True, at_most=1)
    least = [min(values) for values in zip(*memory, strict=True)]
    table.row("PSS after a first request, MiB", *least, less=True, at_most=80)
    return [table]
