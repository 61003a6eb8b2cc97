"""The ONNX Runtime server over HTTP: every content type, several inputs and outputs, concurrency, shutdown."""

from __future__ import annotations

import io
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.containers.conftest import Job

pytestmark = pytest.mark.slow

MODELS = """
import sys, numpy as np
from pathlib import Path
from onnx import TensorProto as T, helper as h, numpy_helper as n
out = Path(sys.argv[1])
def save(name, nodes, inputs, outputs, constants=()):
    graph = h.make_graph(nodes, name, [h.make_tensor_value_info(*i) for i in inputs],
                         [h.make_tensor_value_info(*o) for o in outputs],
                         [n.from_array(a, k) for k, a in constants])
    (out / name).mkdir()
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    (out / name / "model.onnx").write_bytes(model.SerializeToString())
weights = np.arange(12, dtype=np.float32).reshape(4, 3)
save("linear", [h.make_node("MatMul", ["x", "w"], ["y"])], [("x", T.FLOAT, ["n", 4])], [("y", T.FLOAT, ["n", 3])], [("w", weights)])
save("two", [h.make_node("Add", ["a", "b"], ["total"]), h.make_node("Sub", ["a", "b"], ["rest"])],
     [("a", T.FLOAT, ["n", 2]), ("b", T.FLOAT, ["n", 2])], [("total", T.FLOAT, ["n", 2]), ("rest", T.FLOAT, ["n", 2])])
# A sum over the batch: rows depend on each other, so requests must never share a run.
save("summed", [h.make_node("ReduceSum", ["x", "axis"], ["s"], keepdims=1), h.make_node("Add", ["x", "s"], ["y"])],
     [("x", T.FLOAT, ["n", 2])], [("y", T.FLOAT, ["n", 2])], [("axis", np.asarray([0]))])
big = np.random.default_rng(0).standard_normal((1024, 1024)).astype(np.float32) / 32
chain = [h.make_node("MatMul", [f"h{i}" if i else "x", "w"], [f"h{i + 1}" if i < 5 else "y"]) for i in range(6)]
save("slow", chain, [("x", T.FLOAT, ["n", 1024])], [("y", T.FLOAT, ["n", 1024])], [("w", big)])
"""


