"""Under which user of this machine the processes of a job run, and the commands that take their powers away.

A server that runs as root gives every job a user of its own that owns nothing else on the machine, so that what leaves
the sandbox is still nobody. The server of an ordinary user cannot change users: its jobs run as that user, in a user
namespace where there is one. Sources: capabilities(7), user_namespaces(7), setpriv(1) of util-linux 2.38.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from functools import cache
from pathlib import Path

from backends.jobs.supervisor import beneath

COUNT = 224 * 256  # as many as there are networks for jobs of processes, by whose numbers they are given out
_RANGES = (
    range(2_000_000_000, 2_000_000_000 + COUNT),
    range(61_184, 65_520),  # systemd's dynamic users: what a container, which often maps 65,536 ids, has free
)
_NO_POWERS = ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")


@cache
def job_users() -> range | None:
    """Return the user ids that jobs are given (each also as its group); None where jobs run as the server's user."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        return None
    for ids in _RANGES:
        if all(_maps(Path("/proc/self", name), ids) for name in ("uid_map", "gid_map")) and _works(
            [setpriv, *_become(ids[0]), *_NO_POWERS, "true"]
        ):
            return ids
    return None


def user_of(number: int) -> int | None:
    """Return the user of the job that has a number; jobs of different numbers share one only in a small range."""
    ids = job_users()
    return None if ids is None else ids[number % len(ids)]


def powerless(
    user: int | None, processes: int | None = None, file_bytes: int | None = None, *, ends_with_parent: bool = False
) -> tuple[str, ...]:
    """Return the command in front of a job's own that makes it `user` (None: as it is) without any capability.

    `processes` (of that user) and `file_bytes` (of one file) are hard limits. What this machine's util-linux lacks is
    left out.
    """
    limits = [] if processes is None else [f"--nproc={processes}:{processes}"]
    limits += [] if file_bytes is None else [f"--fsize={file_bytes}:{file_bytes}"]
    prlimit, setpriv = shutil.which("prlimit"), shutil.which("setpriv")
    argv = [prlimit, *limits] if prlimit and limits else []
    if setpriv:
        argv += [setpriv, *(_become(user) if user is not None else ()), *_NO_POWERS]
        argv += ["--pdeathsig", "KILL"] if ends_with_parent else []
    return tuple(argv)


def can_reach(paths: list[Path]) -> bool:
    """Return whether a user who owns nothing can come to all of these directories, by the modes of those above."""
    return all(place.stat().st_mode & 0o001 for path in paths for place in (path, *path.parents) if place.exists())


def hand_over(folder: Path, user: int | None) -> None:
    """Make `user` (None: nobody) the owner of everything below a folder, at any depth, following no link.

    Files of several names keep their owner: one of the names may lie elsewhere.
    """
    if user is None:
        return
    at = beneath.root(str(folder))
    try:
        for _, fd, entries in beneath.folders(at):
            os.fchown(fd, user, user)
            for path, status in entries:
                if status.st_nlink == 1 or stat.S_ISDIR(status.st_mode):
                    os.chown(path.rpartition("/")[2], user, user, dir_fd=fd, follow_symlinks=False)
    finally:
        os.close(at)


def _become(user: int) -> tuple[str, ...]:
    return (f"--reuid={user}", f"--regid={user}", "--clear-groups")


def _maps(path: Path, ids: range) -> bool:
    """Return whether this user namespace knows all of the ids (user_namespaces(7): inside, outside, count)."""
    try:
        lines = [list(map(int, line.split())) for line in path.read_text().splitlines()]
    except (OSError, ValueError):
        return False
    return any(first <= ids[0] and ids[-1] < first + count for first, _, count in lines)


def _works(argv: list[str]) -> bool:
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
