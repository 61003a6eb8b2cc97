"""`python -m containers.xgboost train|serve`."""

from containers.toolkit.command_line import main


def train() -> None:
    """Run the built-in algorithm, or the script that the request names."""
    from containers.toolkit import script_mode
    from containers.toolkit.opt_ml import opt_ml

    if script_mode.is_script_mode(opt_ml().hyperparameters()):
        script_mode.train("containers.xgboost")
        return
    from containers.xgboost import training

    training.train()


def serve() -> None:
    """Answer on port 8080 until SIGTERM."""
    from containers.toolkit import serving

    serving.serve("containers.xgboost.predictor:create")


if __name__ == "__main__":
    main(train, serve)
