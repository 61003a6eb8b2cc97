"""Every kind of resource whose Create works, through random interleavings of its operations with restarts in between."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore import xform_name
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from api_specs import model
from api_specs.ledger import line
from backends import load_components
from tests.life.kind import Kind, kinds
from tests.toy.test_life import Server, code

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
KINDS = kinds()
REFUSED = {"ValidationException", "ResourceInUse", "ConflictException"}
MISSING = {"ValidationException", "ResourceNotFound", "ResourceNotFoundException"}
ACCOUNTS = itertools.count(200_000_000_000)
DELETED_S = 10.0
names = st.sampled_from(["alpha", "beta", "gamma"])


@dataclass
class Living:
    """One resource as the model knows it."""

    kind: Kind
    identity: dict[str, Any]
    shown: dict[str, Any]
    arn: str
    parent: Living | None = None
    tags: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("life"), load_components())
    yield running
    running.stop()


def token_for(operation: str) -> dict[str, str]:
    """Return a new client token, where an operation must have one."""
    needed = set(model.operation(operation).input_shape.required_members) & {"ClientToken", "ClientRequestToken"}
    return {member: f"{next(ACCOUNTS):0>32}" for member in needed}


class Life(RuleBasedStateMachine):
    """Up to three of one kind, below parents where it has them, in an account of their own."""

    kind: Kind
    server: Server

    @initialize()
    def begin(self) -> None:
        """Start with nothing."""
        self.server.account = str(next(ACCOUNTS))
        self.alive: dict[str, Living] = {}
        self.gone: dict[str, Living] = {}
        self.parents: dict[str, Living] = {}
        self.restarted = False

    # -- the rules

    @rule(name=names)
    def create(self, name: str) -> None:
        """Make one, or be refused because the name is taken."""
        parent = self.parent_of(self.kind)
        if (self.kind.named and name in self.alive) or len(self.alive) >= self.kind.most:
            assert code(lambda: self.make(self.kind, name, parent)) in REFUSED
        elif self.kind.reused or name not in self.gone:
            key = name if self.kind.named else f"{name}-{next(ACCOUNTS)}"
            self.alive[key] = self.make(self.kind, name, parent)

    @rule(data=st.data())
    def describe(self, data: st.DataObject) -> None:
        """Show what is there as it was asked for; raise AWS's error for what is gone."""
        if living := self.one_of(data, self.alive):
            answer = self.describe_of(living)
            assert {member: answer.get(member) for member in living.shown} == living.shown
            assert living.arn in answer.values()
        if (deleted := self.one_of(data, self.gone)) and not self.is_back(deleted):
            assert code(lambda: self.describe_of(deleted)) in MISSING

    @rule(data=st.data())
    def update(self, data: st.DataObject) -> None:
        """Change some members; of what is gone nothing can be changed."""
        if not self.kind.update:
            return
        if living := self.one_of(data, self.alive):
            self.server.call(f"Update{self.kind.noun}", **living.identity, **self.kind.update)
            living.shown |= self.kind.updated or self.kind.update
        if (deleted := self.one_of(data, self.gone)) and not self.is_back(deleted):
            request = {**deleted.identity, **self.kind.update}
            assert code(lambda: self.server.call(f"Update{self.kind.noun}", **request)) in MISSING

    @rule(data=st.data(), value=st.sampled_from(["1", "2"]))
    def tag(self, data: st.DataObject, value: str) -> None:
        """Tags are added, merged and listed."""
        if living := self.one_of(data, self.alive):
            self.server.call("AddTags", ResourceArn=living.arn, Tags=[{"Key": "k", "Value": value}])
            living.tags["k"] = value
            listed = self.server.call("ListTags", ResourceArn=living.arn)["Tags"]
            assert {tag["Key"]: tag["Value"] for tag in listed} == living.tags

    @rule(size=st.integers(1, 3))
    def list_all(self, size: int) -> None:
        """All pages together are what is there, each once."""
        operation = model.list_operation(self.kind.noun)
        if operation is None:
            return
        member, _ = model.summary_shape(operation)
        parent = self.parent_of(self.kind)
        request = {"MaxResults": size, **self.kind.listing(parent.identity if parent else {})}
        listed: list[Any] = []
        while True:
            answer = self.server.call(operation, **request)
            listed += answer[member]
            if "NextToken" not in answer:
                break
            request["NextToken"] = answer["NextToken"]
        assert len(listed) == len(self.alive)
        for living in self.alive.values():
            shown = living.shown[self.kind.listed_by] if self.kind.listed_by else living.arn
            assert (
                sum(shown in (summary.values() if isinstance(summary, dict) else (summary,)) for summary in listed) == 1
            )

    @rule(data=st.data())
    def search(self, data: st.DataObject) -> None:
        """Search finds each by its name, and by its tag."""
        name = model.search_name(self.kind.noun)
        living = self.one_of(data, self.alive)
        if not name or living is None or not self.kind.found_by:
            return
        filters = [{"Name": self.kind.found_by, "Value": living.shown[self.kind.found_by.rpartition(".")[2]]}]
        filters += [{"Name": f"Tags.{key}", "Value": value} for key, value in living.tags.items()]
        answer = self.server.call("Search", Resource=name, SearchExpression={"Filters": filters})
        assert answer["TotalHits"]["Value"] >= 1
        if self.kind.noun in model.shape("SearchRecord").members:
            assert [result for result in answer["Results"] if living.arn in str(result)]

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """Delete one; a second time there is nothing to delete."""
        if not model.has_operation(f"Delete{self.kind.noun}"):
            return
        key = data.draw(st.sampled_from([*self.alive, ""]))
        if not key:
            return
        living = self.alive.pop(key)
        self.delete_of(living)
        self.wait_until_gone(living)
        self.gone[key] = living

    @rule()
    def delete_a_parent(self) -> None:
        """Refuse a parent that holds its children while it has one."""
        parent = self.parents.get(self.kind.parent)
        if parent is not None and parent.kind.holds and self.alive:
            assert code(lambda: self.delete_of(parent)) in REFUSED

    @precondition(lambda self: not self.restarted)
    @rule()
    def restart(self) -> None:
        """Stop the server and start it on the same data; once, it takes long."""
        self.restarted = True
        self.server.stop()
        self.server.start()

    # -- what they stand on

    def make(self, kind: Kind, name: str, parent: Living | None) -> Living:
        """Call Create and return what is to be there."""
        request = kind.request(name, parent.identity if parent else {}) | token_for(f"Create{kind.noun}")
        answer = self.server.call(f"Create{kind.noun}", **request)
        known = {**request, **answer}
        identity = (
            kind.identity(known)
            if kind.identity
            else {member: known[member] for member in model.key_members(kind.noun)}
        )
        shown = model.members(kind.noun) if kind.wrapped else model.output_members(f"Describe{kind.noun}")
        expected = {k: v for k, v in request.items() if k in shown and k != "Tags" and k not in kind.unlike}
        described = self.server.call(f"Describe{kind.noun}", **identity)
        arn = next((v for k, v in answer.items() if k.endswith("Arn")), "") or described[model.arn_member(kind.noun)]
        return Living(kind, identity, expected, arn, parent, {t["Key"]: t["Value"] for t in request.get("Tags", [])})

    def parent_of(self, kind: Kind) -> Living | None:
        """Return the parent that this example uses, made when it is first wanted."""
        if not kind.parent:
            return None
        if kind.parent not in self.parents:
            parent = KINDS[kind.parent]
            self.parents[kind.parent] = self.make(parent, "parent", self.parent_of(parent))
        return self.parents[kind.parent]

    def describe_of(self, living: Living) -> dict[str, Any]:
        """Call Describe."""
        answer = self.server.call(f"Describe{living.kind.noun}", **living.identity)
        return answer[living.kind.noun] if living.kind.wrapped else answer

    def delete_of(self, living: Living) -> None:
        """Call Delete."""
        wanted = model.input_members(f"Delete{living.kind.noun}")
        identity = {member: value for member, value in living.identity.items() if member in wanted}
        operation = f"Delete{living.kind.noun}"
        self.server.call(operation, **identity, **living.kind.delete, **token_for(operation))

    def wait_until_gone(self, living: Living) -> None:
        """Wait for a deletion that takes time."""
        deadline = time.monotonic() + DELETED_S
        while not code(lambda: self.describe_of(living)):
            assert time.monotonic() < deadline, f"{living.arn} is still there"
            time.sleep(0.005)

    def is_back(self, deleted: Living) -> bool:
        """Return whether another has the identity of one that was deleted."""
        return any(living.identity == deleted.identity for living in self.alive.values())

    @staticmethod
    def one_of(data: st.DataObject, group: dict[str, Living]) -> Living | None:
        """Draw one of a group; None where there is none."""
        return group[data.draw(st.sampled_from([*group]))] if group else None


