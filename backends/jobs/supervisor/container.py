"""A host that is a Docker container. The server has worked out the body of its create call; one thread carries it out.

A supervisor that takes over after another has died (`resume`) finds the container by its name and goes on behind the
last log line written. What was created is always removed in the end.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import os
import signal
import stat
import threading
import urllib.parse
from typing import TYPE_CHECKING, Any

from . import beneath
from .engine import EngineError

if TYPE_CHECKING:
    import http.client
    from collections.abc import Callable, Iterator

    from .engine import Engine
    from .log import Log


class ContainerHost:
    """One host. `entry`: name, container (its name), create (the body), addressed (whether its IP is wanted)."""

    def __init__(self, entry: dict[str, Any], log: Log, ended: Callable[[], None], engine: Engine) -> None:
        self.name: str = entry["name"]
        self.result: dict[str, Any] | None = None
        self.error = ""
        self.address = ""
        self._entry = entry
        self._log = log
        self._ended = ended
        self._engine = engine
        self._path = "/containers/" + urllib.parse.quote(entry["container"])
        self._written = (0, 0)
        self._lock = threading.Lock()
        self._started = self._cancelled = False

    def start(self, started: Callable[[], None]) -> None:
        """Create and start the container in a thread; `started` is called when its address is known."""
        threading.Thread(target=self._guarded, args=(self._create_and_start, started), daemon=True).start()

    def resume(self, started: Callable[[], None], written: tuple[int, int]) -> None:
        """Take over the container; `written` is the newest stamp in the log and how many lines carry it."""
        self._written = written
        threading.Thread(target=self._guarded, args=(self._find, started), daemon=True).start()

    def signal(self, number: int) -> None:
        """Send a signal to the container; one that has not started yet never will."""
        with self._lock:
            if not self._started:
                self._cancelled = True
                return
        with contextlib.suppress(EngineError):  # it has ended meanwhile
            self._engine.call("POST", f"{self._path}/kill?signal={signal.Signals(number).name}")

    def disk_bytes(self) -> int:
        """Measure what the host has on the disk: its directories, and what the container has written beside them."""
        from . import volume

        layer = 0
        with contextlib.suppress(EngineError):  # it is not there yet, or no longer
            layer = int(self._engine.call("GET", f"{self._path}/json?size=1").get("SizeRw") or 0)
        return volume.size_of(self._entry["writable"]) + layer

    def cleanup(self) -> None:
        """Remove the container with its anonymous volumes."""
        with contextlib.suppress(EngineError):
            self._engine.call("DELETE", f"{self._path}?force=1&v=1")

    def _guarded(self, begin: Callable[[], None], started: Callable[[], None]) -> None:
        result: dict[str, Any] = {"code": None, "signal": None, "oom": False}
        try:
            begin()
            if self._started:
                started()
                self._follow()
                result = self._outcome()
                last = self._log.last(self.name)
                if result["code"] == 127 and last.startswith("[FATAL tini"):
                    self.error = last  # the container ran, the command in it never did
            else:
                result["code"], result["signal"] = 143, 15
        except EngineError as error:
            self.error = error.message
        except Exception as error:  # noqa: BLE001 - whatever happened, the job must end with a reason
            self.error = f"{type(error).__name__}: {error}"
        self.result = result
        self._ended()

    def _create_and_start(self) -> None:
        name = urllib.parse.quote(self._entry["container"])
        self._engine.call("POST", f"/containers/create?name={name}", self._entry["create"])
        with self._lock:
            if self._cancelled:
                return
            self._engine.call("POST", f"{self._path}/start")
            self._started = True
        if self._entry["addressed"]:
            self.address = self._address(self._engine.call("GET", f"{self._path}/json"))

    def _find(self) -> None:
        inspected = self._engine.call("GET", f"{self._path}/json")
        if inspected["State"]["Status"] == "created":
            raise EngineError(0, "the supervisor died before the container was started")
        self._started = True
        self.address = self._address(inspected)

    def _address(self, inspected: dict[str, Any]) -> str:
        """Return the IP in the network that the container was created in ("" when it has none)."""
        networks = inspected["NetworkSettings"]["Networks"]
        network = networks.get(self._entry["create"]["HostConfig"]["NetworkMode"], {})
        return str(network.get("IPAddress", ""))

    def _follow(self) -> None:
        """Copy the container's output to the log until it ends, behind what is already written."""
        stamp, count = self._written
        begun: dict[int, bytes] = {}  # a long line comes in pieces, and the other stream's lines may come between them
        newest, frames = stamp, 0
        for kind, at, data in self._frames(stamp, follow=True):
            newest, frames = (at, frames + 1) if at == newest else (at, 1)
            if at < stamp or (at == stamp and count > 0):
                count -= at == stamp and data.endswith(b"\n")
                continue
            self._feed(begun, kind, at, data)
        # A follower may be closed before the last line, if nothing ends it, is in the engine's log.
        self._engine.call("POST", f"{self._path}/wait")
        for kind, at, data in self._frames(newest, follow=False):
            if at < newest or (at == newest and frames > 0):
                frames -= at == newest
                continue
            self._feed(begun, kind, at, data)
            newest = at
        for rest in begun.values():
            self._log.feed(self.name, rest, newest)
        self._log.end(self.name)

    def _frames(self, since_ns: int, *, follow: bool) -> Iterator[tuple[int, int, bytes]]:
        since = f"{since_ns // 10**9}.{since_ns % 10**9:09d}"
        query = f"follow={int(follow)}&stdout=1&stderr=1&timestamps=1&since={since}"
        return _lines(self._engine.stream(f"{self._path}/logs?{query}"))

    def _feed(self, begun: dict[int, bytes], kind: int, at: int, data: bytes) -> None:
        whole = begun.pop(kind, b"") + data
        if whole.endswith(b"\n") or len(whole) > _LONG_LINE:
            self._log.feed(self.name, whole, at)
        else:
            begun[kind] = whole

    def _outcome(self) -> dict[str, Any]:
        code = int(self._engine.call("POST", f"{self._path}/wait")["StatusCode"])
        oom = bool(self._engine.call("GET", f"{self._path}/json")["State"]["OOMKilled"])
        return {"code": code, "signal": code - 128 if 128 < code <= 128 + signal.NSIG else None, "oom": oom}


