"""Tuning jobs through boto3: each strategy on a quick script, how searches end, and what is refused (contract: tuning_autopilot.md §1-§2)."""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.site import SCIKIT_LEARN, channel
from tests.tuning.searches import (
    BUILT_IN,
    C,
    D,
    E,
    X,
    begin,
    built_in,
    config,
    definition,
    described,
    ended,
    refused,
    trials,
)

if TYPE_CHECKING:
    from tests.site import Site

FOREVER = "import time\nprint('loss=1;', flush=True)\nwhile True: time.sleep(0.1)\n"
MUTE = "print('nothing to say')\n"
FAILS = "raise SystemExit(3)\n"


def objective(summary: dict[str, Any]) -> float:
    value: float = summary["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    return value


@pytest.mark.same_on_docker
def test_a_bayesian_search_runs_its_training_jobs_and_finds_the_best(site: Site) -> None:
    tags = [{"Key": "team", "Value": "a"}]
    name = begin(site, config("Bayesian", jobs=3, parallel=2), definition(site), Tags=tags)
    job = ended(site, name)
    assert job["HyperParameterTuningJobStatus"] == "Completed", job.get("FailureReason")
    counters = job["TrainingJobStatusCounters"]
    assert (counters["Completed"], counters["InProgress"], counters["NonRetryableError"]) == (3, 0, 0)
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 3, "Pending": 0, "Failed": 0}
    assert job["HyperParameterTuningEndTime"] >= job["CreationTime"]
    assert job["ConsumedResources"]["RuntimeInSeconds"] >= 0
    assert "OverallBestTrainingJob" not in job
    listed = trials(site, name)
    assert [each["TrainingJobName"].split("-")[2] for each in listed] == [f"{n:03d}" for n in range(1, 4)]
    best = min(listed, key=objective)
    assert job["BestTrainingJob"] == best
    for each in listed:
        assert re.fullmatch(rf"{name}-\d\d\d-[0-9a-f]{{8}}", each["TrainingJobName"])
        assert (each["TrainingJobStatus"], each["ObjectiveStatus"]) == ("Completed", "Succeeded")
        tuned = each["TunedHyperParameters"]
        assert tuned.keys() == {"x", "c"}
        assert objective(each) == pytest.approx((float(tuned["x"]) - 0.3) ** 2 + (tuned["c"] != "b"), abs=1e-6)
    child = site.sagemaker.describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert child["TuningJobArn"] == job["HyperParameterTuningJobArn"]
    assert child["HyperParameters"] == {
        **job["TrainingJobDefinition"]["StaticHyperParameters"],
        **best["TunedHyperParameters"],
        "_tuning_objective_metric": "loss",
    }
    assert site.sagemaker.list_tags(ResourceArn=child["TrainingJobArn"])["Tags"] == tags
    summaries = site.sagemaker.list_hyper_parameter_tuning_jobs(NameContains=name)["HyperParameterTuningJobSummaries"]
    assert [(each["Strategy"], each["TrainingJobStatusCounters"]) for each in summaries] == [("Bayesian", counters)]


def test_a_grid_is_every_combination_once(local: Site) -> None:
    ranges = {"CategoricalParameterRanges": [D, E]}
    limits = {"MaxParallelTrainingJobs": 4}
    name = begin(local, config("Grid", ParameterRanges=ranges, ResourceLimits=limits), definition(local))
    assert ended(local, name)["HyperParameterTuningJobStatus"] == "Completed"
    tuned = [tuple(each["TunedHyperParameters"].values()) for each in trials(local, name)]
    assert sorted(tuned) == [("1", "3"), ("1", "4"), ("2", "3"), ("2", "4")]