@pytest.mark.parametrize("kind", KINDS.values(), ids=str)
def test_a_kind_lives_as_a_simple_model_says(server: Server, kind: Kind) -> None:
    machine = type(f"LifeOf{kind}", (Life,), {"kind": kind, "server": server})
    run_state_machine_as_test(
        machine,
        settings=settings(
            phases=(Phase.generate,),  # a restart is dear: shrinking would take minutes
            max_examples=4,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


RUN = {
    "CompilationJob": "tests/compilation",
    "EdgeDeploymentPlan": "tests/edge",
    "EdgePackagingJob": "tests/edge",
    "Endpoint": "tests/endpoints",
    "HyperParameterTuningJob": "tests/tuning",
    "ModelCardExportJob": "tests/model_cards",
    "ProcessingJob": "tests/processing",
    "TrainingJob": "tests/training",
    "TransformJob": "tests/transform",
}
"""What is no record but runs, and what needs that: whose lives these tests drive."""


def test_every_kind_that_can_be_made_has_a_life() -> None:
    made = {noun for noun in model.nouns() if line("sagemaker", f"Create{noun}").state in {"done", "partial"}}
    assert made - set(RUN) == set(KINDS)
    for noun, folder in RUN.items():
        written = "".join(file.read_text(encoding="utf-8") for file in (ROOT / folder).rglob("*.py"))
        assert xform_name(f"Create{noun}") in written, noun
