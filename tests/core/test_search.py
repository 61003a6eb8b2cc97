"""Search against a plain evaluation of the same expression over the same documents."""

from __future__ import annotations

import operator
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.core.errors import AwsError
from backends.core.kernel import Kernel
from backends.core.lifecycle import transition
from backends.core.resource import resource
from backends.core.search import operations
from backends.core.settings import Settings
from backends.core.states import machine
from tests import postgresql
from tests.core.conftest import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backends.core.context import Context

COMPONENT = sys.modules[__name__]
JOB = resource(
    "TrainingJob",
    arn_path="training-job",
    status_member="TrainingJobStatus",
    machine=machine(InProgress={"Failed"}),
    derives=("Describe", "Delete"),
    indexed=lambda document: (
        (f"Metrics.{metric['MetricName']}", metric["Value"]) for metric in document.get("FinalMetricDataList", ())
    ),
)
DEPTHS, EYES = ("1", "2", "10", "deep"), ("a", "aB", "b%", "é")
documents = st.lists(
    st.fixed_dictionaries(
        {
            "HyperParameters": st.dictionaries(st.sampled_from(["depth", "eye"]), st.sampled_from(DEPTHS + EYES)),
            "TrainingJobStatus": st.sampled_from(["Completed", "Failed"]),
            "InputDataConfig": st.lists(
                st.fixed_dictionaries(
                    {"ChannelName": st.sampled_from("xy"), "ContentType": st.sampled_from(["csv", "json"])}
                ),
                max_size=3,
            ),
            "FinalMetricDataList": st.lists(
                st.fixed_dictionaries({"MetricName": st.just("loss"), "Value": st.sampled_from([0.5, 2.0, 10.0])}),
                max_size=1,
            ),
            "tag": st.sampled_from(["", "red", "blue"]),
        }
    ),
    min_size=1,
    max_size=8,
)
texts = st.builds(
    lambda name, how, value: {"Name": name, "Operator": how, "Value": value},
    st.sampled_from(
        [
            "HyperParameters.depth",
            "HyperParameters.eye",
            "TrainingJobStatus",
            "Tags.colour",
            "InputDataConfig.ChannelName",
        ]
    ),
    st.sampled_from(["Equals", "NotEquals", "In"]),
    st.sampled_from([*DEPTHS, *EYES, "Completed", "red", "x", "x, y", "red,blue"]),
)
numbers = st.builds(
    lambda name, how, value: {"Name": name, "Operator": how, "Value": value},
    st.sampled_from(["HyperParameters.depth", "Metrics.loss"]),
    st.sampled_from(["GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo"]),
    st.sampled_from(["1", "1.5", "2", "10"]),
)
there = st.builds(
    lambda name, how: {"Name": name, "Operator": how},
    st.sampled_from(["HyperParameters.eye", "Tags.colour", "Metrics.loss"]),
    st.sampled_from(["Exists", "NotExists"]),
)
nested = st.builds(
    lambda channel, kind: {
        "NestedPropertyName": "InputDataConfig",
        "Filters": [
            {"Name": "InputDataConfig.ChannelName", "Operator": "Equals", "Value": channel},
            {"Name": "InputDataConfig.ContentType", "Operator": "Equals", "Value": kind},
        ],
    },
    st.sampled_from("xy"),
    st.sampled_from(["csv", "json"]),
)
expressions = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "Filters": st.lists(texts | numbers | there, min_size=1, max_size=3),
            "NestedFilters": st.lists(nested, min_size=1, max_size=1),
            "Operator": st.sampled_from(["And", "Or"]),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {"SubExpressions": st.lists(inner, min_size=1, max_size=2)},
        optional={"Filters": st.lists(texts, min_size=1, max_size=1), "Operator": st.sampled_from(["And", "Or"])},
    ),
    max_leaves=3,
)
ORDERED = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}


def values_of(document: dict[str, Any], name: str) -> list[Any]:
    """Return everything that stands at a property."""
    if name == "Tags.colour":
        return [document["tag"]] if document["tag"] else []
    if name == "Metrics.loss":
        return [metric["Value"] for metric in document["FinalMetricDataList"]]
    if name.startswith("HyperParameters."):
        return [v for k, v in document["HyperParameters"].items() if k == name.partition(".")[2]]
    if name.startswith("InputDataConfig."):
        return [channel[name.partition(".")[2]] for channel in document["InputDataConfig"]]
    return [document[name]]


