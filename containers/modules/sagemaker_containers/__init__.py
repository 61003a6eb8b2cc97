"""The old toolkit of the framework images, by the functions that scripts use: sagemaker-training does the work."""

import sys
import types

try:
    import gethostname  # noqa: F401
except ImportError:  # sagemaker-training's C file, which only mpirun needs
    sys.modules["gethostname"] = types.ModuleType("gethostname")
