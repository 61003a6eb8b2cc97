"""HyperparameterTuner of SDK v2: fit, the best job, analytics, attach, deploy, a warm start, several estimators and Autotune."""

import pathlib
import tempfile

import numpy as np
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
import argparse, joblib, os

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float)
    parser.add_argument("--depth", type=int, default=1)
    parser.add_argument("--kind", default="b")
    parser.add_argument("--static", default="s")
    given, _ = parser.parse_known_args()
    assert given.static == "s", given
    joblib.dump(given.rate, os.path.join(os.environ["SM_MODEL_DIR"], "rate.joblib"))
    print("loss=%.6f;" % ((given.rate - 0.3) ** 2 + given.depth * 0.001 + (given.kind != "b")))


def model_fn(folder):
    return joblib.load(os.path.join(folder, "rate.joblib"))


def predict_fn(values, rate):
    return values * rate
"""

METRICS = [{"Name": "loss", "Regex": "loss=([0-9.]+);"}]
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "train.py").write_text(SCRIPT)
common = {
    "entry_point": "train.py",
    "source_dir": str(folder),
    "role": sagemaker.get_execution_role(),
    "instance_type": "ml.m5.large",
    "framework_version": "1.2-1",
}
estimator = SKLearn(**common, hyperparameters={"static": "s"})
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

attached = HyperparameterTuner.attach(tuner.latest_tuning_job.name)
assert attached.best_training_job() == best
assert attached.estimator.hyperparameters()["static"] == estimator.hyperparameters()["static"]
assert attached.estimator.instance_type == "ml.m5.large"
assert (attached.max_jobs, attached.max_parallel_jobs, attached.objective_metric_name) == (4, 2, "loss")
assert attached.hyperparameter_ranges().keys() == tuner.hyperparameter_ranges().keys()
predictor = attached.deploy(1, "ml.m5.large")
rate = float(frame.set_index("TrainingJobName")["rate"][best])
assert np.allclose(predictor.predict(np.array([[1.0, 2.0]])), [[rate, 2 * rate]])
predictor.delete_endpoint()

start = WarmStartConfig(WarmStartTypes.IDENTICAL_DATA_AND_ALGORITHM, {tuner.latest_tuning_job.name})
warm = HyperparameterTuner(
    estimator, "loss", ranges, METRICS, objective_type="Minimize", max_jobs=2, max_parallel_jobs=2, warm_start_config=start
)  # fmt: skip
warm.fit(wait=True)
overall = warm.describe()["OverallBestTrainingJob"]
assert overall["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] <= frame["FinalObjectiveValue"].min() + 1e-9
transferred = tuner.transfer_learning_tuner(estimator=estimator)
assert transferred.warm_start_config.type is WarmStartTypes.TRANSFER_LEARNING

several = HyperparameterTuner.create(
    estimator_dict={"low": estimator, "high": estimator},
    objective_metric_name_dict={"low": "loss", "high": "loss"},
    hyperparameter_ranges_dict={
        "low": {"rate": ContinuousParameter(0.0, 0.2)}, "high": {"rate": ContinuousParameter(0.25, 0.35)}
    },
    metric_definitions_dict={"low": METRICS, "high": METRICS},
    objective_type="Minimize",
    max_jobs=4,
    max_parallel_jobs=4,
    early_stopping_type="Auto",
    base_tuning_job_name="several",  # the SDK's own names differ by the minute
)  # fmt: skip
several.fit({}, include_cls_metadata={}, wait=True)
assert several.describe()["BestTrainingJob"]["TrainingJobDefinitionName"] == "high"
assert HyperparameterTuner.attach(several.latest_tuning_job.name).best_training_job() == several.best_training_job()
assert set(several.analytics().dataframe()["TrainingJobDefinitionName"]) == {"low", "high"}

automatic = SKLearn(**common, hyperparameters={"static": "s", "rate": 0.25})
tuned = HyperparameterTuner(
    automatic, "loss", None, METRICS, objective_type="Minimize", max_jobs=2, max_parallel_jobs=2, autotune=True,
    base_tuning_job_name="automatic",
)  # fmt: skip
tuned.fit(wait=True)
chosen = tuned.describe()["HyperParameterTuningJobConfig"]["ParameterRanges"]
assert [(each["Name"], each["MinValue"]) for each in chosen["ContinuousParameterRanges"]] == [("rate", "0.025")]
assert len(tuned.analytics().dataframe()) == 2
print("FLOW PASSED")
