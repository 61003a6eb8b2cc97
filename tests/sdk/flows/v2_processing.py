"""SKLearnProcessor, ScriptProcessor and FrameworkProcessor of SDK v2: inputs, arguments, outputs, logs, a failure."""

import os
import pathlib
import tempfile

import sagemaker
from sagemaker import image_uris
from sagemaker.exceptions import UnexpectedStatusException
from sagemaker.processing import FrameworkProcessor, ProcessingInput, ProcessingOutput, ScriptProcessor
from sagemaker.s3 import S3Downloader
from sagemaker.sklearn import SKLearn
from sagemaker.sklearn.processing import SKLearnProcessor

SPLIT = """
import argparse, pathlib
import numpy as np
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--test-share", type=float)
given = parser.parse_args()
base = pathlib.Path("/opt/ml/processing")
data = np.loadtxt(base / "input/data.csv", delimiter=",")
train, test = train_test_split(data, test_size=given.test_share, random_state=0)
np.savetxt(base / "train/train.csv", train, delimiter=",")
np.savetxt(base / "test/test.csv", test, delimiter=",")
print("split into", len(train), len(test))
"""
FRAMEWORK = """
import pathlib, sys
from neighbour import WORD

pathlib.Path("/opt/ml/processing/out/word.txt").write_text(WORD + " " + " ".join(sys.argv[1:]))
"""

folder = pathlib.Path(tempfile.mkdtemp())
source = folder / "source"
source.mkdir()
(folder / "data.csv").write_text("\n".join(f"{n},{n % 3}" for n in range(40)))
(folder / "split.py").write_text(SPLIT)
(folder / "fail.py").write_text("import sys; sys.exit(3)")
(source / "run.py").write_text(FRAMEWORK)
(source / "neighbour.py").write_text("WORD = 'packed'")
(source / "requirements.txt").write_text("numpy\n")

session = sagemaker.Session()
role = sagemaker.get_execution_role()
common = {"role": role, "instance_type": "ml.m5.large", "instance_count": 1}

framework = FrameworkProcessor(estimator_cls=SKLearn, framework_version="1.2-1", **common)
framework.run(
    code="run.py",
    source_dir=str(source),
    arguments=["with", "two words"],
    outputs=[ProcessingOutput(output_name="out", source="/opt/ml/processing/out")],
    wait=False,
)
image = image_uris.retrieve("sklearn", session.boto_region_name, version="1.2-1")
failing = ScriptProcessor(image_uri=image, command=["python3"], **common)
failing.run(code=str(folder / "fail.py"), wait=False)

processor = SKLearnProcessor(framework_version="1.2-1", **common)
processor.run(
    code=str(folder / "split.py"),
    inputs=[ProcessingInput(source=str(folder / "data.csv"), destination="/opt/ml/processing/input")],
    outputs=[
        ProcessingOutput(output_name="train", source="/opt/ml/processing/train"),
        ProcessingOutput(output_name="test", source="/opt/ml/processing/test", s3_upload_mode="Continuous"),
    ],
    arguments=["--test-share", "0.25"],
    experiment_config={"ExperimentName": "experiment", "TrialName": "trial"},
)
described = processor.latest_job.describe()
assert described["ProcessingJobStatus"] == "Completed"
outputs = {each["OutputName"]: each["S3Output"] for each in described["ProcessingOutputConfig"]["Outputs"]}
assert len(S3Downloader.read_file(f"{outputs['train']['S3Uri']}/train.csv").splitlines()) == 30
assert len(S3Downloader.read_file(f"{outputs['test']['S3Uri']}/test.csv").splitlines()) == 10
assert outputs["test"]["S3UploadMode"] == "Continuous"

framework.latest_job.wait(logs=False)
out = framework.latest_job.describe()["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
assert S3Downloader.read_file(f"{out}/word.txt") == "packed with two words"
try:
    failing.latest_job.wait(logs=False)
except UnexpectedStatusException as error:
    assert "AlgorithmError: See job logs for more information" in str(error)
else:
    raise AssertionError("it has failed")
assert os.environ["AWS_ACCESS_KEY_ID"] in described["ProcessingJobArn"]
print("FLOW PASSED")
