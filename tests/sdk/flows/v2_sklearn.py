"""SKLearn of SDK v2: fit, metrics, deploy, predict with every serializer, logs, delete."""

import os
import pathlib
import tempfile

import numpy as np
import sagemaker
from sagemaker.deserializers import CSVDeserializer, JSONDeserializer, StringDeserializer
from sagemaker.serializers import CSVSerializer, IdentitySerializer, JSONSerializer
from sagemaker.sklearn import SKLearn

SCRIPT = """
import argparse, os, joblib, numpy as np
from sklearn.linear_model import LogisticRegression

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--strength", type=float, default=1.0)
    given = parser.parse_args()
    data = np.loadtxt(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "train.csv"), delimiter=",")
    model = LogisticRegression(C=given.strength).fit(data[:, 1:], data[:, 0])
    print("accuracy=%.3f;" % model.score(data[:, 1:], data[:, 0]))
    joblib.dump(model, os.path.join(os.environ["SM_MODEL_DIR"], "model.joblib"))


def model_fn(folder):
    return joblib.load(os.path.join(folder, "model.joblib"))
"""

folder = pathlib.Path(tempfile.mkdtemp())
random = np.random.default_rng(0)
x = random.normal(size=(400, 4))
x = x[abs(x[:, 0] + x[:, 1]) > 0.3]
y = (x[:, 0] + x[:, 1] > 0).astype(int)
np.savetxt(folder / "train.csv", np.column_stack([y, x]), delimiter=",")
(folder / "train.py").write_text(SCRIPT)

session = sagemaker.Session()
role = sagemaker.get_execution_role()
assert session.default_bucket() == f"sagemaker-{session.boto_region_name}-{os.environ['AWS_ACCESS_KEY_ID']}"
train = session.upload_data(str(folder / "train.csv"), key_prefix="data")

estimator = SKLearn(
    entry_point="train.py",
    source_dir=str(folder),
    role=role,
    instance_type="ml.m5.large",
    framework_version="1.2-1",
    hyperparameters={"strength": 0.5},
    metric_definitions=[{"Name": "accuracy", "Regex": "accuracy=([0-9.]+);"}],
)
estimator.fit({"train": train})
frame = estimator.training_job_analytics.dataframe()
assert frame["value"].iloc[-1] > 0.9, frame

(folder / "rows.csv").write_text("\n".join(f"id{n}," + ",".join(map(str, row)) for n, row in enumerate(x[:20])))
rows = session.upload_data(str(folder / "rows.csv"), key_prefix="rows")
transformer = estimator.transformer(1, "ml.m5.large", strategy="MultiRecord", assemble_with="Line", accept="text/csv")
transformer.transform(
    rows,
    content_type="text/csv",
    split_type="Line",
    input_filter="$[1:]",
    join_source="Input",
    output_filter="$[0,-1]",
    wait=True,
    logs=True,
)
scored = session.read_s3_file(session.default_bucket(), f"{transformer.output_path.split('/', 3)[3]}/rows.csv.out")
assert [(line.split(",")[0], int(float(line.split(",")[1]))) for line in scored.splitlines()] == [
    (f"id{n}", value) for n, value in enumerate(y[:20].tolist())
], scored

predictor = estimator.deploy(initial_instance_count=1, instance_type="ml.m5.large")
expected = y[:8].tolist()
assert predictor.predict(x[:8]).astype(int).tolist() == expected  # NumpySerializer, the framework's default
predictor.serializer, predictor.deserializer = JSONSerializer(), JSONDeserializer()
assert [int(value) for value in predictor.predict(x[:8].tolist())] == expected
predictor.serializer, predictor.deserializer = CSVSerializer(), CSVDeserializer()
assert [int(float(value)) for value in np.ravel(predictor.predict(x[:8]))] == expected

predictor.serializer, predictor.deserializer = IdentitySerializer("text/csv"), StringDeserializer()
two = "\n".join(",".join(map(str, row)) for row in x[:2])  # the image's own input_fn takes a lone row for a column
assert float(predictor.predict(two).strip().strip("[]").split(",")[0]) == expected[0]

predictor.delete_endpoint()
session.logs_for_job(estimator.latest_training_job.name)
print("FLOW PASSED")
