"""`python -m containers.base_python train|serve`: says that a job must bring its own entry point."""

from containers.toolkit.command_line import main

if __name__ == "__main__":
    main(None, None)
