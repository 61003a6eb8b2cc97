"""QueryLineage through boto3: directions, filters, depth, pages and refusals; and any graph against a simple one in Python."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.lineage.test_lineage import refused

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ("DataSet", "Model")
NODES, GRAPHS, QUERIES = 14, 4, 25


def pages(client: Any, **query: Any) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return all vertices and edges of all pages; none of them comes twice."""
    vertices: list[dict[str, str]] = []
    edges: list[dict[str, str]] = []
    token: dict[str, str] = {}
    while True:
        page = client.query_lineage(**query, **token)
        assert len(page["Vertices"]) <= query.get("MaxResults", 50)
        vertices += page["Vertices"]
        edges += page["Edges"]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert len({each["Arn"] for each in vertices}) == len(vertices)
    assert len({(each["SourceArn"], each["DestinationArn"]) for each in edges}) == len(edges)
    return vertices, edges


def reached(client: Any, arns: dict[str, str], **query: Any) -> list[str]:
    """Return the names of what a query returns, in its order."""
    names = {arn: name for name, arn in arns.items()}
    return [names[each["Arn"]] for each in pages(client, **query)[0]]


def test_a_walk_goes_up_or_down_or_both_ways(client: Any, arns: dict[str, str]) -> None:
    start = {"StartArns": [arns["model"]]}
    assert reached(client, arns, **start, Direction="Ascendants") == ["model", "train", "data"]
    assert reached(client, arns, **start, Direction="Descendants") == ["model", "deploy", "place"]
    assert sorted(reached(client, arns, **start)) == sorted(arns)
    assert reached(client, arns, **start, Direction="Ascendants", MaxDepth=1) == ["model", "train"]
    assert reached(client, arns, **start, Direction="Ascendants", MaxDepth=0) == ["model"]
    answer = client.query_lineage(**start, Direction="Descendants", IncludeEdges=True)
    assert answer["Vertices"] == [
        {"Arn": arns["model"], "Type": "Model", "LineageType": "Artifact"},
        {"Arn": arns["deploy"], "Type": "ModelDeployment", "LineageType": "Action"},
        {"Arn": arns["place"], "Type": "Endpoint", "LineageType": "Context"},
    ]
    assert answer["Edges"] == [
        {"SourceArn": arns["model"], "DestinationArn": arns["deploy"], "AssociationType": "ContributedTo"},
        {"SourceArn": arns["deploy"], "DestinationArn": arns["place"], "AssociationType": "AssociatedWith"},
    ]
    assert client.query_lineage(**start)["Edges"] == []


def test_filters_are_of_what_is_shown_and_not_of_the_way(client: Any, arns: dict[str, str]) -> None:
    client.update_artifact(ArtifactArn=arns["data"], Properties={"kind": "raw"})
    made = client.describe_artifact(ArtifactArn=arns["model"])["CreationTime"]
    changed = client.describe_artifact(ArtifactArn=arns["data"])["LastModifiedTime"]
    up = {"StartArns": [arns["place"]], "Direction": "Ascendants"}
    for filters, expected in (
        ({"Types": ["DataSet", "Endpoint"]}, ["place", "data"]),
        ({"LineageTypes": ["TrialComponent", "Action"]}, ["deploy", "train"]),
        ({"LineageTypes": ["Artifact"], "Types": ["Model"]}, ["model"]),
        ({"CreatedBefore": made}, ["train", "data"]),
        ({"CreatedAfter": made}, ["place", "deploy"]),
        ({"ModifiedAfter": made}, ["place", "deploy", "data"]),
        ({"ModifiedAfter": changed.replace(year=2200)}, []),
        ({"ModifiedBefore": made}, ["train"]),
        ({"Properties": {"kind": "raw", "other": "none"}}, ["data"]),
        ({"Properties": {"kind": "none"}}, []),
        ({}, ["place", "deploy", "model", "train", "data"]),
    ):
        assert reached(client, arns, **up, Filters=filters) == expected, filters
    on_the_way = pages(client, **up, Filters={"Types": ["Model"]}, IncludeEdges=True)
    assert [each["Arn"] for each in on_the_way[0]] == [arns["place"], arns["deploy"], arns["model"]]
    assert len(on_the_way[1]) == 2
    assert pages(client, **up, Filters={"Types": ["None"]}, IncludeEdges=True) == ([], [])


def test_without_a_start_all_entities_are_filtered(client: Any, arns: dict[str, str]) -> None:
    assert sorted(reached(client, arns, MaxResults=2)) == sorted(arns)
    assert reached(client, arns, StartArns=[], Filters={"Types": ["DataSet", "Endpoint"]}, MaxResults=1) == [
        "data", "place",
    ]  # fmt: skip
    assert reached(client, arns, Filters={"LineageTypes": ["Action"], "CreatedAfter": 0}) == ["deploy"]
    assert reached(client, arns, Filters={"CreatedBefore": 0}) == []
    assert client.query_lineage(IncludeEdges=True)["Edges"] == []


