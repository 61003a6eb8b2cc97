"""HyperparameterTuner of SDK v3: a script's search, its best job, analytics, and a warm start."""

import pathlib
import tempfile

from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.parameter import CategoricalParameter, ContinuousParameter, IntegerParameter
from sagemaker.core.resources import TrainingJob
from sagemaker.core.shapes import HyperParameterTuningJobWarmStartConfig, ParentHyperParameterTuningJob
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode
from sagemaker.train.tuner import HyperparameterTuner

SCRIPT = """
import argparse, os

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float)
parser.add_argument("--depth", type=int, default=1)
parser.add_argument("--kind", default="b")
parser.add_argument("--static")
given, _ = parser.parse_known_args()
assert given.static == "s", given
offset = float(open(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "offset.txt")).read())
print("loss=%.6f;" % ((given.rate - offset) ** 2 + given.depth * 0.001 + (given.kind != "b")))
"""
METRICS = [{"Name": "loss", "Regex": "loss=([0-9.]+);"}]

folder = pathlib.Path(tempfile.mkdtemp())
source = folder / "source"
source.mkdir()
(source / "train.py").write_text(SCRIPT)
(folder / "offset.txt").write_text("0.3")
session = Session()
train = InputData(channel_name="train", data_source=session.upload_data(str(folder / "offset.txt"), key_prefix="data"))


def trainer(**hyperparameters):
    """Return a trainer of the script."""
    return ModelTrainer(
        training_image=image_uris.retrieve(
            "sklearn", session.boto_region_name, version="1.2-1", instance_type="ml.m5.large"
        ),
        source_code=SourceCode(source_dir=str(source), entry_script="train.py"),
        role=get_execution_role(),
        compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=5),
        hyperparameters=hyperparameters,
    )


tuner = HyperparameterTuner(
    trainer(static="s"),
    objective_metric_name="loss",
    hyperparameter_ranges={
        "rate": ContinuousParameter(0.01, 1.0, scaling_type="Logarithmic"),
        "depth": IntegerParameter(1, 5),
        "kind": CategoricalParameter(["a", "b"]),
    },
    metric_definitions=METRICS,
    objective_type="Minimize",
    max_jobs=4,
    max_parallel_jobs=2,
    random_seed=1,
)
tuner.tune(inputs=[train], wait=True)
job = tuner.describe()
assert job.hyper_parameter_tuning_job_status == "Completed", job
frame = tuner.analytics().dataframe()
assert len(frame) == 4, frame
best = tuner.best_training_job()
assert best == frame.sort_values("FinalObjectiveValue").iloc[0]["TrainingJobName"], frame
child = TrainingJob.get(best)
assert child.tuning_job_arn == job.hyper_parameter_tuning_job_arn
assert child.hyper_parameters["static"].strip('"') == "s"
assert len(list(job.get_all_training_jobs())) == 4

parent = ParentHyperParameterTuningJob(hyper_parameter_tuning_job_name=job.hyper_parameter_tuning_job_name)
warm = HyperparameterTuner(
    trainer(static="s"),
    "loss",
    tuner._hyperparameter_ranges,
    METRICS,
    objective_type="Minimize",
    max_jobs=2,
    max_parallel_jobs=2,
    warm_start_config=HyperParameterTuningJobWarmStartConfig(
        parent_hyper_parameter_tuning_jobs=[parent], warm_start_type="TransferLearning"
    ),
)
warm.tune(inputs=[train], job_name="warm", wait=True)  # its own names differ by the minute
assert len(warm.analytics().dataframe()) == 2
print("FLOW PASSED")
