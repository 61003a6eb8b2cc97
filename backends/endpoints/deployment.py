"""One configuration brought up: its instances and their containers, started, watched, scaled and stopped.

`state` is plain JSON and is what survives the server: which containers were started under which job names.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

from backends.core.instances import instance as instance_type
from backends.endpoints.fleet import Container, Fleet, Instance, Variant, log_group
from backends.endpoints.status import variants_of
from backends.jobs import logs, service
from backends.jobs import model_container as containers
from backends.jobs.queue import DISPATCHER
from backends.jobs.run import ServerStopping
from backends.jobs.runners.base import StartError
from backends.jobs.service import HealthCheck, Service

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backends.jobs.run import Run


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
        model = self.run.cx.look(lambda cx: containers.described_model(cx, variant["ModelName"]))
        added = []
        for _ in range(count):
            made = containers.instance_of(model, "endpoint", {}, variant["InstanceType"])
            made |= {
                "variant": variant["VariantName"],
                "volume_bytes": (gb := variant.get("VolumeSizeInGB")) and gb << 30,
                "startup_s": variant.get("ContainerStartupHealthCheckTimeoutInSeconds", containers.DEFAULT_STARTUP_S),
            }
            added.append(made)
        self.state["instances"].extend(added)
        return added

    def start(self) -> None:
        """Start every container and wait until all are healthy. DeploymentError, with AWS's sentence, otherwise."""
        self._start(self.state["instances"])

    def _start(self, instances: list[dict[str, Any]]) -> None:
        try:
            for instance in instances:
                instance["gpus"] = service.take_gpus(self.run, self._holder(instance), instance_type(instance["type"]))
            self.run.save(**{self._which: self.state})
            for instance in instances:
                for entry in instance["containers"]:
                    self._start_container(instance, entry)
        except StartError as error:
            raise DeploymentError(f"{error.code}: {error.message}") from error
        except containers.ModelDataError as error:
            raise DeploymentError(str(error)) from error
        with ThreadPoolExecutor(max(1, len(instances))) as pool:
            for healthy in pool.map(self._await_instance, instances):
                if healthy is not None:
                    raise DeploymentError(healthy)

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
        containers.start(self._service(instance, entry), instance, self.run.check)
        self.run.save(**{self._which: self.state})

    def _await_instance(self, instance: dict[str, Any]) -> str | None:
        """Wait for an instance's containers; return the failure's sentence."""
        health = HealthCheck(containers.PORT, "/ping", instance["startup_s"])
        for entry in instance["containers"]:
            if not self._service(instance, entry).wait_healthy(health, self.run.check):
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
            if [each for each in self._services([instance]) if each.find_started()]:
                self._found.append(instance)

    def dead(self) -> list[dict[str, Any]]:
        """Return the instances of which a container has ended."""
        return [i for i in self.state["instances"] if any(each.has_ended() for each in self._services([i]))]

    def replace(self, dead: list[dict[str, Any]]) -> None:
        """Start dead instances again under new job names; they keep their GPUs."""
        self._stop(dead)
        for instance in dead:
            for entry in instance["containers"]:
                entry.update(job=service.new_job("endpoint"), runner="")
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
        service.stop(self._services(instances))

    def pump(self) -> None:
        """Carry the containers' log lines over."""
        for each in self._services([*self.state["instances"], *self.state["surplus"]]):
            each.pump()

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
            service = self._service(instance, entry)
            address = service.address(containers.PORT)
            if address is None:
                return None
            serving.append(Container(entry["name"], *address, service.has_ended))
        return Instance(instance["id"], tuple(serving))

    def _services(self, instances: Iterable[dict[str, Any]]) -> list[Service]:
        return [self._service(instance, entry) for instance in instances for entry in instance["containers"]]

    def _service(self, instance: dict[str, Any], entry: dict[str, Any]) -> Service:
        stream = f"{instance['variant']}/{instance['id']}"
        if len(instance["containers"]) > 1:
            stream += f"/{entry['name']}"
        to = logs.Destination(log_group(self.run.state["name"]), {entry["host"]: stream})
        return Service(self.run, entry, to)