def test_a_seed_reproduces_a_random_search_and_lists_sort_it(local: Site) -> None:
    names = [begin(local, config(jobs=3, parallel=3, RandomSeed=7), definition(local)) for _ in range(2)]
    for name in names:
        ended(local, name)
    first, second = ([each["TunedHyperParameters"] for each in trials(local, name)] for name in names)
    assert first == second
    assert len({each["x"] for each in first}) == 3
    name = names[0]
    by_value = trials(local, name, SortBy="FinalObjectiveMetricValue", PaginationConfig={"PageSize": 1})
    assert [objective(each) for each in by_value] == sorted(objective(each) for each in by_value)
    backwards = trials(local, name, SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    assert backwards == by_value[::-1]
    for sort_by in ("Name", "CreationTime", "Status"):
        listed = trials(local, name, SortBy=sort_by, PaginationConfig={"PageSize": 2})
        assert len({each["TrainingJobName"] for each in listed}) == 3
    assert trials(local, name, StatusEquals="Failed") == []


def test_a_stop_stops_the_training_jobs(local: Site) -> None:
    name = begin(local, config(jobs=6, parallel=2), definition(local, FOREVER))
    deadline = time.monotonic() + 60
    while len(trials(local, name, StatusEquals="InProgress")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    in_use = refused(lambda: local.sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name))
    assert in_use[0] == "ValidationException"
    local.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    job = ended(local, name)
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert job["TrainingJobStatusCounters"]["Stopped"] == 2
    assert [each["TrainingJobStatus"] for each in trials(local, name)] == ["Stopped", "Stopped"]
    for _ in range(2):  # the second is of one that is not there
        local.sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    assert refused(lambda: described(local, name))[0] == "ResourceNotFound"


@pytest.mark.parametrize(
    ("script", "jobs", "count", "reason"),
    [
        (FAILS, 2, 2, "All training jobs failed. Please take a look"),
        (FAILS, 9, 5, "No training job succeeded after 5 attempts."),
        (MUTE, 2, 2, "No objective metrics found after running 2 training jobs."),
    ],
)
def test_a_search_without_success_fails(local: Site, script: str, jobs: int, count: int, reason: str) -> None:
    name = begin(local, config(jobs=jobs, parallel=2), definition(local, script))
    job = ended(local, name)
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(reason)
    assert "BestTrainingJob" not in job
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 0, "Pending": 0, "Failed": len(trials(local, name))}
    assert trials(local, name, SortBy="FinalObjectiveMetricValue") == []
    assert [each["ObjectiveStatus"] for each in trials(local, name)] == ["Failed"] * len(trials(local, name))
    assert len(trials(local, name)) in {count, count + 1}  # one may run beside the last


def test_a_target_that_is_reached_ends_the_search(local: Site) -> None:
    target = {"TargetObjectiveMetricValue": 9.0}
    job = ended(local, begin(local, config(jobs=20, parallel=1, TuningJobCompletionCriteria=target), definition(local)))
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Completed"] == 1


def test_the_clock_ends_a_search(local: Site) -> None:
    limits = {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1, "MaxRuntimeInSeconds": 300}
    name = begin(local, config(ResourceLimits=limits), definition(local, FOREVER))
    deadline = time.monotonic() + 60
    while not trials(local, name, StatusEquals="InProgress"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    local.move_clock(301)
    job = ended(local, name)
    assert (job["HyperParameterTuningJobStatus"], len(trials(local, name))) == ("Completed", 1)


def test_a_warm_start_knows_the_best_of_its_parents(local: Site) -> None:
    defined = definition(local)
    parent = begin(local, config(jobs=2), defined)
    best = ended(local, parent)["BestTrainingJob"]
    warm = {"ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": parent}]}
    # d is the worst of c: this search alone cannot be better.
    ranges = {"ContinuousParameterRanges": [{**X, "MinValue": "0.9"}], "CategoricalParameterRanges": [C]}
    name = begin(
        local,
        config("Bayesian", jobs=1, parallel=1, ParameterRanges=ranges),
        defined,
        WarmStartConfig={**warm, "WarmStartType": "IdenticalDataAndAlgorithm"},
    )
    job = ended(local, name)
    own = job["BestTrainingJob"]
    overall = job["OverallBestTrainingJob"]
    winner = (parent, best) if objective(best) <= objective(own) else (name, own)
    assert (overall["TuningJobName"], overall["TrainingJobName"]) == (winner[0], winner[1]["TrainingJobName"])
    other = {**definition(local), "StaticHyperParameters": {"static": "1"}}
    transfer = {**warm, "WarmStartType": "TransferLearning"}
    code, text = refused(lambda: begin(local, config(jobs=1, parallel=1), other, WarmStartConfig=transfer))
    assert (code, "number of static and tunable" in text) == ("ValidationException", True)


