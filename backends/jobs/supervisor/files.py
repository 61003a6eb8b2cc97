# ruff: noqa: PTH105, PTH123 - pathlib would cost every supervisor 8 ms of its start
"""The files through which a supervisor and the server speak, all in `<job directory>/supervisor/`.

Requests are files too (`stop.json`), and the FIFO `control` is only the notification: a request survives the death of
either side.
"""

from __future__ import annotations

import json
import os
import threading
from typing import Any

DESCRIPTION = "plan.json"  # what to run, written by the server before it starts the supervisor; adoption reads older servers' files
LOCK = "lock"  # held by the supervisor (and by the server until the supervisor exists)
DONE = "done"  # FIFO: hangs up when exit.json has been written, or the supervisor has died
CONTROL = "control"  # FIFO: a byte means "look at stop.json"
STOP = "stop.json"  # {"grace_s": float, "kill": bool}
ADDRESSES = "addresses.json"  # {host: {port: [ip, port]}}
LOG = "log"  # lines "<epoch ns> <host> <text>"
SYNC = "sync"  # lines "put|delete <sync index> <relative path>": the journal of mirrored files
EXIT = "exit.json"  # see backends/jobs/spec.py Exit
ERRORS = "errors"  # the supervisor's own stderr
SCRATCH = "scratch"  # per-host files that vanish with the job: /tmp, environment overlay, hosts file


def read(path: str) -> Any:
    """Read a JSON file; None when it is not there."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def write(path: str, value: Any) -> None:
    """Write a JSON file that is either whole or not there, and that its owner alone may read: descriptions hold credentials."""
    temporary = f"{path}.{os.getpid()}-{threading.get_ident()}"  # threads write the same file too
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(temporary, path)
