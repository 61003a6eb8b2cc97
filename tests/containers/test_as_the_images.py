"""What AWS's open containers answer at each release: statuses, forms, handlers, modules (public reports; their code)."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from containers.toolkit import recordio
from containers.toolkit.command_line import ClientError
from containers.toolkit.serving import Front, Reply, Request, RequestError
from containers.xgboost import data, hyperparameters, selectable
from containers.xgboost.predictor import XGBoostPredictor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.containers.conftest import Job


class Three:
    """Three features; the score is the first, or two classes."""

    features, pickled, objective, classes = 3, False, "binary:logistic", 0

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Return [n], or [n, 3] where the objective has classes."""
        if self.objective == "multi:softprob":
            return rows
        return rows[:, 0].astype(np.float32)


def send(body: bytes, kind: str = "text/csv", accept: str = "*/*", scorer: Three | None = None) -> Reply:
    reply = XGBoostPredictor(scorer or Three()).invoke(
        Request(body, kind.partition(";")[0].lower(), "", {}, {"content-type": kind, "accept": accept})
    )
    assert isinstance(reply, Reply)
    return reply


def status(*arguments: str | bytes) -> int:
    try:
        return send(*arguments).status  # type: ignore[arg-type]
    except RequestError as error:
        return error.status


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("text/csv", 200), ("csv", 200), ("CSV", 200), ("text/csv; charset=utf-8", 200), ("text/csv;label_size=1", 200),
        ("text/csv;label_size=0", 415), ("application/json", 415), ("application/x-parquet", 415), ("text/plain", 415),
        ("", 415),  # libsvm, which the body is not
    ],
)  # fmt: skip
def test_request_content_types_are_those_of_training(kind: str, code: int) -> None:
    assert status(b"0.5,1,2", kind) == code


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (b"", "text/csv", 204), (b"a,b,c", "text/csv", 415), (b'"1","2","3"', "text/csv", 415), (b"1,2\n1", "text/csv", 415),
        (b"1,2,3,4", "text/csv", 400), (b"1,2", "text/csv", 200), (b"1,,3", "text/csv", 200), (b"0 1:2", "libsvm", 200),
        (b"1:2 2:3", "text/x-libsvm", 200), (b"9:1", "libsvm", 400), (b"\xff", "recordio-protobuf", 415),
    ],
)  # fmt: skip
def test_each_bad_body_gets_its_status(body: bytes, kind: str, code: int) -> None:
    assert status(body, kind) == code


@pytest.mark.parametrize(
    ("tag", "accept", "body"),
    [
        ("1.7-1", "*/*", b"0.5\n0.25\n"), ("1.2-2", "text/csv", b"0.5\n0.25\n"), ("1.2-1", "*/*", b"0.5,0.25"),
        ("0.90-2-cpu-py3", "application/json", b"0.5,0.25"), ("", "*/*", b"0.5\n0.25\n"),
        ("1.3-1", "application/json", b'{"predictions": [{"score": 0.5}, {"score": 0.25}]}'),
    ],
)  # fmt: skip
def test_answers_by_release(monkeypatch: pytest.MonkeyPatch, tag: str, accept: str, body: bytes) -> None:
    monkeypatch.setenv("LOCALMAKER_IMAGE_TAG", tag)
    assert send(b"0.5,1,2\n0.25,1,2", accept=accept).body == body


