"""What the step of a parent that waits is called for, and what it commands (`parents.py`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Happened:
    """What a step is called for.

    `what` is `begun`; `child` or `changed` (itself), with `arn`, `status` and `reason`; `answered`, with the `answer` of a
    call and the `arn` that it named, or of promised work; `refused`, with `code` and `reason`; or `time`. `tag` is that of
    the call, also with the later changes of what it made. `document`: what Describe shows by now of the child, or of what a
    call has made, where the parent's kind reads its children; empty for one that is gone. `at`: the account's clock (epoch seconds).
    """

    what: str
    tag: str = ""
    arn: str = ""
    status: str = ""
    reason: str = ""
    code: str = ""
    answer: Mapping[str, Any] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Call:
    """Call an operation as the resource's role; what it answers with an ARN is a child from then on.

    `members`: what the child's Describe shows besides what its request had (`TuningJobArn`); of operations that do not wait.
    """

    operation: str
    request: dict[str, Any]
    tag: str = ""
    service: str = "sagemaker"
    members: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Promise:
    """Have work done outside of any transaction, under `work.does(queue)`; `parents.answer` brings what comes of it.

    The body is given `arn` and `tag` besides, which `parents.answer` takes.
    """

    queue: str
    body: dict[str, Any]
    tag: str = ""


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
class Emit:
    """Write an event of the resource's ARN about a part of it that has no row of its own (a pipeline's step)."""

    kind: str
    old: str
    new: str
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Call the step at a time of the account's clock (epoch seconds); it replaces an earlier one, None takes it back."""

    time: float | None


@dataclass(frozen=True, slots=True)
class End:
    """Wait for nothing any more."""


Command = Call | Promise | Move | Change | Emit | WakeAt | End
