"""Script mode and serving of scikit-learn and PyTorch, with the user's own scripts."""

from __future__ import annotations

import io
import json
import signal
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.containers.conftest import Job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.containers.conftest import Data

pytestmark = pytest.mark.slow

SKLEARN_SCRIPT = """
import argparse, os, joblib, numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
parser = argparse.ArgumentParser()
parser.add_argument("-C", type=float)
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
arguments, _ = parser.parse_known_args()
table = np.loadtxt(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "a.csv"), delimiter=",")
model = make_pipeline(StandardScaler(), LogisticRegression(C=arguments.C)).fit(table[:, 1:], table[:, 0].astype(int))
print("train-accuracy:", model.score(table[:, 1:], table[:, 0]))
joblib.dump(model, os.path.join(arguments.model_dir, "model.joblib"))
"""


def script_mode(
    job: Job, source: str, channels: dict[str, dict[str, bytes]], *extra: tuple[str, str], **files: str
) -> None:
    job.script(source, **files)
    settings = {
        "sagemaker_program": '"train.py"',
        "sagemaker_submit_directory": json.dumps(str(job.base / "submitted")),
    }
    job.write({**settings, **dict(extra)}, channels)


def test_scikit_learn_trains_exports_and_is_served_by_onnx(
    job: Job, python: Callable[[str], Path], data_set: Callable[[str], Data]
) -> None:
    data = data_set("breast_cancer")
    script_mode(job, SKLEARN_SCRIPT, {"train": {"a.csv": data.csv("train")}}, ("C", "0.5"))
    done = job.train(python("scikit_learn"), "scikit_learn")
    assert done.returncode == 0, done.stderr
    assert "train-accuracy: 0.9" in done.stdout
    assert "model.onnx agrees with model.joblib on 256 rows" in done.stdout
    held_out, truth = data.x[data.split :], data.y[data.split :]
    with job.served(python("scikit_learn"), "scikit_learn") as server:
        answer = server.json({"instances": held_out.tolist()})["predictions"]
    assert np.mean([row["label"] for row in answer] == truth) > 0.94
    (job.base / "model" / "model.onnx").unlink()
    with job.served(python("scikit_learn"), "scikit_learn") as server:
        labels = server.json(held_out.tolist())
        csv = server.invoke("\n".join(",".join(map(repr, row)) for row in held_out.tolist()), "text/csv", "text/csv")
        buffer = io.BytesIO()
        np.save(buffer, held_out)
        npy = np.load(io.BytesIO(server.invoke(buffer.getvalue(), "application/x-npy", "application/x-npy")))
    assert labels == [row["label"] for row in answer] == [int(v) for v in csv.split()] == npy.tolist()


def test_a_failing_script_leaves_its_error_in_the_failure_file(job: Job, python: Callable[[str], Path]) -> None:
    script_mode(job, "raise KeyError('no such column')", {})
    done = job.train(python("scikit_learn"), "scikit_learn")
    assert done.returncode == 1
    assert job.failure.startswith("ExecuteUserScriptError:\nExitCode 1\nErrorMessage ")
    assert "no such column" in job.failure


STOPPED_SCRIPT = """
import os, signal, sys
def stop(number, frame):
    open(os.path.join(os.environ["SM_MODEL_DIR"], "half-trained"), "w").close()
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
signal.pause()
"""


def test_a_script_hears_of_a_stop(job: Job, python: Callable[[str], Path]) -> None:
    script_mode(job, STOPPED_SCRIPT, {})
    with job.training(python("scikit_learn"), "scikit_learn") as process:
        assert process.stdout is not None
        assert any(line == "ready\n" for line in iter(process.stdout.readline, ""))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 0
    assert (job.base / "model" / "half-trained").exists()


def test_requirements_go_to_the_jobs_own_environment(job: Job, python: Callable[[str], Path], tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        "[build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n"
        "[project]\nname = 'only-this-job'\nversion = '1'\n[tool.setuptools]\npy-modules = ['only_this_job']\n"
    )
    (package / "only_this_job.py").write_text("ANSWER = 42\n")
    script_mode(
        job, "import only_this_job, sklearn; print('answer', only_this_job.ANSWER)", {}, requirements_txt=f"{package}\n"
    )
    done = job.train(python("scikit_learn"), "scikit_learn")
    assert done.returncode == 0, done.stderr
    assert "answer 42" in done.stdout
    other = Job(tmp_path / "other")
    other.base.mkdir()
    script_mode(other, "import only_this_job", {})
    assert other.train(python("scikit_learn"), "scikit_learn").returncode == 1


