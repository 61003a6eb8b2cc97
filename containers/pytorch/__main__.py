"""`python -m containers.pytorch train|serve`."""

from typing import Any

from containers.toolkit.command_line import main


def train() -> None:
    """Run the user's script, under torchrun where the request says so."""
    from containers.toolkit import script_mode

    script_mode.train("containers.pytorch", runner_type=_runner_type)


def serve() -> None:
    """Answer on port 8080 until SIGTERM."""
    from containers.toolkit import serving

    serving.serve("containers.pytorch.predictor:create")


def _runner_type(environment: Any) -> Any:
    """Return sagemaker-training's torchrun runner for `sagemaker_torch_distributed_enabled`, else None: the plain one."""
    from sagemaker_training import runner

    parameters = environment.additional_framework_parameters
    if parameters.get("sagemaker_torch_distributed_enabled"):
        return runner.TorchDistributedRunnerType
    return None


if __name__ == "__main__":
    main(train, serve)
