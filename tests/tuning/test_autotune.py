"""Autotune through boto3: what it chooses where a request leaves it open, and the rules it chooses ranges by."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.tuning.autotune import around
from backends.tuning.ranges import ranges_of
from tests.site import SCIKIT_LEARN
from tests.tuning.searches import BUILT_IN, C, begin, built_in, config, definition, described, ended, refused, trials

if TYPE_CHECKING:
    from tests.site import Site

ON = {"Mode": "Enabled"}


def open_config(**members: Any) -> dict[str, Any]:
    """Return a config that leaves open what it may."""
    configured = {**config(parallel=2), "ResourceLimits": {"MaxParallelTrainingJobs": 2}, **members}
    configured.pop("ParameterRanges", None) if "ParameterRanges" not in members else None
    return configured


def auto(**hints: str) -> dict[str, Any]:
    return {"AutoParameters": [{"Name": name, "ValueHint": hint} for name, hint in hints.items()]}


def named(ranges: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    return {each["Name"]: (each["MinValue"], each["MaxValue"]) for each in ranges}


@pytest.mark.parametrize(
    ("hint", "low", "high"),
    [("6", "2", "18"), ("1", "1", "3"), ("0.5", "0.05", "1.0"), ("2.0", "0.2", "20.0"), ("-2.5", "-25.0", "-0.25")],
)
def test_a_range_is_around_its_hint(hint: str, low: str, high: str) -> None:
    entry = around("x", hint)
    assert entry is not None
    assert (entry[1]["MinValue"], entry[1]["MaxValue"]) == (low, high)


@given(hint=st.one_of(st.text(max_size=12), st.floats().map(repr), st.integers().map(str)))
def test_whatever_the_hint_the_range_is_one_and_holds_it(hint: str) -> None:
    entry = around("x", hint)
    if entry is not None and len(hint) < 15:
        (searched,) = ranges_of({entry[0]: [entry[1]]})
        assert searched["low"] <= float(hint) <= searched["high"]


def test_what_is_left_open_is_chosen_and_shown(local: Site) -> None:
    hints = auto(x="0.2", depth="6", seed="3", text="a", sagemaker_region="x")
    given = {"CategoricalParameterRanges": [{**C, "Values": ["b"]}], **hints}
    configured = open_config(ParameterRanges=given, TuningJobCompletionCriteria={"TargetObjectiveMetricValue": 9.0})
    job = ended(local, name := begin(local, configured, definition(local), Autotune=ON))
    assert job["HyperParameterTuningJobStatus"] == "Completed", job
    chosen = job["HyperParameterTuningJobConfig"]
    assert named(chosen["ParameterRanges"]["ContinuousParameterRanges"]) == {"x": ("0.02", "1.0")}
    assert named(chosen["ParameterRanges"]["IntegerParameterRanges"]) == {"depth": ("2", "18")}
    assert chosen["ParameterRanges"]["AutoParameters"] == hints["AutoParameters"]
    assert chosen["ResourceLimits"] == {
        "MaxNumberOfTrainingJobs": 30, "MaxParallelTrainingJobs": 2, "MaxRuntimeInSeconds": 600 * 15
    }  # fmt: skip
    assert chosen["TrainingJobEarlyStoppingType"] == "Auto"
    assert chosen["TuningJobCompletionCriteria"]["ConvergenceDetected"] == {"CompleteOnConvergence": "Enabled"}
    assert job["Autotune"] == ON
    defined = job["TrainingJobDefinition"]
    assert defined["RetryStrategy"] == {"MaximumRetryAttempts": 3}
    kept = {"seed": "3", "text": "a", "sagemaker_region": "x", "static": "1"}
    assert kept.items() <= defined["StaticHyperParameters"].items()
    first = trials(local, name)[0]
    assert set(first["TunedHyperParameters"]) == {"x", "depth", "c"}
    child = local.sagemaker.describe_training_job(TrainingJobName=first["TrainingJobName"])
    assert (child["HyperParameters"]["seed"], child["RetryStrategy"]) == ("3", {"MaximumRetryAttempts": 3})


def test_what_is_given_stays(local: Site) -> None:
    configured = config(
        "Random",
        jobs=2,
        TrainingJobEarlyStoppingType="Off",
        TuningJobCompletionCriteria={"ConvergenceDetected": {"CompleteOnConvergence": "Disabled"}},
    )
    configured["ResourceLimits"]["MaxRuntimeInSeconds"] = 500
    defined = definition(local, RetryStrategy={"MaximumRetryAttempts": 1})
    name = begin(local, configured, defined, Autotune=ON)
    job = described(local, name)
    assert job["HyperParameterTuningJobConfig"] == configured
    assert job["TrainingJobDefinition"]["RetryStrategy"] == {"MaximumRetryAttempts": 1}
    assert ended(local, name)["HyperParameterTuningJobStatus"] == "Completed"


def test_a_built_in_algorithm_has_ranges_of_its_own(local: Site) -> None:
    objective = {"HyperParameterTuningJobObjective": BUILT_IN["HyperParameterTuningJobObjective"]}
    name = begin(local, open_config(**objective), built_in(local), Autotune=ON)
    chosen = described(local, name)["HyperParameterTuningJobConfig"]["ParameterRanges"]
    whole, real = (named(chosen[f"{kind}ParameterRanges"]) for kind in ("Integer", "Continuous"))
    assert whole == {"max_depth": ("0", "10"), "max_delta_step": ("0", "10")}  # num_round is static
    assert real["eta"] == ("0.1", "0.5")
    assert len(real) == 9
    local.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    given = auto(eta="0.05", max_depth="4", eval_metric="auc")
    configured = {**config(jobs=2, **objective), "ParameterRanges": given}
    job = ended(local, begin(local, configured, built_in(local), Autotune=ON))
    chosen = job["HyperParameterTuningJobConfig"]["ParameterRanges"]
    assert named(chosen["ContinuousParameterRanges"]) == {"eta": ("0.05", "0.5")}
    assert named(chosen["IntegerParameterRanges"]) == {"max_depth": ("0", "10")}
    assert job["TrainingJobDefinition"]["StaticHyperParameters"]["eval_metric"] == "auc"


def test_an_algorithm_that_is_named_says_what_is_tunable(local: Site) -> None:
    limits = {"MinValue": "0", "MaxValue": "1"}
    parameter = {"Type": "Continuous", "Range": {"ContinuousParameterRangeSpecification": limits}}
    supported = [
        {"Name": "x", "IsTunable": True, **parameter},
        {"Name": "y", "IsTunable": False, "DefaultValue": "0.5", **parameter},
        {"Name": "static", "Type": "FreeText"},
        {"Name": "sagemaker_program", "Type": "FreeText"},
        {"Name": "sagemaker_submit_directory", "Type": "FreeText"},
    ]
    algorithm = f"a-{uuid.uuid4().hex[:8]}"
    local.sagemaker.create_algorithm(
        AlgorithmName=algorithm,
        TrainingSpecification={
            "TrainingImage": SCIKIT_LEARN,
            "SupportedTrainingInstanceTypes": ["ml.m5.large"],
            "SupportedHyperParameters": supported,
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*?);"}],
            "TrainingChannels": [
                {"Name": "train", "SupportedContentTypes": ["text/csv"], "SupportedInputModes": ["File"]}
            ],
        },
    )
    defined = definition(local, AlgorithmSpecification={"AlgorithmName": algorithm, "TrainingInputMode": "File"})
    configured = open_config(ResourceLimits={"MaxParallelTrainingJobs": 1, "MaxNumberOfTrainingJobs": 1})
    job = ended(local, begin(local, configured, defined, Autotune=ON))
    assert job["HyperParameterTuningJobStatus"] == "Completed", job
    chosen = job["HyperParameterTuningJobConfig"]["ParameterRanges"]
    assert named(chosen["ContinuousParameterRanges"]) == {"x": ("0", "1")}


def test_what_autotune_cannot_choose_is_refused(local: Site) -> None:
    defined = definition(local)
    cases: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        (config(ParameterRanges=auto(x="1")), {}, "AutoParameters can be given with Autotune only."),
        (open_config(ParameterRanges=auto(static="1")), {"Autotune": ON}, "both static and tunable"),
        (open_config(ParameterRanges=auto(text="a")), {"Autotune": ON}, "At least one hyperparameter range"),
        (open_config(), {"Autotune": ON}, "At least one hyperparameter range"),
        (open_config(ParameterRanges=auto(x="1e999")), {"Autotune": ON}, "At least one hyperparameter range"),
        (open_config(ParameterRanges=auto(x="9" * 60)), {"Autotune": ON}, "is not valid"),
    ]
    for configured, members, part in cases:
        code, text = refused(lambda c=configured, m=members: begin(local, c, defined, **m))  # type: ignore[misc]
        assert (code, part in text) == ("ValidationException", True), text


def test_a_grid_of_several_definitions_is_each_whole(local: Site) -> None:
    objective = {"TuningObjective": {"Type": "Minimize", "MetricName": "loss"}}
    ranges = [{"CategoricalParameterRanges": [{"Name": "d", "Values": values}]} for values in (["1"], ["1", "2", "3"])]
    several = [
        {**definition(local), "DefinitionName": f"g{n}", "HyperParameterRanges": own, **objective}
        for n, own in enumerate(ranges)
    ]
    name = f"tune-{uuid.uuid4().hex[:10]}"
    local.sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name,
        HyperParameterTuningJobConfig={"Strategy": "Grid", "ResourceLimits": {"MaxParallelTrainingJobs": 4}},
        TrainingJobDefinitions=several,
    )
    assert ended(local, name)["HyperParameterTuningJobStatus"] == "Completed"
    tuned = [(each["TrainingJobDefinitionName"], each["TunedHyperParameters"]["d"]) for each in trials(local, name)]
    assert sorted(tuned) == [("g0", "1"), ("g1", "1"), ("g1", "2"), ("g1", "3")]