def holds(document: dict[str, Any], expression: dict[str, Any]) -> bool:
    """Evaluate a filter."""
    values, how = values_of(document, expression["Name"]), expression["Operator"]
    if how in {"Exists", "NotExists"}:
        return bool(values) is (how == "Exists")
    if how in ORDERED:
        results = [float(value) for value in values if not isinstance(value, str) or value.isdigit()]
        return any(bool(ORDERED[how](value, float(expression["Value"]))) for value in results)
    wanted = [part.strip() for part in expression["Value"].split(",")] if how == "In" else [expression["Value"]]
    return any(value in wanted for value in values) is not (how == "NotEquals")


def is_true(document: dict[str, Any], expression: dict[str, Any]) -> bool:
    """Evaluate an expression."""
    parts = [holds(document, each) for each in expression.get("Filters", ())]
    for each in expression.get("NestedFilters", ()):
        channel, kind = (filtered["Value"] for filtered in each["Filters"])
        parts.append(
            any((item["ChannelName"], item["ContentType"]) == (channel, kind) for item in document["InputDataConfig"])
        )
    parts += [is_true(document, each) for each in expression.get("SubExpressions", ())]
    return (any if expression.get("Operator") == "Or" and parts else all)(parts)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """Yield a kernel that is open and has no loop."""
    folder: Path = tmp_path_factory.mktemp("search")
    url = postgresql.database_for(folder) if postgresql.is_wanted() else None
    made = Kernel(Settings.read({}, data_dir=folder, database_url=url), [COMPONENT, operations])
    made.open()
    yield made
    made.db.close()
    made.lease.release()


def store(cx: Context, name: str, document: dict[str, Any]) -> None:
    tags = [{"Key": "colour", "Value": document["tag"]}] if document["tag"] else []
    JOB.insert(cx, name, {"TrainingJobName": name, **document}, status=document["TrainingJobStatus"], tag_list=tags)


accounts = iter(range(10**9))


@given(documents, expressions, st.integers(1, 3))
@settings(max_examples=60)
def test_search_finds_what_an_expression_is_true_of(
    kernel: Kernel, stored: list[dict[str, Any]], expression: dict[str, Any], size: int
) -> None:
    cx = kernel.context(f"{next(accounts):012d}", REGION)

    def fill(inside: Context) -> None:
        for number, document in enumerate(stored):
            store(inside, f"job-{number}", document)

    cx.write(fill)
    request: dict[str, Any] = {
        "Resource": "TrainingJob",
        "SearchExpression": expression,
        "MaxResults": size,
        "SortBy": "TrainingJobName",
        "SortOrder": "Ascending",
    }
    results: list[str] = []
    while True:
        answer = cx.look(lambda inside: operations.search(inside, request))
        results += [each["TrainingJob"]["TrainingJobName"] for each in answer["Results"]]
        if "NextToken" not in answer:
            break
        request["NextToken"] = answer["NextToken"]
    assert results == [f"job-{n}" for n, document in enumerate(stored) if is_true(document, expression)]


FOLDED = "sSßẞ\u017féÉeΣ\u03c3ςkK\u212a%_"
"""Letters that are the same but for their case, ASCII's among them: long s, sharp s, sigmas, the sign of Kelvin."""


@given(st.text(st.sampled_from(FOLDED), max_size=4), st.text(st.sampled_from(FOLDED), min_size=1, max_size=2))
@settings(max_examples=40)
def test_contains_folds_case_in_every_script(kernel: Kernel, stored: str, wanted: str) -> None:
    cx = kernel.context(f"{next(accounts):012d}", REGION)
    document = {"HyperParameters": {"eye": stored}, "TrainingJobStatus": "Failed", "tag": stored}
    cx.write(lambda inside: store(inside, "job", document))
    for name in ("HyperParameters.eye", "Tags.colour"):
        condition = {"Name": name, "Operator": "Contains", "Value": wanted}
        request = {"Resource": "TrainingJob", "SearchExpression": {"Filters": [condition]}}
        results = cx.look(lambda inside, request=request: operations.search(inside, request))["Results"]  # type: ignore[misc]
        assert bool(results) is (wanted.casefold() in stored.casefold()), (name, stored, wanted)


