"""Metric definitions that a built-in algorithm brings itself; Describe shows them as if they had been asked for.

Names: developer guide, "XGBoost: metrics computed by the algorithm", and the open container's lists. The regex: what
DescribeTrainingJob of the real service shows for sagemaker-xgboost:0.90-1 (copies in public notebooks).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.jobs import images

if TYPE_CHECKING:
    from collections.abc import Mapping

XGBOOST_METRICS = (
    "accuracy", "aft-nloglik", "auc", "aucpr", "balanced_accuracy", "cox-nloglik", "error", "f1", "f1_binary", "f1_macro",
    "gamma-deviance", "gamma-nloglik", "interval-regression-accuracy", "logloss", "mae", "map", "mape", "merror", "mlogloss",
    "mphe", "mse", "ndcg", "poisson-nloglik", "precision", "precision_macro", "precision_micro", "r2", "recall",
    "recall_macro", "recall_micro", "rmse", "rmsle", "tweedie-nloglik",
)  # fmt: skip
_NUMBER = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"


def definitions_of(request: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the definitions of the algorithm that a CreateTrainingJob names; none for scripts and other images."""
    image = request["AlgorithmSpecification"].get("TrainingImage", "")
    if images.built_in(image, request.get("HyperParameters", {}), request.get("Environment", {})) != "xgboost":
        return []
    return [
        {"Name": f"{data}:{metric}", "Regex": rf".*\[[0-9]+\].*#011{data}-{metric}:{_NUMBER}.*"}
        for data in ("train", "validation")
        for metric in XGBOOST_METRICS
    ]