def test_several_definitions_have_ranges_and_instances_of_their_own(local: Site) -> None:
    objectives = {"TuningObjective": {"Type": "Minimize", "MetricName": "loss"}}
    ranges: list[dict[str, Any]] = [{"ContinuousParameterRanges": [X]}, {"CategoricalParameterRanges": [C]}]
    several: list[dict[str, Any]] = [
        {**definition(local), "DefinitionName": f"d{n}", "HyperParameterRanges": own, **objectives}
        for n, own in enumerate(ranges)
    ]
    del several[1]["ResourceConfig"]
    instances = [
        {"InstanceType": kind, "InstanceCount": 1, "VolumeSizeInGB": 1} for kind in ("ml.p4d.24xlarge", "ml.c5.xlarge")
    ]  # eight GPUs are nowhere to be had here
    several[1]["HyperParameterTuningResourceConfig"] = {
        "AllocationStrategy": "Prioritized",
        "InstanceConfigs": instances,
    }
    name = f"tune-{uuid.uuid4().hex[:10]}"
    limits = {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2}
    local.sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name,
        HyperParameterTuningJobConfig={"Strategy": "Bayesian", "ResourceLimits": limits},
        TrainingJobDefinitions=several,
    )
    job = ended(local, name)
    assert job["HyperParameterTuningJobStatus"] == "Completed", job
    completed = trials(local, name, StatusEquals="Completed")
    listed = {each["TrainingJobDefinitionName"]: each for each in completed}
    assert [set(listed[each]["TunedHyperParameters"]) for each in ("d0", "d1")] == [{"x"}, {"c"}]
    assert listed["d0"]["FinalHyperParameterTuningJobObjectiveMetric"]["Type"] == "Minimize"
    counters = job["TrainingJobStatusCounters"]
    assert (counters["Completed"], counters["RetryableError"], counters["NonRetryableError"]) == (2, 1, 0)
    second = local.sagemaker.describe_training_job(TrainingJobName=listed["d1"]["TrainingJobName"])
    assert second["ResourceConfig"]["InstanceType"] == "ml.c5.xlarge"
    defined = job["TrainingJobDefinitions"]
    assert [each["DefinitionName"] for each in defined] == ["d0", "d1"]


def test_one_instance_type_is_described_in_both_forms(local: Site) -> None:
    defined = definition(local)
    single = defined.pop("ResourceConfig")
    defined["HyperParameterTuningResourceConfig"] = single
    name = begin(local, config(jobs=1, parallel=1), defined)
    shown = described(local, name)["TrainingJobDefinition"]
    assert (shown["ResourceConfig"], shown["HyperParameterTuningResourceConfig"]) == (single, single)
    ended(local, name)


def test_built_in_metrics_need_no_definitions(local: Site) -> None:
    defined = built_in(local)
    job = ended(local, begin(local, config(jobs=2, **BUILT_IN), defined))
    assert job["ObjectiveStatusCounters"]["Succeeded"] == 2, job
    assert 0 < objective(job["BestTrainingJob"]) < 1
    nonsense = {
        **BUILT_IN,
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "validation:nonsense"},
    }
    code, text = refused(lambda: begin(local, config(jobs=2, **nonsense), defined))
    assert code == "ValidationException"
    assert text.startswith("A metric is required for this hyperparameter tuning job objective.")


