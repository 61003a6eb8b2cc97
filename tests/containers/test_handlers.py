"""Handlers as both toolkits call them: which exclude each other, by release; statuses; the context; default decoders and encoders."""

from __future__ import annotations

import asyncio
import json
import types
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from containers.scikit_learn import predictor as scikit_learn
from containers.toolkit import handlers
from containers.toolkit.serving import Reply, Request, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.containers.conftest import Job

DEFAULTS = handlers.Defaults(lambda _: None, lambda data, _: data)
FLASK = handlers.Defaults(lambda _: None, lambda data, _: data, handlers.decode_rows, handlers.encode_rows, flask=True)


def predictor(defaults: handlers.Defaults, directory: Path, **own: Any) -> handlers.HandlerPredictor:
    return handlers.HandlerPredictor(directory, defaults, types.SimpleNamespace(**own))  # type: ignore[arg-type]


def send(
    served: handlers.HandlerPredictor, body: bytes = b"[1]", kind: str = "application/json", accept: str = ""
) -> Reply:
    headers = {"content-type": kind, "accept": accept}
    return asyncio.run(served.invoke(Request(body, kind, accept, {}, headers)))


def refused(served: handlers.HandlerPredictor, *arguments: Any) -> tuple[int, str]:
    with pytest.raises(RequestError) as caught:
        send(served, *arguments)
    return caught.value.status, str(caught.value)


class TeapotError(Exception):
    """As sagemaker_inference.errors.BaseInferenceToolkitError is made."""

    status_code, message, phrase = 418, "short and stout", "teapot"


def test_an_error_with_a_status_has_it_and_any_other_is_500_with_its_trace(tmp_path: Path) -> None:
    def fail(error: Exception) -> Callable[..., Any]:
        def predict_fn(_data: Any, _model: Any) -> Any:
            raise error

        return predict_fn

    status, text = refused(predictor(DEFAULTS, tmp_path, predict_fn=fail(TeapotError())))
    assert (status, text.splitlines()[:2]) == (418, ["short and stout", "Traceback (most recent call last):"])
    status, text = refused(predictor(DEFAULTS, tmp_path, predict_fn=fail(KeyError("k"))))
    assert (status, text.splitlines()[0]) == (500, "'k'")
    with pytest.raises(KeyError):
        send(predictor(FLASK, tmp_path, predict_fn=fail(KeyError("k"))))


@pytest.mark.parametrize(
    ("body", "kind", "accept"),
    [(b"x", "image/png", ""), (b"[1]", "application/json", "image/png"), (b"[1]", "text/csv;a=b", "")],
)
def test_a_format_that_the_defaults_do_not_know_is_500_in_both_images(
    body: bytes, kind: str, accept: str, tmp_path: Path
) -> None:
    assert refused(predictor(FLASK, tmp_path, model_fn=lambda _: None), body, kind, accept)[0] == 500
    assert refused(predictor(DEFAULTS, tmp_path, model_fn=lambda _: None), body, kind, accept)[0] == 500


def test_what_is_not_utf_8(tmp_path: Path) -> None:
    echo = {"input_fn": lambda body, _: body, "output_fn": lambda prediction, _: prediction}
    assert send(predictor(FLASK, tmp_path, **echo), b"\xff1", "text/csv").body == "\ufffd1".encode()
    assert refused(predictor(DEFAULTS, tmp_path, **echo), b"\xff1", "text/csv")[0] == 500


@pytest.mark.parametrize(
    ("defaults", "sentence"),
    [
        (FLASK, "^Cannot use transform_fn implementation with input_fn, predict_fn, and/or output_fn$"),
        (DEFAULTS, "^Cannot use transform_fn implementation in conjunction with input_fn"),
    ],
)
def test_transform_fn_excludes_the_other_three(defaults: handlers.Defaults, sentence: str, tmp_path: Path) -> None:
    def transform_fn(_model: Any, _body: Any, _kind: str, _accept: str) -> tuple[str, str]:
        return "whole", "text/plain"

    answer = send(predictor(defaults, tmp_path, transform_fn=transform_fn))
    assert (answer.body, answer.content_type) == (b"whole", "text/plain")
    with pytest.raises(ValueError, match=sentence):
        predictor(defaults, tmp_path, transform_fn=transform_fn, output_fn=lambda *_: b"")


