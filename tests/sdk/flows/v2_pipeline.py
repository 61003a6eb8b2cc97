"""A pipeline of SDK v2: process, train, tune, evaluate, branch, register, make a model, transform; the second run hits the cache."""

import pathlib
import tempfile

import boto3
import sagemaker
from sagemaker.inputs import TrainingInput
from sagemaker.processing import ProcessingInput, ProcessingOutput
from sagemaker.sklearn import SKLearn, SKLearnModel, SKLearnProcessor
from sagemaker.transformer import Transformer
from sagemaker.tuner import ContinuousParameter, HyperparameterTuner
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionGreaterThanOrEqualTo
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.functions import Join, JsonGet
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.parameters import ParameterFloat, ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.properties import PropertyFile
from sagemaker.workflow.steps import CacheConfig, ProcessingStep, TrainingStep, TransformStep, TuningStep

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

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--alpha", type=float, default=1.0)
    given, _ = parser.parse_known_args()
    rows = np.loadtxt(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "train.csv"), delimiter=",")
    model = Ridge(alpha=given.alpha).fit(rows[:300, 1:], rows[:300, 0])
    print("r2=%.6f;" % model.score(rows[300:, 1:], rows[300:, 0]))
    joblib.dump(model, os.path.join(os.environ["SM_MODEL_DIR"], "model.joblib"))


def model_fn(folder):
    return joblib.load(os.path.join(folder, "model.joblib"))
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
for name, text in {"prepare.py": PREPARE, "train.py": TRAIN, "evaluate.py": EVALUATE}.items():
    (folder / name).write_text(text)

session = PipelineSession()
role = sagemaker.get_execution_role()
least = ParameterFloat(name="LeastR2", default_value=0.2)
approval = ParameterString(
    name="Approval", default_value="PendingManualApproval", enum_values=["Approved", "PendingManualApproval"]
)
cached = CacheConfig(enable_caching=True, expire_after="P1D")
common = {
    "role": role,
    "instance_type": "ml.m5.large",
    "instance_count": 1,
    "framework_version": "1.2-1",
    "sagemaker_session": session,
}

processor = SKLearnProcessor(**common, base_job_name="prepare")
prepare = ProcessingStep(
    name="Prepare",
    step_args=processor.run(
        code=str(folder / "prepare.py"),
        outputs=[
            ProcessingOutput(output_name=each, source=f"/opt/ml/processing/out/{each}")
            for each in ("train", "test", "batch")
        ],
    ),
    cache_config=cached,
)
outputs = prepare.properties.ProcessingOutputConfig.Outputs
train_input = {"train": TrainingInput(outputs["train"].S3Output.S3Uri, content_type="text/csv")}
estimator = SKLearn(**{**common, "entry_point": "train.py", "source_dir": str(folder)}, hyperparameters={"alpha": 0.5})
train = TrainingStep(name="Train", step_args=estimator.fit(train_input), cache_config=cached)
tuner = HyperparameterTuner(
    SKLearn(**{**common, "entry_point": "train.py", "source_dir": str(folder)}),
    objective_metric_name="r2",
    hyperparameter_ranges={"alpha": ContinuousParameter(0.001, 1.0, scaling_type="Logarithmic")},
    metric_definitions=[{"Name": "r2", "Regex": "r2=([-0-9.]+);"}],
    max_jobs=2,
    max_parallel_jobs=2,
)
tune = TuningStep(name="Tune", step_args=tuner.fit(train_input), cache_config=cached)
best = tune.get_top_model_s3_uri(top_k=0, s3_bucket=session.default_bucket())
report = PropertyFile(name="Report", output_name="evaluation", path="evaluation.json")
evaluate = ProcessingStep(
    name="Evaluate",
    step_args=SKLearnProcessor(**common, base_job_name="evaluate").run(
        code=str(folder / "evaluate.py"),
        inputs=[
            ProcessingInput(
                source=train.properties.ModelArtifacts.S3ModelArtifacts, destination="/opt/ml/processing/model"
            ),
            ProcessingInput(source=outputs["test"].S3Output.S3Uri, destination="/opt/ml/processing/test"),
        ],
        outputs=[ProcessingOutput(output_name="evaluation", source="/opt/ml/processing/out/evaluation")],
    ),
    property_files=[report],
    cache_config=cached,
)
model = SKLearnModel(
    model_data=train.properties.ModelArtifacts.S3ModelArtifacts,
    role=role,
    entry_point=str(folder / "train.py"),
    framework_version="1.2-1",
    sagemaker_session=session,
)
create = ModelStep(name="Score", step_args=model.create(instance_type="ml.m5.large"))
register = ModelStep(
    name="Keep",
    step_args=model.register(
        content_types=["text/csv"],
        response_types=["text/csv"],
        inference_instances=["ml.m5.large"],
        transform_instances=["ml.m5.large"],
        model_package_group_name="diabetes",
        approval_status=approval,
    ),
)
transformer = Transformer(
    model_name=create.properties.ModelName,
    instance_type="ml.m5.large",
    instance_count=1,
    output_path=Join(on="/", values=["s3:/", session.default_bucket(), "scored"]),
    sagemaker_session=session,
)
transform = TransformStep(
    name="Transform",
    step_args=transformer.transform(outputs["batch"].S3Output.S3Uri, content_type="text/csv", split_type="Line"),
)
condition = ConditionStep(
    name="IsGood",
    conditions=[
        ConditionGreaterThanOrEqualTo(
            left=JsonGet(step_name="Evaluate", property_file=report, json_path="regression_metrics.r2.value"),
            right=least,
        )
    ],
    if_steps=[register, create, transform],
    else_steps=[FailStep(name="Bad", error_message=Join(on=" ", values=["r2 is below", least]))],
)
pipeline = Pipeline(
    name="Diabetes",
    parameters=[least, approval],
    steps=[prepare, train, tune, evaluate, condition],
    sagemaker_session=session,
)
pipeline.upsert(role_arn=role)
execution = pipeline.start()
execution.wait(delay=1, max_attempts=300)
steps = {each["StepName"]: each for each in execution.list_steps()}
assert {each["StepStatus"] for each in steps.values()} == {"Succeeded"}, steps
client = boto3.client("sagemaker")
packages = client.list_model_packages(ModelPackageGroupName="diabetes")["ModelPackageSummaryList"]
assert [each["ModelApprovalStatus"] for each in packages] == ["PendingManualApproval"], packages
s3 = boto3.client("s3")
scored = s3.list_objects_v2(Bucket=session.default_bucket(), Prefix="scored/")["Contents"]
assert [each["Key"] for each in scored] == ["scored/batch.csv.out"], scored
assert steps["IsGood"]["Metadata"]["Condition"]["Outcome"] == "True"
assert execution.describe()["PipelineExperimentConfig"]["ExperimentName"] == "Diabetes"

again = pipeline.start(parameters={"LeastR2": 0.99})
try:
    again.wait(delay=1, max_attempts=300)
except Exception as error:  # the waiter's: it is to fail
    print("as it should:", error)
steps = {each["StepName"]: each for each in again.list_steps()}
for name in ("Prepare", "Train", "Tune", "Evaluate"):
    assert steps[name]["CacheHitResult"]["SourcePipelineExecutionArn"] == execution.arn, steps[name]
assert steps["Bad"]["FailureReason"] == "r2 is below 0.99", steps["Bad"]
assert "Transform" not in steps
pipeline.delete()
print("FLOW PASSED")
