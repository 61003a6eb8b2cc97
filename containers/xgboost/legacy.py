"""Models in the binary format that XGBoost wrote up to 3.0 and 3.1 no longer reads: `xgboost-model` of the images 1.3-1 to 1.7-1.

The bytes become the library's own JSON document, so that the library predicts. Layout: dmlc/xgboost release_1.7.0, `src/learner.cc`,
`src/gbm/gbtree_model.h`, `include/xgboost/tree_model.h`; little-endian, and frozen since the format has been given up. The pickles of
the images 0.90-1 to 1.2-2 hold the same bytes, since 1.0 behind `CONFIG-offset:` and a length.
"""

from __future__ import annotations

import io
import json
import math
import pickle
import re
import struct
from typing import Any

import numpy as np

_MAGIC, _SNAPSHOT = b"binf", b"CONFIG-offset:"
_LEARNER_BYTES, _FOREST_BYTES, _TREE_BYTES, _LINEAR_BYTES = 136, 160, 148, 136
_NODE = np.dtype([("parent", "<i4"), ("left", "<i4"), ("right", "<i4"), ("split", "<u4"), ("value", "<f4")])
_STATISTIC = np.dtype([("gain", "<f4"), ("hessian", "<f4"), ("weight", "<f4"), ("leaves", "<i4")])
_RENAMED = {"reg:linear": "reg:squarederror", "gpu:reg:linear": "reg:squarederror"}
_LOW_BITS = 0x7FFFFFFF


class _Reader:
    """Takes values one after the other. Raises ValueError where the data ends."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, count: int) -> bytes:
        if not 0 <= count <= len(self._data) - self._position:
            raise ValueError("the model ends in the middle")
        self._position += count
        return self._data[self._position - count : self._position]

    def array(self, dtype: Any, count: int) -> np.ndarray:
        return np.frombuffer(self.take(np.dtype(dtype).itemsize * count), dtype)

    def length(self) -> int:
        return int(struct.unpack("<Q", self.take(8))[0])

    def text(self) -> str:
        return self.take(self.length()).decode()


def is_legacy(body: bytes) -> bool:
    """Return whether these bytes are a model in the old binary format."""
    return _start(body) is not None


def booster(body: bytes) -> Any:
    """Return the `xgboost.Booster`. Raises ValueError for what is no such model, or has parts that cannot be carried over."""
    import xgboost

    start = _start(body)
    if start is None:
        raise ValueError("not a model in XGBoost's binary format")
    document = _document(_Reader(body[start:]))
    return xgboost.Booster(model_file=bytearray(json.dumps(document).encode()))


def pickled(body: bytes) -> Any:
    """Return the booster of a pickle whose library is too old for this one to unpickle. Raises ValueError, or what pickle raises."""
    loaded = _Unpickler(io.BytesIO(body)).load()
    state = loaded.__dict__.get("_Booster", loaded).__dict__
    if not state.get("handle"):
        raise ValueError("the pickle holds no booster")
    return booster(bytes(state["handle"]))


class _State:
    """Stands for the library's classes: keeps what the pickle says."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _State if module.partition(".")[0] == "xgboost" else super().find_class(module, name)


def _start(body: bytes) -> int | None:
    """Return where the learner begins: after the magic or the snapshot's head, if either is there; its objective's name tells."""
    start = len(_SNAPSHOT) + 8 if body.startswith(_SNAPSHOT) else 0
    start += len(_MAGIC) if body[start:].startswith(_MAGIC) else 0
    name = start + _LEARNER_BYTES + 8
    if len(body) < name:
        return None
    length = struct.unpack_from("<Q", body, name - 8)[0]
    return start if length < 64 and re.fullmatch(rb"[a-z:_]+", body[name : name + length]) else None