def test_what_changes_and_goes_is_found_as_it_is(kernel: Kernel) -> None:
    cx = kernel.context(ACCOUNT, REGION)

    def results(name: str, value: str) -> int:
        expression = {"Resource": "TrainingJob", "SearchExpression": {"Filters": [{"Name": name, "Value": value}]}}
        return len(cx.look(lambda inside: operations.search(inside, expression))["Results"])

    document = {"HyperParameters": {"depth": "3"}, "TrainingJobStatus": "Failed", "tag": "red"}
    cx.write(lambda inside: store(inside, "job", document))
    assert (
        results("HyperParameters.depth", "3") == results("Tags.colour", "red") == results("TrainingJobName", "job") == 1
    )

    def change(inside: Context) -> None:
        row = JOB.get(inside, "job")
        JOB.update(inside, row, {**row.document, "HyperParameters": {"depth": "4"}})

    cx.write(change)
    assert (results("HyperParameters.depth", "3"), results("HyperParameters.depth", "4")) == (0, 1)
    cx.write(lambda inside: JOB.delete(inside, JOB.get(inside, "job")))
    assert results("HyperParameters.depth", "4") == results("Tags.colour", "red") == 0


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ({"Filters": [{"Name": "Nonsense", "Value": "1"}]}, "Unknown property name: Nonsense"),
        ({"Filters": [{"Name": "TrainingJobStatus", "Operator": "Equals"}]}, "needs a Value"),
        ({"Filters": [{"Name": "CreationTime", "Operator": "GreaterThan", "Value": "soon"}]}, "Invalid value soon"),
        (
            {
                "Filters": [
                    {"Name": "RoleArn", "Operator": "Contains", "Value": "a"},
                    {"Name": "OutputDataConfig.KmsKeyId", "Operator": "Contains", "Value": "b"},
                ]
            },
            "usage limit of 1",
        ),
        (
            {
                "NestedFilters": [
                    {"NestedPropertyName": "InputDataConfig", "Filters": [{"Name": "RoleArn", "Value": "1"}]}
                ]
            },
            "is not about",
        ),
    ],
)
def test_what_cannot_be_asked(kernel: Kernel, expression: dict[str, Any], text: str) -> None:
    cx = kernel.context(ACCOUNT, REGION)
    with pytest.raises(AwsError, match=text):
        cx.look(lambda inside: operations.search(inside, {"Resource": "TrainingJob", "SearchExpression": expression}))


def test_text_with_a_nul_is_stored_and_found_on_either_database(kernel: Kernel) -> None:
    """A container writes what it likes as the reason of its failure, and a hyperparameter's pattern lets it through."""
    cx = kernel.context("333333333333", REGION)

    def fail(inside: Context) -> None:
        members = {"TrainingJobName": "nul", "HyperParameters": {"a\0b": "c\0d"}, "TrainingJobStatus": "InProgress"}
        row = JOB.insert(inside, "nul", members, status="InProgress")
        transition(inside, JOB, row, "Failed", "AlgorithmError: \0 was read")

    cx.write(fail)
    condition = {"Name": "HyperParameters.a\0b", "Value": "c\0d"}
    request = {"Resource": "TrainingJob", "SearchExpression": {"Filters": [condition]}}
    (result,) = cx.look(lambda inside: operations.search(inside, request))["Results"]
    assert result["TrainingJob"]["FailureReason"] == "AlgorithmError: \0 was read"


def few(count: int, each: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"Filters": [each] * 20}] * count


IN = {"Name": "HyperParameters.depth", "Operator": "In", "Value": ",".join("a" * 19)}
ITEM = {"Name": "InputDataConfig.ChannelName", "Value": "x"}


@pytest.mark.parametrize(
    "expression",
    [
        {"SubExpressions": few(4, IN)},
        {"SubExpressions": few(4, {"Name": "TrainingJobStatus", "Value": "x"}), "Operator": "Or"},
        {"NestedFilters": [{"NestedPropertyName": "InputDataConfig", "Filters": [ITEM] * 20}] * 4},
    ],
)
def test_a_large_expression_is_answered_and_one_too_large_refused(kernel: Kernel, expression: dict[str, Any]) -> None:
    cx = kernel.context(ACCOUNT, REGION)
    request = {"Resource": "TrainingJob", "SearchExpression": expression}
    cx.look(lambda inside: operations.search(inside, request))
    for inner in (expression, {}):
        request["SearchExpression"] = {"SubExpressions": [{"SubExpressions": [inner] * 20}] * 20}
        with pytest.raises(AwsError, match="ValidationException: The SearchExpression has more than"):
            cx.look(lambda inside: operations.search(inside, request))


