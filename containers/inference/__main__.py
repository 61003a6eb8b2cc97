"""`python -m containers.inference serve`."""

from containers.toolkit.command_line import main


def serve() -> None:
    """Answer on port 8080 until SIGTERM."""
    from containers.toolkit import serving

    serving.serve("containers.inference.predictor:create")


if __name__ == "__main__":
    main(None, serve)
