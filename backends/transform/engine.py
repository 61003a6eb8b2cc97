"""What carries a transform job from its row to its end: instances of the model's containers, and their shares of the objects.

Each phase is saved before its step, so that a server that is killed anywhere goes on there: containers that were started are
found, and an instance goes on with the object that it was at, whose output is written anew.
"""

from __future__ import annotations

import datetime as dt
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from backends.core import errors
from backends.core.instances import instance as instance_type
from backends.core.objects import parse_uri, role_access
from backends.jobs import channels, logs, model_container, service
from backends.jobs.admission import Allotment, ResourceRequest
from backends.jobs.drivers import drives, end
from backends.jobs.kinds import Shown
from backends.jobs.run import QUEUED, lineage_of
from backends.jobs.runners.base import StartError
from backends.jobs.service import HealthCheck, Service
from backends.jobs.settings import SETTINGS
from backends.jobs.supervisor import beneath
from backends.transform import document as documents
from backends.transform import objects
from backends.transform.client import Client, TransformError
from backends.transform.operations import TRANSFORM_JOB
from backends.transform.records import BadRecordError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context
    from backends.core.rows import Row
    from backends.jobs.channels import Channel, Delivery
    from backends.jobs.run import Run

LOG_GROUP = "/aws/sagemaker/TransformJobs"
SHOWN = Shown("TransformJob", LOG_GROUP, began_member="TransformStartTime", ended_member="TransformEndTime")
PUMP_S = 0.5
"""How often the containers' lines are carried over between two objects."""
FAILED = "ClientError: See job logs for more information"


