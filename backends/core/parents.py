"""Parents that wait: a resource that makes others and goes on when they have changed. No thread, no polling.

A component marks one pure function, `step(state, happened) -> (state, commands)`, with `@waits(noun, children)`. `begin`
writes a row; from then on the function is called for what happens: it was begun, a child or the resource itself changed
its status, a call was answered or refused, its time has come. What it commands is done in the transaction in which the
event's delivery ends, so that each happening counts exactly once, whatever is killed when.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from sqlalchemy import delete, func, insert, select, update

from backends.core import events, lifecycle, work
from backends.core.commands import Call, Change, Command, Emit, End, Happened, Move, Promise, State, WakeAt
from backends.core.dialects import one_at_a_time
from backends.core.errors import AwsError
from backends.core.memory import InMemory
from backends.core.operation import marked
from backends.core.tables import awaited, deliveries, parents, resources
from backends.core.types import Subscription

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

    from backends.core.context import Context
    from backends.core.events import Event
    from backends.core.kernel import Kernel
    from backends.core.resource import Resource

StepFunction = TypeVar("StepFunction", bound="Callable[[State, Happened], tuple[State, list[Command]]]")
MOST_STEPS = 1000
"""How many steps may follow each other at once: a function that commands without end is a fault of its own."""
CALLS = "core.parents"


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a kind of resource waits: its step, the kinds of its children, and the member (or path) that names its role.

    Without a role member its calls are the service's own. `reads_children`: whether the step needs their documents.
    """

    resource: Resource
    children: tuple[str, ...]
    step: Callable[[State, Happened], tuple[State, list[Command]]]
    role_member: str = "RoleArn"
    reads_children: bool = False

    def heard(self) -> Iterator[Subscription]:
        """Yield what it hears."""
        noun = self.resource.noun
        yield Subscription(f"parents.{noun}", noun, frozenset(), self._hear_itself)
        for kind in self.children:
            yield Subscription(f"parents.{noun}.{kind}", kind, frozenset(), self._hear_child)

    def _hear_itself(self, cx: Context, event: Event) -> None:
        row = _held(cx, event.arn)
        if row is None:
            return
        if event.new == "Deleted":
            _end(cx, row.id)
        elif not event.old:
            run(cx, self, row, Happened("begun"))
        else:
            run(cx, self, row, Happened("changed", "", event.arn, event.new, event.reason))

    def _hear_child(self, cx: Context, event: Event) -> None:
        one_at_a_time(cx.db, f"{CALLS} {event.arn}")  # somebody may be about to write down that this is its child
        query = select(parents, awaited.c.tag).join_from(awaited, parents, awaited.c.parent_id == parents.c.id)
        of_kind = query.where(awaited.c.child_arn == event.arn, parents.c.kind == self.resource.noun)
        for row in cx.db.execute(of_kind.order_by(parents.c.id).with_for_update(of=parents)).all():
            document = self.document_of(cx, event.kind, event.arn)
            run(cx, self, row, Happened("child", row.tag, event.arn, event.new, event.reason, document=document))

    def document_of(self, cx: Context, kind: str, arn: str) -> dict[str, Any]:
        """Read a child's document, if the step needs it and it is still there."""
        child = cx.kernel.resources[kind].find_arn(cx, arn) if self.reads_children else None
        return child.document if child is not None else {}


KINDS = InMemory[dict[str, Waiting]]("core.parents.kinds")


def waits(
    resource: Resource, children: tuple[str, ...] = (), role_member: str = "RoleArn", *, reads_children: bool = False
) -> Callable[[StepFunction], StepFunction]:
    """Mark a pure function as the step of a kind of resource that waits for children of some kinds, and for the clock."""

    def mark(step: StepFunction) -> StepFunction:
        waiting = Waiting(resource, children, step, role_member, reads_children)
        step.__dict__["waiting_kinds"] = (waiting,)
        step.__dict__["subscriptions"] = tuple(waiting.heard())
        return step

    return mark


def begin(cx: Context, resource: Resource, arn: str, state: State | None = None) -> None:
    """Let a resource wait, in the transaction that makes it: its created event calls the first step.

    One of the same ARN, whose deletion has not been delivered yet, is forgotten with the events that wait for it.
    """
    earlier = _held(cx, arn)
    if earlier is not None:
        _end(cx, earlier.id)
        own = (deliveries.c.arn == arn) & (deliveries.c.subscriber == f"parents.{resource.noun}")
        last = select(func.max(deliveries.c.event_id)).where(own).scalar_subquery()  # that it was made
        cx.db.execute(delete(deliveries).where(own, deliveries.c.event_id < last))
    row = {
        "kind": resource.noun,
        "account": cx.account,
        "region": cx.region,
        "arn": arn,
        "wake_at": None,
        "state": orjson.dumps(state or {}),
    }
    cx.db.execute(insert(parents), row)


def _held(cx: Context, arn: str) -> Any:
    """Read the row of a resource that waits, or None. On PostgreSQL other steps of it wait until this one has committed."""
    return cx.db.execute(select(parents).where(parents.c.arn == arn).with_for_update()).first()


def run(cx: Context, waiting: Waiting, row: Any, *happened: Happened) -> None:
    """Call the step for what happened, do what it commands, and call it for what comes of that."""
    state: State = orjson.loads(row.state)
    steps, ahead, now = 0, list(happened), cx.clock.now()
    while ahead:
        steps += 1
        if steps > MOST_STEPS:
            raise RuntimeError(f"{row.arn}: {MOST_STEPS} steps at once")
        state, commands = waiting.step(state, replace(ahead.pop(0), at=now))
        for command in commands:
            if isinstance(command, End):
                _end(cx, row.id)
                return
            ahead += _do(cx, waiting, row, command)
    cx.db.execute(update(parents).where(parents.c.id == row.id).values(state=orjson.dumps(state)))


