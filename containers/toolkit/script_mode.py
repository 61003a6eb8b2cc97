"""Script mode through the official `sagemaker-training` package (contract: training.md §11).

It reads the configuration, downloads `sagemaker_submit_directory`, installs the script's requirements.txt, sets SM_*
and runs the script. What is added here: a job's own packages go to an environment of its own, because the recipe's is
shared by every job; and the package's compiled `gethostname`, which only mpirun needs, may be missing.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import sys
import types
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from containers.toolkit.command_line import ClientError
from containers.toolkit.opt_ml import opt_ml

if TYPE_CHECKING:
    from collections.abc import Callable

    from containers.toolkit.opt_ml import OptMl

OWN_ENVIRONMENT = "LOCALMAKER_OWN_ENVIRONMENT"
_FRAMEWORK = f"{__name__}:framework"
_after: list[Callable[[], None]] = []
_distributed: list[Callable[[Any], Any]] = []


def is_script_mode(hyperparameters: dict[str, str]) -> bool:
    """Return whether the request names a script, by hyperparameter or by environment variable."""
    return "sagemaker_program" in hyperparameters or bool(os.environ.get("SAGEMAKER_PROGRAM"))


def train(
    module: str, after: Callable[[], None] | None = None, runner_type: Callable[[Any], Any] | None = None
) -> None:
    """Run the user's script; leaves the process with its exit code.

    `module` is the recipe (`containers.<name>`), run again when the script has requirements of its own. `after` runs once
    the script has succeeded. `runner_type(environment)` names a runner of sagemaker-training, None the plain one.
    """
    tree = opt_ml()
    _check(tree.hyperparameters())
    _allow_missing_gethostname()
    import_later("paramiko")
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    if OWN_ENVIRONMENT not in os.environ:
        _fetch_code(tree)
        if (tree.code / "requirements.txt").exists():
            _run_again(module, own_environment(tree.base / "environment"))
    os.environ["SAGEMAKER_TRAINING_MODULE"] = _FRAMEWORK
    _after[:] = [after] if after else []
    _distributed[:] = [runner_type] if runner_type else []
    _pass_on_sigterm()
    from sagemaker_training import trainer

    trainer.train()


def framework() -> None:
    """Be the framework module that sagemaker-training calls: the script, then what the recipe does with its model."""
    from sagemaker_training import entry_point, environment, runner

    from containers.toolkit.user_script import WholeLines

    env = environment.Environment()
    kind = next((choose(env) for choose in _distributed), None) or runner.ProcessRunnerType
    arguments, variables = env.to_cmd_args(), env.to_env_vars()
    entry_point.run(
        uri=env.module_dir,
        user_entry_point=env.user_entry_point,
        args=arguments,
        env_vars=variables,
        capture_error=True,
        runner_type=WholeLines(runner.get(kind, env.user_entry_point, arguments, variables)),
    )
    for step in _after:
        try:
            step()
        except Exception:
            # The model is trained and stored: an extra that cannot be made must not fail the job.
            logging.getLogger(__name__).exception("a step after training failed; the job goes on")


def own_environment(path: Path) -> Path:
    """Make a virtual environment that sees this interpreter's packages and may override them; return its python."""
    parents = [entry for entry in sys.path if entry.endswith(("site-packages", "dist-packages", "containers/modules"))]
    if not (path / "complete").exists():
        venv.EnvBuilder(with_pip=False, symlinks=True, clear=True).create(path)
        site = path / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
        (site / "recipe.pth").write_text("\n".join(parents) + "\n", encoding="utf-8")
        (path / "complete").touch()
    return path / "bin" / "python"


def _check(hyperparameters: dict[str, str]) -> None:
    if json.loads(hyperparameters.get("sagemaker_mpi_enabled", "false")) is True:
        raise ClientError("sagemaker_mpi_enabled needs mpirun, which this image does not have")


def _allow_missing_gethostname() -> None:
    """Let sagemaker-training import without its C extension: recipes install without a compiler."""
    try:
        import gethostname  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        sys.modules["gethostname"] = types.ModuleType("gethostname")


class _Later(types.ModuleType):
    """Stands in for a module until something in it is used."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def import_later(name: str) -> None:
    """Import a module at its first use: paramiko, two fifths of what sagemaker-training imports, is for mpirun alone."""
    if name not in sys.modules:
        sys.modules[name] = _Later(name)


def _pass_on_sigterm() -> None:
    """Let the script hear of a stop: the service signals this process, and sagemaker-training keeps it to itself."""

    def pass_on(_signal: int, _frame: object) -> None:
        import psutil

        for child in psutil.Process().children():
            child.terminate()

    signal.signal(signal.SIGTERM, pass_on)


def _fetch_code(tree: OptMl) -> None:
    """Bring the submitted code to /opt/ml/code, which sagemaker-training then finds filled and leaves alone."""
    from sagemaker_training import files

    submitted = tree.hyperparameters().get("sagemaker_submit_directory")
    uri = _decoded(submitted) if submitted else os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY")
    if not uri or Path(uri) == tree.code:
        return
    # sagemaker-training reads S3_ENDPOINT_URL; AWS's own SDKs and our runners say AWS_ENDPOINT_URL.
    if "AWS_ENDPOINT_URL" in os.environ:
        os.environ.setdefault("S3_ENDPOINT_URL", os.environ.get("AWS_ENDPOINT_URL_S3", os.environ["AWS_ENDPOINT_URL"]))
    files.download_and_extract(uri=uri, path=str(tree.code))


def _run_again(module: str, python: Path) -> None:
    """Replace this process by the same command in the job's own environment."""
    os.environ[OWN_ENVIRONMENT] = "1"
    arguments = [str(python), "-P", "-m", module, *sys.argv[1:]]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(python, arguments)  # noqa: S606 - our own interpreter, no shell


def _decoded(value: str) -> str:
    """Script mode's hyperparameters are JSON strings; old clients send them bare."""
    try:
        decoded = json.loads(value)
    except ValueError:
        return value
    return decoded if isinstance(decoded, str) else value
