"""A pipeline of SDK v3: process, train, tune, evaluate, branch, register, make a model, transform; the second run hits the cache."""

import pathlib
import tempfile

import boto3
from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import get_execution_role
from sagemaker.core.parameter import ContinuousParameter
from sagemaker.core.processing import ScriptProcessor
from sagemaker.core.shapes import ProcessingInput, ProcessingOutput, ProcessingS3Input, ProcessingS3Output
from sagemaker.core.transformer import Transformer
from sagemaker.core.workflow.conditions import ConditionGreaterThanOrEqualTo
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterFloat
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import CacheConfig, ProcessingStep, TrainingStep, TransformStep, TuningStep
from sagemaker.serve import ModelBuilder
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode
from sagemaker.train.tuner import HyperparameterTuner

PREPARE = """
import pathlib
import numpy as np
from sklearn.datasets import load_diabetes

x, y = load_diabetes(return_X_y=True)
rows = np.column_stack([y, x])
root = pathlib.Path("/opt/ml/processing/out")
np.savetxt(root / "train" / "train.csv", rows[:350], delimiter=",")
np.savetxt(root / "test" / "test.csv", rows[350:], delimiter=",")
np.savetxt(root / "batch" / "batch.csv", rows[350:, 1:], delimiter=",")
"""
TRAIN = """
import argparse, os
import joblib, numpy as np
from sklearn.linear_model import Ridge

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float, default=1.0)
given, _ = parser.parse_known_args()
rows = np.loadtxt(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "train.csv"), delimiter=",")
model = Ridge(alpha=given.alpha).fit(rows[:300, 1:], rows[:300, 0])
print("r2=%.6f;" % model.score(rows[300:, 1:], rows[300:, 0]))
joblib.dump(model, os.path.join(os.environ["SM_MODEL_DIR"], "model.joblib"))
os.makedirs(os.path.join(os.environ["SM_MODEL_DIR"], "code"), exist_ok=True)
with open(os.path.join(os.environ["SM_MODEL_DIR"], "code", "inference.py"), "w") as file:
    file.write('''
import joblib, os
def model_fn(folder):
    return joblib.load(os.path.join(folder, "model.joblib"))
''')
"""
EVALUATE = """
import json, pathlib, tarfile
import joblib, numpy as np

with tarfile.open("/opt/ml/processing/model/model.tar.gz") as packed:
    packed.extract("model.joblib", "/tmp")
rows = np.loadtxt("/opt/ml/processing/test/test.csv", delimiter=",")
r2 = joblib.load("/tmp/model.joblib").score(rows[:, 1:], rows[:, 0])
report = {"regression_metrics": {"r2": {"value": r2}}}
pathlib.Path("/opt/ml/processing/out/evaluation/evaluation.json").write_text(json.dumps(report))
"""
folder = pathlib.Path(tempfile.mkdtemp())
source = folder / "source"
source.mkdir()
(folder / "prepare.py").write_text(PREPARE)
(folder / "evaluate.py").write_text(EVALUATE)
(source / "train.py").write_text(TRAIN)

session = PipelineSession()
role, bucket = get_execution_role(), session.default_bucket()
image = image_uris.retrieve("sklearn", session.boto_region_name, version="1.2-1", instance_type="ml.m5.large")
cached = CacheConfig(enable_caching=True, expire_after="P1D")
least = ParameterFloat(name="LeastR2", default_value=0.2)


def output(name: str) -> ProcessingOutput:
    target = ProcessingS3Output(
        s3_uri=f"s3://{bucket}/pipeline/{name}", local_path=f"/opt/ml/processing/out/{name}", s3_upload_mode="EndOfJob"
    )
    return ProcessingOutput(output_name=name, s3_output=target)


def given(name: str, uri: object) -> ProcessingInput:
    place = ProcessingS3Input(
        s3_uri=uri, local_path=f"/opt/ml/processing/{name}", s3_data_type="S3Prefix", s3_input_mode="File"
    )
    return ProcessingInput(input_name=name, s3_input=place)


def processor() -> ScriptProcessor:
    return ScriptProcessor(
        image_uri=image,
        command=["python3"],
        role=role,
        instance_type="ml.m5.large",
        instance_count=1,
        sagemaker_session=session,
    )


def trainer(**hyperparameters: float) -> ModelTrainer:
    return ModelTrainer(
        training_image=image,
        source_code=SourceCode(source_dir=str(source), entry_script="train.py"),
        role=role,
        compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=5),
        hyperparameters=hyperparameters,
        sagemaker_session=session,
        base_job_name="train",
    )


