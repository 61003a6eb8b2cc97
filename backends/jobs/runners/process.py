"""The process runner: hosts are processes of this machine, in bubblewrap where it works, in less where it does not.

What a job sees in bubblewrap: /opt/ml, /tmp and /dev/shm of its own (the only writable places), the machine's /usr and
what programs need of /etc read-only, its recipe's virtual environment under a writable layer (see `venv`), pid, ipc and uts namespaces of its own,
and `algo-1 ... algo-n` in /etc/hosts, each with an address in 127.0.0.0/8 that is unique to the job. An isolated job
has a network namespace that all its hosts share. With `unshare` the machine's other files can be seen; with nothing at
all (macOS) the job is a plain subprocess whose /opt/ml is named by SAGEMAKER_BASE_DIR, and its log says so.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from backends.jobs.runners import etc as etc_files
from backends.jobs.runners import identity, sandbox, venv
from backends.jobs.runners.base import StartError
from backends.jobs.runners.supervised import SupervisedRunner, own_mounts
from backends.jobs.supervisor import cgroup, files
from backends.jobs.supervisor.process import MARK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backends.jobs.runners.base import Handle
    from backends.jobs.spec import HostSpec, ImageRef, JobSpec

_USERS = (
    "root:x:0:0:root:/root:/bin/sh\nsagemaker:x:{user}:{user}::/tmp:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n"
)
_GROUPS = "root:x:0:\nsagemaker:x:{user}:\nnogroup:x:65534:\n"
_WEAKNESS_NOTE = "LocalMaker: without bubblewrap this sandbox is weaker: {}."
_PLAIN_NOTE = (
    "LocalMaker: neither bubblewrap nor namespaces work here, so this job is a plain subprocess: it sees this "
    "machine's files and network, and its /opt/ml is {path} (SAGEMAKER_BASE_DIR)."
)
_PACKAGE_FILES = ("PIP_FIND_LINKS", "PIP_CERT", "PIP_CONFIG_FILE", "SSL_CERT_FILE")
_PACKAGE_SOURCES = (
    *_PACKAGE_FILES,
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_NO_INDEX"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
)
_PROXY_USER = "localmaker"  # of `server/listener/proxy_key.py`
_NETWORKS = identity.COUNT  # 127.16.0 to 127.239.255
_PORT_RANGE = (20_000, 32_000)  # below the range from which Linux takes ports for outgoing connections


class ProcessRunner(SupervisedRunner):
    """See the module. `mode` fixes the sandbox; by default the best that works."""

    name = "process"
    network_interface = "lo"

    @property
    def home(self) -> str:
        """See Runner: without bubblewrap a job's home is a folder of its own that nobody knows beforehand."""
        return "/tmp" if self.mode == "bwrap" else ""  # noqa: S108 - the job's own /tmp

    def __init__(self, root: Path, mode: sandbox.Mode | None = None) -> None:
        super().__init__(root)
        self._fixed_mode = mode
        self._networks = root / f"{self.name}-networks"
        self._networks.mkdir(exist_ok=True)
        self._etc = root / f"{self.name}-etc"
        self._network_lock = threading.Lock()

    @property
    def mode(self) -> sandbox.Mode:
        """The sandbox in use; found out on first use, by trying."""
        return self._fixed_mode or sandbox.best_mode()

    def available(self) -> str | None:
        """See Runner."""
        return None if os.name == "posix" else "The process runner needs a POSIX system."

    def refusal(self, image: ImageRef) -> str | None:
        """See Runner."""
        if image.venv is None:
            return f"Image {image.docker} can only run on Docker: LocalMaker has no Python environment for it."
        if not (image.venv / "bin").is_dir():
            return f"The Python environment {image.venv} is not there."
        return None

    def endpoint_host(self) -> str:
        """See Runner."""
        return "127.0.0.1"

    def _wrapper(self, description: dict[str, Any]) -> Sequence[str]:
        return (sandbox.own_network() or ()) if description["own_network"] else ()

    def _clean(self, handle: Handle) -> None:
        cgroup.remove(cgroup.leftovers(handle.job))

    def _description(self, spec: JobSpec) -> dict[str, Any]:
        if spec.isolated and (self.mode == "plain" or sandbox.own_network() is None):
            raise StartError(
                "Network isolation needs Docker, or network namespaces, which do not work on this machine."
            )
        scratch = spec.directory / "supervisor" / files.SCRATCH
        scratch.mkdir()
        number = self._take_number(spec.id)
        user = self._user(number, spec)
        addresses = self._addresses(spec, number)
        etc = _write_etc(scratch, addresses, user)
        listeners, relays, ports = _open_ports(spec, addresses)
        known = {name: {str(port): place for port, place in places.items()} for name, places in ports.items()}
        files.write(str(spec.directory / "supervisor" / files.ADDRESSES), known)
        hosts = [self._host(spec, host, scratch / host.name, etc, ports[host.name], user) for host in spec.hosts]
        plain = [_PLAIN_NOTE.format(path=spec.hosts[0].opt_ml)] if self.mode == "plain" else []
        weak = [_WEAKNESS_NOTE.format("; ".join(weak_points))] if (weak_points := sandbox.weaknesses(self.mode)) else []
        document = spec.to_json()
        return {
            "kind": "process",
            "hosts": hosts,
            "notes": [*spec.notes, *plain, *weak],
            "opt_ml": {host.name: str(host.opt_ml) for host in spec.hosts},
            "pipes": document["pipes"],
            "sync": document["sync"],
            "own_network": spec.isolated,
            "relays": relays,
            "volume_bytes": spec.volume_bytes,
            "failure_grace_s": spec.failure_grace_s,
            "listeners": listeners,
        }

    def _addresses(self, spec: JobSpec, number: int) -> dict[str, str]:
        """Return the address of each host."""
        if self.mode == "plain":
            return {host.name: "127.0.0.1" for host in spec.hosts}
        network = f"127.{16 + number // 256}.{number % 256}"
        return {host.name: f"{network}.{index}" for index, host in enumerate(spec.hosts, start=1)}

    def _user(self, number: int, spec: JobSpec) -> int | None:
        """Return the user that a job runs as; None: the server's own."""
        user = identity.user_of(number)
        if user is None or self.mode == "bwrap":  # the sandbox shows each path, whatever lies above it
            return user
        seen = [*spec.image.paths, *spec.image.python_path, *([spec.image.venv] if spec.image.venv else [])]
        seen += venv.interpreter_paths(spec.image.venv) if spec.image.venv else []
        return user if self.mode == "unshare" and identity.can_reach(seen) else None

    def _take_number(self, job: str) -> int:
        """Choose the number of a job's network and user: no other job that has not been removed has it."""
        with self._network_lock:
            taken = {path.read_text() for path in self._networks.iterdir()}
            start = zlib.crc32(job.encode())
            number = next(n for n in (i % _NETWORKS for i in range(start, start + _NETWORKS)) if str(n) not in taken)
            (self._networks / job).write_text(str(number))
            return number

    def remove(self, handle: Handle) -> None:
        """See Runner."""
        super().remove(handle)
        with self._network_lock:
            (self._networks / handle.job).unlink(missing_ok=True)

    def _host(
        self,
        spec: JobSpec,
        host: HostSpec,
        scratch: Path,
        etc: list[tuple[Path, str]],
        ports: dict[int, tuple[str, int]],
        user: int | None,
    ) -> dict[str, Any]:
        (scratch / "tmp").mkdir(parents=True)
        binds, environment = _python(spec.image, scratch, self.mode)
        binds.append((host.opt_ml, "/opt/ml", False))
        binds += [(mount.source, mount.target, mount.read_only) for mount in host.mounts]
        if not spec.isolated:  # no network to install anything from
            inherited, shown = _inherited(os.environ)
            environment |= inherited
            binds += shown
        argv = [*(spec.entrypoint or ()), *spec.command]
        if self.mode != "bwrap":  # /tmp is this machine's
            environment |= {"HOME": str(scratch / "tmp"), "TMPDIR": str(scratch / "tmp")}
        if self.mode == "plain":
            # No mount and no hosts file says it: names will not resolve, so the toolkit shall not wait for that.
            environment |= {"SAGEMAKER_BASE_DIR": str(host.opt_ml), "SM_STUDIO_LOCAL_MODE": "true"}
            argv = [
                _in_layer(word, spec.image.venv, scratch / "venv") if n == 0 else word for n, word in enumerate(argv)
            ]
        for folder in (scratch, host.opt_ml):
            identity.hand_over(folder, user)
        box = sandbox.Box(
            self.mode,
            host.name,
            scratch,
            binds,
            etc,
            bool(spec.gpus),
            user,
            spec.processes,
            spec.volume_bytes,
            etc_files.folder(self._etc) if self.mode == "bwrap" else None,
        )
        environment |= {"HOSTNAME": host.name, **spec.environment, **host.environment, **_port_environment(spec, ports)}
        environment |= {"CUDA_VISIBLE_DEVICES": ",".join(map(str, spec.gpus)), MARK: f"{spec.id}-{host.name}"}
        environment, giving = sandbox.held_back(environment)
        command = sandbox.command(box, (*giving, *argv))
        return {
            "name": host.name,
            "argv": list(command.argv),
            "env": environment,
            "levels": command.levels,
            "status": command.status,
            "contained": command.contained,
            "limits": {"memory": spec.memory_mb, "cpu": spec.cpus, "pids": spec.processes},
            "writable": [
                str(host.opt_ml),
                str(scratch),
                *own_mounts(spec, host),
            ],
        }