def test_a_search_is_held_to_the_algorithm_that_it_names(local: Site) -> None:
    defined = definition(local)
    names = [*defined["StaticHyperParameters"], "x", "c", "_tuning_objective_metric"]
    supported: list[dict[str, Any]] = [{"Name": name, "Type": "FreeText", "IsTunable": True} for name in names]
    limits = {"ContinuousParameterRangeSpecification": {"MinValue": "0", "MaxValue": "2"}}
    supported[names.index("x")] |= {"Type": "Continuous", "Range": limits}
    supported[names.index("c")]["IsTunable"] = False
    local.sagemaker.create_algorithm(
        AlgorithmName="a",
        TrainingSpecification={
            "TrainingImage": SCIKIT_LEARN,
            "SupportedTrainingInstanceTypes": ["ml.m5.large"],
            "SupportedHyperParameters": supported,
            "TrainingChannels": [{"Name": "train", "SupportedContentTypes": ["*"], "SupportedInputModes": ["File"]}],
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}],
            "SupportedTuningJobObjectiveMetrics": [{"Type": "Minimize", "MetricName": "loss"}],
        },
    )
    defined["AlgorithmSpecification"] = {"AlgorithmName": "a", "TrainingInputMode": "File"}
    tuned = {"ContinuousParameterRanges": [X]}
    most = {"Type": "Maximize", "MetricName": "loss"}
    wrong: dict[str, dict[str, Any]] = {
        "Hyperparameter c of the algorithm is not tunable": {},
        "not support the objective": {"ParameterRanges": tuned, "HyperParameterTuningJobObjective": most},
        "not in the algorithm's range": {"ParameterRanges": {"ContinuousParameterRanges": [{**X, "MaxValue": "3"}]}},
    }
    for sentence, members in wrong.items():
        code, text = refused(lambda members=members: begin(local, config(**members), defined))  # type: ignore[misc]
        assert (code, sentence in text) == ("ValidationException", True), text
    job = ended(local, begin(local, config(jobs=2, ParameterRanges=tuned), defined))
    assert job["ObjectiveStatusCounters"]["Succeeded"] == 2, job
    assert job["TrainingJobDefinition"]["AlgorithmSpecification"]["AlgorithmName"] == "a"


def number(name: str, low: str, high: str, scale: str = "Auto") -> dict[str, str]:
    return {"Name": name, "MinValue": low, "MaxValue": high, "ScalingType": scale}


BAD_RANGES: list[tuple[dict[str, Any], str]] = [
    ({"IntegerParameterRanges": [number("i", "5", "1")]}, "must not be greater"),
    ({"ContinuousParameterRanges": [number("x", "0", "1", "Logarithmic")]}, "greater than 0"),
    ({"ContinuousParameterRanges": [number("x", "0", "1", "ReverseLogarithmic")]}, "0 <= x < 1.0"),
    ({"IntegerParameterRanges": [number("i", "0", "1", "ReverseLogarithmic")]}, "not supported for the integer"),
    ({"IntegerParameterRanges": [number("i", "0.5", "1")]}, "is not valid"),
    ({"IntegerParameterRanges": [number("i", "1_0", "20")]}, "is not valid"),
    ({"IntegerParameterRanges": [number("i", "\u0661", "20")]}, "is not valid"),
    ({"IntegerParameterRanges": [number("i", "1", "9" * 256)]}, "is not valid"),
    ({"IntegerParameterRanges": [number("i", "0", "2", "Logarithmic")]}, "greater than 0"),
    ({"ContinuousParameterRanges": [number("x", "", "1")]}, "is not valid"),
    ({"ContinuousParameterRanges": [number("x", " 1 ", "2")]}, "is not valid"),
    ({"ContinuousParameterRanges": [number("x", "1", "inf")]}, "is not valid"),
    ({"ContinuousParameterRanges": [number("x", "-1.7e308", "1.7e308")]}, "too wide"),
    ({"ContinuousParameterRanges": [number("_tuning_objective_metric", "0", "1")]}, "is reserved"),
    (
        {
            "ContinuousParameterRanges": [number(f"x{n}", "0", "1") for n in range(16)],
            "IntegerParameterRanges": [number(f"i{n}", "0", "1") for n in range(16)],
        },
        "At most 30",
    ),
    ({"ContinuousParameterRanges": [number("x", "nan", "1")]}, "is not valid"),
    ({"ContinuousParameterRanges": [X, X]}, "more than one range"),
    ({"CategoricalParameterRanges": [{"Name": "static", "Values": ["1"]}]}, "both static and tunable"),
    ({"CategoricalParameterRanges": [{"Name": "c", "Values": ["1", "1"]}]}, "must be unique"),
    ({}, "At least one hyperparameter range"),
]


