"""Parents that wait: a resource that makes others and goes on when they have changed. No thread, no polling.

A component marks one pure function, `step(state, happened) -> (state, commands)`, with `@waits(noun, children)`. `begin`
writes a row; from then on the function is called for what happens: it was begun, a child or the resource itself changed
its status, a call was answered or refused, its time has come. What it commands is done in the transaction in which the
event's delivery ends, so that each happening counts exactly once, whatever is killed when.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from sqlalchemy import delete, insert, select, update

from backends.core import lifecycle, work
from backends.core.dialects import insert_or_update
from backends.core.errors import AwsError
from backends.core.loops import every
from backends.core.memory import InMemory
from backends.core.operation import marked
from backends.core.tables import awaited, parents
from backends.core.types import Subscription

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

    from backends.core.context import Context
    from backends.core.events import Event
    from backends.core.kernel import Kernel
    from backends.core.resource import Resource

State = dict[str, Any]
StepFunction = TypeVar("StepFunction", bound="Callable[[State, Happened], tuple[State, list[Command]]]")
MOST_STEPS = 1000
"""How many steps may follow each other at once: a function that commands without end is a fault of its own."""
CALLS = "core.parents"


@dataclass(frozen=True, slots=True)
class Happened:
    """What a step is called for.

    `what` is `begun`; `child` or `changed` (itself), with `arn`, `status` and `reason`; `answered`, with the `answer` of a
    call and the `arn` that it named; `refused`, with `code` and `reason`; or `time`. `tag` is that of the call, also with
    the later changes of what it made.
    """

    what: str
    tag: str = ""
    arn: str = ""
    status: str = ""
    reason: str = ""
    code: str = ""
    answer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """Call an operation as the resource's role; what it answers with an ARN is a child from then on."""

    operation: str
    request: dict[str, Any]
    tag: str = ""
    service: str = "sagemaker"


@dataclass(frozen=True, slots=True)
class Move:
    """Move the resource to a status, and change members of its document alongside."""

    status: str
    reason: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """Change members of the resource's document."""

    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Call the step at a time of the account's clock (epoch seconds); it replaces an earlier one, None takes it back."""

    time: float | None


@dataclass(frozen=True, slots=True)
class End:
    """Wait for nothing any more."""


