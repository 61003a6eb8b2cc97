"""Upload a real data set, train XGBoost on it, deploy the model and ask it, all on this machine, with plain boto3.

Nothing here knows LocalMaker but the endpoint URL in the environment: take that away and it runs on AWS.
Run it with `make demo`, or with a server running: `eval "$(localmaker env)"; python examples/quickstart.py`.
"""

import csv
import random
import time
from contextlib import contextmanager
from pathlib import Path

import boto3

DATA = Path(__file__).parent / "data" / "breast_cancer.csv"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
TEST_SHARE = 0.3
THRESHOLD = 0.5


@contextmanager
def step(title):
    """Print what is being done and how long it took."""
    print(f"{title} ...", flush=True)
    began = time.monotonic()
    yield
    print(f"{title}: {time.monotonic() - began:.1f} s", flush=True)


def rows():
    """Read the patients, label first as SageMaker's CSV rule wants it, in an order that is always the same."""
    with DATA.open(encoding="utf-8") as file:
        lines = list(csv.reader(file))[1:]
    random.Random(7).shuffle(lines)
    return [[line[-1], *line[:-1]] for line in lines]


def as_csv(lines):
    """Write rows as CSV without a header."""
    return "\n".join(",".join(line) for line in lines).encode()


def main():
    """Upload, train, deploy, invoke, clean up."""
    sagemaker, s3 = boto3.client("sagemaker"), boto3.client("s3")
    runtime, iam = boto3.client("sagemaker-runtime"), boto3.client("iam")
    name = f"quickstart-{time.strftime('%Y%m%d-%H%M%S')}"
    bucket = f"{name}-data"
    role = iam.get_role(RoleName="SageMakerExecutionRole")["Role"]["Arn"]
    read = rows()
    test, train = read[: int(len(read) * TEST_SHARE)], read[int(len(read) * TEST_SHARE) :]

    with step("Upload"):
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="train/train.csv", Body=as_csv(train))
        s3.put_object(Bucket=bucket, Key="validation/validation.csv", Body=as_csv(test))

    with step("Train"):
        channels = [
            {
                "ChannelName": channel,
                "ContentType": "text/csv",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/{channel}/"}},
            }
            for channel in ("train", "validation")
        ]
        sagemaker.create_training_job(
            TrainingJobName=name,
            RoleArn=role,
            AlgorithmSpecification={
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "validation:error", "Regex": r".*#011validation-error:(\S+)"}],
            },
            HyperParameters={
                "objective": "binary:logistic",
                "eval_metric": "error",
                "num_round": "40",
                "max_depth": "4",
            },
            InputDataConfig=channels,
            OutputDataConfig={"S3OutputPath": f"s3://{bucket}/models"},
            ResourceConfig={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
        )
        sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=name)
        job = sagemaker.describe_training_job(TrainingJobName=name)
        print(f"  {job['TrainingJobStatus']}, model at {job['ModelArtifacts']['S3ModelArtifacts']}")
        for metric in job.get("FinalMetricDataList", []):
            print(f"  {metric['MetricName']} = {metric['Value']:.4f}")

    with step("Deploy"):
        model = {"Image": IMAGE, "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"]}
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=model)
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": name,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name)

    with step("Invoke"):
        answer = runtime.invoke_endpoint(
            EndpointName=name,
            ContentType="text/csv",
            Accept="text/csv",
            Body=as_csv([line[1:] for line in test]),
        )
        scores = [float(score) for score in answer["Body"].read().decode().replace("\n", ",").strip(",").split(",")]
        right = sum((score > THRESHOLD) == (line[0] == "1") for score, line in zip(scores, test, strict=True))
        print(f"  first answers: {', '.join(f'{score:.3f}' for score in scores[:5])}")
        print(f"  accuracy on {len(test)} patients the model has not seen: {right / len(test):.3f}")

    with step("Clean up"):
        sagemaker.delete_endpoint(EndpointName=name)
        sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name)
        sagemaker.delete_endpoint_config(EndpointConfigName=name)
        sagemaker.delete_model(ModelName=name)


if __name__ == "__main__":
    main()
