"""The clock: rules and schedules that are due, several times a second."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from backends.aws.events import publish, rules, schedules, timers
from backends.aws.events.scope import RULES
from backends.core.loops import every

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.kernel import Kernel

log = logging.getLogger(__name__)
SOURCE, KIND = "aws.events", "Scheduled Event"


@every(0.3)
def tick(kernel: Kernel) -> None:
    """Let come what is due; one that fails holds up no other."""
    for row in timers.due(kernel):
        try:
            kernel.context(row.account, row.region).write(lambda cx, row=row: _come(cx, row))  # type: ignore[misc]
        except Exception:
            log.exception("the schedule of %s failed; it is tried again", row.key)


def _come(cx: Context, row: Any) -> None:
    if timers.is_still(cx, row):
        (_rule if row.kind == rules.TIMER else schedules.come)(cx, row)


def _rule(cx: Context, row: Any) -> None:
    rule = RULES.find(cx, row.key)
    if rule is None:
        timers.put(cx, row.kind, row.key, None)
        return
    document = rule.document
    following = rules.check(document, document["EventBusName"])
    assert following is not None
    comes, next_at = timers.times(cx, row, lambda after: following(after, document["Began"]))
    promised: publish.Promised = {}
    called = publish.Rule(rule.arn, document["Name"], bool, document["Targets"])
    for at in comes:
        publish.collect(cx, promised, called, publish.event_of(cx, SOURCE, KIND, {}, [rule.arn], at))
    publish.promise(cx, promised)
    timers.put(cx, row.kind, row.key, next_at)