@pytest.fixture(scope="module")
def models(python: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models")
    subprocess.run([python("xgboost"), "-c", MODELS, directory], check=True, timeout=60)
    return directory


def use(job: Job, models: Path, name: str) -> None:
    (job.base / "model").symlink_to(models / name)


WEIGHTS = np.arange(12, dtype=np.float32).reshape(4, 3)
X = np.asarray([[1, 2, 3, 4], [0.5, 0, -1, 2]], np.float32)
Y = (X @ WEIGHTS).tolist()


def test_every_content_type_in_and_out(job: Job, python: Callable[[str], Path], models: Path) -> None:
    use(job, models, "linear")
    npy = io.BytesIO()
    np.save(npy, X)
    csv = "\n".join(",".join(map(str, row)) for row in X.tolist())
    with job.served(python("inference"), "inference") as server:
        assert server.request("GET", "/ping")[:2] == (200, b"")
        assert server.json({"instances": X.tolist()}) == {"predictions": Y}
        assert server.json({"instances": [{"x": row} for row in X.tolist()]}) == {"predictions": Y}
        assert server.json({"instances": [{"features": row} for row in X.tolist()]}) == {"predictions": Y}
        assert server.json({"inputs": {"x": X.tolist()}}) == {"outputs": {"y": Y}}
        assert server.json({"inputs": X.tolist()}) == {"outputs": {"y": Y}}
        assert server.json(X.tolist()) == Y
        assert server.json(X[0].tolist()) == Y[:1]
        lines = "\n".join(map(json.dumps, X.tolist()))
        out = server.invoke(lines, "application/jsonlines", "application/jsonlines")
        assert [json.loads(line) for line in out.splitlines()] == Y
        out = server.invoke(csv, "text/csv", "text/csv")
        assert [[float(v) for v in line.split(b",")] for line in out.splitlines()] == Y
        out = server.invoke(npy.getvalue(), "application/x-npy", "application/x-npy")
        assert np.load(io.BytesIO(out)).tolist() == Y
        raw = "application/octet-stream; dtype=float32; shape=2,4"
        status, out, headers = server.request(
            "POST", "/invocations", X.tobytes(), content_type=raw, accept="application/octet-stream"
        )
        assert status == 200
        assert headers["content-type"] == "application/octet-stream; dtype=float32; shape=2,3"
        assert np.frombuffer(out, np.float32).reshape(2, 3).tolist() == Y
        status, out, _ = server.request(
            "POST", "/invocations", X.tobytes(), content_type="application/octet-stream", x_tensor_shape="2,4"
        )
        assert (status, json.loads(out)) == (200, {"predictions": Y})


def test_several_inputs_and_outputs(job: Job, python: Callable[[str], Path], models: Path) -> None:
    use(job, models, "two")
    with job.served(python("inference"), "inference") as server:
        rows = [{"a": [1, 2], "b": [3, 5]}, {"a": [0, 0], "b": [1, 1]}]
        expected = [{"total": [4, 7], "rest": [-2, -3]}, {"total": [1, 1], "rest": [-1, -1]}]
        assert server.json({"instances": rows}) == {"predictions": expected}
        both = {"a": [[1, 2]], "b": [[3, 5]]}
        assert server.json({"inputs": both}) == {"outputs": {"total": [[4, 7]], "rest": [[-2, -3]]}}
        assert server.json(both) == {"outputs": {"total": [[4, 7]], "rest": [[-2, -3]]}}
        assert (
            server.invoke(json.dumps(rows), "application/json", "text/csv") == b"4.0,7.0,-2.0,-3.0\n1.0,1.0,-1.0,-1.0"
        )
        status, body, _ = server.request("POST", "/invocations", b"1,2", content_type="text/csv")
        assert status == 400
        assert b"several inputs" in body


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "sentence"),
    [
        (b"{", "application/json", "*/*", 400, b"is not JSON"),
        (b"{}", "application/json", "*/*", 400, b'neither "instances" nor "inputs"'),
        (b'{"instances": []}', "application/json", "*/*", 400, b"empty"),
        (b"[[1, 2]]", "application/json", "*/*", 400, b"has shape [1, 2], the model takes [n, 4]"),
        (b'[["a", 1, 2, 3]]', "application/json", "*/*", 400, b"is not an array of float32"),
        (b"[[1, 2, 3], [1]]", "application/json", "*/*", 400, b"is not an array of float32"),
        (b"x", "application/x-npy", "*/*", 400, b"is not a .npy array"),
        (b"xyz", "application/octet-stream", "*/*", 400, b"raw tensors need a shape"),
        (b"xyz", "application/octet-stream; shape=1,4", "*/*", 400, b"does not fit"),
        (b"x", "image/png", "*/*", 415, b"cannot read image/png"),
        (b"[[1, 2, 3, 4]]", "application/json", "image/png", 406, b"cannot answer as image/png"),
    ],
)
def test_wrong_requests_get_a_sentence(
    body: bytes, content_type: str, accept: str, status: int, sentence: bytes, linear: Callable[..., tuple[int, bytes]]
) -> None:
    got = linear(body, content_type=content_type, accept=accept)
    assert got[0] == status
    assert sentence in got[1]


@pytest.fixture(scope="module")
def linear(python: Callable[[str], Path], models: Path, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]  # noqa: ANN201 - a generator of a function
    from tests.containers.conftest import Job as NewJob

    job = NewJob(tmp_path_factory.mktemp("linear"))
    use(job, models, "linear")
    with job.served(python("inference"), "inference") as server:
        yield lambda body, **headers: server.request("POST", "/invocations", body, **headers)[:2]


@pytest.mark.parametrize("name", ["slow", "summed"])
def test_concurrent_requests_each_get_their_own_rows(
    name: str, job: Job, python: Callable[[str], Path], models: Path
) -> None:
    use(job, models, name)
    random = np.random.default_rng(3)
    width = 1024 if name == "slow" else 2
    requests = [random.standard_normal((1 + i % 3, width)).astype(np.float32) for i in range(60)]
    big = np.random.default_rng(0).standard_normal((1024, 1024)).astype(np.float32) / 32
    with job.served(python("inference"), "inference") as server:

        def send(x: np.ndarray) -> np.ndarray:
            raw = f"application/octet-stream; shape={x.shape[0]},{width}"
            out = server.invoke(x.tobytes(), raw, "application/octet-stream")
            return np.frombuffer(out, np.float32).reshape(x.shape)

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(send, requests))
        text = server.log.read_text()
    for x, answer in zip(requests, answers, strict=True):
        expected = x + x.sum(axis=0) if name == "summed" else x @ np.linalg.matrix_power(big, 6)
        np.testing.assert_allclose(answer, expected, rtol=1e-3, atol=1e-3)
    assert f"batching {'on' if name == 'slow' else 'off'}" in text


def test_a_directory_without_a_model_says_so(job: Job, python: Callable[[str], Path]) -> None:
    (job.base / "model").mkdir()
    with pytest.raises(AssertionError, match=r"no \.onnx file in"), job.served(python("inference"), "inference"):
        pass
