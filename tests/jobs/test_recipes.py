"""Environments are made once, whoever asks, and a cut-off attempt is begun anew. Pip is real; the recipe is tiny."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backends.jobs import recipes
from backends.jobs.images import CONTAINERS, RECIPES, Recipe
from backends.jobs.recipes import RecipeError, docker_image, lock_hash, virtual_environment
from backends.jobs.runners.process import ProcessRunner
from backends.jobs.spec import HostSpec, ImageRef, JobSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class TinyRecipe(Recipe):
    """A recipe whose lock lies in a directory of the test's."""

    directory: Path = Path()

    def requirements(self, *, cuda: bool) -> Path:
        """Return the test's lock, for CPU and CUDA alike."""
        del cuda
        return self.directory / "requirements.txt"


@pytest.fixture
def tiny(tmp_path: Path) -> TinyRecipe:
    (tmp_path / "requirements.txt").write_text("six==1.17.0\n")
    return TinyRecipe("inference", ("six",), directory=tmp_path)


def test_an_environment_is_made_once_and_sees_only_containers(tiny: TinyRecipe, tmp_path: Path) -> None:
    said: list[str] = []
    python = virtual_environment(tiny, cuda=False, cache_dir=tmp_path / "cache", log_line=said.append)
    assert said[0] == "Making the inference environment; this happens once."
    assert said[-1].startswith("Made the inference environment in ")
    source = (
        "import containers.toolkit.opt_ml, six, importlib.util as u; print(six.__version__, u.find_spec('backends'))"
    )
    done = subprocess.run(
        [python, "-P", "-c", source], capture_output=True, text=True, check=True, cwd=ROOT, timeout=30
    )
    assert done.stdout == "1.17.0 None\n"
    word = subprocess.run([python.parent / "train"], capture_output=True, text=True, check=False, cwd=ROOT, timeout=30)
    assert (word.returncode, word.stderr) == (1, "this image has nothing of its own for 'train'\n")
    said.clear()
    assert virtual_environment(tiny, cuda=False, cache_dir=tmp_path / "cache", log_line=said.append) == python
    assert said == []


def test_a_changed_lock_makes_another_environment(tiny: TinyRecipe) -> None:
    before = lock_hash(tiny, cuda=False)
    tiny.requirements(cuda=False).write_text("six==1.16.0\n")
    assert lock_hash(tiny, cuda=False) != before


