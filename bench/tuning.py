"""A search of 50 trials of 100 ms, 4 at a time, against Optuna calling the same function in 4 processes and 50/4 starts of bare jobs.

A bare job is a training job of an empty script, one at a time: what a trial's training job is besides its 100 ms.
"""

from __future__ import annotations

import io
import statistics
import tarfile
import time
import uuid
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from bench.invoke import client
from bench.jobs import SCIKIT_LEARN, job_s, prepare, trivial
from bench.peers import ours
from bench.report import Table

if TYPE_CHECKING:
    from bench.peers import Peer

TRIALS, AT_ONCE, TRIAL_S = 50, 4, 0.1
ROUNDS, STARTS = 3, 7
GOAL = 1.25
"""Times as long as Optuna's own search and TRIALS / AT_ONCE starts of bare jobs, one after the other."""
MODEL = 'open("/opt/ml/model/model.txt", "w").write("")'
SCRIPT = f"""{MODEL}
import json, time

x = float(json.load(open("/opt/ml/input/config/hyperparameters.json"))["x"])
time.sleep({TRIAL_S})
print(f"loss={{(x - 0.3) ** 2:.9f}};")
"""


def objective(x: float) -> float:
    """Do what the script does."""
    time.sleep(TRIAL_S)
    return (x - 0.3) ** 2


def warmed(_: int) -> None:
    """Let a process of the pool begin."""
    time.sleep(TRIAL_S)


def optuna_s(strategy: str) -> float:
    """Search with Optuna itself in processes that run already; seconds."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    samplers = {"Bayesian": optuna.samplers.TPESampler, "Random": optuna.samplers.RandomSampler}
    study = optuna.create_study(sampler=samplers[strategy](seed=1))
    running: dict[Future[float], optuna.Trial] = {}
    with ProcessPoolExecutor(AT_ONCE) as pool:
        list(pool.map(warmed, range(AT_ONCE)))
        began = time.perf_counter()
        while len(study.trials) < TRIALS or running:
            while len(study.trials) < TRIALS and len(running) < AT_ONCE:
                trial = study.ask()
                running[pool.submit(objective, trial.suggest_float("x", 0, 1))] = trial
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                study.tell(running.pop(future), future.result())
        return time.perf_counter() - began


def upload(peer: Peer, name: str, script: str) -> None:
    """Store a script as SDKs do."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("train.py")
        member.size = len(script)
        archive.addfile(member, io.BytesIO(script.encode()))
    client(peer, "s3").put_object(Bucket="bench", Key=f"{name}/sourcedir.tar.gz", Body=packed.getvalue())


def submitted(name: str) -> dict[str, str]:
    """Return the hyperparameters that name a script."""
    return {"sagemaker_program": "train.py", "sagemaker_submit_directory": f"s3://bench/{name}/sourcedir.tar.gz"}


def start_s(peer: Peer, role: str) -> float:
    """Run one training job of an empty script; seconds from Create to Completed."""
    return job_s(peer, SCIKIT_LEARN, "code", role=role, HyperParameters=submitted("empty"))


def search_s(peer: Peer, role: str, strategy: str) -> tuple[float, dict[str, Any]]:
    """Run a tuning job as boto3's users do; seconds until it is Completed, and its description."""
    sagemaker, name = client(peer, "sagemaker"), f"bench-{uuid.uuid4().hex[:10]}"
    ranges = {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "1", "ScalingType": "Linear"}]}
    began = time.perf_counter()
    sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name,
        HyperParameterTuningJobConfig={
            "Strategy": strategy,
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": TRIALS, "MaxParallelTrainingJobs": AT_ONCE},
            "ParameterRanges": ranges,
            "RandomSeed": 1,
        },
        TrainingJobDefinition={
            "AlgorithmSpecification": {
                "TrainingImage": SCIKIT_LEARN,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}],
            },
            "RoleArn": role,
            "StaticHyperParameters": submitted("tuning"),
            "OutputDataConfig": {"S3OutputPath": "s3://bench/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        },
    )
    while True:
        job: dict[str, Any] = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        if job["HyperParameterTuningJobStatus"] != "InProgress":
            break
        time.sleep(0.02)
    took = time.perf_counter() - began
    assert job["TrainingJobStatusCounters"]["Completed"] == TRIALS, job
    return took, job