Command = Call | Move | Change | WakeAt | End


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a kind of resource waits: its step, the kinds of its children, and the member that names its role."""

    resource: Resource
    children: tuple[str, ...]
    step: Callable[[State, Happened], tuple[State, list[Command]]]
    role_member: str = "RoleArn"

    def heard(self) -> Iterator[Subscription]:
        """Yield what it hears."""
        noun = self.resource.noun
        yield Subscription(f"parents.{noun}", noun, frozenset(), self._hear_itself)
        for kind in self.children:
            yield Subscription(f"parents.{noun}.{kind}", kind, frozenset(), self._hear_child)

    def _hear_itself(self, cx: Context, event: Event) -> None:
        row = cx.db.execute(select(parents).where(parents.c.arn == event.arn)).first()
        if row is None:
            return
        if event.new == "Deleted":
            _end(cx, row.id)
        elif not event.old:
            _run(cx, self, row, Happened("begun"))
        else:
            _run(cx, self, row, Happened("changed", "", event.arn, event.new, event.reason))

    def _hear_child(self, cx: Context, event: Event) -> None:
        query = select(parents, awaited.c.tag).join_from(awaited, parents, awaited.c.parent_id == parents.c.id)
        of_kind = query.where(awaited.c.child_arn == event.arn, parents.c.kind == self.resource.noun)
        for row in cx.db.execute(of_kind).all():
            _run(cx, self, row, Happened("child", row.tag, event.arn, event.new, event.reason))


KINDS = InMemory[dict[str, Waiting]]("core.parents.kinds")


def waits(
    resource: Resource, children: tuple[str, ...] = (), role_member: str = "RoleArn"
) -> Callable[[StepFunction], StepFunction]:
    """Mark a pure function as the step of a kind of resource that waits for children of some kinds, and for the clock."""

    def mark(step: StepFunction) -> StepFunction:
        waiting = Waiting(resource, children, step, role_member)
        step.__dict__["waiting_kinds"] = (waiting,)
        step.__dict__["subscriptions"] = tuple(waiting.heard())
        return step

    return mark


def begin(cx: Context, resource: Resource, arn: str, state: State | None = None) -> None:
    """Let a resource wait, in the transaction that makes it: its created event calls the first step."""
    row = {
        "kind": resource.noun,
        "account": cx.account,
        "region": cx.region,
        "arn": arn,
        "wake_at": None,
        "state": orjson.dumps(state or {}),
    }
    cx.db.execute(insert(parents), row)


def _run(cx: Context, waiting: Waiting, row: Any, happened: Happened) -> None:
    """Call the step for what happened, do what it commands, and call it for what comes of that."""
    state: State = orjson.loads(row.state)
    steps, ahead = 0, [happened]
    while ahead:
        steps += 1
        if steps > MOST_STEPS:
            raise RuntimeError(f"{row.arn}: {MOST_STEPS} steps at once")
        state, commands = waiting.step(state, ahead.pop(0))
        for command in commands:
            if isinstance(command, End):
                _end(cx, row.id)
                return
            ahead += _do(cx, waiting, row, command)
    cx.db.execute(update(parents).where(parents.c.id == row.id).values(state=orjson.dumps(state)))


def _do(cx: Context, waiting: Waiting, row: Any, command: Command) -> list[Happened]:
    if isinstance(command, Call):
        return _call(cx, waiting, row, command)
    if isinstance(command, WakeAt):
        cx.db.execute(update(parents).where(parents.c.id == row.id).values(wake_at=command.time))
        return []
    resource = waiting.resource
    own = resource.find_arn(cx, row.arn)
    if own is None:
        return []
    if isinstance(command, Move):
        lifecycle.transition(cx, resource, own, command.status, command.reason, **command.changes)
    elif isinstance(command, Change):
        resource.update(cx, own, {**own.document, **command.changes})
    return []


def _call(cx: Context, waiting: Waiting, row: Any, command: Call) -> list[Happened]:
    """Call an operation within the transaction; one that waits is promised, and its answer comes later."""
    role = _role(cx, waiting, row.arn)
    operation = cx.kernel.operations.get((command.service, command.operation))
    if operation is not None and operation.waits:
        body = {"arn": row.arn, "kind": waiting.resource.noun, "role": role, "tag": command.tag}
        body |= {"service": command.service, "operation": command.operation, "request": command.request}
        work.add(cx, CALLS, row.arn, body)
        return []
    try:
        answer = cx.call(command.operation, command.request, command.service, role=role)
    except AwsError as error:
        return [Happened("refused", command.tag, reason=error.message, code=error.code)]
    return [_answered(cx, row.id, command.tag, answer)]


def _role(cx: Context, waiting: Waiting, arn: str) -> str:
    own = waiting.resource.find_arn(cx, arn)
    return str(own.document.get(waiting.role_member, "")) if own is not None else ""


def _answered(cx: Context, parent_id: int, tag: str, answer: dict[str, Any]) -> Happened:
    arn = next((str(value) for name, value in answer.items() if name.endswith("Arn")), "")
    if arn:
        insert_or_update(cx.db, awaited, {"child_arn": arn, "parent_id": parent_id}, {"tag": tag})
    return Happened("answered", tag, arn, answer=answer)


@work.does(CALLS)
async def call_outside(cx: Context, item: work.Item) -> Callable[[Context], None]:
    """Call an operation that waits, and give the step its answer in the transaction that ends this."""
    body = item.body
    answer: dict[str, Any] = {}
    refused: AwsError | None = None
    try:
        answer = await cx.call_async(body["operation"], body["request"], body["service"], role=body["role"])
    except AwsError as error:
        refused = error

    def end(inside: Context) -> None:
        row = inside.db.execute(select(parents).where(parents.c.arn == body["arn"])).first()
        if row is None:
            return
        if refused is not None:
            happened = Happened("refused", body["tag"], reason=refused.message, code=refused.code)
        else:
            happened = _answered(inside, row.id, body["tag"], answer)
        _run(inside, KINDS.of(inside.kernel)[body["kind"]], row, happened)

    return end


def _end(cx: Context, parent_id: int) -> None:
    cx.db.execute(delete(awaited).where(awaited.c.parent_id == parent_id))
    cx.db.execute(delete(parents).where(parents.c.id == parent_id))


def start(kernel: Kernel) -> None:
    """Find out who waits. Called by the kernel."""
    KINDS.set(kernel, {each.resource.noun: each for module in kernel.modules for each in _declared(module)})


def _declared(module: ModuleType) -> Iterator[Waiting]:
    yield from marked(module, "waiting_kinds")


@every(0.5)
def wake(kernel: Kernel) -> None:
    """Call the steps whose time has come, by their accounts' clocks."""
    query = select(parents).where(parents.c.wake_at.is_not(None)).order_by(parents.c.wake_at)
    rows = kernel.db.read_blocking(lambda tx: tx.connection.execute(query).all())
    for row in rows:
        if kernel.clocks.now(row.account) >= row.wake_at:
            kernel.context(row.account, row.region).write(lambda cx, row=row: _wake(cx, row))  # type: ignore[misc]


def _wake(cx: Context, seen: Any) -> None:
    row = cx.db.execute(select(parents).where(parents.c.id == seen.id, parents.c.wake_at == seen.wake_at)).first()
    if row is None:  # ended, or woken for something else, since
        return
    cx.db.execute(update(parents).where(parents.c.id == row.id).values(wake_at=None))
    _run(cx, KINDS.of(cx.kernel)[row.kind], row, Happened("time"))
