"""`run` and `install` of a script, as sagemaker-training has them."""

from sagemaker_training.entry_point import install, run

__all__ = ["install", "run"]
