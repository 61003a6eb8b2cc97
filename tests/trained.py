"""The first trained artifacts of a test run: a model of scikit-learn, one of XGBoost and its twin in ONNX, on the data of examples/.

Two training jobs on the session's server make them; whoever needs a trained model and not its training asks for the fixture `artifacts`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.journeys import patients
from tests.site import INFERENCE, SCIKIT_LEARN, XGBOOST, channel, packed

if TYPE_CHECKING:
    from tests.site import Site

BOOSTING = {"objective": "binary:logistic", "num_round": "40", "max_depth": "4", "eval_metric": "error"}
SCIKIT_SCRIPT = """
import argparse, json, os, pathlib
import joblib, numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
parser = argparse.ArgumentParser()
parser.add_argument("--strength", type=float)
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
parser.add_argument("--test", default=os.environ["SM_CHANNEL_TEST"])
given = parser.parse_args()
read = lambda folder: np.loadtxt(next(pathlib.Path(folder).iterdir()), delimiter=",", dtype=np.float32)
train, test = read(given.train), read(given.test)
model = make_pipeline(StandardScaler(), LogisticRegression(C=given.strength, max_iter=1000))
model.fit(train[:, 1:], train[:, 0].astype(int))
print(f"accuracy={model.score(test[:, 1:], test[:, 0].astype(int)):.4f}")
joblib.dump(model, os.path.join(given.model_dir, "model.joblib"))
out = pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"])
(out / "expected.json").write_text(json.dumps(model.predict_proba(test[:, 1:])[:, 1].tolist()))
"""


@dataclass(frozen=True)
class Artifact:
    """What a training job left. `image` serves `files`; `scores`: of the test patients, as the library said them in the job."""

    image: str
    files: dict[str, bytes]
    scores: list[float] | None = None

    def model(self, site: Site, name: str) -> str:
        """Create a model of it in an account; return its name."""
        uri = site.upload({"model.tar.gz": packed(self.files)})
        container = {"Image": self.image, "ModelDataUrl": f"{uri}model.tar.gz"}
        site.sagemaker.create_model(ModelName=name, ExecutionRoleArn=site.role, PrimaryContainer=container)
        return name


def train(site: Site) -> dict[str, Artifact]:
    """Train at once; return the artifacts by name."""
    tables = dict(zip(("train", "test"), map(patients.as_csv, patients.split()), strict=True))
    data = {name: site.upload({f"{name}.csv": table}) for name, table in tables.items()}
    boosting = [channel("train", data["train"], ContentType="text/csv")]
    script = [channel(name, uri) for name, uri in data.items()]
    jobs = {
        "xgboost": _begun(site, XGBOOST, boosting, BOOSTING),
        "scikit-learn": _begun(site, SCIKIT_LEARN, script, script_mode(site, SCIKIT_SCRIPT, strength=0.5)),
    }
    ended = {name: site.ended(job) for name, job in jobs.items()}
    assert {job["TrainingJobStatus"] for job in ended.values()} == {"Completed"}, ended
    booster, estimator = (site.artifact(ended[name]) for name in ("xgboost", "scikit-learn"))
    output = ended["scikit-learn"]["ModelArtifacts"]["S3ModelArtifacts"].replace("model.tar.gz", "output.tar.gz")
    scores = json.loads(site.archive(output)["expected.json"])
    return {
        "xgboost": Artifact(XGBOOST, {"xgboost-model": booster["xgboost-model"]}),
        "onnx": Artifact(INFERENCE, {"model.onnx": booster["model.onnx"]}),
        "scikit-learn": Artifact(SCIKIT_LEARN, {"model.joblib": estimator["model.joblib"]}, scores),
    }


def _begun(site: Site, image: str, channels: list[dict[str, Any]], hyperparameters: dict[str, str]) -> str:
    algorithm = {"TrainingImage": image, "TrainingInputMode": "File"}
    request = site.request(AlgorithmSpecification=algorithm, InputDataConfig=channels, HyperParameters=hyperparameters)
    site.sagemaker.create_training_job(**request)
    return str(request["TrainingJobName"])


def script_mode(site: Site, script: str, **hyperparameters: Any) -> dict[str, str]:
    """Return the hyperparameters by which the SDKs submit a script: every value is JSON."""
    code = site.upload({"sourcedir.tar.gz": packed({"train.py": script})})
    given = {"sagemaker_program": "train.py", "sagemaker_submit_directory": f"{code}sourcedir.tar.gz"}
    return {name: json.dumps(value) for name, value in {**given, **hyperparameters}.items()}
