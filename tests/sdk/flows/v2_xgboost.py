"""XGBoost of SDK v2: the built-in algorithm through the generic Estimator, its batch transforms, and a script of one's own."""

import os
import pathlib
import tempfile

import numpy as np
import sagemaker
from sagemaker import image_uris
from sagemaker.amazon.common import RecordSerializer
from sagemaker.deserializers import CSVDeserializer
from sagemaker.estimator import Estimator
from sagemaker.exceptions import UnexpectedStatusException
from sagemaker.inputs import TrainingInput
from sagemaker.s3 import S3Uploader
from sagemaker.serializers import CSVSerializer, LibSVMSerializer
from sagemaker.transformer import Transformer
from sagemaker.xgboost import XGBoost

SCRIPT = """
import argparse, os, numpy as np, xgboost as xgb

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int)
given = parser.parse_args()
data = np.loadtxt(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "train.csv"), delimiter=",")
matrix = xgb.DMatrix(data[:, 1:], data[:, 0])
model = xgb.train({"objective": "binary:logistic"}, matrix, given.rounds)
model.save_model(os.path.join(os.environ["SM_MODEL_DIR"], "xgboost-model.json"))
print("trained", given.rounds)
"""

folder = pathlib.Path(tempfile.mkdtemp())
random = np.random.default_rng(0)
x = random.normal(size=(600, 4))
y = (x[:, 0] * x[:, 1] > 0).astype(int)
np.savetxt(folder / "train.csv", np.column_stack([y, x]), delimiter=",")
(folder / "train.py").write_text(SCRIPT)

session = sagemaker.Session()
role = sagemaker.get_execution_role()
train = TrainingInput(session.upload_data(str(folder / "train.csv"), key_prefix="xgb"), content_type="text/csv")

builtin = Estimator(
    image_uris.retrieve("xgboost", session.boto_region_name, version="1.7-1"),
    role,
    instance_count=1,
    instance_type="ml.m5.large",
    hyperparameters={"objective": "binary:logistic", "num_round": 30},
)
builtin.fit({"train": train}, logs=False)


def transform(name, body, kind, split_type, **members):
    """Begin a job over one object, as an SDK's serializer wrote it."""
    file = folder / name
    file.write_bytes(body if isinstance(body, bytes) else body.encode())
    made = Transformer(model.name, 1, "ml.m5.large", **{"strategy": "MultiRecord", **members})
    uri = S3Uploader.upload(str(file), f"s3://{session.default_bucket()}/transform/{name}-in")
    made.transform(uri, content_type=kind, split_type=split_type, wait=False)
    return made


model = builtin.create_model()
model.create("ml.m5.large")
libsvm_lines = "\n".join(" ".join(f"{index}:{value}" for index, value in enumerate(row)) for row in x[:50])
begun = {
    "rows.libsvm": transform(
        "rows.libsvm", LibSVMSerializer().serialize(libsvm_lines), "text/libsvm", "Line", accept="text/csv", assemble_with="Line"
    ),
    "rows.pb": transform(
        "rows.pb", RecordSerializer().serialize(x[:50]).read(), "application/x-recordio-protobuf", "RecordIO",
        accept="application/jsonlines", assemble_with="Line",
    ),
    "rows.csv": transform("rows.csv", CSVSerializer().serialize(x[:50]), "text/csv", "Line", accept="application/jsonlines"),
}  # fmt: skip
bad = transform("bad.libsvm", "1:0.5\nno features at all\n", "text/libsvm", "Line", strategy="SingleRecord")
long = transform(
    "long.csv", CSVSerializer().serialize(np.tile(x, (500, 1))), "text/csv", "Line", strategy="SingleRecord"
)
long.stop_transform_job(wait=False)

predictor = builtin.deploy(
    initial_instance_count=1, instance_type="ml.m5.large", serializer=CSVSerializer(), deserializer=CSVDeserializer()
)
scores = np.array(predictor.predict(x[:50]), dtype=float).ravel()
assert ((scores > 0.5) == y[:50]).mean() > 0.9, scores
predictor.serializer = LibSVMSerializer()
line = " ".join(f"{index}:{value}" for index, value in enumerate(x[0]))
assert abs(float(np.ravel(predictor.predict(line))[0]) - scores[0]) < 1e-4
predictor.delete_endpoint()

stopped = session.sagemaker_client.describe_transform_job(TransformJobName=long.latest_transform_job.name)
assert stopped["TransformJobStatus"] == "Stopped", stopped
for name, transformer in begun.items():
    transformer.wait(logs=False)
    text = session.read_s3_file(session.default_bucket(), f"{transformer.output_path.split('/', 3)[3]}/{name}.out")
    got = [float(line) for line in text.splitlines()]
    assert np.allclose(got, scores, atol=1e-4), (name, got)
try:
    bad.wait(logs=False)
except UnexpectedStatusException as error:
    assert "See job logs" in str(error), error
else:
    raise AssertionError("a record that is none was transformed")

script = XGBoost(
    entry_point="train.py",
    source_dir=str(folder),
    framework_version="1.7-1",
    role=role,
    instance_type="ml.m5.large",
    instance_count=1,
    hyperparameters={"rounds": 5},
)
script.fit({"train": train}, logs=False)
assert script.model_data.startswith(f"s3://{session.default_bucket()}/")
print("FLOW PASSED")
