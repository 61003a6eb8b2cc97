"""The same Lists and calls with 1,000 and with 100,000 resources stored, in one run: the rates are ratios of the two."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from backends import load_components
from backends.core.kernel import Kernel
from backends.core.rows import Row, insert_row
from backends.core.settings import Settings
from bench import load
from bench.control_plane import ACCOUNT, call, create
from bench.peers import in_turn, ours
from bench.report import Table

if TYPE_CHECKING:
    from backends.core.context import Context
    from bench.peers import Peer

FEW, MANY = 1_000, 100_000
REGION = "us-east-1"
BEGAN = 1_700_000_000.0
BATCH = 5_000
SECONDS = 0.6
KINDS = ("Model", "ProcessingJob", "Trial", "UserProfile", "Experiment", "Domain")
PARENTS = ("Experiment", "Domain")
SAME = 100
"""How many of a kind have the rare status, or one parent, however many are stored."""


def document_of(kind: str, number: int) -> tuple[str, str, dict[str, object]]:
    """Return the key, status and document of one resource."""
    name = f"{kind.lower()}-{number:06}"
    match kind:
        case "ProcessingJob":
            status = "Failed" if number < SAME else "Completed"
            return name, status, {"ProcessingJobName": name, "ProcessingJobStatus": status}
        case "Trial":
            return name, "", {"TrialName": name, "ExperimentName": f"experiment-{number // SAME}"}
        case "UserProfile":
            domain = f"d-{number // SAME:012}"
            document: dict[str, object] = {"DomainId": domain, "UserProfileName": name, "Status": "InService"}
            return f"{domain}/{name}", "InService", document
        case "Experiment":
            name = f"experiment-{number}"
            return name, "", {"ExperimentName": name}
        case "Domain":
            domain = f"d-{number:012}"
            return domain, "InService", {"DomainId": domain, "DomainName": domain, "Status": "InService"}
    return name, "", {"ModelName": name, "ExecutionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/r"}


def fill(folder: Path, count: int) -> None:
    """Store so many of each kind: as rows, past what would happen to each of them."""
    kernel = Kernel(Settings.read({}, data_dir=folder), load_components())
    kernel.open()
    cx = kernel.context(ACCOUNT, REGION)

    def store(inside: Context, kind: str, first: int) -> None:
        resource = kernel.resources[kind]
        most = count // SAME if kind in PARENTS else count
        for number in range(first, min(first + BATCH, most)):
            key, status, document = document_of(kind, number)
            created = BEGAN + number
            document |= {resource.arn_member: resource.arn_of(inside, key)}
            document |= {member: created for member in resource.times if member in resource.shown}
            arn = str(document[resource.arn_member])
            insert_row(inside, kind, Row(0, key, arn, status, created, 1, document), resource.facets)

    for kind in KINDS:
        for first in range(0, count, BATCH):
            cx.write(lambda inside, kind=kind, first=first: store(inside, kind, first))  # type: ignore[misc]
    kernel.db.close()
    kernel.lease.release()


def lists(count: int) -> dict[str, bytes]:
    """Return the Lists of 100 by what they filter."""
    page: dict[str, float] = {"MaxResults": SAME}
    last = {"CreationTimeAfter": BEGAN + count - SAME - 0.5}
    return {
        "ListModels": call("ListModels", page),
        "ListModels, CreationTimeAfter": call("ListModels", page | last),
        "ListModels, CreationTimeBefore": call("ListModels", page | {"CreationTimeBefore": BEGAN + SAME}),
        "ListProcessingJobs, StatusEquals of most": call("ListProcessingJobs", page | {"StatusEquals": "Completed"}),
        "ListProcessingJobs, StatusEquals of 100": call("ListProcessingJobs", page | {"StatusEquals": "Failed"}),
        "ListProcessingJobs, StatusEquals and CreationTimeAfter": call(
            "ListProcessingJobs", page | last | {"StatusEquals": "Completed"}
        ),
        "ListTrials, ExperimentName": call("ListTrials", page | {"ExperimentName": "experiment-3"}),
        "ListUserProfiles, DomainIdEquals": call("ListUserProfiles", page | {"DomainIdEquals": f"d-{3:012}"}),
        "ListModels, NameContains of all": call("ListModels", page | {"NameContains": "model-0"}),
        "ListModels, NameContains of 100": call("ListModels", page | {"NameContains": "-0003"}),
    }


def rates(table: Table, small: Peer, large: Peer) -> None:
    """Measure DescribeModel and CreateModel: with many stored over with few."""
    turn = iter(range(1000))

    def describes(peer: Peer) -> float:
        request = call("DescribeModel", {"ModelName": "model-000500"})
        return load.run(peer.url, lambda _: request, 1, SECONDS).rate

    def creates(peer: Peer) -> float:
        prefix = f"new-{next(turn)}"
        return load.run(peer.url, lambda n: create(prefix, n), 1, SECONDS).rate

    for name, measure in (("DescribeModel", describes), ("CreateModel", creates)):
        table.row(f"{name}, req/s", *in_turn((small, large), measure), at_least=0.9)


def pages(table: Table, small: Peer, large: Peer) -> None:
    """Measure the time of a page of 100."""
    requests = {small.url: lists(FEW), large.url: lists(MANY)}
    for name in lists(FEW):

        def time_ms(peer: Peer, name: str = name) -> float:
            measured = load.run(peer.url, lambda _: requests[peer.url][name], 1, SECONDS)
            assert measured.errors == 0, name
            return 1000 / measured.rate

        few_ms, many_ms = in_turn((small, large), time_ms, less=True)
        most = 5 if "NameContains" in name else 1.3
        table.row(f"{name}, ms", few_ms, many_ms, less=True, at_least=round(1 / most, 2))


def run() -> list[Table]:
    """Measure both by turns, in one run."""
    called = Table("100,000 of each kind stored against 1,000", "1,000", "100,000")
    listed = Table("Pages of 100", "1,000", "100,000")
    with TemporaryDirectory() as few, TemporaryDirectory() as many:
        fill(Path(few), FEW)
        fill(Path(many), MANY)
        with ours(LOCALMAKER_DATA_DIR=few) as small, ours(LOCALMAKER_DATA_DIR=many) as large:
            pages(listed, small, large)
            rates(called, small, large)
    return [called, listed]
