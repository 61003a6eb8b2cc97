"""Where a job or a model container runs: image to recipe, recipe or image to runner. Docker where it can be, else processes.

`LOCALMAKER_RUNNER` fixes the runner; with `auto`, an engine that answers and has (or can pull, or can build) the image
gets the job. An image that only Docker can run says so in the failure.
"""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.core.memory import InMemory
from backends.jobs import images, machine, recipes, registry
from backends.jobs.runners import sandbox
from backends.jobs.runners.base import StartError
from backends.jobs.settings import SETTINGS
from backends.jobs.spec import ImageRef

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.instances import Instance
    from backends.core.kernel import Kernel
    from backends.jobs.images import Recipe
    from backends.jobs.registry import Stored
    from backends.jobs.runners.base import Handle, Runner
    from backends.jobs.runners.docker import DockerRunner
    from backends.jobs.runners.process import ProcessRunner

    LogLine = Callable[[str], None]

MEMORY_SHARE = 0.9
RUNNERS = ("process", "docker")
_MAKING = threading.Lock()


@dataclass(frozen=True)
class Wanted:
    """What a job or container asks for.

    `mode` is `train` or `serve`, the argument of a container without entrypoint and arguments; empty: it gets none, so
    that the image's own command runs (a recipe's serves).
    """

    image: str
    mode: str
    cuda: bool = False
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """A runner, and what to hand it: image, entrypoint, command."""

    runner: Runner
    image: ImageRef
    entrypoint: tuple[str, ...] | None
    command: tuple[str, ...]
    recipe: str | None


@dataclass(frozen=True, slots=True)
class Limits:
    """CPU and memory of one host."""

    cpus: float
    memory_mb: int


def limits_of(kind: Instance, log_line: LogLine) -> Limits:
    """Return an instance type's limits, capped to this machine; a cap is said in the log."""
    cpus, memory = min(kind.vcpus, machine.cpus()), min(kind.memory_mb, int(machine.memory_mb() * MEMORY_SHARE))
    if cpus < kind.vcpus or memory < kind.memory_mb:
        log_line(
            f"{kind.name} has {kind.vcpus} vCPUs and {kind.memory_mb} MiB of memory; "
            f"this machine gives {cpus} and {memory} MiB."
        )
    return Limits(float(cpus), memory)


MADE = InMemory[dict[str, "Runner"]]("jobs.runners", lambda _kernel: {})


def runner(kernel: Kernel, name: str) -> Runner:
    """Return a runner by name; made once per server."""
    made = MADE.of(kernel)
    with _MAKING:
        if name not in made:
            root = kernel.settings.data_dir / "runners"
            root.mkdir(exist_ok=True)
            if name == "docker":
                from backends.jobs.runners.docker import DockerRunner

                made[name] = DockerRunner(root, kernel.installation_id)
            else:
                from backends.jobs.runners.process import ProcessRunner

                made[name] = ProcessRunner(root)
    return made[name]


def describe(kernel: Kernel) -> dict[str, str | None]:
    """Return which runners there are, each with the reason why it cannot be used (None when it can)."""
    chosen = RUNNERS if kernel.settings.runner == "auto" else (kernel.settings.runner,)
    return {name: runner(kernel, name).available() for name in chosen}


def weaknesses(kernel: Kernel) -> list[str]:
    """Return what the sandbox of processes cannot keep jobs from on this machine; a sentence each."""
    if kernel.settings.runner == "docker":
        return []
    process: ProcessRunner = runner(kernel, "process")  # type: ignore[assignment]
    return sandbox.weaknesses(process.mode)


def is_started(kernel: Kernel, handle: Handle) -> bool:
    """Return whether a job's runner has it already: the server was killed between the start and its record."""
    if not handle.runner:
        return False
    return any(known.job == handle.job for known in runner(kernel, handle.runner).adopt())


def runner_of(kernel: Kernel, job: str) -> str:
    """Return the name of the runner that has a job, empty when none has."""
    for name in RUNNERS:
        if any(known.job == job for known in runner(kernel, name).adopt()):
            return name
    return ""


def sweep(kernel: Kernel, known: Callable[[str], bool]) -> None:
    """Remove what runs for nobody: jobs whose row is gone because a server was killed while it reset or cleaned up."""
    for name in RUNNERS:
        kept = runner(kernel, name)
        for handle in kept.adopt():
            if not known(handle.job):
                kept.remove(handle)


