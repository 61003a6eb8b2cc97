"""What the library is given for hyperparameters: parameters, metrics, callbacks, and the name of what it makes."""

from __future__ import annotations

from typing import Any

from containers.xgboost import hyperparameters

MODEL_NAME = "xgboost-model"
_NOT_FOR_THE_LIBRARY = (
    "_kfold", "_num_cv_round", "_tuning_objective_metric", "csv_weights", "early_stopping_rounds", "eval_metric", "num_round",
    "save_model_on_termination",
)  # fmt: skip
_WITHOUT_EFFECT = (
    "deterministic_histogram", "dsplit", "predictor", "prob_buffer_row", "silent", "single_precision_histogram",
    "sketch_eps",
    "use_dask_gpu_training",
)  # fmt: skip
"""Accepted as in the real container; the library of this recipe has done away with them."""


def library_arguments(values: dict[str, Any]) -> dict[str, Any]:
    """Return `params` and `custom_metric` for `xgboost.train`."""
    parameters = {name: value for name, value in values.items() if name not in _NOT_FOR_THE_LIBRARY}
    for name in _WITHOUT_EFFECT:
        if parameters.pop(name, None) is not None:
            print(f"{name} has no effect in this version of XGBoost", flush=True)
    if parameters.get("tree_method") == "gpu_hist":
        parameters |= {"tree_method": "hist", "device": "cuda"}
    if parameters.get("objective") == "reg:linear":
        parameters["objective"] = "reg:squarederror"
    if "updater" in parameters:
        parameters["updater"] = ",".join(parameters["updater"])
    metrics = metrics_of(values)
    custom = [name for name in metrics if name in hyperparameters.CUSTOM_METRICS]
    parameters["eval_metric"] = [name for name in metrics if name not in custom]
    if not custom:
        return {"params": parameters}
    from containers.xgboost.metrics import custom_metric

    parameters["disable_default_eval_metric"] = 0 if parameters["eval_metric"] else 1
    return {
        "params": parameters,
        "custom_metric": custom_metric(custom, parameters.get("objective", "reg:squarederror")),
    }


def metrics_of(values: dict[str, Any]) -> list[str]:
    """Return the metrics to compute: those asked for and the one a tuning job looks at (`validation:rmse`)."""
    metrics = list(values.get("eval_metric", []))
    tuned = values.get("_tuning_objective_metric", "").partition(":")[2]
    return [*metrics, tuned] if tuned and tuned not in metrics else metrics


def early_stopping(values: dict[str, Any], matrices: dict[str, Any]) -> list[Any]:
    """Return the callback that stops on the tuned metric, or else on the last one named; the best model is kept."""
    rounds = values.get("early_stopping_rounds")
    if rounds is None:
        return []
    import xgboost

    metrics = metrics_of(values)
    name = metrics[-1] if metrics else None
    watched = "validation" if "validation" in matrices else "train"
    maximize = hyperparameters.is_maximized(name) if name else None
    return [
        xgboost.callback.EarlyStopping(rounds, metric_name=name, data_name=watched, maximize=maximize, save_best=True)
    ]