def _python(image: ImageRef, scratch: Path, mode: sandbox.Mode) -> tuple[list[tuple[Path, str, bool]], dict[str, str]]:
    """Return what a host must see of its Python environment, and the environment variables that find it."""
    binds: list[tuple[Path, str, bool]] = []
    path = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]
    own = scratch / "venv"
    if image.venv:
        binds += [(outer.resolve(), str(outer), True) for outer in venv.interpreter_paths(image.venv)]
        packages = [path for path in image.paths if (path / "__init__.py").is_file()]
        layered = venv.layer(image.venv, own, image.venv if mode == "plain" else venv.BASE, packages)
        binds += [(image.venv, str(venv.BASE), True), (own, str(image.venv), False)] if layered else []
        binds += [] if layered else [(image.venv, str(image.venv), True)]
        path.insert(0, str((own if layered and mode == "plain" else image.venv) / "bin"))
    binds += [(extra, str(extra), True) for extra in (*image.paths, *image.python_path)]
    environment = {"PATH": ":".join(path), "HOME": "/tmp", "USER": "root", "LOGNAME": "root", "LANG": "C.UTF-8"}  # noqa: S108
    if image.python_path:
        environment["PYTHONPATH"] = ":".join(map(str, image.python_path))
    return binds, environment


def _inherited(variables: Mapping[str, str]) -> tuple[dict[str, str], list[tuple[Path, str, bool]]]:
    """Return how this machine's pip reaches packages, and the files that this names, for a script's requirements.txt.

    Not by the proxy of a LocalMaker in whose `env` the server was started: that one's key is for its shells only.
    """
    inherited = {
        name: variables[name] for name in _PACKAGE_SOURCES if name in variables and not _is_of_env(variables[name])
    }
    words = [word for name in _PACKAGE_FILES for word in inherited.get(name, "").split()]
    paths = [Path(word) for word in words if word.startswith("/") and not word.startswith(("/etc/", "/usr/"))]
    return inherited, [(path, str(path), True) for path in dict.fromkeys(paths) if path.exists()]