def _document(model: _Reader) -> dict[str, Any]:
    """Return the model as the library's JSON: what it writes of an empty one, with this one's trees or weights."""
    head = model.take(_LEARNER_BYTES)
    base_score, features, classes, has_attributes, _, major = struct.unpack_from("<fIiiiI", head)
    objective, kind = model.text(), model.text()
    if major < 1:
        base_score = _unlinked(objective, base_score)
    document = _empty(_RENAMED.get(objective, objective), kind, features, classes)
    learner = document["learner"]
    if kind == "gblinear":
        model.take(_LINEAR_BYTES)
        learner["gradient_booster"]["model"]["weights"] = model.array("<f4", model.length()).tolist()
    else:
        forest = _forest(model, max(classes, 1))
        inner = learner["gradient_booster"].get("gbtree", learner["gradient_booster"])
        inner["model"] |= forest
        if kind == "dart" and forest["trees"]:
            learner["gradient_booster"]["weight_drop"] = model.array("<f4", model.length()).tolist()
    known = learner["learner_model_param"]["base_score"]
    number = f"{base_score:.9E}"
    learner["learner_model_param"]["base_score"] = re.sub(r"[^\[\],]+", number, known)
    if has_attributes:
        pairs = {model.text(): model.text() for _ in range(model.length())}
        own = [name for name in pairs if name != "objective" and not name.startswith("SAVED_PARAM_")]
        learner["attributes"] |= {name: pairs[name] for name in own}
    return document


def _empty(objective: str, kind: str, features: int, classes: int) -> dict[str, Any]:
    """Return the library's document of a model without rounds. Raises ValueError where it does not know the objective."""
    import xgboost

    settings = {"objective": objective, "booster": kind, "base_score": 0.5, "verbosity": 0}
    if classes:
        settings["num_class"] = classes
    try:
        rows = xgboost.DMatrix(np.zeros((1, features), np.float32), label=np.zeros(1, np.float32))
        return json.loads(xgboost.train(settings, rows, 0).save_raw("json"))  # type: ignore[no-any-return]
    except xgboost.core.XGBoostError as problem:
        raise ValueError(
            f"objective {objective!r} with booster {kind!r} cannot be carried over: {problem}"
        ) from problem


def _forest(model: _Reader, groups: int) -> dict[str, Any]:
    count, parallel = struct.unpack_from("<ii", model.take(_FOREST_BYTES))
    trees = [_tree(model, number) for number in range(count)]
    information = model.array("<i4", count).tolist()
    step = groups * max(parallel, 1)
    rounds = list(range(0, count + 1, step)) if count % step == 0 else list(range(count + 1))
    return {
        "gbtree_model_param": {"num_trees": str(count), "num_parallel_tree": str(max(parallel, 1))},
        "trees": trees,
        "tree_info": information,
        "iteration_indptr": rounds,
    }


def _tree(model: _Reader, number: int) -> dict[str, Any]:
    _, count, deleted, _, features, vector = struct.unpack_from("<iiiiIi", model.take(_TREE_BYTES))
    if vector > 1:
        raise ValueError("trees with vector leaves cannot be carried over")
    nodes, statistics = model.array(_NODE, count), model.array(_STATISTIC, count)
    empty: list[int] = []
    return {
        "id": number,
        "tree_param": {
            "num_nodes": str(count),
            "num_deleted": str(deleted),
            "num_feature": str(features),
            "size_leaf_vector": "1",
        },
        "left_children": nodes["left"].tolist(),
        "right_children": nodes["right"].tolist(),
        "parents": (nodes["parent"] & _LOW_BITS).tolist(),
        "split_indices": (nodes["split"] & _LOW_BITS).tolist(),
        "split_conditions": nodes["value"].tolist(),
        "split_type": [0] * count,
        "default_left": (nodes["split"] >> 31).tolist(),
        "loss_changes": statistics["gain"].tolist(),
        "sum_hessian": statistics["hessian"].tolist(),
        "base_weights": statistics["weight"].tolist(),
        "categories": empty,
        "categories_nodes": empty,
        "categories_segments": empty,
        "categories_sizes": empty,
    }


def _unlinked(objective: str, score: float) -> float:
    """Return a base score of before 1.0, which was stored as a margin, as what the objective makes of it."""
    if objective in ("reg:logistic", "binary:logistic"):
        return 1 / (1 + math.exp(-score))
    return math.exp(score) if objective in ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox") else score
