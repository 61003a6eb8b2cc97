"""Which waiting job starts next: fair between accounts, past what cannot fit yet, without starving it. No thread, no clock.

Hosts take places of the machine, GPUs are held exclusively. CPUs and memory are limits on each host, not reservations: a
machine of two cores must be able to run a two-host job of `ml.m5.4xlarge`.

A job that a running job has started may be waited for, and is admitted beside it: it takes no place, and shares that job's
GPUs where too few are free. Of one family, what was started by the same first job and by what that has started, as many run
beside as the machine has places, and one more at each level: who runs deepest waits for nobody who can never run, so that
admission cannot deadlock. More than MOST_LEVELS jobs that may wait for each other are refused. A family keeps the places of
its first job until its last has ended.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 8
"""How many jobs may be admitted past one that did not fit, before what it lacks is kept for it."""


MOST_LEVELS = 8
"""How many running jobs may stand above one of them, each started by the one above it."""


class CapacityError(Exception):
    """A request that this machine can never fill, or not beside its parent; the message says what is lacking."""

    def reason(self, who: str) -> str:
        """Return the reason of a job's failure."""
        return f"CapacityError: {who} asks for {self}."


class LevelError(CapacityError):
    """A job below too many that may wait for each other."""

    def __init__(self) -> None:
        super().__init__(
            f"{MOST_LEVELS} running jobs stand above this one, each started by the one above it; more may not"
        )

    def reason(self, who: str) -> str:  # noqa: ARG002
        """Return the reason of a job's failure."""
        return f"CapacityError: {self}."


@dataclass(frozen=True, slots=True)
class ResourceRequest:
    """What one job needs: hosts that run at once, and GPUs for all of them together."""

    hosts: int
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Lineage:
    """By whom a job was started: the first job of its `family`, and its `ancestors`, its parent last; those that ended may lack."""

    family: str
    ancestors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Allotment:
    """What an admitted job holds."""

    account: str
    hosts: int
    gpus: tuple[int, ...]
    lineage: Lineage | None = None


@dataclass(slots=True)
class _Waiting:
    """A job in line. `paused`: somebody looks into it at the moment, and it is not admitted meanwhile."""

    job: str
    account: str
    request: ResourceRequest
    lineage: Lineage | None
    passed: int = 0
    paused: bool = False


@dataclass(slots=True)
class _Free:
    """What is left in one round of admission."""

    places: int
    gpus: list[int]
    is_idle: bool


