"""QueryLineage among 100,000 associations, up to three from each entity and three to each, as one client sees it."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import insert

from backends import load_components
from backends.core.kernel import Kernel
from backends.core.rows import Row, insert_row
from backends.core.settings import Settings
from backends.lineage.tables import lineage_edges
from bench import load
from bench.control_plane import ACCOUNT, call
from bench.many import BATCH, REGION
from bench.peers import ours
from bench.report import Table

ENTITIES, EDGES, DEGREE, NEAR = 50_000, 100_000, 3, 2_000
MOST_MS = 100
SECONDS = 2.0
KINDS = ("DataSet", "Model")


def arn_of(number: int) -> str:
    """Return an artifact's ARN."""
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:artifact/{number:032x}"


def graph() -> set[tuple[int, int]]:
    """Return associations, each from an entity to one of the next few; the same at each run."""
    chance = random.Random(1)
    edges: set[tuple[int, int]] = set()
    sources, destinations = [0] * ENTITIES, [0] * ENTITIES
    while len(edges) < EDGES:
        source = chance.randrange(ENTITIES - NEAR)
        destination = source + chance.randrange(1, NEAR)
        edge = source, destination
        if sources[source] < DEGREE and destinations[destination] < DEGREE and edge not in edges:
            edges.add(edge)
            sources[source] += 1
            destinations[destination] += 1
    return edges


def fill(folder: Path) -> None:
    """Store artifacts and their associations."""
    kernel = Kernel(Settings.read({}, data_dir=folder), load_components())
    kernel.open()
    artifact = kernel.resources["Artifact"]

    def store(cx: Any, first: int) -> None:
        for number in range(first, first + BATCH):
            document = {"ArtifactArn": arn_of(number), "ArtifactType": KINDS[number % 2]}
            insert_row(cx, "Artifact", Row(0, f"{number:032x}", arn_of(number), "", 1.0, 1, document), artifact.facets)

    own = {"account": ACCOUNT, "region": REGION, "type": "ContributedTo", "created": 1.0, "created_by": b"{}"}
    rows = [
        {"source_arn": arn_of(a), "destination_arn": arn_of(b), **own}
        | {"source_type": KINDS[a % 2], "destination_type": KINDS[b % 2]}
        for a, b in graph()
    ]
    cx = kernel.context(ACCOUNT, REGION)
    for first in range(0, ENTITIES, BATCH):
        cx.write(lambda inside, first=first: store(inside, first))  # type: ignore[misc]
    cx.write(lambda inside: inside.db.execute(insert(lineage_edges), rows).rowcount)
    kernel.db.close()
    kernel.lease.release()


def queries() -> dict[str, dict[str, Any]]:
    """Return what is asked, of depth 10."""
    down, models = {"Direction": "Descendants"}, {"Filters": {"Types": ["Model"]}, "IncludeEdges": True}
    return {
        "the first page of descendants, with associations": down | {"IncludeEdges": True},
        "the first page both ways": {"Direction": "Both"},
        "all descendants, of a type that none has": down | {"Filters": {"Types": ["None"]}},
        "all descendants, created before any": down | {"Filters": {"CreatedBefore": 0.5}},
        "the paths to all descendants of a type": down | models,
        "the paths to all ascendants of a type": {"Direction": "Ascendants"} | models,
    }


def run() -> list[Table]:
    """Measure each query from different starts."""
    table = Table(f"QueryLineage, {EDGES:,} associations, depth 10, mean ms", "")
    with TemporaryDirectory() as folder:
        fill(Path(folder))
        with ours(LOCALMAKER_DATA_DIR=folder) as own:
            for name, query in queries().items():

                def request(number: int, query: dict[str, Any] = query) -> bytes:
                    return call("QueryLineage", {"StartArns": [arn_of(ENTITIES // 2 + number % BATCH)], **query})

                measured = load.run(own.url, request, 1, SECONDS)
                assert measured.errors == 0, name
                table.row(name, None, 1000 / measured.rate, at_most=MOST_MS)
    return [table]
