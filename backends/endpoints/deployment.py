"""One configuration brought up: its instances and their containers, started, watched, scaled and stopped.

`state` is plain JSON and is what survives the server: which containers were started under which job names.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from backends.core import keys
from backends.core.instances import instance as instance_type
from backends.endpoints import container as containers
from backends.endpoints.fleet import Container, Fleet, Instance, Variant, log_group
from backends.endpoints.status import variants_of
from backends.jobs import logs, places
from backends.jobs.queue import DISPATCHER
from backends.jobs.run import ServerStopping
from backends.jobs.runners.base import Handle, StartError
from backends.jobs.supervisor import beneath

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backends.core.context import Context
    from backends.jobs.run import Run
    from backends.jobs.runners.base import Runner

STOP_GRACE_S = 30.0


class DeploymentError(Exception):
    """A deployment that did not become healthy; the message is the endpoint's FailureReason."""


class Deployment:
    """One deployment of an endpoint, in `run.state[which]`."""

    def __init__(self, run: Run, which: str, state: dict[str, Any]) -> None:
        self.run, self._which, self.state = run, which, state
        self._found: list[dict[str, Any]] = []  # instances of which a killed server had not seen all containers start

    @classmethod
    def prepared(cls, run: Run, which: str, config: str) -> Self:
        """Prepare a configuration's instances; nothing is started yet."""
        variants = run.cx.look(lambda cx: variants_of(cx, config))
        state = {
            "id": uuid.uuid4().hex[:8],
            "config": config,
            "variants": variants,
            "weights": {v["VariantName"]: v["InitialVariantWeight"] for v in variants},
            "instances": [],
            "surplus": [],
        }
        made = cls(run, which, state)
        for variant in variants:
            made._add_instances(variant, variant.get("InitialInstanceCount", 1))
        return made

    @property
    def config(self) -> str:
        """The name of the endpoint configuration."""
        name: str = self.state["config"]
        return name

    def variants(self) -> list[dict[str, Any]]:
        """Return the configuration's production variants."""
        variants: list[dict[str, Any]] = self.state["variants"]
        return variants

    def _add_instances(self, variant: dict[str, Any], count: int) -> list[dict[str, Any]]:
        """Add instances of a variant to the state."""
        model = self.run.cx.look(lambda cx: cx.call("DescribeModel", {"ModelName": variant["ModelName"]}))
        definitions = [model["PrimaryContainer"]] if "PrimaryContainer" in model else model["Containers"]
        added = []
        for _ in range(count):
            number = uuid.uuid4().hex[:17]
            several = len(definitions) > 1
            added.append(
                {
                    "id": f"i-{number}",
                    "variant": variant["VariantName"],
                    "type": variant["InstanceType"],
                    "volume_bytes": (gb := variant.get("VolumeSizeInGB")) and gb << 30,
                    "startup_s": variant.get(
                        "ContainerStartupHealthCheckTimeoutInSeconds", containers.DEFAULT_STARTUP_S
                    ),
                    "role": model.get("ExecutionRoleArn", ""),
                    "isolated": model.get("EnableNetworkIsolation", False),
                    "containers": [
                        {
                            "job": f"endpoint-{number}-{index}",
                            "name": definition.get("ContainerHostname", f"container-{index}") if several else "primary",
                            "host": definition.get("ContainerHostname", containers.HOST),
                            "definition": definition,
                            "runner": "",
                        }
                        for index, definition in enumerate(definitions, 1)
                    ],
                }
            )
        self.state["instances"].extend(added)
        return added

    def start(self) -> None:
        """Start every container and wait until all are healthy. DeploymentError, with AWS's sentence, otherwise."""
        self._start(self.state["instances"])

    def _start(self, instances: list[dict[str, Any]]) -> None:
        for instance in instances:
            instance["gpus"] = self._take_gpus(instance)
        self.run.save(**{self._which: self.state})
        for instance in instances:
            for entry in instance["containers"]:
                self._start_container(instance, entry)
        with ThreadPoolExecutor(max(1, len(instances))) as pool:
            for healthy in pool.map(self._await_instance, instances):
                if healthy is not None:
                    raise DeploymentError(healthy)

    def _take_gpus(self, instance: dict[str, Any]) -> list[int]:
        """Take an instance's GPUs, or those that it holds already. DeploymentError when too few are free."""
        wanted = instance_type(instance["type"]).gpus
        if not wanted or self.run.kernel.settings.gpu == "cpu":
            return []
        dispatcher = DISPATCHER.of(self.run.kernel)
        taken = dispatcher.take_gpus(self._holder(instance), self.run.cx.account, wanted)
        if taken is not None:
            return list(taken)
        raise DeploymentError(
            f"CapacityError: an instance of {instance['type']} asks for {wanted} GPU(s) and this machine has "
            f"{dispatcher.gpu_count}, not enough of them free. "
            "Set LOCALMAKER_GPU=cpu to serve GPU instance types on the CPU."
        )

    def gpus(self) -> dict[str, list[int]]:
        """Return the GPUs of what may still run, by the name under which they are held."""
        instances = [*self.state["instances"], *self.state["surplus"]]
        return {self._holder(instance): instance["gpus"] for instance in instances if instance.get("gpus")}

    def _release_gpus(self, instances: Iterable[dict[str, Any]]) -> None:
        for instance in instances:
            DISPATCHER.of(self.run.kernel).release(self._holder(instance))
            instance["gpus"] = []

    def _holder(self, instance: dict[str, Any]) -> str:
        return f"{self.run.id}-{instance['id']}"

    def _start_container(self, instance: dict[str, Any], entry: dict[str, Any]) -> None:
        to = self._destination(instance, entry)
        spec = containers.ContainerSpec(
            entry["job"],
            self._directory(entry),
            entry["name"],
            instance["variant"],
            instance["type"],
            entry["definition"],
            instance["role"],
            instance["isolated"],
            instance["startup_s"],
            tuple(instance["gpus"]),
            self.run.arn,
            instance.get("volume_bytes"),
            instance["containers"].index(entry) + 1,
        )

        def log_line(text: str) -> None:
            self.run.cx.write(lambda cx: logs.log_line(cx, to, entry["host"], text))

        try:
            handle = containers.start(self.run.cx, spec, log_line, self.run.check)
        except StartError as error:
            raise DeploymentError(f"{error.code}: {error.message}") from error
        except containers.ModelDataError as error:
            raise DeploymentError(str(error)) from error
        entry["runner"] = handle.runner
        self.run.save(**{self._which: self.state})

    def _await_instance(self, instance: dict[str, Any]) -> str | None:
        """Wait for an instance's containers; give the failure's sentence."""
        for entry in instance["containers"]:
            healthy = containers.wait_healthy(
                self._runner(entry), self._handle(entry), entry["host"], instance["startup_s"], self.run.check
            )
            if not healthy:
                return (
                    f"The {entry['name']} container for production variant {instance['variant']} did not pass the ping "
                    "health check. Please check CloudWatch logs for this endpoint."
                )
        return None

    def revive(self) -> None:
        """After a restart: start again what no longer runs, or was being started and does not become healthy."""
        dead = self.dead()
        for instance in self.state["instances"]:
            if instance in self._found and instance not in dead and self._await_instance(instance) is not None:
                dead.append(instance)
        if dead:
            self.replace(dead)

    def find_started(self) -> None:
        """Find the containers that a killed server had started and not yet written down."""
        for instance in self.state["instances"]:
            for entry in instance["containers"]:
                if not entry["runner"]:
                    entry["runner"] = places.runner_of(self.run.kernel, entry["job"])
                    self._found.append(instance)

    def dead(self) -> list[dict[str, Any]]:
        """Return the instances of which a container has ended."""
        return [
            instance
            for instance in self.state["instances"]
            if any(
                not entry["runner"] or self._runner(entry).poll(self._handle(entry)) is not None
                for entry in instance["containers"]
            )
        ]

    def replace(self, dead: list[dict[str, Any]]) -> None:
        """Start dead instances again under new job names; they keep their GPUs."""
        self._stop(dead)
        for instance in dead:
            number = uuid.uuid4().hex[:17]
            for index, entry in enumerate(instance["containers"], 1):
                entry.update(job=f"endpoint-{number}-{index}", runner="")
        self._start(dead)

    def scale(self, variant_name: str, count: int) -> None:
        """Start missing instances of a variant; what is too many is put aside for `stop_surplus`."""
        instances = [i for i in self.state["instances"] if i["variant"] == variant_name]
        if count > len(instances):
            variant = next(v for v in self.variants() if v["VariantName"] == variant_name)
            added = self._add_instances(variant, count - len(instances))
            try:
                self._start(added)
            except ServerStopping:
                raise  # the next server finds them
            except Exception:
                self._stop(added)
                self._release_gpus(added)
                self.state["instances"] = [i for i in self.state["instances"] if i not in added]
                self.run.save(**{self._which: self.state})
                raise
        surplus = instances[count:]
        self.state["instances"] = [i for i in self.state["instances"] if i not in surplus]
        self.state["surplus"].extend(surplus)

    def has_surplus(self) -> bool:
        """Return whether scaling put instances aside."""
        return bool(self.state["surplus"])

    def stop_surplus(self) -> None:
        """Stop the instances that scaling put aside."""
        self._stop(self.state["surplus"])
        self._release_gpus(self.state["surplus"])
        self.state["surplus"] = []
        self.run.save(**{self._which: self.state})

    def stop(self) -> None:
        """Stop every container: SIGTERM, SIGKILL after 30 s."""
        everything = [*self.state["instances"], *self.state["surplus"]]
        self._stop(everything)
        self._release_gpus(everything)

    def _stop(self, instances: Iterable[dict[str, Any]]) -> None:
        entries = [entry for instance in instances for entry in instance["containers"]]
        running = [entry for entry in entries if entry["runner"]]
        for entry in running:
            self._runner(entry).stop(self._handle(entry), STOP_GRACE_S)
        for entry in running:
            self._runner(entry).wait(self._handle(entry), STOP_GRACE_S + 5)
        self.pump()
        for entry in running:
            self._runner(entry).remove(self._handle(entry))
        for entry in entries:  # its copy of the model
            beneath.remove(self._directory(entry))
        self.run.cx.write(lambda cx: _end_sessions(cx, entries))
        logs.forget(self.run, [entry["job"] for entry in entries])

    def pump(self) -> None:
        """Carry the containers' log lines over."""
        for instance in [*self.state["instances"], *self.state["surplus"]]:
            for entry in instance["containers"]:
                if entry["runner"]:
                    logs.pump(self.run, self._runner(entry), self._handle(entry), self._destination(instance, entry))

    def set_weight(self, variant_name: str, weight: float) -> None:
        """Change a variant's share."""
        self.state["weights"][variant_name] = weight

    def weight(self, variant_name: str) -> float:
        """Return a variant's weight."""
        return float(self.state["weights"][variant_name])

    def count(self, variant_name: str) -> int:
        """Count a variant's instances."""
        return sum(i["variant"] == variant_name for i in self.state["instances"])

    def images(self, variant_name: str, now: float) -> list[dict[str, Any]]:
        """Return DeployedImages of a variant."""
        instance = next((i for i in self.state["instances"] if i["variant"] == variant_name), None)
        if instance is None:  # written by an earlier version, which let a variant be scaled to nothing
            return []
        return [
            {
                "SpecifiedImage": entry["definition"]["Image"],
                "ResolvedImage": entry["definition"]["Image"],
                "ResolutionTime": now,
            }
            for entry in instance["containers"]
        ]

    def fleet(self) -> Fleet:
        """Return the containers that serve, with their addresses."""
        variants = []
        for variant in self.variants():
            name = variant["VariantName"]
            serving = [self._serving(i) for i in self.state["instances"] if i["variant"] == name]
            variants.append(Variant(name, self.weight(name), tuple(i for i in serving if i is not None)))
        return Fleet(self.run.state["name"], self.run.arn, tuple(variants))

    def _serving(self, instance: dict[str, Any]) -> Instance | None:
        serving = []
        for entry in instance["containers"]:
            address = (
                self._runner(entry).address(self._handle(entry), entry["host"], containers.PORT)
                if entry["runner"]
                else None
            )
            if address is None:
                return None
            serving.append(Container(entry["name"], *address))
        return Instance(instance["id"], tuple(serving))

    def _destination(self, instance: dict[str, Any], entry: dict[str, Any]) -> logs.Destination:
        stream = f"{instance['variant']}/{instance['id']}"
        if len(instance["containers"]) > 1:
            stream += f"/{entry['name']}"
        return logs.Destination(log_group(self.run.state["name"]), {entry["host"]: stream})

    def _directory(self, entry: dict[str, Any]) -> Path:
        return Path(self.run.kernel.settings.data_dir, "jobs", self.run.id, entry["job"])

    def _handle(self, entry: dict[str, Any]) -> Handle:
        return Handle(entry["job"], self._directory(entry), entry["runner"])

    def _runner(self, entry: dict[str, Any]) -> Runner:
        return places.runner(self.run.kernel, entry["runner"])


def _end_sessions(cx: Context, entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        keys.end_sessions(cx, entry["job"])
