"""ModelTrainer of SDK v3: a script with a requirement of its own drivers, and two processes under torchrun."""

import os
import pathlib
import tempfile

import numpy as np
from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import TrainingJob
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode
from sagemaker.train.distributed import Torchrun

SCRIPT = """
import argparse, os, joblib, numpy as np
from sklearn.linear_model import LogisticRegression

parser = argparse.ArgumentParser()
parser.add_argument("--strength", type=float, default=1.0)
given = parser.parse_args()
data = np.loadtxt(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "train.csv"), delimiter=",")
model = LogisticRegression(C=given.strength).fit(data[:, 1:], data[:, 0])
print("accuracy=%.3f;" % model.score(data[:, 1:], data[:, 0]))
joblib.dump(model, os.path.join(os.environ["SM_MODEL_DIR"], "model.joblib"))
"""
DISTRIBUTED = """
import os, torch, torch.distributed as dist

dist.init_process_group("gloo")
total = torch.tensor([dist.get_rank() + 1.0])
dist.all_reduce(total)
assert dist.get_world_size() == 2 and total.item() == 3
if dist.get_rank() == 0:
    with open(os.path.join(os.environ["SM_MODEL_DIR"], "total.txt"), "w") as file:
        file.write(str(total.item()))
dist.destroy_process_group()
"""

folder = pathlib.Path(tempfile.mkdtemp())
source = folder / "source"
source.mkdir()
random = np.random.default_rng(0)
x = random.normal(size=(400, 4))
np.savetxt(folder / "train.csv", np.column_stack([x[:, 0] + x[:, 1] > 0, x]), delimiter=",")
(source / "train.py").write_text(SCRIPT)
(source / "distributed.py").write_text(DISTRIBUTED)

session = Session()
role = get_execution_role()
assert session.default_bucket() == f"sagemaker-{session.boto_region_name}-{os.environ['AWS_ACCESS_KEY_ID']}"
train = session.upload_data(str(folder / "train.csv"), key_prefix="data")
compute = Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=5)

trainer = ModelTrainer(
    training_image=image_uris.retrieve(
        "sklearn", session.boto_region_name, version="1.2-1", instance_type="ml.m5.large"
    ),
    source_code=SourceCode(source_dir=str(source), entry_script="train.py"),
    role=role,
    compute=compute,
    hyperparameters={"strength": 0.5},
)
trainer.train(input_data_config=[InputData(channel_name="train", data_source=train)], wait=True, logs=True)
job = TrainingJob.get(trainer._latest_training_job.training_job_name)
assert job.training_job_status == "Completed"
assert job.model_artifacts.s3_model_artifacts.endswith("model.tar.gz")
assert job.training_job_name in {each.training_job_name for each in TrainingJob.get_all()}

distributed = ModelTrainer(
    training_image=image_uris.retrieve(
        "pytorch",
        session.boto_region_name,
        version="2.6.0",
        py_version="py312",
        instance_type="ml.m5.large",
        image_scope="training",
    ),
    source_code=SourceCode(source_dir=str(source), entry_script="distributed.py"),
    role=role,
    compute=compute,
    distributed=Torchrun(process_count_per_node=2),
)
distributed.train(wait=True, logs=False)
assert TrainingJob.get(distributed._latest_training_job.training_job_name).training_job_status == "Completed"
print("FLOW PASSED")
