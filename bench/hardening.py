"""What the stricter sandbox and the matching of users' patterns cost, each against what stood there before."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from backends.jobs.logs import compile_metrics, values_in
from backends.jobs.runners import etc, identity, sandbox
from bench.report import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUNDS = 60
# Namespaces and the machine's /usr and /etc, as sandboxes are usually made; of a root server its user 1000 is root.
PLAIN = [
    "--ro-bind",
    "/usr",
    "/usr",
    "--symlink",
    "usr/bin",
    "/bin",
    "--symlink",
    "usr/lib",
    "/lib",
    "--symlink",
    "usr/lib64",
    "/lib64",
    "--ro-bind",
    "/etc",
    "/etc",
    "--ro-bind-try",
    "/sys",
    "/sys",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    "--dir",
    "/opt",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-user",
    "--uid",
    "1000",
    "--gid",
    "1000",
    "--cap-drop",
    "ALL",
    "--die-with-parent",
    "--new-session",
    "--hostname",
    "algo-1",
]
LINES = [f"[{n}]\ttrain-rmse:{n / 7:.5f}\tvalidation-rmse:{n / 5:.5f}" for n in range(2000)]


def run() -> list[Table]:
    """Measure both."""
    return [_starts(), _patterns()]


def _starts() -> Table:
    table = Table("Start and end of `true` in a sandbox, median ms", "namespaces only")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "tmp").mkdir(mode=0o777)
        box = sandbox.Box(
            "bwrap", "algo-1", scratch, [], [], False, identity.user_of(0), 4096, 1 << 30, etc.folder(scratch / "etc")
        )
        ours = list(sandbox.command(box, ["true"]).argv)
        status = ours.index("--json-status-fd")
        del ours[status : status + 2]
        plain = [shutil.which("bwrap") or "bwrap", *PLAIN, "--bind", str(scratch / "tmp"), "/tmp", "--", "true"]
        before, after = _by_turns([plain, ours])
    table.row("start", before, after, less=True, at_most=before + 5)
    return table


def _by_turns(commands: Sequence[Sequence[str]]) -> list[float]:
    times: list[list[float]] = [[] for _ in commands]
    for _ in range(ROUNDS):
        for taken, command in zip(times, commands, strict=True):
            begun = time.perf_counter()
            subprocess.run(command, check=True)
            taken.append((time.perf_counter() - begun) * 1000)
    return [statistics.median(taken) for taken in times]


def _patterns() -> Table:
    table = Table(
        "Metric regexes on a batch of 2,000 lines, ms", "Python's re, on the loop", "RE2, in the job's thread"
    )
    for count in (2, 60):
        names = ["train-rmse", "validation-rmse", *(f"other-{n}" for n in range(58))][:count]
        definitions = [{"Name": name, "Regex": rf".*\[[0-9]+\].*\t{name}:(\S+)"} for name in names]
        before, after = [re.compile(entry["Regex"]) for entry in definitions], compile_metrics(definitions)
        begun = time.perf_counter()
        for line in LINES:
            for regex in before:
                regex.search(line)
        between = time.perf_counter()
        values_in(LINES, after)
        table.row(f"{count} definitions", (between - begun) * 1000, (time.perf_counter() - between) * 1000, less=True)
    return table
