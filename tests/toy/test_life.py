"""The toy component's whole life, with restarts and deletions, against a simple model of what should be there."""

from __future__ import annotations

import asyncio
import http.client
import sys
import tempfile
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import func, select

from backends.core import parents, tag_operations, waking, work
from backends.core.errors import AwsError
from backends.core.kernel import Kernel
from backends.core.listening import PORT
from backends.core.search import operations as search
from backends.core.settings import Settings
from backends.core.tables import deliveries, events, facets, jobs
from backends.core.tables import parents as parent_rows
from backends.jobs import credentials, places, queue, recipes
from backends.jobs.reach import reached
from tests.toy import component

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ACCOUNT, REGION = "111122223333", "us-east-1"
MODULES = (search, tag_operations, parents, waking, work, queue, component)
ROLE = f"arn:aws:iam::{ACCOUNT}:role/"
names = st.sampled_from(["a", "b"])
approvals = st.sampled_from(["Approved", "Rejected"])


class Server:
    """A kernel on a loop of its own thread, as a server is; it can be stopped and started again on the same data."""

    def __init__(self, folder: Path, modules: Sequence[Any] = MODULES) -> None:
        self._folder, self._modules, self.account, self._runners = folder, modules, ACCOUNT, list[Any]()
        self.start()

    def start(self) -> None:
        """Start a kernel on the data that is there."""
        self.kernel = Kernel(
            Settings.read({"LOCALMAKER_MAX_JOBS": "2", "LOCALMAKER_RUNNER": "process"}, data_dir=self._folder),
            self._modules,
        )
        PORT.set(self.kernel, 1)
        credentials.FILES.set(self.kernel, lambda _: None)
        self._runners.append(places.runner(self.kernel, "process"))
        self.kernel.open()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self.kernel.start())
        self._run(self.kernel.listening())

    def stop(self) -> None:
        """Stop it."""
        self._run(self.kernel.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def end(self) -> None:
        """Stop it for good; what it started has ended."""
        self.stop()
        for child in [child for runner in self._runners for child in runner._children.values()]:
            child.wait(10)  # a supervisor is the child of the server that started it

    def status(self, notebook: str) -> str:
        """Return the status of a notebook; empty for one that is gone."""
        with suppress(AwsError):
            answer = self.call("DescribeNotebookInstance", NotebookInstanceName=notebook)
            return str(answer["NotebookInstanceStatus"])
        return ""

    def services(self) -> set[str]:
        """Return the services that run."""
        return {handle.job for handle in self._runners[-1].adopt()}

    def reach(self, arn: str) -> int:
        """Send a request to a service as a proxy does; return the status of the answer."""

        async def get() -> int:
            async with reached(self.kernel, arn, 20) as (host, port):
                return await asyncio.to_thread(_get, host, port)

        return int(self._run(get()))

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        """Call an operation."""
        answer: dict[str, Any] = self._run(self.kernel.context(self.account, REGION).call_async(operation, request))
        return answer

    def count(self, *tables: Any) -> int:
        """Count the rows of tables."""
        queries = [select(func.count()).select_from(table) for table in tables]
        return self.kernel.db.read_blocking(
            lambda tx: sum(tx.connection.execute(query).scalar_one() for query in queries)
        )

    def settle(self) -> None:
        """Wait until nothing is left to deliver, to run or to wait for; services run on."""
        runs = select(jobs).where(jobs.c.kind != "notebook").subquery()
        eventually(lambda: not self.count(deliveries, runs, parent_rows))


def eventually(true: Callable[[], bool]) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def _get(host: str, port: int) -> int:
    with closing(http.client.HTTPConnection(host, port, timeout=5)) as connection:
        connection.request("GET", "/")
        return connection.getresponse().status


@pytest.fixture(autouse=True, scope="module")
def this_python() -> Iterator[None]:
    """Let services run in this very Python, where a recipe's would be made."""
    with mock.patch.object(recipes, "virtual_environment", return_value=Path(sys.executable)):
        yield


def code(call: Callable[[], Any]) -> str:
    """Return the code of the error that a call is answered with; empty for none."""
    try:
        call()
    except AwsError as error:
        return error.code
    return ""


class Life(RuleBasedStateMachine):
    """Groups hold packages by number; runs and notebooks have the status they must come to."""

    @initialize()
    def begin(self) -> None:
        """Start with nothing."""
        self.folder = tempfile.TemporaryDirectory()
        self.server = Server(Path(self.folder.name))
        self.groups: dict[str, dict[int, str]] = {}
        self.numbers: dict[str, int] = {}
        self.tags: dict[str, set[str]] = {}
        self.runs: dict[str, set[str]] = {}
        self.notebooks: dict[str, str] = {}
        self.deleted = 0

    @rule(name=names)
    def create_group(self, name: str) -> None:
        """Refuse a name that is taken."""
        refused = code(lambda: self.server.call("CreateModelPackageGroup", ModelPackageGroupName=name))
        assert bool(refused) == (name in self.groups)
        self.groups.setdefault(name, {})

    @rule(name=names)
    def delete_group(self, name: str) -> None:
        """Refuse a group that has packages."""
        refused = code(lambda: self.server.call("DeleteModelPackageGroup", ModelPackageGroupName=name))
        assert bool(refused) == (name not in self.groups or bool(self.groups[name]))
        if not refused:
            del self.groups[name]
            self.deleted += 1

    @rule(name=names, approval=approvals, tag=st.sampled_from(["", "red"]))
    def create_package(self, name: str, approval: str, tag: str) -> None:
        """Numbers count up below a group."""
        tags = {"Tags": [{"Key": "colour", "Value": tag}]} if tag else {}
        request = {"ModelPackageGroupName": name, "ModelApprovalStatus": approval, **tags}
        if name not in self.groups:
            assert code(lambda: self.server.call("CreateModelPackage", **request))
            return
        number = self.numbers[name] = self.numbers.get(name, 0) + 1
        arn = self.server.call("CreateModelPackage", **request)["ModelPackageArn"]
        assert arn.endswith(f":model-package/{name}/{number}")
        self.groups[name][number] = approval
        self.tags[arn] = {tag} - {""}

    def _arn(self, name: str, number: int) -> str:
        return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/{name}/{number}"

    @rule(data=st.data(), name=names, approval=approvals)
    def approve(self, data: st.DataObject, name: str, approval: str) -> None:
        """Only what is there can be changed."""
        packages = self.groups.get(name, {})
        number = data.draw(st.sampled_from([*packages, 99]))
        refused = code(
            lambda: self.server.call(
                "UpdateModelPackage", ModelPackageArn=self._arn(name, number), ModelApprovalStatus=approval
            )
        )
        assert bool(refused) == (number not in packages)
        if not refused:
            packages[number] = approval

    @rule(data=st.data(), name=names)
    def delete_package(self, data: st.DataObject, name: str) -> None:
        """Only what is there can be deleted."""
        packages = self.groups.get(name, {})
        number = data.draw(st.sampled_from([*packages, 99]))
        refused = code(lambda: self.server.call("DeleteModelPackage", ModelPackageName=self._arn(name, number)))
        assert bool(refused) == (number not in packages)
        if not refused:
            del packages[number]
            self.deleted += 1
            del self.tags[self._arn(name, number)]

    @precondition(lambda self: len(self.runs) < 4)
    @rule(count=st.integers(1, 3), role=st.sampled_from(["good", "bad"]), stop=st.booleans())
    def run(self, count: int, role: str, stop: bool) -> None:
        """Begin a run, and stop it at once or not."""
        name = f"run-{len(self.runs)}"
        self.server.call(
            "CreateInferenceRecommendationsJob",
            JobName=name,
            JobType="Default",
            RoleArn=ROLE + role,
            InputConfig={"ModelName": "m"},
            StoppingConditions={"MaxInvocations": count},
        )
        self.runs[name] = {"FAILED" if role == "bad" else "COMPLETED"}
        if stop and not code(lambda: self.server.call("StopInferenceRecommendationsJob", JobName=name)):
            self.runs[name] = {"STOPPED"}

    @precondition(lambda self: not self.notebooks)
    @rule()
    def create_notebook(self) -> None:
        """Begin a service."""
        name = "notebook"
        request = {"NotebookInstanceName": name, "InstanceType": "ml.t3.medium", "RoleArn": f"{ROLE}r"}
        self.server.call("CreateNotebookInstance", **request)
        assert code(lambda: self.server.call("CreateNotebookInstance", **request))
        self.notebooks[name] = "InService"

    @precondition(lambda self: self.notebooks)
    @rule(data=st.data(), verb=st.sampled_from(["Start", "Stop", "Delete"]))
    def change_notebook(self, data: st.DataObject, verb: str) -> None:
        """Refuse what its status does not allow; what is under way may be either."""
        name = data.draw(st.sampled_from(sorted(self.notebooks)))
        refused = code(lambda: self.server.call(f"{verb}NotebookInstance", NotebookInstanceName=name))
        wanted = {"Start": "InService", "Stop": "Stopped", "Delete": ""}[verb]
        if self.notebooks[name] == "" or (verb, self.notebooks[name]) == ("Start", "InService"):
            assert refused
        elif self.notebooks[name] == "InService":
            assert not refused
        if not refused:
            self.notebooks[name] = wanted

    @precondition(lambda self: "InService" in self.notebooks.values())
    @rule()
    def invoke(self) -> None:
        """Reach the services that are to run, however they were begun."""
        for name in [name for name, wanted in self.notebooks.items() if wanted == "InService"]:
            assert self.server.reach(f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:notebook-instance/{name}") == 200

    def _notebooks_are_as_wanted(self) -> bool:
        return all(self.server.status(name) == wanted for name, wanted in self.notebooks.items())

    @rule(settled=st.booleans())
    def restart(self, settled: bool) -> None:
        """Stop the server and start it again: services that ran are the same ones then."""
        if settled:
            eventually(self._notebooks_are_as_wanted)
        before = self.server.services()
        self.server.stop()
        self.server.start()
        if settled:
            self.invoke()
            assert self.server.services() == before

    @rule(approval=approvals, size=st.integers(1, 3))
    def list_and_search(self, approval: str, size: int) -> None:
        """All pages, and a search, are what the model says."""
        wanted = {(name, n) for name, packages in self.groups.items() for n, how in packages.items() if how == approval}
        listed: list[tuple[str, int]] = []
        request: dict[str, Any] = {"ModelApprovalStatus": approval, "MaxResults": size}
        while True:
            answer = self.server.call("ListModelPackages", **request)
            listed += [
                (each["ModelPackageGroupName"], each["ModelPackageVersion"])
                for each in answer["ModelPackageSummaryList"]
            ]
            if "NextToken" not in answer:
                break
            request["NextToken"] = answer["NextToken"]
        assert len(listed) == len(set(listed))
        assert set(listed) == wanted
        filters = [{"Name": "ModelApprovalStatus", "Value": approval}, {"Name": "Tags.colour", "Value": "red"}]
        matches = self.server.call(
            "Search", Resource="ModelPackage", SearchExpression={"Filters": filters}, MaxResults=100
        )
        red = {arn for arn, tags in self.tags.items() if tags}
        results = {each["ModelPackage"]["ModelPackageArn"] for each in matches["Results"]}
        assert results == red & {self._arn(*each) for each in wanted}

    @invariant()
    def what_is_there_is_what_should_be(self) -> None:
        """Compare groups with those of the model."""
        if not hasattr(self, "server"):
            return
        groups = self.server.call("ListModelPackageGroups", MaxResults=100)["ModelPackageGroupSummaryList"]
        assert {group["ModelPackageGroupName"] for group in groups} == set(self.groups)

    def teardown(self) -> None:
        """Everything that was begun has ended as it must; nothing is left over."""
        if not hasattr(self, "server"):
            return
        self.server.settle()
        eventually(self._notebooks_are_as_wanted)
        for name in [name for name, wanted in self.notebooks.items() if wanted]:
            self.server.call("DeleteNotebookInstance", NotebookInstanceName=name)
        eventually(lambda: not self.server.count(jobs) and not self.server.services())
        for name, statuses in self.runs.items():
            assert self.server.call("DescribeInferenceRecommendationsJob", JobName=name)["Status"] in statuses
        kinds = ["ModelPackageGroup", "ModelPackage"]
        query = select(func.count()).select_from(events).where(events.c.kind.in_(kinds), events.c.new == "Deleted")
        assert self.server.kernel.db.read_blocking(lambda tx: tx.connection.execute(query).scalar_one()) == self.deleted
        stored = {
            row
            for (row,) in self.server.kernel.db.read_blocking(
                lambda tx: tx.connection.execute(select(facets.c.resource_id).distinct()).all()
            )
        }
        assert (
            len(stored)
            <= sum(len(packages) for packages in self.groups.values()) + len(self.groups) + len(self.runs) * 4
        )
        self.server.end()
        self.folder.cleanup()


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)


def test_the_component_is_short() -> None:
    assert len(Path(component.__file__).read_text(encoding="utf-8").splitlines()) < 150
