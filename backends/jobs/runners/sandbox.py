"""The command lines that put a process into a sandbox: bubblewrap, `unshare`, or nothing but a directory of its own.

Facts about bubblewrap: infra.md section 3. The user inside is 1000, which the kernel takes for the user of the server:
files of the job belong to the server, and a server run by root gives its jobs no power over anybody else's files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Mode = Literal["bwrap", "unshare", "plain"]

_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_UNSHARE_SCRIPT = """
mount --make-rprivate /
if [ ! -d /opt/ml ]; then
    mount --rbind /opt "$1/opt"; mount -t tmpfs tmpfs /opt
    for entry in "$1"/opt/*; do
        [ -d "$entry" ] && mkdir "/opt/${entry##*/}" && mount --rbind "$entry" "/opt/${entry##*/}"
    done
    mkdir -p /opt/ml /opt/localmaker/venv
fi
hostname "$2"; shift 2
while [ "$1" != -- ]; do
    if [ -d "$2" ]; then mkdir -p "$3"; elif [ ! -e "$3" ]; then mkdir -p "${3%/*}"; : > "$3"; fi
    mount --rbind "$2" "$3" || exit 126
    [ "$1" = ro ] && mount -o remount,bind,ro "$3"
    shift 3
done
shift; cd "$HOME"
"$@" & wait $!
"""


@dataclass(frozen=True)
class Box:
    """What a host sees. `binds` are (source, target, read only), in their order; `etc` are files to put over /etc's."""

    mode: Mode
    hostname: str
    scratch: Path
    binds: Sequence[tuple[Path, str, bool]]
    etc: Sequence[tuple[Path, str]]
    gpu: bool


@dataclass(frozen=True)
class Command:
    """A command line, and what the supervisor must know of it.

    `levels`: processes between it and the job's own. `status`: it reports its exit code on file descriptor 3.
    `contained`: nothing of the job outlives it.
    """

    argv: tuple[str, ...]
    levels: int
    status: bool
    contained: bool


@cache
def best_mode() -> Mode:
    """Find out, by trying, which sandbox works here."""
    bwrap, unshare = shutil.which("bwrap"), shutil.which("unshare")
    if bwrap and _works([*_bwrap_base(bwrap), "true"]):
        return "bwrap"
    if unshare and _works(
        [*_unshare_base(unshare), "sh", "-c", "mount --make-rprivate / && mount -t tmpfs tmpfs /opt"]
    ):
        return "unshare"
    return "plain"


@cache
def own_network() -> tuple[str, ...] | None:
    """Give the command that starts another one in a network namespace of its own; None where that does not work."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    command = (unshare, *user, "--net", "--")
    return command if _works([*command, "true"]) else None


def command(box: Box, argv: Sequence[str]) -> Command:
    """Give the command line that runs `argv` in the box."""
    if box.mode == "bwrap":
        return Command((*_bwrap(box), *argv), levels=2, status=True, contained=True)
    if box.mode == "unshare":
        return Command((*_unshare(box), *argv), levels=2, status=False, contained=True)
    guard = shutil.which("setpriv")  # where there is no namespace, at least end with the supervisor
    prefix = (guard, "--pdeathsig", "KILL") if guard else ()
    script = 'cd "$1" && shift && exec "$@"'
    return Command((*prefix, "/bin/sh", "-c", script, "sh", str(box.scratch / "tmp"), *argv), 0, False, False)


def _works(argv: Sequence[str]) -> bool:
    try:
        return (
            subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False).returncode == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def _bwrap_base(program: str) -> list[str]:
    argv = [program, "--ro-bind", "/usr", "/usr"]
    for name in _SYSTEM:
        path = Path("/", name)
        if path.is_symlink():
            argv += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            argv += ["--ro-bind", str(path), str(path)]
    argv += ["--ro-bind", "/etc", "/etc", "--ro-bind-try", "/run/systemd/resolve", "/run/systemd/resolve"]
    argv += ["--ro-bind-try", "/sys", "/sys", "--proc", "/proc", "--dev", "/dev", "--dir", "/opt"]
    argv += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-user", "--uid", "1000", "--gid", "1000"]
    return [*argv, "--cap-drop", "ALL", "--die-with-parent", "--new-session"]


def _bwrap(box: Box) -> list[str]:
    argv = [*_bwrap_base(shutil.which("bwrap") or "bwrap"), "--hostname", box.hostname, "--json-status-fd", "3"]
    argv += ["--bind", str(box.scratch / "tmp"), "/tmp"]  # noqa: S108 - the job's own /tmp
    for source, target in box.etc:
        argv += ["--ro-bind", str(source), target]
    for source, target, read_only in box.binds:
        argv += ["--ro-bind" if read_only else "--bind", str(source), target]
    if box.gpu:
        for device in sorted(Path("/dev").glob("nvidia*")):
            argv += ["--dev-bind", str(device), str(device)]
    return [*argv, "--chdir", "/tmp", "--"]  # noqa: S108


def _unshare_base(program: str) -> list[str]:
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return [program, *user, "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]


def _unshare(box: Box) -> list[str]:
    base = _unshare_base(shutil.which("unshare") or "unshare")
    (box.scratch / "opt").mkdir(exist_ok=True)
    binds = [(path, target, True) for path, target in box.etc] + list(box.binds)
    # What is shown at its own place is there already: without bubblewrap the whole machine is.
    flat = [
        item
        for source, target, read_only in binds
        if str(source) != target
        for item in ("ro" if read_only else "rw", str(source), target)
    ]
    return [*base, "/bin/sh", "-c", _UNSHARE_SCRIPT, "sh", str(box.scratch), box.hostname, *flat, "--"]
