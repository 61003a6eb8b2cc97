"""Tune two models on real data with each strategy and write what came of it to docs/tuning.md (`python -m docs.tuning`).

Each strategy searches with the same number of training jobs and never sees the held-out rows; the default is one training job with
the library's own defaults. All figures are those of the run.
"""

from __future__ import annotations

import datetime as dt
import io
import tarfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.invoke import client
from bench.peers import ours

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.peers import Peer

PAGE = Path(__file__).with_name("tuning.md")
STRATEGIES = ("Bayesian", "Random", "Grid", "Hyperband")
JOBS, PARALLEL, SEED, EPOCHS = 18, 3, 1, 27
REGISTRY = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
HEAD = """# Tuned against default

Written by `python -m docs.tuning`: each strategy of a hyperparameter tuning job searches {jobs} times, {parallel} at a time, for the least
validation loss; the held-out rows are seen by no search. The default is one training job with the library's own values. Grid
searches two or three values of each hyperparameter, the others the ranges between the first and the last; Hyperband stops the worse ones
before their {epochs} epochs. Data: scikit-learn's copies of the UCI breast cancer set (569 x 30; Dua and Graff) and of the diabetes set
(442 x 10; Efron et al. 2004), in thirds by a fixed seed.
All searches have one RandomSeed, so that Random, Hyperband and the first ten trials of Bayesian draw the same values.

Last run: {date}.

| data and model | search | training jobs (stopped early) | validation | held out | {other} |
|---|---|---|---:|---:|---:|
"""
COMMON = """
import json, warnings
import numpy as np
from sklearn import datasets, metrics, preprocessing

warnings.simplefilter("ignore")
given = json.load(open("/opt/ml/input/config/hyperparameters.json"))


def thirds(x, y):
    order = np.random.default_rng(0).permutation(len(y))
    return [(x[rows], y[rows]) for rows in np.array_split(order, 3)]


def say(validation, held_out, other):
    print(f"validation={validation:.6f}; held_out={held_out:.6f}; other={other:.6f};", flush=True)
"""
CANCER = (
    COMMON
    + """
from sklearn.neural_network import MLPClassifier

x, y = datasets.load_breast_cancer(return_X_y=True)
train, validation, held_out = thirds(x, y)
scaler = preprocessing.StandardScaler().fit(train[0])
known = {"learning_rate_init": float, "alpha": float, "hidden_layer_sizes": int}
model = MLPClassifier(random_state=0, **{name: kind(given[name]) for name, kind in known.items() if name in given})
for _ in range(int(given["epochs"])):
    model.partial_fit(scaler.transform(train[0]), train[1], classes=[0, 1])
    losses = [metrics.log_loss(t, model.predict_proba(scaler.transform(d))) for d, t in (validation, held_out)]
    say(*losses, model.score(scaler.transform(held_out[0]), held_out[1]))
"""
)
DIABETES = (
    COMMON
    + """
from sklearn.ensemble import GradientBoostingRegressor

train, validation, held_out = thirds(*datasets.load_diabetes(return_X_y=True))
known = {"learning_rate": float, "subsample": float, "max_depth": int}
values = {name: kind(given[name]) for name, kind in known.items() if name in given}
model = GradientBoostingRegressor(random_state=0, warm_start=True, n_estimators=0, **values)
for epoch in range(int(given["epochs"])):  # at the last one it has the library's default number of trees
    model.n_estimators = round(100 * (epoch + 1) / int(given["epochs"]))
    model.fit(*train)
    errors = [metrics.root_mean_squared_error(t, model.predict(d)) for d, t in (validation, held_out)]
    say(*errors, metrics.r2_score(held_out[1], model.predict(held_out[0])))
"""
)
TASKS: dict[str, tuple[str, dict[str, tuple[str, list[str]]], str]] = {
    "breast cancer, MLPClassifier (log loss; accuracy)": (
        CANCER,
        {
            "learning_rate_init": ("Logarithmic", ["0.0005", "0.005", "0.05"]),
            "alpha": ("Logarithmic", ["0.0001", "0.1"]),
            "hidden_layer_sizes": ("Linear", ["8", "64", "256"]),
        },
        "accuracy",
    ),
    "diabetes, GradientBoostingRegressor (RMSE; R²)": (
        DIABETES,
        {
            "learning_rate": ("Logarithmic", ["0.01", "0.03", "0.1"]),
            "subsample": ("Linear", ["0.5", "1.0"]),
            "max_depth": ("Linear", ["1", "3", "6"]),
        },
        "R²",
    ),
}
WHOLE = ("hidden_layer_sizes", "max_depth")


