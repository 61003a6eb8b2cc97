"""Init scripts: `ready.d/*.sh` and `*.py` of the init folder, run in the order of their names once the server answers.

They run at every start, so they must be such that a second run does no harm. Manual: docs/init.md.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from backends.core.context import DEFAULT_ACCOUNT
from backends.core.memory import InMemory
from server import control, environment
from server.authentication import keyring

if TYPE_CHECKING:
    from backends.core.kernel import Kernel
    from backends.core.settings import Settings

log = logging.getLogger("localmaker.init")
STAGE = "READY"
UNKNOWN, RUNNING, SUCCESSFUL, ERROR = "UNKNOWN", "RUNNING", "SUCCESSFUL", "ERROR"
"""LocalStack's words for a script's state: not run yet, running, ended with 0, did not."""
LINE_BYTES = 64 * 1024
HEARD_S = 1.0  # a script may leave a process behind that keeps its output open


@dataclass(slots=True)
class Script:
    """One script and what came of it."""

    path: Path
    state: str = UNKNOWN
    reason: str = ""

    def shown(self) -> dict[str, str]:
        """Return its entry in the admin API."""
        entry = {"stage": STAGE, "name": self.path.name, "state": self.state}
        return entry | ({"reason": self.reason} if self.reason else {})


@dataclass(slots=True)
class Hooks:
    """The scripts of one run of the server."""

    timeout_s: int
    scripts: list[Script] = field(default_factory=list)
    completed: bool = False

    @property
    def failed(self) -> list[str]:
        """The names of those that did not end well."""
        return [script.path.name for script in self.scripts if script.state == ERROR]

    def shown(self) -> dict[str, Any]:
        """Return the answer of `/_localmaker/init`."""
        return {"completed": {STAGE: self.completed}, "scripts": [script.shown() for script in self.scripts]}

    async def run(self, given: dict[str, str]) -> None:
        """Run them one after another, whatever becomes of each."""
        for script in self.scripts:
            script.state, began = RUNNING, time.monotonic()
            log.info("%s: begins", script.path.name)
            try:
                script.reason = await _run(script.path, given, self.timeout_s)
            except OSError as error:
                script.reason = str(error)
            script.state = ERROR if script.reason else SUCCESSFUL
            if script.reason:
                log.error("%s FAILED: %s", script.path.name, script.reason)
            else:
                log.info("%s: done in %.1f s", script.path.name, time.monotonic() - began)
        self.completed = True

    def give_up(self, reason: str) -> None:
        """Mark all as failed: there is no environment to run them in."""
        for script in self.scripts:
            script.state, script.reason = ERROR, reason
        log.error("No init script was run: %s", reason)
        self.completed = True


def folder_of(settings: Settings) -> Path:
    """Return the folder in which the scripts lie."""
    return (settings.init_dir or settings.data_dir / "init") / "ready.d"


def find_hooks(settings: Settings) -> Hooks:
    """Find the scripts, in the order of their names."""
    if settings.init_dir is not None and not folder_of(settings).is_dir():
        log.warning("LOCALMAKER_INIT_DIR: there is no folder %s", folder_of(settings))
    paths = sorted(path for path in folder_of(settings).glob("*") if path.suffix in {".sh", ".py"} and path.is_file())
    return Hooks(settings.init_timeout_s, [Script(path) for path in paths])


HOOKS = InMemory[Hooks]("server.init_hooks")


def of(kernel: Kernel) -> Hooks:
    """Return the scripts of this run of the server."""
    return HOOKS.of(kernel)


async def run(kernel: Kernel, url: str) -> None:
    """Run the scripts of a server that listens at a URL, in the environment that `localmaker env` prints."""
    hooks = of(kernel)
    if not hooks.scripts:
        hooks.completed = True
        return
    try:
        given = await asyncio.to_thread(_environment, kernel.settings, url)
    except (OSError, LookupError) as error:
        hooks.give_up(str(error))
        return
    await hooks.run(given)


def _environment(settings: Settings, url: str) -> dict[str, str]:
    place = urlsplit(url)
    here = f"http://127.0.0.1:{place.port}" if place.hostname in {"0.0.0.0", "::"} else url  # noqa: S104 - compared
    keys_file = str(keyring.path_of(settings)) if settings.auth == "enforce" else ""
    credentials = control.credentials(control.Running(here, os.getpid(), keys_file=keys_file), DEFAULT_ACCOUNT)
    inherited = environment.applied(os.environ, {})
    given = environment.of_installation(settings.data_dir, here, credentials, inherited)
    beside = str(Path(sys.executable).parent)  # `python` with boto3 in it, and `localmaker`
    path = os.pathsep.join([beside, inherited.get("PATH", os.defpath)])
    return environment.applied(inherited, given) | {"PATH": path, "LOCALMAKER_DATA_DIR": str(settings.data_dir)}


async def _run(path: Path, given: dict[str, str], timeout_s: int) -> str:
    """Run one script in its folder, its lines into the log; say what went wrong, or nothing."""
    shell = shutil.which("bash") or "sh"
    command = [sys.executable, "-u", str(path)] if path.suffix == ".py" else [shell, str(path)]
    process = await asyncio.create_subprocess_exec(
        *command, env=given, cwd=path.parent, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, start_new_session=True, limit=LINE_BYTES,
    )  # fmt: skip
    assert process.stdout is not None
    heard = asyncio.create_task(_repeat(path.name, process.stdout))
    try:
        code = await asyncio.wait_for(process.wait(), timeout_s)
    except TimeoutError:
        return f"stopped after {timeout_s} s (LOCALMAKER_INIT_TIMEOUT_S)"
    finally:  # also when the server stops meanwhile
        if process.returncode is None:
            _kill(process.pid)
        await asyncio.wait({heard}, timeout=HEARD_S)
        heard.cancel()
    if code < 0:
        return f"ended by signal {-code}"
    return f"exit status {code}" if code else ""


def _kill(pid: int) -> None:
    """End a script and what it started."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


async def _repeat(name: str, output: asyncio.StreamReader) -> None:
    while True:
        try:
            line = await output.readline()
        except ValueError:  # longer than LINE_BYTES: the reader has thrown it away
            log.warning("%s: a line of more than %d bytes is left out", name, LINE_BYTES)
            continue
        if not line:
            return
        log.info("%s: %s", name, line.decode(errors="replace").rstrip())
