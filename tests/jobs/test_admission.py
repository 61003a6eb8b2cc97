"""Which job starts next, on its own: no thread, no clock, no database."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.jobs.admission import Admission, Allotment, CapacityError, ResourceRequest


def started(admission: Admission) -> list[str]:
    return [job for job, _ in admission.admit()]


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
    admission.submit("child", "1", ResourceRequest(1, 1), beside="parent")
    assert admission.admit() == [("child", Allotment("1", 0, (0,), "parent"))]
    admission.release("child")
    admission.submit("greedy", "1", ResourceRequest(1, 2), beside="parent")
    ((_, refused),) = admission.admit()
    assert isinstance(refused, CapacityError)


def test_a_parent_has_as_many_children_at_once_as_there_are_places_and_orphans_wait_like_others() -> None:
    admission = Admission(2, ())
    admission.submit("parent", "1", ResourceRequest(1))
    admission.submit("other", "1", ResourceRequest(1))
    started(admission)
    for number in range(4):
        admission.submit(f"child-{number}", "1", ResourceRequest(1), beside="parent")
    assert started(admission) == ["child-0", "child-1"]
    admission.release("child-0")
    assert started(admission) == ["child-2"]
    admission.release("parent")
    assert started(admission) == ["child-3"]


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


requests = st.builds(ResourceRequest, st.integers(1, 4), st.integers(0, 2))
jobs = st.lists(st.tuples(requests, st.sampled_from("123"), st.integers(-1, 20)), max_size=40)


@given(jobs, st.integers(1, 3), st.randoms())
@settings(max_examples=200)
def test_every_job_is_admitted_once_and_nothing_is_given_out_twice(
    wanted: list[tuple[ResourceRequest, str, int]], places: int, random: object
) -> None:
    admission, seen = Admission(places, (0, 1)), set[str]()
    for number, (request, account, parent) in enumerate(wanted):
        admission.submit(str(number), account, request, beside=str(parent) if 0 <= parent < number else "")
    while len(seen) < len(wanted):
        new = admission.admit()
        assert new or admission.held, "nothing runs and nothing is admitted"
        for job, _ in new:
            assert job not in seen
            seen.add(job)
        own = [allotment for allotment in admission.held.values() if not allotment.beside]
        assert sum(each.hosts for each in own) <= places or sum(bool(each.hosts) for each in own) == 1
        given_out = [index for each in own for index in each.gpus]
        assert len(given_out) == len(set(given_out))
        if admission.held:
            admission.release(random.choice(sorted(admission.held)))  # type: ignore[attr-defined]