def definition(peer: Peer, role: str, script: str) -> dict[str, Any]:
    """Return what training jobs of a script have in common."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("train.py")
        member.size = len(script.encode())
        archive.addfile(member, io.BytesIO(script.encode()))
    key = f"{uuid.uuid4().hex}/sourcedir.tar.gz"
    client(peer, "s3").put_object(Bucket="tuning", Key=key, Body=packed.getvalue())
    metrics = [{"Name": n, "Regex": f"{n}=([-0-9.]+);"} for n in ("validation", "held_out", "other")]
    return {
        "AlgorithmSpecification": {
            "TrainingImage": f"{REGISTRY}/sagemaker-scikit-learn:1.4-2", "TrainingInputMode": "File", "MetricDefinitions": metrics,
        },
        "RoleArn": role,
        "OutputDataConfig": {"S3OutputPath": "s3://tuning/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "StaticHyperParameters": {
            "epochs": str(EPOCHS), "sagemaker_program": "train.py", "sagemaker_submit_directory": f"s3://tuning/{key}"
        },
    }  # fmt: skip


def scores(peer: Peer, job: str) -> tuple[float, float, float]:
    """Return what a training job said last of its validation, of the held-out rows, and of these by the other metric."""
    described = client(peer, "sagemaker").describe_training_job(TrainingJobName=job)
    last = {each["MetricName"]: each["Value"] for each in described["FinalMetricDataList"]}
    return last["validation"], last["held_out"], last["other"]


def default(peer: Peer, defined: Mapping[str, Any]) -> str:
    """Run a training job with the defaults; return its name."""
    sagemaker, name = client(peer, "sagemaker"), f"default-{uuid.uuid4().hex[:8]}"
    members = dict(defined)
    sagemaker.create_training_job(TrainingJobName=name, HyperParameters=members.pop("StaticHyperParameters"), **members)
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=name)
    return name


def search(
    peer: Peer, defined: Mapping[str, Any], strategy: str, grid: Mapping[str, tuple[str, list[str]]]
) -> dict[str, Any]:
    """Run a search; return its description."""
    ranges: dict[str, list[dict[str, Any]]] = {"Integer": [], "Continuous": [], "Categorical": []}
    for name, (scale, values) in grid.items():
        kind = "Categorical" if strategy == "Grid" else "Integer" if name in WHOLE else "Continuous"
        ends = {"MinValue": values[0], "MaxValue": values[-1], "ScalingType": scale}
        ranges[kind].append({"Name": name, **({"Values": values} if kind == "Categorical" else ends)})
    sagemaker, name = client(peer, "sagemaker"), f"{strategy}-{uuid.uuid4().hex[:8]}"
    sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name,
        HyperParameterTuningJobConfig={
            "Strategy": strategy,
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "validation"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": JOBS, "MaxParallelTrainingJobs": PARALLEL},
            "ParameterRanges": {f"{kind}ParameterRanges": listed for kind, listed in ranges.items()},
            "RandomSeed": SEED,
        },
        TrainingJobDefinition=dict(defined),
    )
    while True:
        job: dict[str, Any] = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        if job["HyperParameterTuningJobStatus"] not in {"InProgress", "Stopping"}:
            assert job["HyperParameterTuningJobStatus"] == "Completed", job
            return job
        time.sleep(0.2)


def lines(peer: Peer, role: str) -> Iterator[str]:
    """Run all searches; yield the lines of the table."""
    for title, (script, grid, _) in TASKS.items():
        defined = definition(peer, role, script)
        yield line(title, "default", "1", scores(peer, default(peer, defined)))
        for strategy in STRATEGIES:
            job = search(peer, defined, strategy, grid)
            counters = job["TrainingJobStatusCounters"]
            jobs = f"{counters['Completed'] + counters['Stopped']} ({counters['Stopped']})"
            yield line("", strategy, jobs, scores(peer, job["BestTrainingJob"]["TrainingJobName"]))


def line(title: str, what: str, jobs: str, values: tuple[float, float, float]) -> str:
    """Return a line of the table, and show it."""
    text = f"| {title} | {what} | {jobs} | {' | '.join(f'{value:.4g}' for value in values)} |"
    print(text, flush=True)
    return text


def main() -> None:
    """Run, and write the page."""
    with ours() as peer:
        client(peer, "s3").create_bucket(Bucket="tuning")
        role = client(peer, "iam").get_role(RoleName="SageMakerExecutionRole")["Role"]["Arn"]
        table = list(lines(peer, role))
    other = "held out, " + " or ".join(other for *_, other in TASKS.values())
    head = HEAD.format(
        jobs=JOBS, parallel=PARALLEL, epochs=EPOCHS, other=other, date=f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"
    )
    PAGE.write_text(head + "\n".join(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
