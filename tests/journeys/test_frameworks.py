"""The main job with each framework: real data in, a model trained, deployed and asked, its accuracy asserted, on every runner."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.endpoints.served import Served, variant
from tests.journeys import patients
from tests.site import INFERENCE, PYTORCH, SCIKIT_LEARN, XGBOOST, channel, packed
from tests.trained import BOOSTING, SCIKIT_SCRIPT, script_mode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.site import Site

GOOD = 0.93
TORCH_SCRIPT = """
import argparse, os, pathlib
import numpy as np, torch
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
given = parser.parse_args()
torch.manual_seed(0)
file = next(pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]).iterdir())
data = torch.from_numpy(np.loadtxt(file, delimiter=",", dtype=np.float32))
x, y = data[:, 1:], data[:, :1]
class Net(torch.nn.Module):
    def __init__(self, mean, scale):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.layers = torch.nn.Sequential(torch.nn.Linear(30, 16), torch.nn.ReLU(), torch.nn.Linear(16, 1))
    def forward(self, x):
        return torch.sigmoid(self.layers((x - self.mean) / self.scale))
net = Net(x.mean(0), x.std(0))
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for epoch in range(given.epochs):
    optimizer.zero_grad()
    loss = torch.nn.functional.binary_cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
print(f"loss={loss.item():.4f}")
torch.jit.script(net.eval()).save(os.path.join(os.environ["SM_MODEL_DIR"], "model.pth"))
"""


@pytest.fixture
def data(site: Site) -> dict[str, str]:
    """Return the URIs of the data, by format."""
    train, test = patients.split()
    return {
        "train": site.upload({"train.csv": patients.as_csv(train)}),
        "test": site.upload({"test.csv": patients.as_csv(test)}),
        "train.libsvm": site.upload({"train.libsvm": patients.as_libsvm(train)}),
        "test.libsvm": site.upload({"test.libsvm": patients.as_libsvm(test)}),
    }


@pytest.fixture
def served(site: Site) -> Iterator[Served]:
    """Yield a place to deploy to."""
    made = Served(site)
    yield made
    if made.site.sagemaker.list_endpoints(NameContains=made.name)["Endpoints"]:
        made.delete()


def train(site: Site, image: str, channels: list[dict[str, Any]], **members: Any) -> dict[str, Any]:
    """Train an image as it is; give the job's description, which must say Completed."""
    algorithm = {"TrainingImage": image, "TrainingInputMode": "File", **members.pop("algorithm", {})}
    request = site.request(AlgorithmSpecification=algorithm, InputDataConfig=channels, **members)
    site.sagemaker.create_training_job(**request)
    job = site.ended(request["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), site.lines(request["TrainingJobName"]))
    return job


def deploy(served: Served, image: str, artifact: str) -> None:
    """Serve an artifact with an image."""
    container = {"Image": image, "ModelDataUrl": artifact}
    served.deploy(served.config(variant(served.model(container))))


def scores(served: Served, body: str, kind: str = "text/csv") -> list[float]:
    """Ask for one number a row, in CSV."""
    text = served.invoke(body, ContentType=kind, Accept="text/csv")
    return [float(score) for score in text.replace("\n", ",").strip(",").split(",")]


def test_xgboost_built_in_from_csv_and_as_onnx(site: Site, served: Served, data: dict[str, str]) -> None:
    definitions = [{"Name": "validation:error", "Regex": r".*\[[0-9]+\].*#011validation-error:(\S+)"}]
    job = train(
        site,
        XGBOOST,
        [
            channel("train", data["train"], ContentType="text/csv"),
            channel("validation", data["test"], ContentType="csv"),
        ],
        HyperParameters=BOOSTING,
        algorithm={"MetricDefinitions": definitions},
    )
    (metric,) = job["FinalMetricDataList"]
    assert 1 - metric["Value"] >= GOOD
    files = site.artifact(job)
    assert {"xgboost-model", "model.onnx"} <= files.keys()
    _, test = patients.split()
    body = patients.as_csv([row[1:] for row in test])
    # Without its ONNX twin the model is asked through XGBoost itself; then ONNX Runtime must say the same.
    bare = site.upload({"model.tar.gz": packed({"xgboost-model": files["xgboost-model"]})})
    deploy(served, XGBOOST, f"{bare}model.tar.gz")
    by_xgboost = scores(served, body)
    assert patients.accuracy(by_xgboost, test) >= GOOD
    assert abs(patients.accuracy(by_xgboost, test) - (1 - metric["Value"])) < 0.01
    other = Served(site)
    deploy(other, INFERENCE, job["ModelArtifacts"]["S3ModelArtifacts"])
    answer = other.invoke(json.dumps({"instances": patients.features(test)}), ContentType="application/json", Accept="")
    assert by_onnx(json.loads(answer)) == pytest.approx(by_xgboost, abs=1e-4)
    other.delete()


def by_onnx(answer: dict[str, Any]) -> list[float]:
    """Read the ONNX server's answer: a score, or the probabilities of both classes, per row."""
    outputs = []
    for prediction in answer["predictions"]:
        value = prediction
        if isinstance(value, dict):
            value = next(item for name, item in value.items() if "prob" in name.lower())
        while isinstance(value, list):
            value = value[-1]
        outputs.append(float(value))
    return outputs


@pytest.mark.same_on_docker
def test_xgboost_built_in_from_libsvm(site: Site, served: Served, data: dict[str, str]) -> None:
    kinds = {"train": "train.libsvm", "validation": "test.libsvm"}
    channels = [channel(name, data[kind], ContentType="text/libsvm") for name, kind in kinds.items()]
    job = train(site, XGBOOST, channels, HyperParameters=BOOSTING)
    # Nobody asked for metrics: they are the algorithm's own, and Describe shows them.
    assert {"train:error", "validation:error", "validation:auc"} <= {
        entry["Name"] for entry in job["AlgorithmSpecification"]["MetricDefinitions"]
    }
    metrics = {entry["MetricName"]: entry["Value"] for entry in job["FinalMetricDataList"]}
    assert metrics.keys() == {"train:error", "validation:error"}
    assert metrics["train:error"] <= metrics["validation:error"] <= 1 - GOOD
    deploy(served, XGBOOST, job["ModelArtifacts"]["S3ModelArtifacts"])
    _, test = patients.split()
    assert patients.accuracy(scores(served, patients.as_libsvm(test), "text/libsvm"), test) >= GOOD


@pytest.mark.same_on_docker
def test_xgboost_checks_hyperparameters_as_the_real_container(site: Site, data: dict[str, str]) -> None:
    channels = [channel("train", data["train"], ContentType="text/csv")]
    algorithm = {"TrainingImage": XGBOOST, "TrainingInputMode": "File"}
    request = site.request(
        AlgorithmSpecification=algorithm, InputDataConfig=channels, HyperParameters={**BOOSTING, "max_depth": "deep"}
    )
    site.sagemaker.create_training_job(**request)
    job = site.ended(request["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: "), job["FailureReason"]
    assert "max_depth" in job["FailureReason"]


def test_scikit_learn_script_mode_and_as_onnx(site: Site, served: Served, data: dict[str, str]) -> None:
    definitions = [{"Name": "accuracy", "Regex": "accuracy=([0-9.]+)"}]
    job = train(
        site,
        SCIKIT_LEARN,
        [channel("train", data["train"]), channel("test", data["test"])],
        HyperParameters=script_mode(site, SCIKIT_SCRIPT, strength=0.5),
        algorithm={"MetricDefinitions": definitions},
    )
    assert job["FinalMetricDataList"][0]["Value"] >= GOOD
    assert {"model.joblib", "model.onnx"} <= site.artifact(job).keys()
    artifact = job["ModelArtifacts"]["S3ModelArtifacts"]
    base = artifact.removesuffix("model.tar.gz")
    expected = json.loads(site.archive(f"{base}output.tar.gz")["expected.json"])
    _, test = patients.split()
    deploy(served, SCIKIT_LEARN, artifact)
    text = served.invoke(patients.as_csv([row[1:] for row in test]), ContentType="text/csv", Accept="text/csv")
    labels = [float(line.split(",")[0]) for line in text.splitlines()]  # then come the probabilities
    assert patients.accuracy(labels, test) >= GOOD
    other = Served(site)
    deploy(other, INFERENCE, artifact)
    answer = other.invoke(json.dumps({"instances": patients.features(test)}), ContentType="application/json", Accept="")
    assert by_onnx(json.loads(answer)) == pytest.approx(expected, abs=1e-4)
    other.delete()


def test_pytorch_script_mode(site: Site, served: Served, data: dict[str, str]) -> None:
    job = train(
        site, PYTORCH, [channel("train", data["train"])], HyperParameters=script_mode(site, TORCH_SCRIPT, epochs=150)
    )
    deploy(served, PYTORCH.replace("training", "inference"), job["ModelArtifacts"]["S3ModelArtifacts"])
    _, test = patients.split()
    answer = served.invoke(
        json.dumps(patients.features(test)), ContentType="application/json", Accept="application/json"
    )
    assert patients.accuracy([row[0] for row in json.loads(answer)], test) >= GOOD


@pytest.mark.same_on_docker
def test_a_script_that_fails_is_named_in_the_reason(site: Site) -> None:
    script = "import sys\nprint('before')\nraise ValueError('column 7 is missing')"
    algorithm = {"TrainingImage": SCIKIT_LEARN, "TrainingInputMode": "File"}
    request = site.request(AlgorithmSpecification=algorithm, HyperParameters=script_mode(site, script))
    site.sagemaker.create_training_job(**request)
    job = site.ended(request["TrainingJobName"])
    reason = job["FailureReason"]
    assert reason.startswith("AlgorithmError: ExecuteUserScriptError:"), reason
    assert "column 7 is missing" in reason
    assert reason.endswith("exit code: 1")
    assert "before" in site.lines(request["TrainingJobName"])