def test_order_times_and_suggestions(kernel: Kernel) -> None:
    cx = kernel.context("222222222222", REGION)

    def fill(inside: Context) -> None:
        for name, value in (("a", 10.0), ("b", 9.5), ("c", None)):
            metrics = [{"MetricName": "loss", "Value": value}] if value is not None else []
            store(inside, name, {"TrainingJobStatus": "Completed", "tag": "", "FinalMetricDataList": metrics})

    cx.write(fill)

    def names(**expression: Any) -> str:
        results = cx.look(lambda inside: operations.search(inside, {"Resource": "TrainingJob", **expression}))[
            "Results"
        ]
        return "".join(each["TrainingJob"]["TrainingJobName"] for each in results)

    assert names(SortBy="Metrics.loss") == "abc"
    assert names(SortBy="Metrics.loss", SortOrder="Ascending") == "cba"
    after = {"Name": "CreationTime", "Operator": "GreaterThan", "Value": "2020-01-01T00:00:00"}
    assert names(SortBy="TrainingJobName", SearchExpression={"Filters": [after]}) == "cba"
    hint = {
        "Resource": "TrainingJob",
        "SuggestionQuery": {"PropertyNameQuery": {"PropertyNameHint": "AlgorithmSpecification.Training"}},
    }
    assert {"PropertyName": "AlgorithmSpecification.TrainingImage"} in suggested(cx, **hint)


def searched(cx: Context, **request: Any) -> dict[str, Any]:
    return cx.look(lambda inside: operations.search(inside, {"Resource": "TrainingJob", **request}))


def suggested(cx: Context, **request: Any) -> list[dict[str, str]]:
    names: list[dict[str, str]] = cx.look(lambda inside: operations.get_search_suggestions(inside, request))[
        "PropertyNameSuggestions"
    ]
    return names


def test_hits_are_counted_over_all_pages_and_not_for_ever(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    cx = kernel.context("444444444444", REGION)

    def fill(inside: Context) -> None:
        for name in "abc":
            store(inside, name, {"TrainingJobStatus": "Failed" if name == "c" else "Completed", "tag": ""})

    cx.write(fill)
    first = searched(cx, MaxResults=1)
    second = searched(cx, MaxResults=1, NextToken=first["NextToken"])
    assert first["TotalHits"] == second["TotalHits"] == {"Value": 3, "Relation": "EqualTo"}
    failed = {"Filters": [{"Name": "TrainingJobStatus", "Value": "Failed"}]}
    assert searched(cx, SearchExpression=failed)["TotalHits"]["Value"] == 1
    elsewhere = searched(cx, CrossAccountFilterOption="CrossAccount")
    assert elsewhere == {"Results": [], "TotalHits": {"Value": 0, "Relation": "EqualTo"}}
    assert searched(cx, CrossAccountFilterOption="SameAccount")["TotalHits"]["Value"] == 3
    monkeypatch.setattr(operations, "MOST_COUNTED", 2)
    assert searched(cx, MaxResults=1)["TotalHits"] == {"Value": 2, "Relation": "GreaterThanOrEqualTo"}


def test_what_has_a_tag_is_visible_with_its_value_only(kernel: Kernel) -> None:
    cx = kernel.context("555555555555", REGION)

    def fill(inside: Context) -> None:
        for name, tag in (("a", "red"), ("b", "blue"), ("c", "")):
            store(inside, name, {"TrainingJobStatus": "Completed", "tag": tag})

    cx.write(fill)

    def names(*conditions: tuple[str, str]) -> str:
        given = [{"Key": key, "Value": value} for key, value in conditions]
        answer = searched(cx, SortBy="TrainingJobName", SortOrder="Ascending", VisibilityConditions=given)
        assert answer["TotalHits"]["Value"] == len(answer["Results"])
        return "".join(result["TrainingJob"]["TrainingJobName"] for result in answer["Results"])

    assert names(("Tags.colour", "red")) == "ac"
    assert names(("Tags.colour", "red"), ("Tags.size", "1")) == "ac"
    assert names(("Tags.colour", "green")) == "c"
    assert names(("Tags.colour", "red"), ("Tags.colour", "blue")) == "abc"
    with pytest.raises(AwsError, match="ValidationException: The key of a visibility condition"):
        names(("colour", "red"))


def test_what_is_in_use_is_suggested(kernel: Kernel) -> None:
    cx = kernel.context("666666666666", REGION)
    metrics = [{"MetricName": "loss", "Value": 1.0}]
    document = {"HyperParameters": {"a.b": "1"}, "TrainingJobStatus": "Failed", "tag": "red"}
    cx.write(lambda inside: store(inside, "job", {**document, "FinalMetricDataList": metrics}))

    def names(hint: str, account: Context = cx) -> list[str]:
        query = {"PropertyNameQuery": {"PropertyNameHint": hint}}
        return [each["PropertyName"] for each in suggested(account, Resource="TrainingJob", SuggestionQuery=query)]

    assert names("HyperParameters") == ["HyperParameters.a.b"]
    assert names("Metrics.") == ["Metrics.loss"]
    assert names("Tags.c") == ["Tags.colour"]
    assert names("HyperParameters", kernel.context("777777777777", REGION)) == []
