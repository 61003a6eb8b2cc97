"""@remote of SDK v2: a function that runs as a training job and gives its result back."""

from sagemaker.remote_function import remote

IMAGE = "236514542706.dkr.ecr.us-east-1.amazonaws.com/sagemaker-base-python-310:1.0"


@remote(instance_type="ml.m5.large", image_uri=IMAGE)
def multiply(a, b):
    import os

    return a * b, os.environ["TRAINING_JOB_NAME"]


@remote(instance_type="ml.m5.large", image_uri=IMAGE)
def fail():
    raise ValueError("on purpose")


product, job = multiply(6, 7)
assert product == 42
assert job
try:
    fail()
except ValueError as error:
    assert "on purpose" in str(error)
else:
    raise AssertionError("the job's own exception was to come back")
print("FLOW PASSED")
