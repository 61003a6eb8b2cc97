"""PyTorch of SDK v2, with an asynchronous endpoint."""

import pathlib
import tempfile

import numpy as np
import sagemaker
from sagemaker.async_inference import AsyncInferenceConfig
from sagemaker.async_inference.waiter_config import WaiterConfig
from sagemaker.deserializers import JSONDeserializer
from sagemaker.pytorch import PyTorch
from sagemaker.serializers import JSONSerializer

SCRIPT = """
import argparse, os, torch

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int)
    given = parser.parse_args()
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 64).unsqueeze(1)
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.3)
    for epoch in range(given.epochs):
        optimizer.zero_grad()
        loss = ((model(x) - (2 * x + 1)) ** 2).mean()
        loss.backward()
        optimizer.step()
    print(f"loss={loss.item():.6f};")
    torch.save(model.state_dict(), os.path.join(os.environ["SM_MODEL_DIR"], "model.pt"))


def model_fn(folder):
    model = torch.nn.Linear(1, 1)
    model.load_state_dict(torch.load(os.path.join(folder, "model.pt")))
    return model


def predict_fn(data, model):
    with torch.no_grad():
        return model(torch.as_tensor(data, dtype=torch.float32)).numpy()
"""

folder = pathlib.Path(tempfile.mkdtemp())
(folder / "train.py").write_text(SCRIPT)
session = sagemaker.Session()
estimator = PyTorch(
    entry_point="train.py",
    source_dir=str(folder),
    role=sagemaker.get_execution_role(),
    framework_version="2.6.0",
    py_version="py312",
    instance_type="ml.m5.large",
    instance_count=1,
    hyperparameters={"epochs": 200},
    metric_definitions=[{"Name": "loss", "Regex": "loss=([0-9.]+);"}],
)
estimator.fit(logs=False)
assert estimator.training_job_analytics.dataframe()["value"].iloc[-1] < 0.01

predictor = estimator.deploy(
    initial_instance_count=1,
    instance_type="ml.m5.large",
    serializer=JSONSerializer(),
    deserializer=JSONDeserializer(),
    async_inference_config=AsyncInferenceConfig(output_path=f"s3://{session.default_bucket()}/answers"),
)
# Its thread that waits for a failure ends with the waiter.
answer = predictor.predict([[0.0], [1.0]], waiter_config=WaiterConfig(max_attempts=10, delay=1))
assert np.allclose(np.ravel(answer), [1, 3], atol=0.1), answer
predictor.delete_endpoint()
print("FLOW PASSED")