def test_an_experiment_is_walked_through(client: Any, arns: dict[str, str]) -> None:
    experiment = client.create_experiment(ExperimentName="E")["ExperimentArn"]
    client.add_association(SourceArn=experiment, DestinationArn=arns["data"])
    client.add_association(SourceArn=arns["place"], DestinationArn=experiment)
    query = {"StartArns": [experiment], "Direction": "Descendants", "IncludeEdges": True}
    vertices, edges = pages(client, **query)
    assert [each["Arn"] for each in vertices] == [arns[name] for name in ("data", "train", "model", "deploy", "place")]
    assert len(edges) == 4


def test_what_cannot_be_queried_is_refused(client: Any, arns: dict[str, str], aws: Callable[..., Any]) -> None:
    for query, code in (
        ({"StartArns": [f"{arns['data'][:-1]}x"]}, "ResourceNotFound"),
        ({"StartArns": [arns["data"].replace(":us-east-1:", ":eu-west-1:")]}, "ResourceNotFound"),
        ({"StartArns": [arns["data"].replace("artifact/", "trial/")]}, "ValidationException"),
        ({"StartArns": [arns["data"], arns["train"]]}, "ValidationException"),  # the model has at most one
        ({"MaxDepth": 11}, "ValidationException"),
        ({"MaxResults": 51}, "ValidationException"),
        ({"MaxResults": 0}, "ValidationException"),
        ({"NextToken": "x"}, "ValidationException"),
        ({"Filters": {"Types": ["a"] * 6}}, "ValidationException"),
    ):
        assert refused(lambda query=query: client.query_lineage(**query))[0] == code, query  # type: ignore[misc]
    token = client.query_lineage(StartArns=[arns["data"]], MaxResults=1)["NextToken"]
    other = {"StartArns": [arns["train"]], "MaxResults": 1, "NextToken": token}
    assert refused(lambda: client.query_lineage(**other))[0] == "ValidationException"
    foreign = aws("sagemaker", account=next_account(arns["data"]))
    assert refused(lambda: foreign.query_lineage(StartArns=[arns["data"]]))[0] == "ResourceNotFound"


def next_account(arn: str) -> str:
    """Return another account than an ARN's."""
    return f"9{arn.split(':')[4][1:]}"


def expected(
    edges: set[tuple[int, int]], start: int, direction: str, most: int, matches: set[int], *, with_edges: bool
) -> tuple[set[int], set[tuple[int, int]]]:
    """Walk a simple graph: what is shown, and the associations between that."""
    down = edges if direction != "Ascendants" else set()
    up = {(b, a) for a, b in edges} if direction != "Descendants" else set()
    steps = down | up
    depths, level = {start: 0}, {start}
    for depth in range(1, most + 1):
        level = {there for here, there in steps if here in level} - depths.keys()
        depths |= dict.fromkeys(level, depth)
    if not with_edges:
        return depths.keys() & matches, set()
    taken = {(a, b) for a, b in steps if depths.get(a, most) < most}
    kept = depths.keys() & matches
    for _ in range(len(depths)):
        kept |= {a for a, b in taken if b in kept and (direction != "Both" or depths[a] < depths[b])}
    walked = (taken & down) | {(a, b) for b, a in taken & up}
    return kept, {(a, b) for a, b in walked if {a, b} <= kept}


@pytest.mark.parametrize("seed", range(GRAPHS))
def test_any_graph_is_walked_as_a_simple_one_is(client: Any, seed: int) -> None:
    chance = random.Random(seed)
    made = [
        client.create_artifact(ArtifactType=KINDS[n % 2], Source={"SourceUri": f"s3://b/{n}"})["ArtifactArn"]
        for n in range(NODES)
    ]
    number = {arn: n for n, arn in enumerate(made)}
    edges = {(chance.randrange(NODES), chance.randrange(NODES)) for _ in range(chance.choice((14, 22, 30)))}
    edges = {(a, b) for a, b in edges if a != b}  # with circles
    for a, b in edges:
        client.add_association(SourceArn=made[a], DestinationArn=made[b])
    for _ in range(QUERIES):
        start, most = chance.randrange(NODES), chance.choice((1, 2, 3, 10))
        direction, with_edges = chance.choice(("Both", "Ascendants", "Descendants")), chance.random() < 0.6
        kinds = chance.choice((KINDS, KINDS[:1], KINDS[1:]))
        vertices, answered = pages(
            client, StartArns=[made[start]], Direction=direction, MaxDepth=most, IncludeEdges=with_edges,
            MaxResults=chance.choice((1, 3, 50)), Filters={} if kinds == KINDS else {"Types": list(kinds)},
        )  # fmt: skip
        matches = {n for n in range(NODES) if KINDS[n % 2] in kinds}
        shown, between = expected(edges, start, direction, most, matches, with_edges=with_edges)
        assert {number[each["Arn"]] for each in vertices} == shown
        assert {(number[each["SourceArn"]], number[each["DestinationArn"]]) for each in answered} == between
    removed = chance.choice(sorted(edges))
    client.delete_association(SourceArn=made[removed[0]], DestinationArn=made[removed[1]])
    vertices, _ = pages(client, StartArns=[made[removed[0]]], Direction="Descendants")
    everything = set(range(NODES))
    left, _ = expected(edges - {removed}, removed[0], "Descendants", 10, everything, with_edges=False)
    assert {number[each["Arn"]] for each in vertices} == left