prepare = ProcessingStep(
    name="Prepare",
    step_args=processor().run(
        code=str(folder / "prepare.py"), outputs=[output(each) for each in ("train", "test", "batch")]
    ),
    cache_config=cached,
)
outputs = prepare.properties.ProcessingOutputConfig.Outputs
channel = InputData(channel_name="train", data_source=outputs["train"].S3Output.S3Uri)
train = TrainingStep(name="Train", step_args=trainer(alpha=0.5).train(input_data_config=[channel]), cache_config=cached)
tuner = HyperparameterTuner(
    trainer(),
    objective_metric_name="r2",
    hyperparameter_ranges={"alpha": ContinuousParameter(0.001, 1.0, scaling_type="Logarithmic")},
    metric_definitions=[{"Name": "r2", "Regex": "r2=([-0-9.]+);"}],
    max_jobs=2,
    max_parallel_jobs=2,
)
tune = TuningStep(name="Tune", step_args=tuner.tune(inputs=[channel]), cache_config=cached)
report = PropertyFile(name="Report", output_name="evaluation", path="evaluation.json")
evaluate = ProcessingStep(
    name="Evaluate",
    step_args=processor().run(
        code=str(folder / "evaluate.py"),
        inputs=[
            given("model", train.properties.ModelArtifacts.S3ModelArtifacts),
            given("test", outputs["test"].S3Output.S3Uri),
        ],
        outputs=[output("evaluation")],
    ),
    property_files=[report],
    cache_config=cached,
)
variables = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
builder = ModelBuilder(
    s3_model_data_url=train.properties.ModelArtifacts.S3ModelArtifacts,
    image_uri=image,
    env_vars=variables,
    role_arn=role,
    sagemaker_session=session,
)
create = ModelStep(name="Score", step_args=builder.build())
register = ModelStep(
    name="Keep",
    step_args=builder.register(
        model_package_group_name="diabetes",
        content_types=["text/csv"],
        response_types=["text/csv"],
        inference_instances=["ml.m5.large"],
        approval_status="PendingManualApproval",
    ),
)
transformer = Transformer(
    model_name=create.properties.ModelName,
    instance_type="ml.m5.large",
    instance_count=1,
    output_path=f"s3://{bucket}/scored",
    sagemaker_session=session,
)
transform = TransformStep(
    name="Transform",
    step_args=transformer.transform(outputs["batch"].S3Output.S3Uri, content_type="text/csv", split_type="Line"),
)
good = ConditionGreaterThanOrEqualTo(
    left=JsonGet(step_name="Evaluate", property_file=report, json_path="regression_metrics.r2.value"), right=least
)
condition = ConditionStep(
    name="IsGood",
    conditions=[good],
    if_steps=[register, create, transform],
    else_steps=[FailStep(name="Bad", error_message=Join(on=" ", values=["r2 is below", least]))],
)
pipeline = Pipeline(
    name="DiabetesV3", parameters=[least], steps=[prepare, train, tune, evaluate, condition], sagemaker_session=session
)
pipeline.upsert(role_arn=role)
execution = pipeline.start()
execution.wait(delay=1, max_attempts=300)
steps = {each["StepName"]: each for each in execution.list_steps()}
assert {each["StepStatus"] for each in steps.values()} == {"Succeeded"}, steps
assert len(steps) == 8, steps
packages = boto3.client("sagemaker").list_model_packages(ModelPackageGroupName="diabetes")["ModelPackageSummaryList"]
assert [each["ModelApprovalStatus"] for each in packages] == ["PendingManualApproval"], packages
scored = boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix="scored/")["Contents"]
assert [each["Key"] for each in scored] == ["scored/batch.csv.out"], scored

again = pipeline.start(parameters={"LeastR2": 0.99})
try:
    again.wait(delay=1, max_attempts=300)
except Exception as error:  # the waiter's: it is to fail
    print("as it should:", error)
steps = {each["StepName"]: each for each in again.list_steps()}
for name in ("Prepare", "Train", "Tune", "Evaluate"):
    assert steps[name]["CacheHitResult"]["SourcePipelineExecutionArn"] == execution.arn, steps[name]
assert steps["Bad"]["FailureReason"] == "r2 is below 0.99", steps["Bad"]
pipeline.delete()
print("FLOW PASSED")
