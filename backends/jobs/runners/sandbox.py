"""The command lines that put a process into a sandbox: bubblewrap, `unshare`, or nothing but a directory of its own.

In bubblewrap a job sees the machine's programs and /sys read-only, of /etc what programs need, nothing of its users' files; it
has no capability and can get none. A server that runs as root sets the sandbox up as root and starts the job as a user of
the job's own (see `identity`). An ordinary user's server, and root's where there are no such users, does it in a user
namespace, in which the job is user 1000 and outside of which it is the server's user.
`unshare` and `plain` take away what they can: `weaknesses` says what is left.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from backends.jobs.runners import identity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Mode = Literal["bwrap", "unshare", "plain"]

_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_UNSHARE_SCRIPT = """
own=$PATH; PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount --make-rprivate /
mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys
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
shift; cd "$HOME"; PATH=$own
"$@" & wait $!
"""


# What the dynamic loader, the C library and shells do as somebody's environment says (ld.so(8), glibc's unsecvars.h, bash(1)).
_OBEYED = frozenset(
    [
        "BASHOPTS",
        "BASH_ENV",
        "ENV",
        "GCONV_PATH",
        "GETCONF_DIR",
        "GLIBC_TUNABLES",
        "HOSTALIASES",
        "LANGUAGE",
        "LOCALDOMAIN",
        "LOCPATH",
        "MALLOC_TRACE",
        "NIS_PATH",
        "NLSPATH",
        "PS4",
        "RESOLV_HOST_CONF",
        "RES_OPTIONS",
        "SHELLOPTS",
        "TZDIR",
    ]
)
_OBEYED_PREFIXES = ("LD_", "DYLD_", "BASH_FUNC_", "LC_")


@dataclass(frozen=True)
class Box:
    """What a host sees.

    `binds` are (source, target, read only), in their order. `etc` are files to put over those of `etc_folder` (see
    `etc`), or of the machine's /etc.
    `user`: the machine's user that it runs as; None: the server's own. `processes`, `file_bytes`: see `identity.powerless`.
    """

    mode: Mode
    hostname: str
    scratch: Path
    binds: Sequence[tuple[Path, str, bool]]
    etc: Sequence[tuple[Path, str]]
    gpu: bool
    user: int | None = None
    processes: int | None = None
    file_bytes: int | None = None
    etc_folder: Path | None = None


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
    if bwrap and _works([*_bwrap_base(bwrap, _any_user()), "--", *identity.powerless(_any_user()), "true"]):
        return "bwrap"
    if unshare and _works(
        [*_unshare_base(unshare), "sh", "-c", "mount --make-rprivate / && mount -t tmpfs tmpfs /opt"]
    ):
        return "unshare"
    return "plain"


@cache
def own_network() -> tuple[str, ...] | None:
    """Return the command that starts another one in a network namespace of its own; None where that does not work."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    command = (unshare, *user, "--net", "--")
    return command if _works([*command, "true"]) else None


def weaknesses(mode: Mode) -> list[str]:
    """Return what a mode cannot keep a job from, a sentence each; for the job's log and for the server's status."""
    notes = []
    if mode != "bwrap":
        notes.append("jobs see this machine's files as far as their user may read them")
    if mode == "plain":
        notes.append("jobs see this machine's processes and are not limited in theirs")
    if os.geteuid() == 0 and (mode == "plain" or identity.job_users() is None):
        notes.append("jobs run as root, without capabilities" if shutil.which("setpriv") else "jobs run as root")
    return notes


def held_back(environment: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Split a job's environment: what its sandbox is started with, and the command that gives the job the rest.

    What makes the sandbox is not yet in it, and is the server's user (root): a library that a job names in LD_PRELOAD would
    be loaded there. The rest stands in a command line, which others may read: it has no secrets.
    """
    held = {name: value for name, value in environment.items() if name in _OBEYED or name.startswith(_OBEYED_PREFIXES)}
    if not held:
        return dict(environment), ()
    given = {name: value for name, value in environment.items() if name not in held}
    return given, (shutil.which("env") or "/usr/bin/env", *(f"{name}={value}" for name, value in held.items()))


def _any_user() -> int | None:
    return identity.user_of(0)


def command(box: Box, argv: Sequence[str]) -> Command:
    """Return the command line that runs `argv` in the box."""
    if box.mode == "bwrap":
        inner = identity.powerless(box.user, box.processes, box.file_bytes)
        return Command((*_bwrap(box), *inner, *argv), levels=2, status=True, contained=True)
    if box.mode == "unshare":
        inner = identity.powerless(box.user, box.processes, box.file_bytes)
        return Command((*_unshare(box), *inner, *argv), levels=2, status=False, contained=True)
    # Not `processes`: outside a namespace it would count all that the server's user runs. Where there is no namespace,
    # the job shall at least end with the supervisor.
    guard = identity.powerless(None, None, box.file_bytes, ends_with_parent=True)
    script = 'cd "$1" && shift && exec "$@"'
    return Command((*guard, "/bin/sh", "-c", script, "sh", str(box.scratch / "tmp"), *argv), 0, False, False)


def _works(argv: Sequence[str]) -> bool:
    try:
        return (
            subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False).returncode == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def _bwrap_base(program: str, user: int | None) -> list[str]:
    argv = [program, "--ro-bind", "/usr", "/usr"]
    for name in _SYSTEM:
        path = Path("/", name)
        if path.is_symlink():
            argv += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            argv += ["--ro-bind", str(path), str(path)]
    argv += ["--ro-bind-try", "/sys", "/sys", "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"]
    argv += ["--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm", "--dir", "/opt"]  # noqa: S108 - the job's own
    argv += [
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
    ]
    if user is None:
        return [*argv, "--unshare-user", "--uid", "1000", "--gid", "1000"]
    # What `identity.powerless` needs to change the user, and takes away.
    return [*argv, "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"]


def _bwrap(box: Box) -> list[str]:
    argv = [
        *_bwrap_base(shutil.which("bwrap") or "bwrap", box.user),
        "--hostname",
        box.hostname,
        "--json-status-fd",
        "3",
    ]
    argv += ["--bind", str(box.scratch / "tmp"), "/tmp"]  # noqa: S108 - the job's own /tmp
    if box.etc_folder is not None:
        argv += ["--ro-bind", str(box.etc_folder), "/etc", "--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf"]
    for source, target in box.etc:
        argv += ["--ro-bind", str(source), target]
    for source, target, read_only in box.binds:
        argv += [*_parents([target]), "--ro-bind" if read_only else "--bind", str(source), target]
    if box.gpu:
        for device in sorted(Path("/dev").glob("nvidia*")):
            argv += ["--dev-bind", str(device), str(device)]
    return [*argv, "--chdir", "/tmp", "--"]  # noqa: S108


def _parents(targets: list[str]) -> list[str]:
    """Return the options that make the directories above mounts, open to the job's user: bubblewrap's own are root's only."""
    shown = ("/", "/usr", "/tmp", "/etc", "/proc", "/sys", "/dev", "/opt", "/opt/ml")  # noqa: S108
    above = [str(parent) for target in targets for parent in reversed(Path(target).parents)]
    made = [parent for parent in dict.fromkeys(above) if parent not in shown and not parent.startswith("/usr/")]
    return [word for parent in made for word in ("--dir", parent)]


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
