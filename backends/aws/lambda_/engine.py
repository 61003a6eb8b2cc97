"""One execution environment, driven: its code laid out, its service started, watched, and stopped when nobody uses it."""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backends.aws.lambda_ import functions
from backends.aws.lambda_.environments import ENVIRONMENTS
from backends.aws.lambda_.settings import SETTINGS
from backends.core.instances import Instance
from backends.jobs import logs, places, service
from backends.jobs.drivers import driven_by
from backends.jobs.opt_ml import make_open
from backends.jobs.run import QUEUED, Driver, ServerStopping
from backends.jobs.runners.base import StartError
from backends.jobs.service import HealthCheck, Service
from backends.jobs.spec import HostSpec, Mount
from backends.jobs.supervisor import beneath

if TYPE_CHECKING:
    from pathlib import Path

    from backends.aws.lambda_.functions import Function
    from backends.core.kernel import Kernel
    from backends.jobs.places import Place
    from backends.jobs.run import Run
    from backends.jobs.specify import ContainerRequest

log = logging.getLogger(__name__)
KIND, HOST, PORT = "lambda", "function", 8080
IMAGE = "localmaker/aws_lambda"
TEND_S, GRACE_S, STARTUP_S = 0.5, 2.0, 60.0
HEALTH = HealthCheck(PORT, "/ping", STARTUP_S, interval_s=0.01)
OWN = frozenset({"ml", "localmaker"})
"""What stands below /opt in every job, and so cannot be a layer's."""


def drive(run: Run) -> None:
    """Run an environment until nobody uses it; one of a server that is gone is only taken away."""
    environments = ENVIRONMENTS.of(run.kernel)
    environment = environments.of_job(run.id)
    running = _Running(run, environment.function if environment is not None else None)
    if environment is None or run.phase != QUEUED:
        if environment is not None:
            environments.close(run.id, environment)
        running.take_away()
        return
    try:
        environment.ready.set_result(running.start())
        idle_s = SETTINGS.of(run.kernel).lambda_idle_s
        while not (
            environment.is_closed or running.service.has_ended() or environments.close_if_unused(environment, idle_s)
        ):
            running.service.pump()
            run.wait(TEND_S)
    except ServerStopping:
        raise
    except Exception as error:
        if environment.ready.done():
            log.exception("%s: its environment is taken away", run.arn)
        else:  # whoever waits for it is told
            environment.ready.set_exception(error)
    environments.close(run.id, environment)
    running.take_away()


class _Running:
    def __init__(self, run: Run, function: Function | None) -> None:
        self.run, self.function = run, function
        self.record: dict[str, Any] = run.state.setdefault("service", {"job": "", "host": HOST, "runner": ""})

    @property
    def service(self) -> Service:
        to = None
        if self.function is not None:
            name = self.function.shown.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{self.function.name}")
            to = logs.Destination(name, {HOST: self.record["stream"]})
        return Service(self.run, self.record, to)

    def start(self) -> tuple[str, int]:
        """Start the service and wait until its runtime has begun; return its address. StartError, CodeError."""
        assert self.function is not None
        day = datetime.fromtimestamp(self.run.cx.clock.now(), UTC).strftime("%Y/%m/%d")
        self.record.update(job=service.new_job(KIND), stream=f"{day}/[{self.function.version}]{uuid.uuid4().hex}")
        self.run.save("running")
        made = self.service
        place = places.find(self.run.kernel, places.Wanted(IMAGE, "serve"), lambda _: None, self.run.check)
        made.start(place, lambda: self._lay_out(made, place))
        self.run.save()
        is_healthy = made.wait_healthy(HEALTH, self.run.check)
        address = made.address(PORT)
        if not is_healthy or address is None:
            made.pump()
            raise StartError(f"the environment of {self.function.arn} did not begin within {STARTUP_S:g} s")
        return address

    def take_away(self) -> None:
        """Stop the service and forget the job."""
        made = self.service
        if self.record["job"]:
            made.find_started()
            service.stop([made], GRACE_S)
        beneath.remove(self.run.kernel.settings.data_dir / "jobs" / self.run.id)
        self.run.cx.write(self.run.finish_in)

    def _lay_out(self, made: Service, place: Place) -> ContainerRequest:  # noqa: ARG002
        assert self.function is not None
        directory = made.directory / "ml"
        make_open(directory, above=made.directory)
        mounts = self._unpack(made.directory)
        shown = self.function.shown
        kind = Instance("a Lambda function", 2, max(int(shown["MemorySize"]), 128) + OVERHEAD_MB, 0)
        return made.request(
            HostSpec(HOST, directory, mounts), kind, image=IMAGE, role=str(shown["Role"]), isolated=False,
            environment=variables(self.function, self.record["stream"]), ports=(PORT,),
        )  # fmt: skip

    def _unpack(self, directory: Path) -> tuple[Mount, ...]:
        """Unpack code and layers, later layers over earlier ones; return where they stand."""
        assert self.function is not None
        code, layers = functions.code_of(self.run.kernel, self.function)
        functions.unpack(code, directory / "task", self.run.check)
        for layer in layers:
            functions.unpack(layer, directory / "layers", self.run.check)
        above = sorted(path for path in (directory / "layers").glob("*") if path.name not in OWN)
        return (Mount(directory / "task", "/var/task"), *(Mount(path, f"/opt/{path.name}") for path in above))


OVERHEAD_MB = 64
"""What the environment needs beside the function: what answers for the Runtime API."""


def variables(function: Function, stream: str) -> dict[str, str]:
    """Return a function's environment (guide, "Defined runtime environment variables")."""
    shown = function.shown
    return {
        "TZ": ":UTC",
        "LANG": "en_US.UTF-8",
        **shown.get("Environment", {}).get("Variables", {}),
        "_HANDLER": str(shown["Handler"]),
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{shown['Runtime']}",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(shown["MemorySize"]),
        "AWS_LAMBDA_FUNCTION_VERSION": function.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": stream,
        "LOCALMAKER_FUNCTION_ARN": str(shown["FunctionArn"]),
        "LOCALMAKER_LAMBDA_TIMEOUT": str(function.timeout_s),
    }


def reset(kernel: Kernel, account: str | None) -> None:
    """Let the environments of an account (None: of all) end."""
    ENVIRONMENTS.of(kernel).close_all(account)


def _fail(run: Run, reason: str) -> None:
    """Forget an environment whose driver failed again and again."""
    log.error("%s: %s", run.arn, reason)
    environment = ENVIRONMENTS.of(run.kernel).of_job(run.id)
    if environment is not None:
        ENVIRONMENTS.of(run.kernel).close(run.id, environment)
        if not environment.ready.done():
            environment.ready.set_exception(StartError(reason))
    run.cx.write(run.finish_in)


driven_by(drive, Driver(KIND, drive, _fail), None)