@dataclass
class Admission:
    """Who holds what and who waits. Not thread-safe: the queue calls it under its lock."""

    places: int
    gpus: tuple[int, ...]
    held: dict[str, Allotment] = field(default_factory=dict)
    _waiting: OrderedDict[str, _Waiting] = field(default_factory=OrderedDict)
    _turns: dict[str, int] = field(default_factory=dict)
    _turn: int = 0

    def check(self, request: ResourceRequest) -> None:
        """Raise CapacityError for more GPUs than the machine has. More hosts than it has places run alone."""
        if request.gpus > len(self.gpus):
            raise CapacityError(f"{request.gpus} GPU(s), and this machine has {len(self.gpus)}")

    def submit(self, job: str, account: str, request: ResourceRequest, lineage: Lineage | None = None) -> None:
        """Put a job in line, at the end. Idempotent."""
        if job not in self.held and job not in self._waiting:
            self._waiting[job] = _Waiting(job, account, request, lineage)

    def is_waiting(self, job: str) -> bool:
        """Return whether a job is in line."""
        return job in self._waiting

    def waiting(self) -> Iterator[str]:
        """Yield the jobs in line, in the order they came."""
        yield from self._waiting

    def pause(self, job: str, *, paused: bool) -> None:
        """Keep a job in line from being admitted for the moment, or no longer."""
        if job in self._waiting:
            self._waiting[job].paused = paused

    def hold(self, job: str, allotment: Allotment) -> None:
        """Count in a job that runs already (adopted after a restart), or GPUs that something else takes.

        The first of a family takes its places; those that are counted in later take none.
        """
        self._waiting.pop(job, None)
        if allotment.lineage is not None and self._members(allotment.account, allotment.lineage.family):
            allotment = replace(allotment, hosts=0)
        self.held[job] = allotment

    def take_gpus(self, holder: str, account: str, count: int) -> tuple[int, ...] | None:
        """Take free GPUs at once, or those that the holder has already; None where too few are free."""
        if holder not in self.held:
            free = self._free_gpus()
            if count > len(free):
                return None
            self.held[holder] = Allotment(account, 0, tuple(free[:count]))
        return self.held[holder].gpus

    def release(self, job: str) -> None:
        """Return what a job holds, or its place in line; places that it holds pass on to who is left of its family. Idempotent."""
        self._waiting.pop(job, None)
        held = self.held.pop(job, None)
        if held is None or not held.hosts:
            return
        for heir in self._members(held.account, _family_of(job, held))[:1]:
            self.held[heir] = replace(self.held[heir], hosts=held.hosts)

    def admit(self) -> list[tuple[str, Allotment | CapacityError]]:
        """Admit what fits now. A CapacityError stands for a job that can never be admitted: it is out of line."""
        admitted = self._admit_all_beside()
        while (fitting := self._next()) is not None:
            waiting, gpus = fitting
            allotment = Allotment(waiting.account, waiting.request.hosts, gpus, waiting.lineage)
            self.hold(waiting.job, allotment)
            self._turn += 1
            self._turns[waiting.account] = self._turn
            admitted.append((waiting.job, allotment))
        return admitted

    def _ancestors(self, account: str, lineage: Lineage | None) -> list[str]:
        """Return which of a job's ancestors, of its own account, run; without any it waits like every other."""
        known = lineage.ancestors if lineage is not None else ()
        return [job for job in known if job in self.held and self.held[job].account == account]

    def _members(self, account: str, family: str) -> list[str]:
        return [job for job, held in self.held.items() if held.account == account and _family_of(job, held) == family]

    def _admit_all_beside(self) -> list[tuple[str, Allotment | CapacityError]]:
        """Admit what fits beside its ancestors, the deepest first: the most wait for that."""
        levels = {
            job: len(running)
            for job, waiting in self._waiting.items()
            if not waiting.paused and (running := self._ancestors(waiting.account, waiting.lineage))
        }
        admitted: list[tuple[str, Allotment | CapacityError]] = []
        taken: dict[tuple[str, str], list[int]] = {}
        for job in sorted(levels, key=lambda job: -levels[job]):
            waiting, level = self._waiting[job], levels[job]
            assert waiting.lineage is not None
            family = waiting.account, waiting.lineage.family
            beside = taken[family] = taken.get(family) or self._levels_beside(*family)
            if level > MOST_LEVELS:
                del self._waiting[job]
                admitted.append((job, LevelError()))
            elif len(beside) < self.places or level not in beside:
                admitted.append((job, self._admit_beside(waiting)))
                if job in self.held:
                    beside.append(level)
        return admitted

    def _levels_beside(self, account: str, family: str) -> list[int]:
        """Return how many running ancestors each one has that runs beside others of its family."""
        members = [self.held[job] for job in self._members(account, family)]
        return [len(self._ancestors(account, held.lineage)) for held in members if not held.hosts]

    def _admit_beside(self, waiting: _Waiting) -> Allotment | CapacityError:
        parent = self._ancestors(waiting.account, waiting.lineage)[-1]
        usable = [*self._free_gpus(), *self.held[parent].gpus]
        if waiting.request.gpus > len(usable):
            self._waiting.pop(waiting.job)
            return CapacityError(
                f"{waiting.request.gpus} GPU(s) beside the job that started it, and {len(usable)} are free or that job's own"
            )
        allotment = Allotment(waiting.account, 0, tuple(usable[: waiting.request.gpus]), waiting.lineage)
        self.hold(waiting.job, allotment)
        return allotment

    def _next(self) -> tuple[_Waiting, tuple[int, ...]] | None:
        """Return the job to admit now with its GPUs. Those that were considered first and did not fit are passed over."""
        hosts = sum(held.hosts for held in self.held.values())
        free = _Free(self.places - hosts, self._free_gpus(), is_idle=hosts == 0)
        for starving in self._waiting.values():
            if starving.passed >= PATIENCE:
                if _fits(starving.request, free) and not starving.paused:
                    return starving, tuple(free.gpus[: starving.request.gpus])
                _keep_for(starving.request, free)
        passed: list[_Waiting] = []
        for waiting in self._in_turn():
            if _fits(waiting.request, free):
                for other in passed:
                    other.passed += 1
                return waiting, tuple(free.gpus[: waiting.request.gpus])
            passed.append(waiting)
        return None

    def _in_turn(self) -> Iterator[_Waiting]:
        """Yield the jobs in line, those of the account that runs the fewest hosts first, then of the one whose turn is longest ago."""
        running: dict[str, int] = {}
        for allotment in self.held.values():
            running[allotment.account] = running.get(allotment.account, 0) + allotment.hosts
        by_account: dict[str, list[_Waiting]] = {}
        for waiting in self._waiting.values():
            if not waiting.paused and not self._ancestors(waiting.account, waiting.lineage):
                by_account.setdefault(waiting.account, []).append(waiting)
        for account in sorted(by_account, key=lambda name: (running.get(name, 0), self._turns.get(name, 0))):
            yield from by_account[account]

    def _free_gpus(self) -> list[int]:
        taken = {index for allotment in self.held.values() for index in allotment.gpus}
        return [index for index in self.gpus if index not in taken]


def _family_of(job: str, held: Allotment) -> str:
    return job if held.lineage is None else held.lineage.family


def _fits(request: ResourceRequest, free: _Free) -> bool:
    has_places = request.hosts <= free.places or free.is_idle  # a job larger than the machine runs alone
    return has_places and request.gpus <= len(free.gpus)


def _keep_for(request: ResourceRequest, free: _Free) -> None:
    """Keep what a starving job lacks: free GPUs, and places only once it has its GPUs, so that it holds up nobody else."""
    has_gpus = request.gpus <= len(free.gpus)
    del free.gpus[: request.gpus]
    if has_gpus and request.hosts > free.places:
        free.places, free.is_idle = 0, False
    elif has_gpus:
        free.places -= request.hosts
