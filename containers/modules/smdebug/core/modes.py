"""What a step is of."""

from enum import Enum


class ModeKeys(Enum):
    """Training, evaluation, prediction, or any."""

    TRAIN = 1
    EVAL = 2
    PREDICT = 3
    GLOBAL = 4
