"""A trained booster as an ONNX model with the same outputs, checked against the booster before it is kept.

Written from the library's documented JSON model ("Introduction to Model IO") to ONNX-ML's TreeEnsembleRegressor. Input
`features` [n, d] float32, NaN where missing; output `score` [n] or [n, k] float32: what `Booster.predict` returns.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

_LOGISTIC = ("binary:logistic", "reg:logistic")
_EXPONENTIAL = ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft")
_IDENTITY = (
    "binary:logitraw", "reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:squaredlogerror",
    "rank:pairwise", "rank:ndcg", "rank:map", "reg:linear",
)  # fmt: skip
_OPSET, _ML_OPSET, _IR_VERSION = 17, 3, 8
TOLERANCE = 1e-4


class NotExportableError(Exception):
    """The model has no faithful ONNX form; the sentence says why."""


def export(booster: Any, sample: np.ndarray, path: Path) -> None:
    """Write the booster to `path` if the ONNX model predicts what the booster does on `sample` [n, d] (NaN = missing).

    Raises NotExportableError, leaving no file.
    """
    model = convert(json.loads(booster.save_raw("json")))
    check(model.SerializeToString(), booster, sample)
    path.write_bytes(model.SerializeToString())


def check(model: bytes, booster: Any, sample: np.ndarray) -> None:
    """Raise NotExportableError unless both agree within TOLERANCE, relative and absolute."""
    import onnxruntime
    import xgboost

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    expected = booster.predict(xgboost.DMatrix(sample), validate_features=False)
    got = session.run(None, {"features": sample.astype(np.float32)})[0]
    if got.shape != expected.shape or not np.allclose(got, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
        difference = float(np.max(np.abs(got - expected))) if got.shape == expected.shape else math.inf
        raise NotExportableError(
            f"the ONNX model differs from the booster by up to {difference:g} on the training data"
        )


def convert(document: dict[str, Any]) -> Any:
    """Return the `onnx.ModelProto` of a model in XGBoost's JSON form. Raises NotExportableError."""
    from onnx import TensorProto, helper

    learner = document["learner"]
    objective = learner["objective"]["name"]
    parameters = learner["learner_model_param"]
    groups = max(1, int(parameters["num_class"]), int(parameters.get("num_target", 1)))
    attributes = _ensemble(learner["gradient_booster"], groups)
    base = _base_values(parameters["base_score"], objective, groups)
    nodes = [
        helper.make_node(
            "TreeEnsembleRegressor",
            ["features"],
            ["margin"],
            domain="ai.onnx.ml",
            n_targets=groups,
            base_values=base,
            **attributes,
        )
    ]
    initializers: list[Any] = []
    nodes += _transform(objective, groups, helper, TensorProto, initializers)
    shape = ["n"] if groups == 1 or objective == "multi:softmax" else ["n", groups]
    graph = helper.make_graph(
        nodes,
        "xgboost",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", int(parameters["num_feature"])])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, shape)],
        initializers,
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="localmaker")


def _ensemble(booster: dict[str, Any], groups: int) -> dict[str, list[Any]]:
    if booster["name"] == "gblinear":
        raise NotExportableError("a linear booster is not a tree ensemble")
    weights = booster.get("weight_drop")
    model = booster["gbtree"]["model"] if booster["name"] == "dart" else booster["model"]
    names = (
        "treeids",
        "nodeids",
        "featureids",
        "values",
        "modes",
        "truenodeids",
        "falsenodeids",
        "missing_value_tracks_true",
    )
    nodes: dict[str, list[Any]] = {f"nodes_{name}": [] for name in names}
    leaves: dict[str, list[Any]] = {f"target_{name}": [] for name in ("treeids", "nodeids", "ids", "weights")}
    for number, tree in enumerate(model["trees"]):
        if any(tree["split_type"]) or int(tree["tree_param"]["size_leaf_vector"]) > 1:
            raise NotExportableError("categorical splits and vector leaves have no form in TreeEnsembleRegressor")
        group = model["tree_info"][number] if groups > 1 else 0
        _add_tree(nodes, leaves, number, tree, group, weights[number] if weights else 1.0)
    if not model["trees"]:
        raise NotExportableError("the model has no trees")
    return {**nodes, **leaves}


def _add_tree(
    nodes: dict[str, list[Any]],
    leaves: dict[str, list[Any]],
    number: int,
    tree: dict[str, Any],
    group: int,
    weight: float,
) -> None:
    columns = zip(
        tree["left_children"],
        tree["right_children"],
        tree["split_indices"],
        tree["split_conditions"],
        tree["default_left"],
        strict=True,
    )
    for node, (left, right, feature, value, default_left) in enumerate(columns):
        leaf = left == -1
        entry = (number, node, 0 if leaf else feature, 0.0 if leaf else float(np.float32(value)),
                 "LEAF" if leaf else "BRANCH_LT", max(left, 0), max(right, 0), int(default_left and not leaf))  # fmt: skip
        for column, item in zip(nodes.values(), entry, strict=True):
            column.append(item)
        if leaf:
            for column, item in zip(leaves.values(), (number, node, group, float(value) * weight), strict=True):
                column.append(item)


def _base_values(text: str, objective: str, groups: int) -> list[float]:
    """Return the margin that predictions start from; the file holds it after the objective's transformation."""
    scores = [float(item) for item in text.strip("[]").split(",")]
    if objective in _LOGISTIC or objective == "binary:logitraw":
        scores = [math.log(score / (1 - score)) for score in scores]
    elif objective in _EXPONENTIAL:
        scores = [math.log(score) for score in scores]
    return scores if len(scores) == groups else [scores[0]] * groups


def _transform(objective: str, groups: int, helper: Any, types: Any, initializers: list[Any]) -> list[Any]:
    """Return the nodes from `margin` [n, k] to `score`."""
    make = helper.make_node
    if objective == "multi:softprob":
        return [make("Softmax", ["margin"], ["score"], axis=1)]
    if objective == "multi:softmax":
        return [
            make("ArgMax", ["margin"], ["class"], axis=1, keepdims=0),
            make("Cast", ["class"], ["score"], to=types.FLOAT),
        ]
    operator = (
        "Sigmoid"
        if objective in _LOGISTIC
        else "Exp"
        if objective in _EXPONENTIAL
        else "Identity"
        if objective in _IDENTITY
        else None
    )
    if objective == "binary:hinge":
        initializers.append(helper.make_tensor("zero", types.FLOAT, [], [0.0]))
        steps = [
            make("Greater", ["margin", "zero"], ["positive"]),
            make("Cast", ["positive"], ["scored"], to=types.FLOAT),
        ]
    elif operator is None:
        raise NotExportableError(f"objective {objective} has no known ONNX form")
    else:
        steps = [make(operator, ["margin"], ["scored"])]
    if groups > 1:
        return [*steps, make("Identity", ["scored"], ["score"])]
    initializers.append(helper.make_tensor("flat", types.INT64, [1], [-1]))
    return [*steps, make("Reshape", ["scored", "flat"], ["score"])]
