"""`python -m containers.scikit_learn train|serve`."""

from containers.toolkit.command_line import main


def train() -> None:
    """Run the user's script, then add model.onnx where that can be done."""
    from containers.toolkit import script_mode

    script_mode.train("containers.scikit_learn", after=export)


def export() -> None:
    """Write model.onnx beside a pickled estimator; without one, numpy and all that an export needs are not imported."""
    from containers.scikit_learn.pickled import model_path
    from containers.toolkit.opt_ml import opt_ml

    if model_path(opt_ml().model) is not None:
        from containers.scikit_learn import onnx_export

        onnx_export.export_models()


def serve() -> None:
    """Answer on port 8080 until SIGTERM."""
    from containers.toolkit import serving

    serving.serve("containers.scikit_learn.predictor:create")


if __name__ == "__main__":
    main(train, serve)
