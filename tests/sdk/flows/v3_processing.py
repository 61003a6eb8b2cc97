"""ScriptProcessor and FrameworkProcessor of SDK v3: inputs, arguments, outputs, logs, the typed resource."""

import pathlib
import tempfile

from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.processing import FrameworkProcessor, ScriptProcessor
from sagemaker.core.resources import ProcessingJob
from sagemaker.core.s3 import S3Downloader
from sagemaker.core.shapes import ProcessingInput, ProcessingOutput, ProcessingS3Input, ProcessingS3Output

SCRIPT = """
import pathlib, sys
import sklearn

base = pathlib.Path("/opt/ml/processing")
text = (base / "input/data.txt").read_text()
(base / "out/upper.txt").write_text(text.upper() + " " + " ".join(sys.argv[1:]))
print("scikit-learn", sklearn.__version__)
"""
FRAMEWORK = """
import pathlib
from neighbour import WORD

pathlib.Path("/opt/ml/processing/out/word.txt").write_text(WORD)
"""

folder = pathlib.Path(tempfile.mkdtemp())
source = folder / "source"
source.mkdir()
(folder / "data.txt").write_text("some text")
(folder / "upper.py").write_text(SCRIPT)
(source / "run.py").write_text(FRAMEWORK)
(source / "neighbour.py").write_text("WORD = 'packed'")
(source / "requirements.txt").write_text("numpy\n")

session = Session()
role = get_execution_role()
bucket = session.default_bucket()
image = image_uris.retrieve("sklearn", session.boto_region_name, version="1.2-1", instance_type="ml.m5.large")
common = {"image_uri": image, "role": role, "instance_type": "ml.m5.large", "instance_count": 1}


def output(uri: str) -> ProcessingOutput:
    target = ProcessingS3Output(s3_uri=uri, local_path="/opt/ml/processing/out", s3_upload_mode="EndOfJob")
    return ProcessingOutput(output_name="out", s3_output=target)


framework = FrameworkProcessor(command=["python3"], **common)
framework.run(
    code="run.py", source_dir=str(source), outputs=[output(f"s3://{bucket}/framework")], wait=False, logs=False
)
data = session.upload_data(str(folder / "data.txt"), key_prefix="data")
script = ScriptProcessor(command=["python3"], **common)
given = ProcessingS3Input(
    s3_uri=data, local_path="/opt/ml/processing/input", s3_data_type="S3Prefix", s3_input_mode="File"
)
script.run(
    code=str(folder / "upper.py"),
    inputs=[ProcessingInput(input_name="data", s3_input=given)],
    outputs=[output(f"s3://{bucket}/script")],
    arguments=["and", "more"],
    wait=True,
    logs=True,
)
assert S3Downloader.read_file(f"s3://{bucket}/script/upper.txt", session) == "SOME TEXT and more"

job = ProcessingJob.get(framework.latest_job.processing_job_name)
job.wait()
assert job.processing_job_status == "Completed", job.failure_reason
assert S3Downloader.read_file(f"s3://{bucket}/framework/word.txt", session) == "packed"
names = {each.processing_job_name for each in ProcessingJob.get_all()}
assert {job.processing_job_name, script.latest_job.processing_job_name} == names
print("FLOW PASSED")