@pytest.mark.parametrize("changed", ["Dockerfile", "toolkit/opt_ml.py", "inference/requirements.cpu.txt"])
def test_an_image_is_another_once_something_in_it_changes(
    changed: str, tiny: TinyRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(CONTAINERS, tmp_path / "containers", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(recipes, "CONTAINERS", tmp_path / "containers")
    recipes._sources.cache_clear()
    try:
        before = lock_hash(tiny, cuda=False, code=True)
        with (tmp_path / "containers" / changed).open("a") as file:
            file.write("# changed\n")
        assert lock_hash(tiny, cuda=False, code=True) != before
        assert lock_hash(tiny, cuda=False, code=True, base="another") != lock_hash(tiny, cuda=False, code=True)
    finally:
        recipes._sources.cache_clear()


def test_two_jobs_at_once_make_one_environment(tiny: TinyRecipe, tmp_path: Path) -> None:
    said: list[list[str]] = [[], []]
    pythons: list[Path] = []

    def make(number: int) -> None:
        pythons.append(
            virtual_environment(tiny, cuda=False, cache_dir=tmp_path / "cache", log_line=said[number].append)
        )

    threads = [threading.Thread(target=make, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(pythons) == 2
    assert pythons[0] == pythons[1]
    made = [line for lines in said for line in lines if line.startswith("Made the")]
    assert len(made) == 1


def test_an_attempt_that_was_killed_is_begun_anew(tiny: TinyRecipe, tmp_path: Path) -> None:
    source = textwrap.dedent(f"""
        from pathlib import Path
        from tests.jobs.test_recipes import TinyRecipe
        from backends.jobs.recipes import virtual_environment
        tiny = TinyRecipe("inference", ("six",), directory=Path({str(tmp_path)!r}))
        virtual_environment(tiny, cuda=False, cache_dir=Path({str(tmp_path / "cache")!r}), log_line=lambda line: print(line, flush=True))
    """)
    with subprocess.Popen(
        [sys.executable, "-c", source], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as maker:
        assert maker.stdout is not None
        assert maker.stdout.readline().startswith("Making")
        # The environment's python appears before pip has installed anything into it.
        environments = tmp_path / "cache" / "environments"
        while not any(environments.glob("*/bin/python")):
            assert maker.poll() is None
        os.killpg(maker.pid, signal.SIGKILL)
    said: list[str] = []
    python = virtual_environment(tiny, cuda=False, cache_dir=tmp_path / "cache", log_line=said.append)
    assert said[0] == "An earlier attempt to make the inference environment was cut off; starting over."
    subprocess.run([python, "-c", "import six"], check=True, timeout=30)


def test_a_package_that_is_not_to_be_had_is_named(tiny: TinyRecipe, tmp_path: Path) -> None:
    tiny.requirements(cuda=False).write_text("six==0.0.1\n")
    with pytest.raises(RecipeError, match=r"six==0\.0\.1"):
        virtual_environment(tiny, cuda=False, cache_dir=tmp_path / "cache", log_line=lambda _: None)


@pytest.fixture
def engine() -> Iterator[Any]:
    import docker
    import docker.errors

    try:
        client = docker.from_env(timeout=600)
        client.images.get("localmaker/base:bookworm")
    except docker.errors.DockerException as problem:
        pytest.skip(f"no Docker engine, or no base image (.ci/base_image.sh): {problem}")
    yield client
    client.close()


@pytest.mark.docker
@pytest.mark.slow
def test_a_docker_image_is_built_once_and_serves(engine: Any) -> None:
    recipe = RECIPES["inference"]
    said: list[str] = []
    reference = docker_image(
        recipe, cuda=False, docker_client=engine, base_image="localmaker/base:bookworm", log_line=said.append
    )
    said.clear()
    assert reference == docker_image(
        recipe, cuda=False, docker_client=engine, base_image="localmaker/base:bookworm", log_line=said.append
    )
    assert said == []
    output = engine.containers.run(
        reference, ["train"], remove=True, entrypoint=["sh", "-c", "train || echo rc $?"], stderr=True
    )
    assert b"nothing of its own for 'train'" in output
    assert b"rc 1" in output


@pytest.mark.docker
def test_a_build_that_fails_says_why(engine: Any) -> None:
    with pytest.raises(RecipeError, match="cannot be built"):
        docker_image(
            RECIPES["inference"],
            cuda=False,
            docker_client=engine,
            base_image="localmaker/nowhere:none",
            log_line=lambda _: None,
        )


@pytest.mark.slow
def test_the_process_runner_trains_with_the_word_train(tmp_path: Path) -> None:
    from tests.containers.conftest import CACHE, Job

    python = virtual_environment(RECIPES["xgboost"], cuda=False, cache_dir=CACHE, log_line=print)
    job = Job(tmp_path / "opt")
    rows = "\n".join(f"{i % 2},{i % 2 + i / 1000},{i}" for i in range(200)).encode()
    job.write({"num_round": "5", "objective": "binary:logistic"}, {"train": {"a.csv": rows}}, "text/csv")
    runner = ProcessRunner(tmp_path / "runner")
    image = ImageRef(None, python.parent.parent, (CONTAINERS,))
    handle = runner.start(JobSpec("job-xgb", tmp_path / "job", (HostSpec("algo-1", job.base),), image, ("train",)))
    try:
        deadline = time.monotonic() + 60
        while (done := runner.poll(handle)) is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert done.ok, (done, job.failure)
        assert (job.base / "model" / "xgboost-model").exists()
        assert (job.base / "model" / "model.onnx").exists()
    finally:
        runner.remove(handle)