def _do(cx: Context, waiting: Waiting, row: Any, command: Command) -> list[Happened]:
    if isinstance(command, Call):
        return _call(cx, waiting, row, command)
    if isinstance(command, Promise):
        work.add(cx, command.queue, row.arn, {**command.body, "arn": row.arn, "tag": command.tag})
        return []
    if isinstance(command, WakeAt):
        cx.db.execute(update(parents).where(parents.c.id == row.id).values(wake_at=command.time))
        return []
    if isinstance(command, Emit):
        events.emit(cx, command.kind, row.arn, command.old, command.new, command.reason, dict(command.detail))
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
    return _answered(cx, waiting, row, command.tag, answer, command.members)


def answer(cx: Context, arn: str, tag: str, result: dict[str, Any]) -> None:
    """Bring a resource that waits what came of the work it promised; call it in what ends the work. Nothing for one that is gone."""
    row = _held(cx, arn)
    if row is not None:
        run(cx, KINDS.of(cx.kernel)[row.kind], row, Happened("answered", tag, answer=result))


def _role(cx: Context, waiting: Waiting, arn: str) -> str:
    own = waiting.resource.find_arn(cx, arn)
    value: Any = own.document if own is not None else {}
    for name in waiting.role_member.split("."):
        value = value.get(name, {})
    return str(value or "")


def _answered(
    cx: Context, waiting: Waiting, row: Any, tag: str, answer: dict[str, Any], members: Mapping[str, Any] | None = None
) -> list[Happened]:
    """Return what comes of a call: its answer, and what the child that it names has come to already.

    Whoever delivers an event of that child meanwhile waits: it hears of the parent after the commit, or has ended before.
    """
    arn = next((str(value) for name, value in answer.items() if name.endswith("Arn")), "")
    answered = Happened("answered", tag, arn, answer=answer)
    own = (awaited.c.child_arn == arn) & (awaited.c.parent_id == row.id)
    if not arn or cx.db.execute(update(awaited).where(own).values(tag=tag)).rowcount:
        return [answered]
    one_at_a_time(cx.db, f"{CALLS} {arn}")
    if members:
        _show(cx, waiting, arn, members)
    cx.db.execute(insert(awaited).values(child_arn=arn, parent_id=row.id, tag=tag))
    child = cx.db.execute(
        select(resources.c.kind, resources.c.status, resources.c.document).where(resources.c.arn == arn)
    ).first()
    if child is None:
        return [answered]
    document = orjson.loads(child.document) if waiting.reads_children else {}
    answered = replace(answered, document=document)
    return [answered, *_caught_up(cx, waiting, child, answered)]


def _show(cx: Context, waiting: Waiting, arn: str, members: Mapping[str, Any]) -> None:
    """Add members to the document of a child that has just been made."""
    for kind in waiting.children:
        resource = cx.kernel.resources[kind]
        child = resource.find_arn(cx, arn)
        if child is not None:
            resource.update(cx, child, {**child.document, **members})


@work.does(CALLS)
async def call_outside(cx: Context, item: work.Item) -> Callable[[Context], None]:
    """Call an operation that waits, and give the step its answer in the transaction that ends this.

    The answer is kept first: a step that raises is called with it again, and what was called is not called twice for it.
    """
    body = item.body
    if "answer" not in body:
        try:
            made = await cx.call_async(body["operation"], body["request"], body["service"], role=body["role"])
            body |= {"answer": made, "refused": None}
        except AwsError as error:
            body |= {"answer": {}, "refused": {"code": error.code, "reason": error.message}}
        await cx.transact(lambda inside: work.keep(inside, item))

    def end(inside: Context) -> None:
        row = _held(inside, body["arn"])
        if row is None:
            return
        waiting = KINDS.of(inside.kernel)[body["kind"]]
        if body["refused"] is not None:
            run(inside, waiting, row, Happened("refused", body["tag"], **body["refused"]))
            return
        run(inside, waiting, row, *_answered(inside, waiting, row, body["tag"], body["answer"]))

    return end


def _caught_up(cx: Context, waiting: Waiting, child: Any, answered: Happened) -> list[Happened]:
    """Return what a child has come to, whose events were delivered before it was known whose child it is."""
    if child.kind not in waiting.children or not child.status:
        return []
    subscriber = f"parents.{waiting.resource.noun}.{child.kind}"
    coming = select(deliveries.c.event_id).where(
        deliveries.c.arn == answered.arn, deliveries.c.subscriber == subscriber, deliveries.c.parked.is_(False)
    )
    if cx.db.execute(coming).first() is not None:
        return []
    return [Happened("child", answered.tag, answered.arn, child.status, document=answered.document)]


def _end(cx: Context, parent_id: int) -> None:
    cx.db.execute(delete(awaited).where(awaited.c.parent_id == parent_id))
    cx.db.execute(delete(parents).where(parents.c.id == parent_id))


def start(kernel: Kernel) -> None:
    """Find out who waits. Called by the kernel."""
    KINDS.set(kernel, {each.resource.noun: each for module in kernel.modules for each in _declared(module)})


def _declared(module: ModuleType) -> Iterator[Waiting]:
    yield from marked(module, "waiting_kinds")
