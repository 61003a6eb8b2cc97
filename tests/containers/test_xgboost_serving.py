"""Trained here, served here: XGBoost's formats over HTTP, from the ONNX twin and from the booster."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from containers.toolkit import recordio

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.containers.conftest import Data, Job, Trained

pytestmark = pytest.mark.slow


def features(data: Data, rows: int) -> tuple[str, np.ndarray]:
    part = data.x[data.split : data.split + rows]
    return "\n".join(",".join(map(repr, row)) for row in part.tolist()), part


@pytest.mark.parametrize("engine", ["onnx", "booster"])
def test_all_formats_give_the_same_accurate_answer(
    engine: str,
    job: Job,
    python: Callable[[str], Path],
    data_set: Callable[[str], Data],
    trained: Callable[[str], Trained],
) -> None:
    shutil.copytree(trained("binary").model, job.base / "model")
    if engine == "booster":
        (job.base / "model" / "model.onnx").unlink()
    data = data_set("breast_cancer")
    csv, x = features(data, len(data.y) - data.split)
    with job.served(python("xgboost"), "xgboost") as server:
        assert server.request("GET", "/ping")[:2] == (200, b"")
        scores = np.asarray([float(score) for score in server.invoke(csv, "text/csv").split()])
        assert np.mean((scores > 0.5) == data.y[data.split :]) > 0.93

        libsvm = "\n".join(" ".join(f"{i}:{v!r}" for i, v in enumerate(row)) for row in x.tolist())
        records = recordio.framed(recordio.encode(row) for row in x)
        bodies: dict[str, str | bytes] = {
            "text/libsvm": libsvm,
            "text/x-libsvm": libsvm,
            "application/x-recordio-protobuf": records,
        }
        for content_type, body in bodies.items():
            again = [float(score) for score in server.invoke(body, content_type, "text/csv").split()]
            np.testing.assert_allclose(again, scores, rtol=1e-6)
        answer = json.loads(server.invoke(csv, "text/csv", "application/json"))
        np.testing.assert_allclose([entry["score"] for entry in answer["predictions"]], scores, rtol=1e-6)


def test_missing_values_mean_the_same_to_both_engines(
    job: Job, python: Callable[[str], Path], data_set: Callable[[str], Data], trained: Callable[[str], Trained]
) -> None:
    shutil.copytree(trained("binary").model, job.base / "model")
    random = np.random.default_rng(1)
    x = data_set("breast_cancer").x[:200]
    rows = [",".join("" if random.random() < 0.3 else repr(v) for v in row) for row in x.tolist()]
    with job.served(python("xgboost"), "xgboost") as server:
        onnx = server.invoke("\n".join(rows), "text/csv").split()
    (job.base / "model" / "model.onnx").unlink()
    with job.served(python("xgboost"), "xgboost") as server:
        native = server.invoke("\n".join(rows), "text/csv").split()
    np.testing.assert_allclose(np.asarray(onnx, float), np.asarray(native, float), rtol=1e-4, atol=1e-5)


def test_what_cannot_be_answered_says_so(
    job: Job, python: Callable[[str], Path], trained: Callable[[str], Trained]
) -> None:
    shutil.copytree(trained("binary").model, job.base / "model")
    job.environment["SAGEMAKER_MAX_PAYLOAD_IN_MB"] = "0.01"
    with job.served(python("xgboost"), "xgboost") as server:
        cases = [
            (b",".join([b"1"] * 31), "text/csv", "*/*", 400, b"the model has 30 features, a row of the body has 31"),
            (b"a,b", "text/csv", "*/*", 415, b"please ensure data is in csv format"),
            (b"", "text/csv", "*/*", 204, b""),
            (b"{", "application/json", "*/*", 415, b"application/json is not an accepted ContentType: csv, libsvm,"),
            (b"1", "image/png", "*/*", 415, b"image/png is not an accepted ContentType"),
            (b",".join([b"1"] * 30), "text/csv", "image/png", 406, b"Accept type image/png is not supported"),
            (b"1" * 20_000, "text/csv", "*/*", 413, b"exceeds SAGEMAKER_MAX_PAYLOAD_IN_MB"),
            (b"\xff\xfe", "application/x-recordio-protobuf", "*/*", 415, b"RecordIO"),
        ]
        for body, content_type, accept, status, sentence in cases:
            got = server.request("POST", "/invocations", body, content_type=content_type, accept=accept)
            assert got[0] == status, got
            assert sentence in got[1]
        assert server.request("GET", "/invocations")[0] == 405
        assert server.request("GET", "/nothing")[0] == 404


def test_selected_output_and_batch(
    job: Job, python: Callable[[str], Path], data_set: Callable[[str], Data], trained: Callable[[str], Trained]
) -> None:
    shutil.copytree(trained("multi").model, job.base / "model")
    data = data_set("iris")
    csv, x = features(data, 45)
    job.environment["SAGEMAKER_INFERENCE_OUTPUT"] = "predicted_label,probability,probabilities,predicted_score"
    with job.served(python("xgboost"), "xgboost") as server:
        lines = server.invoke(csv, "text/csv", "application/jsonlines").splitlines()
        predictions = [json.loads(line) for line in lines]
        assert np.mean([entry["predicted_label"] for entry in predictions] == data.y[data.split :]) > 0.9
        assert predictions[0]["probability"] == max(predictions[0]["probabilities"])
        assert np.isnan(predictions[0]["predicted_score"])
        assert server.invoke(csv, "text/csv").split(b"\n")[0].count(b",") == 5
    del job.environment["SAGEMAKER_INFERENCE_OUTPUT"]
    job.environment["SAGEMAKER_BATCH"] = "true"
    with job.served(python("xgboost"), "xgboost") as server:
        rows = [json.loads(line) for line in server.invoke(csv, "text/csv").splitlines()]
        assert len(rows) == len(x)
        assert np.mean([np.argmax(row) for row in rows] == data.y[data.split :]) > 0.9


@pytest.mark.parametrize(
    "hyperparameters",
    [
        {"objective": "reg:squarederror"},
        {"objective": "reg:squarederror", "booster": "dart", "rate_drop": "0.3"},
        {"objective": "reg:squarederror", "num_parallel_tree": "3", "subsample": "0.5"},
        {"objective": "count:poisson"},
        {"objective": "reg:gamma"},
        {"objective": "reg:tweedie"},
        {"objective": "multi:softmax", "num_class": "347"},
        {"objective": "rank:pairwise"},
        {"objective": "reg:squarederror", "base_score": "100"},
    ],
    ids=lambda h: "-".join(h.values()),
)
def test_every_exportable_objective_has_a_checked_twin(
    hyperparameters: dict[str, str], job: Job, python: Callable[[str], Path], data_set: Callable[[str], Data]
) -> None:
    # Ranking wants small relevance grades, which iris's classes are.
    data = data_set("iris" if hyperparameters["objective"].startswith("rank") else "diabetes")
    job.write(
        {"num_round": "3", "nthread": "1", **hyperparameters}, {"train": {"a.csv": data.csv("train")}}, "text/csv"
    )
    done = job.train(python("xgboost"), "xgboost")
    assert done.returncode == 0, done.stderr
    assert (job.base / "model" / "model.onnx").exists(), done.stdout


def test_a_linear_booster_has_no_twin_and_is_served(
    job: Job, python: Callable[[str], Path], data_set: Callable[[str], Data]
) -> None:
    data = data_set("diabetes")
    job.write({"num_round": "50", "booster": "gblinear"}, {"train": {"a.csv": data.csv("train")}}, "text/csv")
    done = job.train(python("xgboost"), "xgboost")
    assert "No model.onnx: a linear booster is not a tree ensemble" in done.stdout
    csv, _ = features(data, 50)
    with job.served(python("xgboost"), "xgboost") as server:
        scores = np.asarray(server.invoke(csv, "text/csv").split(), float)
    assert np.corrcoef(scores, data.y[data.split : data.split + 50])[0, 1] > 0.5


def test_the_users_handlers_take_over(
    job: Job, python: Callable[[str], Path], trained: Callable[[str], Trained]
) -> None:
    shutil.copytree(trained("binary").model, job.base / "model")
    (job.base / "model" / "code").mkdir()
    (job.base / "model" / "code" / "inference.py").write_text(
        "import os, xgboost\n"
        "def model_fn(model_dir):\n"
        "    return xgboost.Booster(model_file=bytearray(open(os.path.join(model_dir, 'xgboost-model'), 'rb').read()))\n"
        "def output_fn(prediction, accept):\n"
        "    return f'<{len(prediction)}>', 'text/plain'\n"
    )
    with job.served(python("xgboost"), "xgboost") as server:
        status, body, headers = server.request("POST", "/invocations", ",".join(["1"] * 30), content_type="text/csv")
    assert (status, body, headers["content-type"]) == (200, b"<1>", "text/plain")
