"""The recipes' real environments, as the tests of containers have them, and models that their libraries save."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.containers.conftest import python

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["made", "python"]
MODELS = {
    "xgboost": """
import numpy, xgboost
rows = numpy.random.default_rng(0).standard_normal((200, 3))
data = xgboost.DMatrix(rows, label=rows[:, 0] > rows[:, 1])
xgboost.train({"objective": "binary:logistic"}, data, 5).save_model("xgboost-model.json")
""",
    "scikit_learn": """
import joblib, numpy
from sklearn.linear_model import LogisticRegression
rows = numpy.random.default_rng(0).standard_normal((200, 3))
joblib.dump(LogisticRegression().fit(rows, rows[:, 0] > rows[:, 1]), "model.joblib")
""",
    "pytorch": """
import torch
model, rows = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Softmax(1)).eval(), torch.randn(4, 3)
torch.jit.trace(model, rows).save("model.pth")
torch.export.save(torch.export.export(model, (rows,)), "model.pt2")
torch.save(model.state_dict(), "weights.pth")
""",
}


@pytest.fixture(scope="session")
def made(
    python: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], dict[str, bytes]]:
    """Return the function from a recipe to the files that its library saves, made once."""
    kept: dict[str, dict[str, bytes]] = {}

    def make(recipe: str) -> dict[str, bytes]:
        if recipe not in kept:
            folder = tmp_path_factory.mktemp(recipe)
            subprocess.run(
                [python(recipe), "-c", MODELS[recipe]], cwd=folder, check=True, timeout=60, capture_output=True
            )
            kept[recipe] = {path.name: path.read_bytes() for path in folder.iterdir()}
        return kept[recipe]

    return make