def check_refused_definitions(site: Site, defined: dict[str, Any]) -> None:
    """Check that a definition which cannot work is refused, alone and among several."""
    without = {member: value for member, value in defined.items() if member != "ResourceConfig"}
    own = "HyperParameterTuningResourceConfig"
    one = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
    static = defined["StaticHyperParameters"]
    for given, part in (
        (without, "Exactly one of ResourceConfig and"),
        ({**defined, own: one}, "Exactly one of ResourceConfig and"),
        ({**without, own: {}}, "Exactly one of InstanceType"),
        ({**without, own: {**one, "InstanceConfigs": [one]}}, "Exactly one of InstanceType"),
        ({**without, own: {"VolumeSizeInGB": 3, "InstanceConfigs": [one]}}, "VolumeSizeInGB cannot be given"),
        ({**without, own: {"InstanceConfigs": [one, {**one, "InstanceCount": 0}]}}, "InstanceCount must be at least 1"),
        ({**defined, "StaticHyperParameters": {**static, "_tuning_objective_metric": "x"}}, "is reserved"),
        ({**defined, "StaticHyperParameters": {**static, **{f"s{n}": "" for n in range(96)}}}, "at most 100 static"),
        ({**defined, "AlgorithmSpecification": {"TrainingInputMode": "File"}}, "Exactly one of TrainingImage"),
        ({**defined, "InputDataConfig": [channel("t", "s3://no-such-bucket-at-all/x")]}, "No S3 objects found"),
    ):  # fmt: skip
        code, text = refused(lambda given=given: begin(site, config(), given))  # type: ignore[misc]
        assert (code, part in text) == ("ValidationException", True), text
    nan = {"TargetObjectiveMetricValue": float("nan")}
    assert "must be a number" in refused(lambda: begin(site, config(TuningJobCompletionCriteria=nan), defined))[1]
    both = [
        {**defined, "DefinitionName": name, "HyperParameterRanges": {"CategoricalParameterRanges": [C]},
         "TuningObjective": {"Type": "Minimize", "MetricName": "loss"}, "Environment": {f"{name}{n}": "" for n in range(25)}}
        for name in "ab"
    ]  # fmt: skip
    limits = {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1}
    call = site.sagemaker.create_hyper_parameter_tuning_job
    members = {"HyperParameterTuningJobName": "many", "TrainingJobDefinitions": both}
    random = {"Strategy": "Random", "ResourceLimits": limits}
    assert "48 environment" in refused(lambda: call(HyperParameterTuningJobConfig=random, **members))[1]


