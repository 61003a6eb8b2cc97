"""The /etc of a sandbox: copies of what programs need of the machine's, in one folder that all jobs share read-only.

Names, certificates, libraries and locales, and where pip finds packages: no passwords, keys, host ids or settings of
services. One folder is one mount: a mount for each file would cost a job 4 ms.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from pathlib import Path

ETC = Path("/etc")
SHOWN = (
    *("alternatives", "debian_version", "host.conf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime"),
    *("mime.types", "nsswitch.conf", "os-release", "pip.conf", "protocols", "services", "timezone"),
    *("ca-certificates.conf", "crypto-policies", "pki/tls/certs", "pki/ca-trust", "ssl/certs", "ssl/openssl.cnf"),
    *("xdg/pip", "fonts", "OpenCL", "vulkan", "gai.conf", "bash.bashrc", "profile", "inputrc", "terminfo", "magic"),
    *("java-11-openjdk", "java-17-openjdk", "java-21-openjdk"),
)
MOUNTED = ("hosts", "passwd", "group", "resolv.conf")  # each job's own, and the machine's of the moment


def folder(root: Path) -> Path:
    """Return the folder below `root`, made when there is none of the machine's present files.

    Older ones stay: jobs that run see them.
    """
    stamp = hashlib.sha256(repr([(name, _stamp(ETC / name)) for name in SHOWN]).encode()).hexdigest()[:16]
    target = root / stamp
    if not target.is_dir():
        root.mkdir(exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=root))
        _fill(made)
        with contextlib.suppress(OSError):  # another thread was first
            made.rename(target)
        shutil.rmtree(made, ignore_errors=True)
    return target


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _fill(target: Path) -> None:
    target.chmod(0o755)
    for name in MOUNTED:
        (target / name).touch(0o644)
    for name in SHOWN:
        source, copy = ETC / name, target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError, shutil.Error):  # what this user may not read, no job needs
            if source.is_symlink() and source.resolve().is_relative_to("/usr"):
                copy.symlink_to(source.resolve())
            elif source.is_dir():
                shutil.copytree(source, copy, symlinks=True, ignore_dangling_symlinks=True)
            elif source.is_file():
                shutil.copy2(source, copy)
