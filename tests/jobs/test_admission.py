"""Which job starts next, on its own: no thread, no clock, no database."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.jobs.admission import MOST_LEVELS, Admission, Allotment, CapacityError, Lineage, ResourceRequest


def started(admission: Admission) -> list[str]:
    return [job for job, _ in admission.admit()]


def below(parent: str) -> Lineage:
    return Lineage(parent, (parent,))


def test_first_come_first_served_within_an_account() -> None:
    admission = Admission(2, ())
    for job in "abc":
        admission.submit(job, "1", ResourceRequest(1))
    assert started(admission) == ["a", "b"]
    assert started(admission) == []
    admission.release("a")
    assert started(admission) == ["c"]


def test_an_account_that_runs_nothing_goes_before_one_that_runs_much() -> None:
    admission = Admission(2, ())
    for number in range(10):
        admission.submit(f"busy-{number}", "1", ResourceRequest(1))
    assert started(admission) == ["busy-0", "busy-1"]
    admission.submit("late", "2", ResourceRequest(1))
    admission.release("busy-0")
    assert started(admission) == ["late"]
    admission.release("busy-1")
    admission.release("late")
    admission.submit("late-too", "2", ResourceRequest(1))
    assert started(admission) == ["busy-2", "late-too"]


def test_a_job_that_waits_for_a_gpu_holds_up_nobody() -> None:
    admission = Admission(2, (0,))
    admission.submit("first", "1", ResourceRequest(1, 1))
    admission.submit("second", "1", ResourceRequest(1, 1))
    for number in range(50):
        admission.submit(f"cpu-{number}", "1", ResourceRequest(1))
    assert started(admission) == ["first", "cpu-0"]
    for number in range(49):
        admission.release(f"cpu-{number}")
        assert started(admission) == [f"cpu-{number + 1}"]


def test_a_large_job_is_passed_over_for_a_while_and_not_for_ever() -> None:
    admission = Admission(4, ())
    admission.submit("long", "1", ResourceRequest(1))
    assert started(admission) == ["long"]
    admission.submit("large", "1", ResourceRequest(4))
    for number in range(100):
        admission.submit(f"small-{number}", "2", ResourceRequest(1))
    order = started(admission)
    while "large" not in order:
        for job in [job for job in admission.held if job != "long"]:
            admission.release(job)
        if not started_more(admission, order):
            admission.release("long")
            started_more(admission, order)
    assert 8 <= order.index("large") < 30


def started_more(admission: Admission, order: list[str]) -> bool:
    new = started(admission)
    order.extend(new)
    return bool(new)


def test_a_job_larger_than_the_machine_runs_alone() -> None:
    admission = Admission(2, ())
    admission.submit("huge", "1", ResourceRequest(9))
    admission.submit("small", "1", ResourceRequest(1))
    assert started(admission) == ["huge"]
    admission.release("huge")
    assert started(admission) == ["small"]


def test_more_gpus_than_the_machine_has_are_refused() -> None:
    with pytest.raises(CapacityError, match=r"2 GPU\(s\), and this machine has 1"):
        Admission(2, (0,)).check(ResourceRequest(1, 2))


def test_a_child_is_admitted_beside_its_parent_and_shares_its_gpus() -> None:
    admission = Admission(1, (0,))
    admission.submit("parent", "1", ResourceRequest(1, 1))
    admission.submit("other", "1", ResourceRequest(1))
    assert started(admission) == ["parent"]
    admission.submit("child", "1", ResourceRequest(1, 1), below("parent"))
    assert admission.admit() == [("child", Allotment("1", 0, (0,), below("parent")))]
    admission.release("child")
    admission.submit("greedy", "1", ResourceRequest(1, 2), below("parent"))
    ((_, refused),) = admission.admit()
    assert isinstance(refused, CapacityError)


def test_a_parent_has_as_many_children_at_once_as_there_are_places_and_orphans_wait_like_others() -> None:
    admission = Admission(2, ())
    admission.submit("parent", "1", ResourceRequest(1))
    admission.submit("other", "1", ResourceRequest(1))
    started(admission)
    for number in range(4):
        admission.submit(f"child-{number}", "1", ResourceRequest(1), below("parent"))
    assert started(admission) == ["child-0", "child-1"]
    admission.release("child-0")
    assert started(admission) == ["child-2"]
    admission.release("parent")  # its place passes on to its children that run
    assert started(admission) == []
    admission.release("child-1")
    admission.release("child-2")
    assert started(admission) == ["child-3"]


def test_a_family_has_as_many_at_once_as_there_are_places_and_one_more_at_each_level() -> None:
    admission = Admission(2, ())
    admission.submit("root", "1", ResourceRequest(1))
    assert started(admission) == ["root"]
    newest: list[str] = ["root"]
    line: dict[str, tuple[str, ...]] = {"root": ("root",)}
    for level in range(1, MOST_LEVELS + 2):
        jobs = [f"{parent}.{number}" for parent in newest for number in range(3)]
        for job in jobs:
            above = line[job.rpartition(".")[0]]
            line[job] = (*above, job)
            admission.submit(job, "1", ResourceRequest(1), Lineage("root", above))
        outcomes = dict(admission.admit())
        newest = [job for job, outcome in outcomes.items() if isinstance(outcome, Allotment)]
        assert len(newest) == (2 if level == 1 else 1 if level <= MOST_LEVELS else 0)
        assert all("8 running jobs" in str(outcomes[job]) for job in outcomes.keys() - newest)
    assert set(outcomes) == set(jobs), "who is too deep is refused at once"
    assert len(admission.held) == 1 + 2 + (MOST_LEVELS - 1)


def test_jobs_that_each_start_the_next_one_and_end_are_never_too_deep() -> None:
    admission = Admission(1, ())
    admission.submit("0", "1", ResourceRequest(1))
    assert started(admission) == ["0"]
    for number in range(1, 50):
        admission.submit(str(number), "1", ResourceRequest(1), Lineage("0", (str(number - 1),)))
        assert started(admission) == [str(number)]
        admission.release(str(number - 1))
        admission.submit("other", "2", ResourceRequest(1))
        assert started(admission) == [], "the family keeps its place"


def test_a_job_whose_parent_has_ended_is_admitted_beside_its_grandparent() -> None:
    admission = Admission(1, ())
    admission.hold("root", Allotment("1", 1, ()))
    admission.submit("grandchild", "1", ResourceRequest(1), Lineage("root", ("root", "gone")))
    assert started(admission) == ["grandchild"]


def test_what_is_paused_is_passed_over_until_it_is_not() -> None:
    admission = Admission(1, ())
    admission.submit("a", "1", ResourceRequest(1))
    admission.submit("b", "1", ResourceRequest(1))
    admission.pause("a", paused=True)
    assert started(admission) == ["b"]
    admission.release("b")
    admission.pause("a", paused=False)
    assert started(admission) == ["a"]


def test_adopted_jobs_count_before_anything_is_admitted() -> None:
    admission = Admission(1, (0, 1))
    admission.hold("adopted", Allotment("1", 1, (1,)))
    admission.submit("waiting", "1", ResourceRequest(1, 1))
    assert started(admission) == []
    assert admission.take_gpus("endpoint", "1", 1) == (0,)
    assert admission.take_gpus("another", "1", 1) is None
    admission.release("adopted")
    assert admission.admit() == [("waiting", Allotment("1", 1, (1,)))]


@dataclass(frozen=True)
class Job:
    """What a job of a simulation asks for: its parent is the one of that number, where it comes before; `is_awaited` by all above."""

    request: ResourceRequest
    account: str
    parent: int
    is_awaited: bool
    seconds: int


class Machine:
    """Jobs on a clock of their own: each starts its children when it begins, and ends once those that it waits for have."""

    def __init__(self, wanted: list[Job], places: int) -> None:
        self.wanted, self.places, self.most_hosts = wanted, places, places
        self.admission = Admission(places, (0, 1))
        self.ends_at: dict[int, int] = {}
        self.left = set(range(len(wanted)))
        self.lineages: dict[int, Lineage] = {}
        for number in range(len(wanted)):
            if self.parent(number) is None:
                self.submit(number)

    def parent(self, number: int) -> int | None:
        """Return who starts a job."""
        parent = self.wanted[number].parent
        return parent if 0 <= parent < number else None

    def above(self, number: int) -> list[int]:
        """Return all whom a job was started by."""
        parent = self.parent(number)
        return [] if parent is None else [*self.above(parent), parent]

    def account(self, number: int) -> str:
        """Return the account of the first of a job's family."""
        return self.wanted[[*self.above(number), number][0]].account

    def submit(self, number: int) -> None:
        """Put a job in line, with those of its ancestors that run."""
        above = self.above(number)
        running = tuple(str(each) for each in above if str(each) in self.admission.held)
        if running:
            self.lineages[number] = Lineage(str(above[0]), running)
        self.admission.submit(str(number), self.account(number), self.wanted[number].request, self.lineages.get(number))

    def admit(self, now: int) -> bool:
        """Begin what fits; whoever is refused never starts any."""
        new = self.admission.admit()
        for job, outcome in new:
            number = int(job)
            assert number in self.left
            assert number not in self.ends_at
            if isinstance(outcome, CapacityError):
                self.left -= {number, *(each for each in self.left if number in self.above(each))}
                continue
            self.ends_at[number] = now + self.wanted[number].seconds
            for child in range(number + 1, len(self.wanted)):
                if self.parent(child) == number:
                    self.submit(child)
        return bool(new)

    def end_one(self) -> int:
        """End the job that ends first of those that wait for nobody; return when that is."""
        waits = {above for number in self.left if self.wanted[number].is_awaited for above in self.above(number)}
        free = sorted((at, number) for number, at in self.ends_at.items() if number in self.left - waits)
        assert free, "all who run wait for jobs that are not admitted"
        at, number = free[0]
        self.left.discard(number)
        self.admission.release(str(number))
        return at

    def restart(self) -> None:
        """Begin anew with what runs, then with what waits, each in the order in which it came."""
        old, self.admission = self.admission, Admission(self.places, (0, 1))
        for job, held in sorted(old.held.items(), key=lambda each: int(each[0])):
            self.admission.hold(job, replace(held, hosts=self.wanted[int(job)].request.hosts))
        for job in list(old.waiting()):
            number = int(job)
            request = self.wanted[number].request
            self.admission.submit(job, self.account(number), request, self.lineages.get(number))
        # One that ran beside a family's first, which has ended, takes the places that it asked for.
        self.most_hosts = max(self.most_hosts, sum(held.hosts for held in self.admission.held.values()))

    def check(self) -> None:
        """Check that nothing is given out twice, and that each family keeps its bound."""
        held = self.admission.held
        hosts = [each.hosts for each in held.values() if each.hosts]
        assert sum(hosts) <= self.most_hosts or len(hosts) == 1
        families = Counter(each.lineage.family if each.lineage else job for job, each in held.items())
        assert len(families) <= self.places, "each family has a place"
        assert all(count <= 1 + self.places + MOST_LEVELS for count in families.values())
        given_out = Counter(index for each in held.values() if each.lineage is None for index in each.gpus)
        assert set(given_out.values()) <= {1}


requests = st.builds(ResourceRequest, st.integers(1, 4), st.integers(0, 2))
jobs = st.builds(Job, requests, st.sampled_from("123"), st.integers(-1, 40), st.booleans(), st.integers(0, 9))


@given(st.lists(jobs, max_size=40), st.integers(1, 3), st.sets(st.integers(0, 60), max_size=3))
@settings(max_examples=200)
def test_all_jobs_are_admitted_or_refused_whoever_waits_for_whom_and_families_keep_their_bound(
    wanted: list[Job], places: int, restarts: set[int]
) -> None:
    machine, now, turn = Machine(wanted, places), 0, 0
    while machine.left:
        while machine.admit(now):
            machine.check()
        if turn in restarts:
            machine.restart()
            machine.check()
            turn += 1
            continue
        if machine.left:
            now = max(now, machine.end_one())
        turn += 1
    assert not machine.admission.held