def test_what_cannot_work_is_refused(local: Site) -> None:
    defined = definition(local)
    for ranges, part in BAD_RANGES:
        code, text = refused(lambda ranges=ranges: begin(local, config(ParameterRanges=ranges), defined))  # type: ignore[misc]
        assert (code, part in text) == ("ValidationException", True), text
    cases: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
        (config("Grid"), defined, "ValidationException", "categorical hyperparameter ranges only"),
        (config(jobs=2, parallel=3), defined, "ValidationException", "MaxParallelTrainingJobs 3"),
        (config(jobs=200, parallel=101), defined, "ResourceLimitExceeded", "100"),
        (config("Bayesian", jobs=751), defined, "ResourceLimitExceeded", "750"),
        (config(ResourceLimits={"MaxParallelTrainingJobs": 1}), defined, "ValidationException", "is required"),
        (config(), {**defined, "OutputDataConfig": {"S3OutputPath": "s3://no-such-bucket-at-all/x"}}, "ValidationException", "bucket"),
        (config("Hyperband"), defined, "ValidationException", "MaxResource parameter is not provided"),
        (config("Hyperband", TrainingJobEarlyStoppingType="Auto"), defined, "ValidationException", "must be Off"),
        (config("Hyperband", StrategyConfig={"HyperbandStrategyConfig": {"MinResource": 5, "MaxResource": 3}}), defined, "ValidationException", "in order"),
    ]  # fmt: skip
    for configured, given, expected, part in cases:
        code, text = refused(lambda configured=configured, given=given: begin(local, configured, given))  # type: ignore[misc]
        assert code == expected, text
        assert part in text
    check_refused_definitions(local, defined)
    no_grid = config("Grid", jobs=2, parallel=1, ParameterRanges={"CategoricalParameterRanges": [C, D]})
    assert "must be 6" in refused(lambda: begin(local, no_grid, defined))[1]
    both = refused(lambda: begin(local, config(), defined, TrainingJobDefinitions=[defined]))
    assert both[1] == "Exactly one of TrainingJobDefinition and TrainingJobDefinitions must be given."
    assert local.sagemaker.list_training_jobs()["TrainingJobSummaries"] == []


EPOCHS = """
import json, time
given = json.load(open("/opt/ml/input/config/hyperparameters.json"))
# Of y the first comes first: four good ones, then one that is bad and would never end.
bad = given["y"] == "5"
for epoch in range(9 if not bad else 10**6):
    print("loss=%d;" % (9 if bad else 1), flush=True)
    time.sleep(0.01 if not bad else 0.2)
"""


@pytest.mark.parametrize("rule", ["Auto", "Hyperband"])
def test_a_bad_training_job_is_stopped_early(local: Site, rule: str) -> None:
    y = {"CategoricalParameterRanges": [{"Name": "y", "Values": ["1", "2", "3", "4", "5"]}]}
    limits = {"MaxParallelTrainingJobs": 4}
    if rule == "Auto":
        configured = config("Grid", ParameterRanges=y, ResourceLimits=limits, TrainingJobEarlyStoppingType="Auto")
        job = ended(local, name := begin(local, configured, definition(local, EPOCHS)))
        assert job["TrainingJobStatusCounters"]["Stopped"] == 1
        assert job["ObjectiveStatusCounters"]["Succeeded"] == 5
        (stopped,) = trials(local, name, StatusEquals="Stopped")
        assert (stopped["TunedHyperParameters"], objective(stopped)) == ({"y": "5"}, 9.0)
        assert job["HyperParameterTuningJobStatus"] == "Completed"
        return
    bad = {"CategoricalParameterRanges": [{"Name": "y", "Values": ["1", "5"]}]}
    band = {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}}
    configured = config("Hyperband", jobs=5, parallel=4, ParameterRanges=bad, StrategyConfig=band, RandomSeed=3)
    job = ended(local, name := begin(local, configured, definition(local, EPOCHS)))
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    for each in trials(local, name):
        is_bad = each["TunedHyperParameters"]["y"] == "5"
        assert each["TrainingJobStatus"] in ({"Stopped"} if is_bad else {"Completed", "Stopped"})
        assert objective(each) == (9.0 if is_bad else 1.0)
