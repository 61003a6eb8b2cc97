"""Where a pickled estimator lies. Imports nothing: every script's training job asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MODEL_NAMES = ("model.joblib", "model.pkl")


def model_path(directory: Path) -> Path | None:
    """Return the pickled estimator, or None."""
    return next((directory / name for name in MODEL_NAMES if (directory / name).is_file()), None)