def test_an_estimator_that_cannot_be_exported_does_not_fail_the_job(job: Job, python: Callable[[str], Path]) -> None:
    script = "import joblib, os; joblib.dump({'weights': [1, 2]}, os.environ['SM_MODEL_DIR'] + '/model.joblib')"
    script_mode(job, script, {})
    done = job.train(python("scikit_learn"), "scikit_learn")
    assert done.returncode == 0, done.stderr
    assert "No model.onnx: the model is not a fitted scikit-learn estimator" in done.stdout


HANDLERS = """
import json, time
def model_fn(model_dir, context):
    assert context.system_properties["model_dir"] == model_dir
    return {"scale": 3}
def input_fn(body, content_type):
    assert isinstance(body, str), type(body)
    return json.loads(body)["x"]
def predict_fn(data, model):
    if data == "crash":
        raise ValueError("cannot predict crash")
    return data * model["scale"]
def output_fn(prediction, accept):
    if accept == "text/event-stream":
        return (f"data: {i}\\n\\n".encode() for i in range(prediction))
    return json.dumps({"y": prediction}), "application/json"
"""


def test_handlers_answer_fail_and_stream(job: Job, python: Callable[[str], Path]) -> None:
    (job.base / "model" / "code").mkdir(parents=True)
    (job.base / "model" / "code" / "inference.py").write_text(HANDLERS)
    with job.served(python("scikit_learn"), "scikit_learn") as server:
        assert server.json({"x": 14}) == {"y": 42}
        status, body, _ = server.request("POST", "/invocations", '{"x": "crash"}', content_type="application/json")
        assert (status, body) == (500, b"ValueError: cannot predict crash")
        status, body, headers = server.request(
            "POST", "/invocations", '{"x": 2}', content_type="application/json", accept="text/event-stream"
        )
        assert headers["transfer-encoding"] == "chunked"
        assert body == b"".join(b"data: %d\n\n" % i for i in range(6))


TORCH_SCRIPT = """
import os, numpy as np, torch
torch.manual_seed(0)
table = torch.tensor(np.loadtxt(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "a.csv"), delimiter=",", dtype=np.float32))
x, y = table[:, 1:] / 16, table[:, 0].long()
model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(60):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
print("loss", loss.item())
torch.jit.save(torch.jit.trace(model, x[:1]), os.path.join(os.environ["SM_MODEL_DIR"], "model.pth"))
"""


def test_pytorch_trains_and_serves_digits(
    job: Job, python: Callable[[str], Path], data_set: Callable[[str], Data]
) -> None:
    data = data_set("digits")
    script_mode(job, TORCH_SCRIPT, {"train": {"a.csv": data.csv("train")}})
    done = job.train(python("pytorch"), "pytorch")
    assert done.returncode == 0, done.stderr
    with job.served(python("pytorch"), "pytorch") as server:
        logits = np.asarray(server.json((data.x[data.split :] / 16).tolist()))
    assert np.mean(logits.argmax(axis=1) == data.y[data.split :]) > 0.93


DISTRIBUTED_SCRIPT = """
import os, torch, torch.distributed as dist
dist.init_process_group("gloo")
total = torch.tensor([float(dist.get_rank() + 1)])
dist.all_reduce(total)
print(f"rank {dist.get_rank()} of {dist.get_world_size()} sums to {total.item()}", flush=True)
dist.destroy_process_group()
"""


def test_torchrun_joins_two_hosts(python: Callable[[str], Path], tmp_path: Path) -> None:
    hosts = ["127.0.0.1", "127.0.0.2"]
    jobs = [Job(tmp_path / host, {"GLOO_SOCKET_IFNAME": "lo"}) for host in hosts]
    outputs: dict[str, tuple[int, str]] = {}

    def train(host: str, each: Job) -> None:
        done = each.train(python("pytorch"), "pytorch", 150)
        outputs[host] = (done.returncode, done.stdout + done.stderr)

    for host, each in zip(hosts, jobs, strict=True):
        each.base.mkdir()
        script_mode(each, DISTRIBUTED_SCRIPT, {}, ("sagemaker_torch_distributed_enabled", "true"))
        groups = [{"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.xlarge", "hosts": hosts}]
        resources = {"current_host": host, "hosts": hosts, "network_interface_name": "lo", "instance_groups": groups}
        resources |= {"current_instance_type": "ml.m5.xlarge", "current_group_name": "homogeneousCluster"}
        (each.base / "input/config/resourceconfig.json").write_text(json.dumps(resources))
    threads = [threading.Thread(target=train, args=pair) for pair in zip(hosts, jobs, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(160)
    for rank, host in enumerate(hosts):
        code, text = outputs[host]
        assert code == 0, text
        assert f"rank {rank} of 2 sums to 3.0" in text