def test_accept_is_refused_or_defaulted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert status(b"1,2,3", "csv", "image/png") == 406
    assert status(b"1,2,3", "csv", "text/csv, application/json") == 406
    assert status(b"1,2,3", "csv", "application/jsonlines") == 500
    monkeypatch.setenv("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "application/json")
    assert json.loads(bytes(send(b"1,2,3").body))  # type: ignore[arg-type]


def test_several_classes_are_columns_of_a_line() -> None:
    scorer = Three()
    scorer.objective = "multi:softprob"
    assert send(b"0.5,0.25,0.25\n0,1,0", scorer=scorer).body == b"0.5,0.25,0.25\n0.0,1.0,0.0\n"


@pytest.mark.parametrize(
    ("objective", "keys", "line"),
    [
        ("binary:logistic", "predicted_label,probability,probabilities,raw_score", b'1,0.75,"[0.25, 0.75]",0.75'),
        ("binary:logistic", "labels, Predicted_Score", b'"[0, 1]",nan'),
        ("reg:squarederror", "predicted_score,predicted_label", b"0.75,nan"),
        ("binary:logitraw", "predicted_label,probability", b"1,nan"),
        ("multi:softprob", "predicted_label,labels,probability", b'0,"[0, 1, 2]",0.75'),
    ],
)
def test_selected_content(monkeypatch: pytest.MonkeyPatch, objective: str, keys: str, line: bytes) -> None:
    monkeypatch.setenv("SAGEMAKER_INFERENCE_OUTPUT", keys)
    scorer = Three()
    scorer.objective = objective
    assert send(b"0.75,0.125,0.125", scorer=scorer).body == line
    answer = send(b"0.75,0.125,0.125", accept="application/x-recordio-protobuf", scorer=scorer)
    assert len(list(recordio.frames(bytes(answer.body)))) == 1  # type: ignore[arg-type]


def test_an_objective_without_selectable_content_is_an_error() -> None:
    scorer = Three()
    scorer.objective = "count:poisson"
    with pytest.raises(RequestError, match="unsupported for selectable") as caught:
        selectable.answer(np.ones(1), ["predicted_score"], "text/csv", scorer, batch=False)
    assert caught.value.status == 500


@pytest.mark.parametrize(
    ("tag", "name", "known"),
    [
        ("0.90-1-cpu-py3", "silent", True), ("1.0-1", "silent", True), ("1.2-1", "silent", False),
        ("1.0-1", "single_precision_histogram", False), ("1.5-1", "single_precision_histogram", False),
        ("0.90-2", "_kfold", False),
    ],
)  # fmt: skip
def test_hyperparameters_by_release(monkeypatch: pytest.MonkeyPatch, tag: str, name: str, known: bool) -> None:
    monkeypatch.setenv("LOCALMAKER_IMAGE_TAG", tag)
    if known:
        assert name in hyperparameters.checked({"num_round": "1", name: "0"})
        return
    with pytest.raises(ClientError):
        hyperparameters.checked({"num_round": "1", name: "0"})


def test_training_csv_is_read_as_xgboost_reads_it() -> None:
    part = data._csv(b"y,a,b\n1,2,x\n,3,4", csv_weights=False)
    np.testing.assert_array_equal(part["label"], [0, 1, 0])
    np.testing.assert_array_equal(part["dense"], [[np.nan, np.nan], [2, np.nan], [3, 4]])
    with pytest.raises(ClientError, match="Label contains NaN"):
        data._csv(b"nan,1\n1,2", csv_weights=False)


HANDLERS = """
from werkzeug.wrappers import Response
from sagemaker_containers.beta.framework import worker, encoders
def model_fn(directory):
    return None
def input_fn(body, content_type):
    return type(body).__name__ + "|" + content_type
def predict_fn(data, model):
    return data
def output_fn(prediction, accept):
    if accept == "text/one":
        return Response(prediction, status=422, mimetype="text/plain")
    if accept == "text/two":
        return worker.Response(prediction, mimetype="text/csv")
    return prediction
"""


@pytest.mark.slow
def test_handlers_see_the_header_and_answer_with_a_status(job: Job, python: Callable[[str], Path]) -> None:
    code = job.base / "model" / "code"
    code.mkdir(parents=True)
    (code / "inference.py").write_text(HANDLERS)
    with job.served(python("scikit_learn"), "scikit_learn") as server:
        for kind, seen in {
            "text/csv": b"str|text/csv", "application/json": b"str|application/json", "text/plain": b"bytes|text/plain",
            "text/csv; charset=utf-8": b"bytes|text/csv; charset=utf-8", "Text/CSV": b"bytes|Text/CSV",
        }.items():  # fmt: skip
            code_, body, headers = server.request("POST", "/invocations", "1,2", content_type=kind)
            assert (code_, body, headers["content-type"]) == (200, seen, "text/html; charset=utf-8")
        assert server.request("POST", "/invocations", "1", content_type="text/csv", accept="text/one")[0] == 422
        two = server.request("POST", "/invocations", "1", content_type="text/csv", accept="text/two")
        assert two[2]["content-type"] == "text/csv; charset=utf-8"
        assert server.request("GET", "/execution-parameters")[0] == 404


MODULES = {
    "xgboost": "sagemaker_containers.entry_point sagemaker_xgboost_container.data_utils sagemaker_xgboost_container.encoder "
    "sagemaker_xgboost_container.distributed sagemaker_xgboost_container.checkpointing flask requests matplotlib yaml",
    "scikit_learn": "sagemaker_containers.beta.framework sagemaker_inference.encoder sagemaker_inference.decoder "
    "sagemaker_inference.default_inference_handler sagemaker_sklearn_container.serving flask pyarrow yaml",
}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", MODULES)
def test_the_images_modules_are_there(recipe: str, python: Callable[[str], Path]) -> None:
    source = f"import importlib\nfor name in {MODULES[recipe].split()!r}:\n    importlib.import_module(name)\n"
    done = subprocess.run([python(recipe), "-P", "-c", source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_models_of_any_name_and_format(job: Job, python: Callable[[str], Path]) -> None:
    source = (
        "import sys, pickle, pathlib, numpy as n, xgboost as x\n"
        "from containers.xgboost import scorers\n"
        "base = pathlib.Path(sys.argv[1]); X = n.random.rand(50, 3)\n"
        "b = x.train({}, x.DMatrix(X, label=X[:, 0]), 2)\n"
        "for name, body in {'mine': bytes(b.save_raw('ubj')), 'j': bytes(b.save_raw('json')), 'p': pickle.dumps(b)}.items():\n"
        "    d = base / name; d.mkdir(parents=True); (d / name).write_bytes(body); (d / '.hidden').write_text('x')\n"
        "    assert scorers.load(d).score(n.float32(X)).shape == (50,), name\n"
    )
    done = subprocess.run(
        [python("xgboost"), "-P", "-c", source, job.base / "any"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_batch_transform_is_told_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_CONTENT_LENGTH", str(2 * 1024**2))
    answer = json.loads(bytes(Front(XGBoostPredictor(Three()))._parameters().body))  # type: ignore[arg-type]
    assert (answer["MaxPayloadInMB"], answer["BatchStrategy"]) == (2, "MULTI_RECORD")