class EndedError(Exception):
    """The job is over before all objects are done: its status, and the reason of a failure."""

    def __init__(self, status: str, reason: str = "") -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class TransformJob:
    """One job. `run.state`: `instances` with their containers' records, `done` with how many objects of its share each has done."""

    def __init__(self, run: Run) -> None:
        self.run, self.state = run, run.state
        self.row = run.find(TRANSFORM_JOB)
        self.document: dict[str, Any] = self.row.document if self.row is not None else {}

    def check(self) -> None:
        """Stop between two steps: the server stops, the job is gone, or is to stop."""
        self.run.check()
        if self.run.was_notified():
            self.row = self.run.find(TRANSFORM_JOB)
        if self.row is None or self.row.status == "Stopping":
            raise EndedError("Stopped")

    def drive(self) -> None:
        """Carry the job from the phase it has reached to its last status."""
        try:
            self.check()
            if self.run.phase == QUEUED:
                self._prepare()
            if self.run.phase == "starting":
                self._start()
            self._transform()
        except EndedError as ended:
            self.finish(ended.status, ended.reason)
        except StartError as error:
            self.finish("Failed", f"{error.code}: {error.message}")
        except (model_container.ModelDataError, channels.DataError) as error:
            self.finish("Failed", f"ClientError: {error}")
        except errors.AwsError as error:  # a bucket is gone, or the role may not write there
            if error.code == "ConflictException":  # somebody changed the row in between: the driver is called again
                raise
            self.finish("Failed", f"ClientError: {error.message}")
        else:
            failed = bool(self.state["failures"])
            self.finish("Failed" if failed else "Completed", FAILED if failed else "")

    def _prepare(self) -> None:
        resources = self.document["TransformResources"]
        gpus = list(self.run.allotment.gpus) if self.run.allotment is not None else []
        each = len(gpus) // resources["InstanceCount"]
        model = self.run.cx.look(lambda cx: model_container.described_model(cx, self.document["ModelName"]))
        own = documents.variables(self.document)
        instances = []
        for number in range(resources["InstanceCount"]):
            instances.append(model_container.instance_of(model, "transform", own, resources["InstanceType"]))
            instances[-1]["gpus"] = gpus[number * each : (number + 1) * each]
        state = {"instances": instances, "done": [0] * len(instances), "failures": [], "gpus": gpus}

        def begin(cx: Context) -> None:
            row, now = TRANSFORM_JOB.find_arn(cx, self.run.arn), cx.clock.now()
            if row is not None:
                TRANSFORM_JOB.update(cx, row, {**row.document, "TransformStartTime": now})
            self.document = {**self.document, "TransformStartTime": now}
            self.run.save_in(cx, "starting", role=instances[0]["role"], **state)

        self.run.cx.write(begin)  # at once: a crash between the two would leave a job that has no beginning

    def _start(self) -> None:
        for instance in self.state["instances"]:
            for each in self._services(instance):
                self.check()
                each.find_started()  # by a server that was killed before it wrote that down
                if not each.is_started:
                    model_container.start(each, instance, self.check)
                self.run.save()
        health = HealthCheck(model_container.PORT, "/ping", model_container.DEFAULT_STARTUP_S)
        for instance in self.state["instances"]:
            for each in self._services(instance):
                if not each.wait_healthy(health, self.check):
                    each.pump()
                    raise EndedError(
                        "Failed",
                        "AlgorithmError: The model's container did not pass the ping health check. See job logs.",
                    )
        self.run.save("transforming")

    def _services(self, instance: dict[str, Any]) -> list[Service]:
        name = self.row.key if self.row is not None else ""
        several = len(instance["containers"]) > 1
        return [
            Service(
                self.run,
                entry,
                logs.Destination(
                    LOG_GROUP, {entry["host"]: f"{name}/{instance['id']}{'/' + entry['name'] if several else ''}"}
                ),
            )
            for entry in instance["containers"]
        ]

    def _transform(self) -> None:
        cx = role_access.as_role(self.run.cx, self.state["role"])
        channel = documents.channel_of(self.document)
        deliveries = cx.look(lambda inside: channels.objects_of(inside, channel))
        instances = self.state["instances"]
        with ThreadPoolExecutor(len(instances)) as pool:
            shares = [
                pool.submit(self._share, cx, number, deliveries[number :: len(instances)])
                for number in range(len(instances))
            ]
            for share in shares:
                share.result()
        if "DataCaptureConfig" in self.document:
            self._capture(cx, channel, deliveries)

    def _capture(self, cx: Context, channel: Channel, deliveries: list[Delivery]) -> None:
        """Write the manifests of what was captured: the inputs whose outputs are there, and these."""
        # Unverified: the names of the manifests.
        done = [delivery for delivery in deliveries if delivery.path not in self.state["failures"]]
        began = dt.datetime.fromtimestamp(self.document["TransformStartTime"], dt.UTC).strftime("%Y/%m/%d/%H")
        bucket, base = parse_uri(self.document["DataCaptureConfig"]["DestinationS3Uri"].rstrip("/"))
        output = self.document["TransformOutput"]["S3OutputPath"].rstrip("/")
        source = f"s3://{parse_uri(channel.uri)[0]}/"
        manifests = {
            "input": [{"prefix": source}, *(delivery.stored.key for delivery in done)],
            "output": [{"prefix": f"{output}/"}, *(f"{delivery.path}.out" for delivery in done)],
        }
        for name, manifest in manifests.items():
            key = f"{base}/{name}/{began}/{self.run.id}.json".lstrip("/")
            cx.objects.put_bytes(cx, bucket, key, orjson.dumps(manifest))

    def _share(self, cx: Context, number: int, deliveries: list[Delivery]) -> None:
        """Transform the objects of an instance's share that are not done yet."""
        services = self._services(self.state["instances"][number])
        addresses = [each.address(model_container.PORT) for each in services]
        if any(each.has_ended() for each in services) or None in addresses:
            raise EndedError("Failed", "AlgorithmError: The model's container has ended. See job logs.")
        known = [address for address in addresses if address is not None]
        how = documents.transform_of(self.document, {})
        client = Client(known, lambda: any(each.has_ended() for each in services), how.timeout_s, how.retries)
        how = documents.transform_of(self.document, client.parameters())
        pool, pumped = ThreadPoolExecutor(how.concurrency), 0.0
        try:
            for delivery in deliveries[self.state["done"][number] :]:
                self.check()
                self._one(cx, number, delivery, how, client, pool)
                if (now := time.monotonic()) - pumped > PUMP_S:
                    for each in services:
                        each.pump()
                    pumped = now
                self.state["done"][number] += 1
                self.run.save()
        finally:
            client.abort()
            pool.shutdown(cancel_futures=True)

    def _one(
        self,
        cx: Context,
        number: int,
        delivery: Delivery,
        how: documents.Transform,
        client: Client,
        pool: ThreadPoolExecutor,
    ) -> None:
        """Transform an object and store what came of it; a failure is written to the data log, and fails the job at its end."""
        path = self._directory / f"output-{number}"
        try:
            with cx.objects.open(delivery.stored) as source, path.open("wb") as target:
                objects.transform(source, target, how, client, pool, self.check)
        except (BadRecordError, TransformError, FileNotFoundError) as error:
            path.unlink(missing_ok=True)
            self.state["failures"].append(delivery.path)
            reason = "the object was deleted" if isinstance(error, FileNotFoundError) else str(error)
            self._log(number, f"{delivery.stored.bucket}/{delivery.stored.key}: {reason}")
            return
        bucket, key = parse_uri(f"{self.document['TransformOutput']['S3OutputPath'].rstrip('/')}/{delivery.path}.out")
        cx.objects.put_file(cx, bucket, key, path, move=True)

    @cached_property
    def _directory(self) -> Path:
        directory = Path(self.run.kernel.settings.data_dir, "jobs", self.run.id)
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def _log(self, number: int, text: str) -> None:
        assert self.row is not None
        stream = f"{self.row.key}/{self.state['instances'][number]['id']}/data-log"
        to = logs.Destination(LOG_GROUP, {"data-log": stream})

        def work(cx: Context) -> None:
            for line in text.splitlines():
                logs.log_line(cx, to, "data-log", line)

        self.run.cx.write(work)

    def finish(self, status: str, reason: str = "") -> None:
        """Stop the containers, remove what is left on this machine, and write the last status."""
        ended = self.run.cx.clock.now()
        for instance in self.state.get("instances", ()):
            service.stop(self._services(instance))
        beneath.remove(self._directory)
        end(self.run, TRANSFORM_JOB, status, reason, TransformEndTime=ended)


def _kind_of(run: Run) -> tuple[int, int]:
    """Return how many instances a job has, and the GPUs of all of them."""
    row: Row | None = run.find(TRANSFORM_JOB)
    if row is None:
        return 1, 0
    resources = row.document["TransformResources"]
    gpus = instance_type(resources["InstanceType"]).gpus if SETTINGS.of(run.kernel).gpu != "cpu" else 0
    return resources["InstanceCount"], resources["InstanceCount"] * gpus


def _adopt(run: Run) -> Mapping[str, Allotment]:
    return {
        run.id: Allotment(run.cx.account, _kind_of(run)[0], tuple(run.state.get("gpus", ())), lineage_of(run.state))
    }


@drives(
    "transform",
    TRANSFORM_JOB,
    fail=lambda run, reason: TransformJob(run).finish("Failed", reason),
    request=lambda run: ResourceRequest(*_kind_of(run)),
    adopt=_adopt,
)
def drive(run: Run) -> None:
    """Carry a transform job from the phase it has reached to its last status."""
    TransformJob(run).drive()