def own_again(engine: Engine, description: dict[str, Any]) -> str:
    """Return files that root's containers left in the job's directories to this user; gives what went wrong, or "".

    Only where this process is not root itself, and only when there is such a file. The helper container runs the job's
    own image, or another that the server knows to be there.
    """
    paths = [path for path in description["own"] if os.geteuid() and _foreign(path)]
    if not paths:
        return ""
    owner = f"{os.geteuid()}:{os.getegid()}"
    script = f"chown -R -h {owner} /own && chmod -R u+rwX /own"
    problem = "no image to do it with"
    for image in description["helper_images"]:
        name = f"{description['hosts'][0]['container']}-own"
        binds = [f"{description['host_paths'].get(path, path)}:/own/{index}" for index, path in enumerate(paths)]
        body = {
            "Image": image,
            "User": "0:0",
            "Entrypoint": ["/bin/sh", "-c", script],
            "Cmd": [],
            "Labels": description["hosts"][0]["create"]["Labels"],
            "HostConfig": {"Binds": binds, "NetworkMode": "none"},
        }
        try:
            engine.call("POST", f"/containers/create?name={name}", body)
            engine.call("POST", f"/containers/{name}/start")
            code = engine.call("POST", f"/containers/{name}/wait")["StatusCode"]
            problem = f"{script!r} in {image} exited with {code}"
        except EngineError as error:
            problem, code = error.message, 1
        with contextlib.suppress(EngineError):
            engine.call("DELETE", f"/containers/{name}?force=1&v=1")
        if code == 0:
            return ""
    return f"files of the job still belong to another user: {problem}"


def _foreign(path: str) -> bool:
    """Return whether anything below `path` belongs to somebody else, or cannot be looked at."""
    try:
        at = beneath.root(path)
    except OSError:
        return True
    try:
        seen = itertools.chain([("", os.fstat(at))], beneath.walk(at))
        return any(status.st_uid != os.geteuid() or _is_closed(name, status) for name, status in seen)
    finally:
        os.close(at)


def _is_closed(name: str, status: os.stat_result) -> bool:
    """Return whether a folder is closed to its owner, or so deep that what it holds has no path."""
    if not stat.S_ISDIR(status.st_mode):
        return False
    return status.st_mode & 0o500 != 0o500 or len(os.fsencode(name)) > beneath.PATH_MAX - _LONGEST_NAME


def _lines(response: http.client.HTTPResponse) -> Iterator[tuple[int, int, bytes]]:
    """Yield (1 stdout or 2 stderr, epoch ns, data) for each frame: 8 bytes of header, a stamp, a space, the text."""
    buffer = b""
    while block := response.read1(1 << 16):
        buffer += block
        start = 0
        while len(buffer) - start >= 8:
            end = start + 8 + int.from_bytes(buffer[start + 4 : start + 8], "big")
            if end > len(buffer):
                break
            stamp, _, data = buffer[start + 8 : end].partition(b" ")
            yield buffer[start], _epoch_ns(stamp), data
            start = end
        buffer = buffer[start:]


_LONG_LINE = 1 << 18
_LONGEST_NAME = 256  # with its slash
_SECONDS: dict[bytes, int] = {}


def _epoch_ns(stamp: bytes) -> int:
    """Read `2026-11-23T16:20:57.897621727Z`; the seconds are remembered, because most lines share them."""
    whole, _, fraction = stamp.rstrip(b"Z").partition(b".")
    seconds = _SECONDS.get(whole)
    if seconds is None:  # kept here too: the thread of another host may clear the table meanwhile
        seconds = int(dt.datetime.fromisoformat(whole.decode()).replace(tzinfo=dt.UTC).timestamp())
        _SECONDS.clear()
        _SECONDS[whole] = seconds
    return seconds * 10**9 + int(fraction.ljust(9, b"0") or b"0")