def _is_of_env(value: str) -> bool:
    """Return whether a value is a proxy as `localmaker env` writes it, with its key."""
    try:
        return urlsplit(value).username == _PROXY_USER
    except ValueError:
        return False


def _in_layer(word: str, shared: Path | None, own: Path) -> str:
    """Name the layer's interpreter where the spec names the shared environment's."""
    if shared and Path(word).is_relative_to(shared) and own.exists():
        return str(own / Path(word).relative_to(shared))
    return word


def _write_etc(scratch: Path, addresses: dict[str, str], user: int | None) -> list[tuple[Path, str]]:
    """Write the files that lie over /etc's: names of the job's hosts, and a name for its user."""
    # The second form is what a reverse lookup on an IPv6 socket asks for (torchrun's); not found here, it asks DNS.
    places = [("127.0.0.1", "localhost"), *((address, name) for name, address in addresses.items())]
    names = "".join(f"{address} {name}\n::ffff:{address} {name}\n" for address, name in places)
    contents = {
        "hosts": f"::1 localhost\n{names}",
        "passwd": _USERS.format(user=user or 1000),
        "group": _GROUPS.format(user=user or 1000),
    }
    for name, text in contents.items():
        (scratch / name).write_text(text)
    return [(scratch / name, f"/etc/{name}") for name in contents]


def _open_ports(
    spec: JobSpec, addresses: dict[str, str]
) -> tuple[list[socket.socket], list[dict[str, Any]], dict[str, dict[int, tuple[str, int]]]]:
    """Choose where the server reaches each port: (listening sockets to hand down, relays, host -> port -> place).

    An isolated job keeps its ports, in its own network, behind a relay. Others share this machine's network, where
    8080 may be taken: they are told a free port by SAGEMAKER_BIND_TO_PORT.
    """
    listeners: list[socket.socket] = []
    relays: list[dict[str, Any]] = []
    places: dict[str, dict[int, tuple[str, int]]] = {}
    for name, address in addresses.items():
        places[name] = {}
        for port in spec.ports:
            if spec.isolated:
                listener = socket.create_server(("127.0.0.1", 0))
                listeners.append(listener)
                relays.append({"fd": listener.fileno(), "ip": address, "port": port})
                places[name][port] = ("127.0.0.1", listener.getsockname()[1])
            else:
                places[name][port] = (address, _free_port())
    return listeners, relays, places


def _free_port() -> int:
    """Find a port that nobody has on any address of this machine."""
    for port in random.sample(range(*_PORT_RANGE), 1000):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise StartError("No free port was found for the job.", "InternalServerError")


def _port_environment(spec: JobSpec, ports: dict[int, tuple[str, int]]) -> dict[str, str]:
    if spec.isolated or not ports:
        return {}
    address, first = next(iter(ports.values()))
    named = {f"LOCALMAKER_PORT_{port}": str(place[1]) for port, place in ports.items()}
    # On all addresses of a network that is this machine's own, the model would answer strangers.
    return {"SAGEMAKER_BIND_TO_PORT": str(first), "LOCALMAKER_BIND_TO_HOST": address, **named}
