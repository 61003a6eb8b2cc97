"""The built-in algorithm: checked hyperparameters, channels, boosting with checkpoints, the model and its ONNX twin."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from containers.toolkit.command_line import ClientError
from containers.toolkit.opt_ml import opt_ml
from containers.xgboost import arguments, data, hyperparameters
from containers.xgboost.distributed import communicator

if TYPE_CHECKING:
    from pathlib import Path

    from containers.toolkit.opt_ml import OptMl

_EXPORT_ROWS = 256


def train() -> None:
    """Train as /opt/ml says. Raises ClientError for what the user can mend."""
    # The library imports scikit-learn when it finds it, which more than triples its import time; nothing here needs it.
    sys.modules.setdefault("sklearn", None)  # type: ignore[arg-type]
    tree = opt_ml()
    values = hyperparameters.checked(tree.hyperparameters())
    _check_channels(tree)
    host, hosts = tree.hosts()
    with communicator(host, hosts) as stores_model:
        boosters, matrix = _train(tree, values, stores_model=stores_model)
    if not stores_model:
        return
    from containers.xgboost import callbacks

    tree.model.mkdir(parents=True, exist_ok=True)
    for name, booster in boosters.items():
        callbacks.store_artifact(booster, tree.model / name)
    if len(boosters) == 1:
        # Outside the group: a matrix made inside it is an exchange between all hosts, and only this one exports.
        _export(next(iter(boosters.values())), matrix, tree.model / "model.onnx")


def _train(tree: OptMl, values: dict[str, Any], *, stores_model: bool) -> tuple[dict[str, Any], Any]:
    """Return the boosters by artifact name, and the training matrix."""
    import xgboost

    channels = tree.channels()
    csv_weights = bool(values.get("csv_weights"))
    matrices: dict[str, Any] = {
        name: data.matrix(tree, channels[name], csv_weights=csv_weights)
        for name in ("train", "validation")
        if name in channels
    }
    print(f"Train matrix has {matrices['train'].num_row()} rows and {matrices['train'].num_col()} columns", flush=True)
    if "validation" in matrices:
        print(f"Validation matrix has {matrices['validation'].num_row()} rows", flush=True)
    _check_labels(matrices, values.get("objective", ""))
    try:
        if "_kfold" in values:
            from containers.xgboost import cross_validation

            boosters = cross_validation.train(values, matrices)
        else:
            boosters = {arguments.MODEL_NAME: boost(tree, values, matrices, stores_model=stores_model)}
    except xgboost.core.XGBoostError as problem:
        # What the library refuses at this point is the data or a parameter: labels out of range, too few classes ...
        raise ClientError(data.first_sentence(str(problem))) from problem
    return boosters, matrices["train"]


def boost(tree: OptMl, values: dict[str, Any], matrices: dict[str, Any], *, stores_model: bool) -> Any:
    """Return the trained booster, resumed from the newest checkpoint there is."""
    import xgboost

    from containers.xgboost import callbacks

    checkpoints = tree.checkpoints()
    resumed = callbacks.newest_checkpoint(checkpoints) if checkpoints else None
    done, start = 0, None
    if resumed is not None:
        start = bytearray(resumed.read_bytes())
        done = xgboost.Booster(model_file=start).num_boosted_rounds()
        print(f"Resuming from {resumed.name}: {done} of {values['num_round']} rounds are done", flush=True)
    steps: list[Any] = [callbacks.LogLine(first_round=done)]
    steps += arguments.early_stopping(values, matrices)
    if stores_model and checkpoints:
        steps.append(callbacks.Checkpoint(checkpoints, first_round=done))
    if stores_model and values.get("save_model_on_termination") == "true":
        tree.model.mkdir(parents=True, exist_ok=True)
        steps.append(callbacks.KeepModel(tree.model / arguments.MODEL_NAME))
    return xgboost.train(
        num_boost_round=max(0, values["num_round"] - done),
        dtrain=matrices["train"],
        evals=[(matrix, name) for name, matrix in matrices.items()],
        xgb_model=start,
        callbacks=steps,
        verbose_eval=False,
        **arguments.library_arguments(values),
    )


def _check_channels(tree: OptMl) -> None:
    channels = tree.channels()
    if "train" not in channels:
        raise ClientError("Missing required channel: train")
    for name, channel in channels.items():
        if name not in ("train", "validation", "code"):
            raise ClientError(f"Extraneous channel found: {name}")
        if name != "code":
            data.content_type_of(channel.content_type)


def _check_labels(matrices: dict[str, Any], objective: str) -> None:
    """Raise what the library used to; newer ones complain of a base_score that the user never set."""
    if objective not in ("binary:logistic", "reg:logistic"):
        return
    for matrix in matrices.values():
        label = matrix.get_label()
        if label.size and (label.min() < 0 or label.max() > 1):
            raise ClientError("label must be in [0,1] for logistic regression")


def _export(booster: Any, matrix: Any, path: Path) -> None:
    """Add model.onnx beside the native model where it can be had; the job succeeds either way."""
    from containers.xgboost.onnx_export import NotExportableError, export

    try:
        rows = matrix.slice(range(min(_EXPORT_ROWS, matrix.num_row()))) if matrix.num_row() else matrix
        sparse = rows.get_data().tocsr()
        from containers.toolkit.tables import SparseRows

        sample = SparseRows(sparse.data, sparse.indices, sparse.indptr, sparse.data[:0]).dense(booster.num_features())
        export(booster, sample, path)
    except NotExportableError as reason:
        print(f"No model.onnx: {reason}", flush=True)
    except Exception as problem:  # noqa: BLE001 - the model is trained; an extra that fails must not take it away
        print(f"No model.onnx: {type(problem).__name__}: {problem}", flush=True)
