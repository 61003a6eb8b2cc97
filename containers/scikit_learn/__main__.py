"""`python -m containers.scikit_learn train|serve`."""

from containers.toolkit.command_line import main


def train() -> None:
    """Run the user's script, then add model.onnx where that can be done."""
    from containers.scikit_learn import onnx_export
    from containers.toolkit import script_mode

    script_mode.train("containers.scikit_learn", after=onnx_export.export_models)


def serve() -> None:
    """Answer on port 8080 until SIGTERM."""
    from containers.toolkit import serving

    serving.serve("containers.scikit_learn.predictor:create")


if __name__ == "__main__":
    main(train, serve)
