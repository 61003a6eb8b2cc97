"""The environment of a training script."""

from sagemaker_training.environment import Environment as TrainingEnv


def training_env() -> TrainingEnv:
    """Return what /opt/ml and SM_* say."""
    return TrainingEnv()


__all__ = ["TrainingEnv", "training_env"]
