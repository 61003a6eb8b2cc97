"""Virtual environments of clients, made once per lock file. `python -m tests.sdk.environments` makes all of them beforehand."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NAMES = ("v2", "v3", "cli")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "localmaker-tests"


def environment(name: str) -> Path:
    """Return the folder of an environment's programs, making it if need be; processes that ask at once wait for the first."""
    lock_file = HERE / f"requirements.{name}.txt"
    digest = hashlib.sha256(lock_file.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = CACHE / f"{name}-{digest}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            _make(folder, lock_file)
    return folder / "bin"


def _make(folder: Path, lock_file: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    # The lock is complete: resolving 130 packages again takes longer than installing them.
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--requirement", str(lock_file)]
    subprocess.run([folder / "bin" / "python", *install], check=True)
    (folder / "made").touch()


if __name__ == "__main__":
    for each in NAMES:
        environment(each)