@pytest.mark.parametrize(
    ("tag", "answer"), [("1.2-1-cpu-py3", b"whole"), ("1.0-1-cpu-py3", b"[6.0]"), ("0.23-1-cpu-py3", b"[6.0]")]
)
def test_scikit_learn_knows_transform_fn_since_1_2_1(
    tag: str, answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALMAKER_IMAGE_TAG", tag)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text(
        "class M:\n    def predict(self, data):\n        return data * 2\n"
        "def model_fn(d):\n    return M()\n"
        "def transform_fn(model, body, kind, accept):\n    return 'whole', 'text/plain'\n"
    )
    served = scikit_learn.create(tmp_path)
    assert isinstance(served, handlers.HandlerPredictor)
    assert send(served, b"[3]").body == answer


def test_a_script_without_model_fn_is_refused_as_by_scikit_learns_image(tmp_path: Path) -> None:
    (tmp_path / "model.joblib").write_bytes(b"")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text("def output_fn(prediction, accept):\n    return b''\n")
    with pytest.raises(NotImplementedError, match=r"^Please provide a model_fn implementation"):
        scikit_learn.create(tmp_path)


def test_the_context_is_told_by_the_number_of_parameters(tmp_path: Path) -> None:
    seen: list[str] = []

    def model_fn(model_dir: str, anything: Any) -> str:
        seen.append(f"model {anything.system_properties['model_dir'] == model_dir}")
        return "m"

    served = predictor(
        DEFAULTS,
        tmp_path,
        pre_model_fn=lambda _dir: seen.append("pre"),
        model_fn=model_fn,
        model_warmup_fn=lambda _dir, model: seen.append(f"warm {model}"),
        predict_fn=lambda data, _model, extra: [len(data), extra.get_request_header(0, "Accept")],
    )
    assert seen == ["pre", "model True", "warm m"]
    assert json.loads(send(served, b"[1, 2]", accept="application/json").body) == [2, "application/json"]  # type: ignore[arg-type]


TORCH = """
import torch
def model_fn(model_dir):
    return torch.nn.Identity()
def predict_fn(data, model):
    assert isinstance(data, torch.Tensor), type(data)
    return model(data) * 2 if data.dtype == torch.float32 else model(data)
"""


@pytest.mark.slow
def test_pytorch_defaults_take_and_answer_tensors(job: Job, python: Callable[[str], Path]) -> None:
    import io

    code = job.base / "model" / "code"
    code.mkdir(parents=True)
    (code / "inference.py").write_text(TORCH)
    buffer = io.BytesIO()
    np.save(buffer, np.asarray([[1, 2]], np.int64))
    with job.served(python("pytorch"), "pytorch") as server:
        assert server.json([[1, 2.5]]) == [[2.0, 5.0]]
        assert server.invoke("1,2\n3,4", "text/csv", "text/csv") == b"2.0,4.0\n6.0,8.0\n"
        assert server.invoke("1,2", "text/csv", "image/png, application/json") == b"[2.0, 4.0]"
        assert server.invoke(buffer.getvalue(), "application/x-npy", "application/json") == b"[[1, 2]]"
        for body, kind, accept, words in [
            ('{"instances": [[1]]}', "application/json", "*/*", b"Traceback"),
            (
                "x",
                "application/jsonlines",
                "*/*",
                b"Content type application/jsonlines is not supported by this framework",
            ),
            ("[1]", "application/json", "image/png", b"Content type image/png is not supported by this framework"),
        ]:
            status, answer, _ = server.request("POST", "/invocations", body, content_type=kind, accept=accept)
            assert status == 500
            assert words in answer