def find(kernel: Kernel, wanted: Wanted, log_line: LogLine, check: Callable[[], None]) -> Place:
    """Find where `wanted` can run, making its environment or image first. Blocks. StartError when it cannot run at all."""
    stored = registry.find(kernel, wanted.image)
    try:
        image = (
            images.Image(wanted.image)
            if stored is not None
            else images.resolve(wanted.image, strict=SETTINGS.of(kernel).strict_images, cuda=wanted.cuda)
        )
    except images.SubstitutionRefusedError as error:
        raise StartError(str(error)) from error
    if image.substitution:
        log_line(image.substitution)
    recipe = images.RECIPES[image.recipe] if image.recipe is not None else None
    choice = kernel.settings.runner

    def progress(text: str) -> None:
        check()
        log_line(text)

    if choice != "process":
        place = _on_docker(kernel, wanted, recipe or stored, progress, must=choice == "docker" or recipe is None)
        if place is not None:
            return place
    if recipe is None:
        raise StartError(f"The image {wanted.image} can only run in Docker, and LOCALMAKER_RUNNER=process forbids it.")
    return _on_processes(kernel, wanted, recipe, progress)


def _on_docker(
    kernel: Kernel, wanted: Wanted, source: Recipe | Stored | None, log_line: LogLine, *, must: bool
) -> Place | None:
    """Find a place in Docker; without `must`, None (and the reason in the log) when there is none."""
    docker_runner: DockerRunner = runner(kernel, "docker")  # type: ignore[assignment]
    reason = docker_runner.available()
    recipe = source if isinstance(source, images.Recipe) else None
    stored = source if isinstance(source, registry.Stored) else None
    if reason is None:
        try:
            reference = wanted.image if stored is None else stored.reference
            if recipe is not None:
                reference = _recipe_image(kernel, recipe, wanted, log_line)
            image = ImageRef(docker=reference)
            reason = docker_runner.refusal(image)
            if reason is not None and recipe is None:
                reason = _pull(docker_runner, reference, stored, log_line)
        except recipes.RecipeError as error:
            reason = str(error)
    if reason is None:
        has_none = wanted.entrypoint is None and not wanted.command
        command = (wanted.mode,) if has_none and wanted.mode else wanted.command
        return Place(docker_runner, image, wanted.entrypoint, command, recipe.name if recipe is not None else None)
    if must and recipe is None:
        raise StartError(f"The image {wanted.image} can only run in Docker: {reason}")
    if must:
        raise StartError(f"LOCALMAKER_RUNNER=docker, but: {reason}")
    if docker_runner.available() is None:
        log_line(f"Not in Docker: {reason} Running as a process instead.")
    return None


def _recipe_image(kernel: Kernel, recipe: Recipe, wanted: Wanted, log_line: LogLine) -> str:
    import docker

    with closing(docker.from_env()) as client:
        return recipes.docker_image(
            recipe, cuda=wanted.cuda, docker_client=client, base_image=kernel.settings.base_image, log_line=log_line
        )


def _pull(docker_runner: DockerRunner, reference: str, stored: Stored | None, log_line: LogLine) -> str | None:
    """Pull an image that is not here; give the reason when that fails."""
    try:
        for line in docker_runner.pull(reference, stored.login if stored is not None else None):
            log_line(line)
    except StartError as error:
        if stored is None:
            return error.message
        return (
            f"{error.message} The engine pulls it from this server's registry, which must be at {stored.address} from "
            "where the engine runs (docs/images.md)."
        )
    return docker_runner.refusal(ImageRef(docker=reference))


def _on_processes(kernel: Kernel, wanted: Wanted, recipe: Recipe, log_line: LogLine) -> Place:
    processes = runner(kernel, "process")
    reason = processes.available()
    if reason is not None:
        raise StartError(reason)
    try:
        python = recipes.virtual_environment(
            recipe, cuda=wanted.cuda, cache_dir=kernel.settings.cache_dir, log_line=log_line
        )
    except recipes.RecipeError as error:
        raise StartError(str(error)) from error
    image = ImageRef(venv=python.parent.parent, paths=(images.CONTAINERS,))
    if wanted.entrypoint is not None or wanted.command:
        return Place(processes, image, None, (*(wanted.entrypoint or ()), *wanted.command), recipe.name)
    command = recipe.train_command(python) if wanted.mode == "train" else recipe.serve_command(python)
    return Place(processes, image, None, command, recipe.name)