def spent_ms(peer: Peer, names: list[str]) -> dict[str, float]:
    """Return where the time of training jobs goes, mean ms: by their secondary statuses, and in all."""
    spent: dict[str, list[float]] = {}
    for name in names:
        described = client(peer, "sagemaker").describe_training_job(TrainingJobName=name)
        changes = described["SecondaryStatusTransitions"]
        for change in changes[:-1]:
            spent.setdefault(change["Status"], []).append((change["EndTime"] - change["StartTime"]).total_seconds())
        whole = (changes[-1]["StartTime"] - described["CreationTime"]).total_seconds()
        spent.setdefault("Create to Completed", []).append(whole)
    return {what: sum(values) / len(names) * 1000 for what, values in spent.items()}


def parts(peer: Peer, job: dict[str, Any]) -> dict[str, float]:
    """Return where the time of a search goes, and how long a place is empty between two training jobs."""
    summaries = client(peer, "sagemaker").list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=job["HyperParameterTuningJobName"], MaxResults=100
    )["TrainingJobSummaries"]
    spent = spent_ms(peer, [summary["TrainingJobName"] for summary in summaries])
    whole_ms = (job["HyperParameterTuningEndTime"] - job["CreationTime"]).total_seconds() * 1000
    return {**spent, "between two": whole_ms * AT_ONCE / TRIALS - spent["Create to Completed"]}


def last_jobs(peer: Peer, count: int) -> list[str]:
    """Return the names of the training jobs that were made last."""
    listed = client(peer, "sagemaker").list_training_jobs(
        SortBy="CreationTime", SortOrder="Descending", MaxResults=count
    )
    return [summary["TrainingJobName"] for summary in listed["TrainingJobSummaries"]]


def run() -> list[Table]:
    """Measure each part by turns."""
    table = Table(f"{TRIALS} trials of {TRIAL_S * 1000:.0f} ms, {AT_ONCE} at a time, seconds", "Optuna + starts")
    where = Table("Where a training job's time goes in such a search, mean ms", "")
    with ours(LOCALMAKER_MAX_JOBS=str(AT_ONCE)) as peer:
        prepare(peer)
        upload(peer, "tuning", SCRIPT)
        upload(peer, "empty", MODEL)
        role = client(peer, "iam").get_role(RoleName="SageMakerExecutionRole")["Role"]["Arn"]
        alone_s = [trivial(peer, role) for _ in range(STARTS + 1)]
        for what, each_ms in spent_ms(peer, last_jobs(peer, STARTS)).items():
            where.row(f"trivial process job alone: {what}", None, each_ms)
        seen_ms = statistics.fmean(alone_s[1:]) * 1000
        where.row("trivial process job alone: as a boto3 client sees it", None, seen_ms)
        for strategy in ("Random", "Bayesian"):
            rounds = []
            for _ in range(ROUNDS):
                start = statistics.median(start_s(peer, role) for _ in range(STARTS))
                bare = optuna_s(strategy)
                own, job = search_s(peer, role, strategy)
                limit = bare + TRIALS / AT_ONCE * start
                rounds.append((own / limit, bare, start, own, job))
                print(
                    f"  {strategy}: Optuna {bare:.2f} s, a start {start * 1000:.0f} ms, the search {own:.2f} s",
                    flush=True,
                )
            _, bare, start, own, job = min(rounds, key=lambda measured: measured[0])
            limit = bare + TRIALS / AT_ONCE * start
            what = f"{strategy} (Optuna {bare:.2f}, a start {start:.2f})"
            table.row(what, limit, own, less=True, at_most=GOAL * limit)
            for what, each_ms in parts(peer, job).items():
                where.row(f"{strategy}: {what}", None, each_ms)
    return [table, where]
