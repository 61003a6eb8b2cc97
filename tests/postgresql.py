"""A real PostgreSQL for the tests: a cluster in a temporary directory, from Debian's package, one database a server.

`LOCALMAKER_TEST_POSTGRESQL=1` makes every server and kernel of a test run use it; `tests/test_postgresql.py` does that.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
from functools import cache
from pathlib import Path

VARIABLE = "LOCALMAKER_TEST_POSTGRESQL"
USER = "postgres"


def is_wanted() -> bool:
    """Return whether this run of the tests is one on PostgreSQL."""
    return os.environ.get(VARIABLE) == "1"


def programs() -> Path | None:
    """Find initdb and pg_ctl, which Debian keeps off the PATH; None when PostgreSQL is not installed."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).parent
    return next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


def database_for(place: Path) -> str:
    """Return the URL of the database that belongs to a data directory; made when it is first asked for."""
    name = "lm_" + hashlib.sha256(str(place).encode()).hexdigest()[:24]
    folder, port = cluster()
    psql = ["psql", "-h", str(folder), "-p", str(port), "-U", USER, "-d", "postgres", "-tAc"]
    there = subprocess.run(
        [*psql, f"SELECT 1 FROM pg_database WHERE datname = '{name}'"], capture_output=True, text=True, check=True
    )
    if not there.stdout.strip():
        subprocess.run([*psql, f"CREATE DATABASE {name}"], capture_output=True, check=True)
    return f"postgresql+psycopg://{USER}@127.0.0.1:{port}/{name}"


@cache
def cluster() -> tuple[Path, int]:
    """Start a cluster; give its socket's folder and its port. It ends with this process."""
    binaries = programs()
    assert binaries is not None, "PostgreSQL is not installed"
    folder = Path(tempfile.mkdtemp(prefix="localmaker-postgresql-"))
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, USER, USER)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    data = folder / "data"
    _as_owner([str(binaries / "initdb"), "-D", str(data), "-U", USER, "-A", "trust", "-E", "UTF8"])
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c max_connections=400"
    control = str(binaries / "pg_ctl")
    _as_owner([control, "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start"])
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(_as_owner, [control, "-D", str(data), "-m", "immediate", "stop"])
    return folder, port


def _as_owner(command: list[str]) -> None:
    prefix = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if os.geteuid() == 0 else []
    subprocess.run([*prefix, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")
