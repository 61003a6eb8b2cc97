"""Making a recipe real: a cached virtual environment for the process runner, a Docker image for the docker runner.

Both are named by a hash of the lock file (and, for Docker, of the folder), so a changed lock makes a new one and an old
one is never half of each. Both are made once, whoever asks first; the others wait and are told.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import time
from typing import TYPE_CHECKING, Any

from backends.jobs.images import CONTAINERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from backends.jobs.images import Recipe

BASE_IMAGE = "python:3.11-slim"
_COMPLETE = "complete"
_BUILD_ARGUMENTS = ("PIP_FIND_LINKS", "PIP_TRUSTED_HOST", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
_WITHOUT_COMPILER = {"CC": "true", "LDSHARED": "true"}
"""sagemaker-training is a source package with one C file that only mpirun needs: `true` stands for the compiler, so that none is needed."""


class RecipeError(Exception):
    """The environment or the image cannot be made; the message ends with what pip or Docker said last."""


def virtual_environment(recipe: Recipe, *, cuda: bool, cache_dir: Path, log_line: Callable[[str], None]) -> Path:
    """Return the python of the recipe's environment, making it first where there is none. Blocks; call it in a thread.

    `log_line` gets a line of progress now and then. A killed attempt is swept away by the next. Raises RecipeError.
    """
    directory = cache_dir / "environments" / f"{recipe.name}-{'cuda' if cuda else 'cpu'}-{lock_hash(recipe, cuda=cuda)}"
    python = directory / "bin" / "python"
    if not (directory / _COMPLETE).exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _lock(directory.with_name(f"{directory.name}.lock"), log_line, recipe.name):
            if not (directory / _COMPLETE).exists():
                _make(recipe, recipe.requirements(cuda=cuda), directory, log_line)
    _link_containers(directory)
    _write_scripts(recipe, directory / "bin")
    return python


def docker_image(
    recipe: Recipe, *, cuda: bool, docker_client: Any, base_image: str | None = None, log_line: Callable[[str], None]
) -> str:
    """Return the reference of the recipe's image, `localmaker/<recipe>:<hash>`, building it first where there is none.

    `base_image` None means LOCALMAKER_BASE_IMAGE, else python:3.11-slim. pip inside the build takes LOCALMAKER_PIP_FIND_LINKS,
    LOCALMAKER_PIP_TRUSTED_HOST, LOCALMAKER_PIP_INDEX_URL and LOCALMAKER_PIP_EXTRA_INDEX_URL. Blocks. Raises RecipeError.
    """
    import docker.errors

    base = base_image or os.environ.get("LOCALMAKER_BASE_IMAGE") or BASE_IMAGE
    kind = "cuda" if cuda else "cpu"
    reference = f"localmaker/{recipe.name}:{kind}-{lock_hash(recipe, cuda=cuda, code=True, base=base)}"
    with contextlib.suppress(docker.errors.ImageNotFound):
        docker_client.images.get(reference)
        return reference
    log_line(f"Building the image {reference} from {base}; this happens once.")
    started = time.monotonic()
    arguments = {"BASE_IMAGE": base, "RECIPE": recipe.name, "REQUIREMENTS": f"requirements.{kind}.txt"}
    arguments |= {"COMMANDS": " ".join(recipe.commands), "DEBIAN_PACKAGES": " ".join(recipe.debian)}
    arguments |= {
        name: os.environ[f"LOCALMAKER_{name}"] for name in _BUILD_ARGUMENTS if f"LOCALMAKER_{name}" in os.environ
    }
    stream = docker_client.api.build(
        fileobj=_context(),
        custom_context=True,
        encoding="gzip",
        dockerfile="Dockerfile",
        tag=reference,
        buildargs=arguments,
        rm=True,
        forcerm=True,
        decode=True,
        labels={"localmaker.recipe": recipe.name},
    )
    _follow(stream, log_line, recipe.name)
    log_line(f"Built {reference} in {time.monotonic() - started:.0f} s.")
    return reference


def lock_hash(recipe: Recipe, *, cuda: bool, code: bool = False, base: str = "") -> str:
    """Return 12 hex digits over the lock file and the Python version; with `code` also over all of `containers/` and `base`."""
    digest = hashlib.sha256(recipe.requirements(cuda=cuda).read_bytes())
    digest.update(f"{sys.version_info[:2]} {base}".encode())
    if code:
        digest.update(f"{recipe.commands} {recipe.debian}".encode())
        for path in _sources():
            digest.update(f"{path.relative_to(CONTAINERS)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _make(recipe: Recipe, requirements: Path, directory: Path, log_line: Callable[[str], None]) -> None:
    """Install beside the final place is impossible (scripts name their interpreter), so a marker says when it is whole."""
    if directory.exists():
        log_line(f"An earlier attempt to make the {recipe.name} environment was cut off; starting over.")
        shutil.rmtree(directory)
    log_line(f"Making the {recipe.name} environment; this happens once.")
    started = time.monotonic()
    environment = {**os.environ, **_WITHOUT_COMPILER}
    uv = shutil.which("uv")
    if uv:
        _run([uv, "venv", "--seed", "--python", sys.executable, str(directory)], environment, log_line)
        install = [uv, "pip", "install", "--python", str(directory / "bin" / "python")]
    else:
        _run([sys.executable, "-m", "venv", str(directory)], environment, log_line)
        install = [str(directory / "bin" / "python"), "-m", "pip", "install", "--progress-bar", "off"]
    _run([*install, "--requirement", str(requirements)], environment, log_line)
    (directory / _COMPLETE).write_text(requirements.read_text(encoding="utf-8"), encoding="utf-8")
    log_line(f"Made the {recipe.name} environment in {time.monotonic() - started:.0f} s.")


def _link_containers(directory: Path) -> None:
    """Let the environment import `containers`, and nothing else of ours: a link among its packages."""
    link = next((directory / "lib").glob("python3*")) / "site-packages" / "containers"
    # Names of the real images' own packages (sagemaker_containers ...), through the link just above.
    names = link.parent / "localmaker.pth"
    if not names.exists():
        temporary = names.with_name(f".localmaker-{os.getpid()}-{time.monotonic_ns()}")
        temporary.write_text("containers/modules\n", encoding="utf-8")
        temporary.rename(names)
    if link.is_symlink() and link.readlink() == CONTAINERS:
        return
    temporary = link.with_name(f".containers-{os.getpid()}-{time.monotonic_ns()}")
    temporary.symlink_to(CONTAINERS)
    temporary.rename(link)


def _write_scripts(recipe: Recipe, directory: Path) -> None:
    """Put the recipe's commands on the environment's PATH, so that a job's command is the same as with Docker.

    sagemaker-training brings a `train` of its own, which knows no built-in algorithm: ours takes its place.
    """
    for word in recipe.commands:
        # $0 and not a fixed path: a job may see the environment at another place, under a layer of its own.
        text = f'#!/bin/sh\nexec "${{0%/*}}/python" -P -m containers.{recipe.name} {word} "$@"\n'
        path = directory / word
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        temporary = directory / f".{word}-{os.getpid()}-{time.monotonic_ns()}"
        temporary.write_text(text, encoding="utf-8")
        temporary.chmod(0o755)
        temporary.rename(path)


@contextlib.contextmanager
def _lock(path: Path, log_line: Callable[[str], None], name: str) -> Iterator[None]:
    """Hold a lock that dies with its holder, so a kill -9 leaves nothing to clear."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log_line(f"Another job is making the {name} environment; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: list[str], environment: dict[str, str], log_line: Callable[[str], None]) -> None:
    """Run, passing on pip's `Collecting` and `Installing` lines; raise RecipeError with the last lines of a failure."""
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL
    ) as process:
        tail: list[str] = []
        assert process.stdout is not None
        for line in process.stdout:
            tail = [*tail[-9:], line.rstrip()]
            if line.startswith(
                ("Collecting ", "Downloading ", "Installing collected", "Successfully installed", "Building ")
            ):
                log_line(line.rstrip()[:200])
    if process.returncode:
        raise RecipeError(f"{' '.join(command[:4])} ended with {process.returncode}: " + " | ".join(tail))


def _follow(stream: Iterator[dict[str, Any]], log_line: Callable[[str], None], name: str) -> None:
    """Pass the build's lines on; raise RecipeError where the engine reports one."""
    tail: list[str] = []
    for message in stream:
        if "error" in message:
            raise RecipeError(f"the image of {name} cannot be built: {message['error'].strip()} | " + " | ".join(tail))
        for line in message.get("stream", "").splitlines():
            if line.strip():
                tail = [*tail[-5:], line.strip()]
                log_line(line.strip()[:200])


@functools.cache
def _sources() -> tuple[Path, ...]:
    suffixes = (".py", ".txt")
    return tuple(sorted(path for path in CONTAINERS.rglob("*") if path.suffix in suffixes or path.name == "Dockerfile"))


def _context() -> io.BytesIO:
    """Return `containers/` as a gzipped tar, without what Python and editors leave there."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path in _sources():
            tar.add(path, arcname=str(path.relative_to(CONTAINERS)))
    buffer.seek(0)
    return buffer
