"""HyperparameterTuner of SDK v2: fit, the best job, analytics, a warm start."""

import pathlib
import tempfile

import sagemaker
from sagemaker.sklearn import SKLearn
from sagemaker.tuner import (
    CategoricalParameter,
    ContinuousParameter,
    HyperparameterTuner,
    IntegerParameter,
    WarmStartConfig,
    WarmStartTypes,
)

SCRIPT = """
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float)
parser.add_argument("--depth", type=int)
parser.add_argument("--kind")
parser.add_argument("--static")
given, _ = parser.parse_known_args()
assert given.static == "s", given
print("loss=%.6f;" % ((given.rate - 0.3) ** 2 + given.depth * 0.001 + (given.kind != "b")))
"""

METRICS = [{"Name": "loss", "Regex": "loss=([0-9.]+);"}]
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "train.py").write_text(SCRIPT)
estimator = SKLearn(
    entry_point="train.py",
    source_dir=str(folder),
    role=sagemaker.get_execution_role(),
    instance_type="ml.m5.large",
    framework_version="1.2-1",
    hyperparameters={"static": "s"},
)
ranges = {
    "rate": ContinuousParameter(0.01, 1.0, scaling_type="Logarithmic"),
    "depth": IntegerParameter(1, 5),
    "kind": CategoricalParameter(["a", "b"]),
}
tuner = HyperparameterTuner(
    estimator,
    objective_metric_name="loss",
    hyperparameter_ranges=ranges,
    metric_definitions=METRICS,
    objective_type="Minimize",
    max_jobs=4,
    max_parallel_jobs=2,
    base_tuning_job_name="tuned",
    random_seed=1,
)
tuner.fit()
tuner.wait()
description = tuner.describe()
assert description["HyperParameterTuningJobStatus"] == "Completed", description
frame = tuner.analytics().dataframe()
assert len(frame) == 4, frame
assert set(ranges) <= set(frame.columns), frame.columns
best = tuner.best_training_job()
assert best == frame.sort_values("FinalObjectiveValue").iloc[0]["TrainingJobName"], frame
assert tuner.best_estimator().latest_training_job.name == best
assert tuner.analytics().tuning_ranges["rate"]["ScalingType"] == "Logarithmic"

start = WarmStartConfig(WarmStartTypes.IDENTICAL_DATA_AND_ALGORITHM, {tuner.latest_tuning_job.name})
warm = HyperparameterTuner(
    estimator, "loss", ranges, METRICS, objective_type="Minimize", max_jobs=2, max_parallel_jobs=2, warm_start_config=start
)  # fmt: skip
warm.fit(wait=True)
overall = warm.describe()["OverallBestTrainingJob"]
assert overall["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] <= frame["FinalObjectiveValue"].min() + 1e-9
print("FLOW PASSED")
