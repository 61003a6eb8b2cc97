"""The Docker runner: hosts are containers, started, followed and removed by the job's supervisor.

The server itself asks the engine about images and the shared network only; pulls and networks go through docker-py,
imported on first use. Networks: a single host that is not isolated joins the bridge `localmaker`, on whose gateway the server listens
for jobs; several hosts get a bridge of their own, on which `algo-1 ... algo-n` resolve, and reach the same gateway
through it. An isolated job gets no network, or an internal one if it has peers or serves a port; on one without ports
the machine itself has no address. A server that is itself a container of the engine joins the networks in which it must
be reached or must reach a port, under a name instead of the gateway's address.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import stat
import threading
import urllib.parse
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from backends.jobs.runners import own_container
from backends.jobs.runners.base import StartError
from backends.jobs.runners.supervised import SupervisedRunner, own_mounts
from backends.jobs.supervisor import beneath, files
from backends.jobs.supervisor.engine import Engine, EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backends.jobs.runners.base import Handle
    from backends.jobs.runners.own_container import OwnContainer
    from backends.jobs.spec import HostSpec, ImageRef, JobSpec

SHARED_NETWORK = "localmaker"
_JOB_LABEL = "localmaker.job"
_INSTALLATION_LABEL = "localmaker.installation"
_TIMEOUT_S = 10
_MAX_HELPER_IMAGES = 5
_MAX_TAKEOVERS = 3  # then its supervisors die of something that will not go away


class DockerRunner(SupervisedRunner):
    """See the module.

    `installation` names the data directory in labels, so that several servers can share an engine.
    """

    name = "docker"
    network_interface = "eth0"
    home = "/root"

    def __init__(self, root: Path, installation: str) -> None:
        super().__init__(root)
        self.installation = installation
        self._root = root
        self._url = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        self._engine = Engine(self._url.replace("http://", "tcp://"))
        self._client_lock = threading.Lock()
        self._client: Any = None
        self._gateway = ""
        self._takeovers: dict[str, int] = {}

    def available(self) -> str | None:
        """See Runner."""
        if not self._url.startswith(("unix://", "tcp://", "http://")):
            return f"LocalMaker speaks to Docker over unix:// and tcp:// only, not {self._url}."
        if os.environ.get("DOCKER_TLS_VERIFY"):
            return "LocalMaker does not speak TLS to a Docker engine: jobs mount directories, so it must be local."
        try:
            self._engine.call("GET", "/version")
            own = self._own
        except EngineError as error:
            return error.message
        if own is not None and own.host_path(self._root) is None:
            return f"The server runs in a container and {self._root} is on no volume: jobs could not mount it."
        return None

    @functools.cached_property
    def _own(self) -> OwnContainer | None:
        """The container of the engine that this server is in. Raises EngineError until the engine has answered."""
        return own_container.find(self._engine)

    @property
    def _connection(self) -> dict[str, Any] | None:
        """How this server joins a network, if it is in a container."""
        return self._own.connection(f"localmaker-{self.installation}") if self._own is not None else None

    def refusal(self, image: ImageRef) -> str | None:
        """See Runner."""
        if not image.docker:
            return "There is no Docker image for this job."
        try:
            self._engine.call("GET", f"/images/{urllib.parse.quote(image.docker)}/json")
        except EngineError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return f"Image {image.docker} is not on this machine: it has to be pulled or built first."
            return error.message
        return None

    def pull(self, reference: str, login: tuple[str, str] | None = None) -> Iterator[str]:
        """Pull an image, giving a sentence for each step. Raises StartError when it cannot be had."""
        problem = ""
        auth = {"username": login[0], "password": login[1]} if login is not None else None
        try:
            for step in self._docker().api.pull(reference, stream=True, decode=True, auth_config=auth):
                problem = step.get("error", problem)
                yield " ".join(filter(None, [step.get("id"), step.get("status"), step.get("progress")]))
        except Exception as error:  # noqa: BLE001 - docker-py raises its own, requests' and OSError
            problem = str(error)
        if problem:
            raise StartError(f"Image {reference} could not be pulled: {problem}")

    def endpoint_host(self) -> str:
        """See Runner: the gateway of the shared network, which is made when it is not there, or our name in it."""
        if not self._gateway:
            gateway, connection = self._ensure_network(), self._connection
            if connection is not None:
                own_container.join(self._engine, SHARED_NETWORK, connection)
                gateway = connection["EndpointConfig"]["Aliases"][0]
            self._gateway = gateway
        return self._gateway

    def close(self) -> None:
        """Close the connection to the engine; the next call opens another."""
        with self._client_lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _docker(self) -> Any:
        import docker

        with self._client_lock:
            if self._client is None:
                self._client = docker.DockerClient(base_url=self._url, timeout=_TIMEOUT_S)
            return self._client

    def _ensure_network(self) -> str:
        from docker import errors

        api = self._docker().api
        try:
            network = api.inspect_network(SHARED_NETWORK)
        except errors.NotFound:
            with contextlib.suppress(errors.APIError):  # another server was quicker
                api.create_network(SHARED_NETWORK, "bridge", labels={SHARED_NETWORK: "shared"}, check_duplicate=True)
            network = api.inspect_network(SHARED_NETWORK)
        return str(network["IPAM"]["Config"][0]["Gateway"])

    def _take_over(self, handle: Handle) -> bool:
        tries = self._takeovers.get(handle.job, 0)
        if tries >= _MAX_TAKEOVERS or not (handle.state / files.DESCRIPTION).exists():
            return False
        self._takeovers[handle.job] = tries + 1
        description = files.read(str(handle.state / files.DESCRIPTION))
        with contextlib.suppress(EngineError):
            if description["server"] and description["server"] != self._connection:  # another container than it was
                files.write(str(handle.state / files.DESCRIPTION), {**description, "server": self._connection})
        with contextlib.suppress(BlockingIOError):  # another thread was quicker
            self._spawn(handle, "resume")
        return True

    def _clean(self, handle: Handle) -> None:
        from docker import errors

        labels = [f"{_JOB_LABEL}={handle.job}", f"{_INSTALLATION_LABEL}={self.installation}"]
        api = self._docker().api
        for container in api.containers(all=True, filters={"label": labels}):
            api.remove_container(container["Id"], v=True, force=True)
        for network in api.networks(filters={"label": labels}):
            if self._own is not None:
                with contextlib.suppress(errors.APIError):  # it was not in it
                    api.disconnect_container_from_network(self._own.id, network["Id"], force=True)
            api.remove_network(network["Id"])

    def _description(self, spec: JobSpec) -> dict[str, Any]:
        networks = self._job_networks(spec)
        if networks:
            mode = str(networks[0]["Name"])
        elif spec.isolated:
            mode = "none"
        else:
            self.endpoint_host()
            mode = SHARED_NETWORK
        for host in spec.hosts:
            _open_directories(host.opt_ml)
        document = spec.to_json()
        return {
            "kind": "docker",
            "engine": self._url.replace("http://", "tcp://"),
            "hosts": [self._host(spec, host, mode) for host in spec.hosts],
            "networks": networks,
            "server": None if spec.isolated and not spec.ports else self._connection,
            "notes": list(spec.notes),
            "opt_ml": {host.name: str(host.opt_ml) for host in spec.hosts},
            "own": [str(host.opt_ml) for host in spec.hosts],
            "helper_images": self._helper_images(spec),
            "host_paths": {str(host.opt_ml): self._host_path(host.opt_ml) for host in spec.hosts},
            "ports": list(spec.ports),
            "pipes": document["pipes"],
            "sync": document["sync"],
            "volume_bytes": spec.volume_bytes,
            "failure_grace_s": spec.failure_grace_s,
        }

    def _labels(self, spec: JobSpec) -> dict[str, str]:
        return {**spec.labels, _JOB_LABEL: spec.id, _INSTALLATION_LABEL: self.installation}

    def _job_networks(self, spec: JobSpec) -> list[dict[str, Any]]:
        """Return the body of the create call of the job's own network, if it needs one."""
        if len(spec.hosts) == 1 and not (spec.isolated and spec.ports):
            return []
        body: dict[str, Any] = {
            "Name": f"localmaker-{self.installation}-{spec.id}",
            "Driver": "bridge",
            "Internal": spec.isolated,
            "Labels": self._labels(spec),
        }
        if spec.isolated and not spec.ports:
            # The machine would answer at an internal network's gateway too, if it had that address.
            body["Options"] = {"com.docker.network.bridge.inhibit_ipv4": "true"}
        return [body]

    def _host(self, spec: JobSpec, host: HostSpec, network: str) -> dict[str, Any]:
        create: dict[str, Any] = {
            "Image": spec.image.docker,
            "Hostname": host.name,
            "Cmd": list(spec.command),
            "Env": [f"{key}={value}" for key, value in _environment(spec, host).items()],
            "Labels": self._labels(spec),
            "HostConfig": self._host_config(spec, host, network),
        }
        if spec.entrypoint is not None:
            create["Entrypoint"] = list(spec.entrypoint)
        if network not in {"none", SHARED_NETWORK}:
            create["NetworkingConfig"] = {"EndpointsConfig": {network: {"Aliases": [host.name]}}}
        return {
            "name": host.name,
            "container": f"localmaker-{self.installation}-{spec.id}-{host.name}",
            "create": create,
            "addressed": bool(spec.ports),
            "writable": [str(host.opt_ml), *own_mounts(spec, host)],
        }

    def _host_config(self, spec: JobSpec, host: HostSpec, network: str) -> dict[str, Any]:
        binds = [(host.opt_ml, "/opt/ml", False), *((m.source, m.target, m.read_only) for m in host.mounts)]
        config: dict[str, Any] = {
            "NetworkMode": network,
            "Mounts": [
                {"Type": "bind", "Source": self._host_path(source), "Target": target, "ReadOnly": read_only}
                for source, target, read_only in binds
            ],
            "Init": True,  # without it a program that minds no signals waits out the whole grace
            "SecurityOpt": ["no-new-privileges"],
            # Of what Docker leaves root: nothing to forge packets for neighbours on the bridge, or devices, with.
            "CapDrop": ["AUDIT_WRITE", "MKNOD", "NET_RAW"],
            "LogConfig": {
                "Type": "json-file",
                "Config": {},
            },  # whatever the engine's default: it replays after a takeover
        }
        if network == "none":
            config["ExtraHosts"] = [f"{host.name}:127.0.0.1"]
        if spec.processes is not None:
            config["PidsLimit"] = spec.processes
        if spec.memory_mb is not None:
            config["Memory"] = config["MemorySwap"] = spec.memory_mb << 20
        if spec.cpus is not None:
            config["NanoCpus"] = int(min(spec.cpus, os.cpu_count() or 1) * 10**9)
        if spec.shm_mb is not None:
            config["ShmSize"] = spec.shm_mb << 20
        if spec.gpus:
            devices = [str(gpu) for gpu in spec.gpus]
            config["DeviceRequests"] = [{"Driver": "", "DeviceIDs": devices, "Capabilities": [["gpu"]]}]
        return config

    def _host_path(self, path: Path) -> str:
        return str((self._own and self._own.host_path(path)) or path)

    def _helper_images(self, spec: JobSpec) -> list[str]:
        """Return images that may lend a shell to give files back, the job's own first; none is needed by root."""
        if os.geteuid() == 0:
            return []
        tags = [
            tag for image in self._docker().api.images() for tag in image.get("RepoTags") or [] if "<none>" not in tag
        ]
        return list(dict.fromkeys([str(spec.image.docker), *tags]))[:_MAX_HELPER_IMAGES]


def _environment(spec: JobSpec, host: HostSpec) -> dict[str, str]:
    """Return a container's environment; a machine whose default runtime shows every GPU shows none to a job without."""
    gpus = {} if spec.gpus else {"NVIDIA_VISIBLE_DEVICES": "void"}
    # Of this machine's pip settings only this one means the same in a container: there is no index to be reached.
    offline = {name: os.environ[name] for name in ("PIP_NO_INDEX",) if name in os.environ}
    return {**offline, **spec.environment, **host.environment, **gpus}


def _open_directories(opt_ml: Path) -> None:
    """Let whatever user the image runs as write below /opt/ml, as on AWS; the job's directory itself keeps others out."""
    at = beneath.root(str(opt_ml))
    try:
        folders = (path for path, status in beneath.walk(at) if stat.S_ISDIR(status.st_mode))
        for name in itertools.chain([""], folders):
            fd = beneath.directory(at, name)
            try:
                with contextlib.suppress(PermissionError):  # it belongs to somebody who knew better
                    os.fchmod(fd, 0o777)
            finally:
                os.close(fd)
    finally:
        os.close(at)
