"""Events come to a bus: which rules match, and a promise to each of their targets, in the transaction that the event comes in.

An event that no rule matches costs the matching only: the rules of a bus are compiled once and kept in memory until one changes.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from backends.aws.events import documents, inputs, pattern, scope
from backends.aws.events.scope import DEFAULT, RULES
from backends.core import errors, other_services, work
from backends.core.dialects import insert_or_update
from backends.core.memory import InMemory
from backends.core.operation import operation
from backends.core.prepared import Prepared
from backends.core.tables import counters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backends.core.context import Context
    from backends.core.kernel import Kernel

log = logging.getLogger(__name__)
QUEUE = "events.deliver"
MOST_BYTES = 1_048_576
MOST_HOPS = 1
VERSION = "aws.events.rules"
EVENT = ("id", "account", "source", "time", "region", "resources", "detail-type")
REQUIRED = ("Source", "DetailType", "Detail")


@dataclass(frozen=True, slots=True)
class Rule:
    """An enabled rule that has targets."""

    arn: str
    name: str
    matches: Callable[[Mapping[str, Any]], bool]
    targets: Sequence[Mapping[str, Any]]


Rules = dict[str, list[Rule]]
"""By bus."""
Promised = dict[tuple[str, str], dict[str, Any]]
"""What the events of one request come to, by the rule's ARN and the target's id: one item of work for all that go to one target."""
KEPT = InMemory[dict[tuple[str, str], tuple[int, Rules]]]("events.rules", lambda _kernel: {})
"""The rules of an account and region, with the number of their version."""
_VERSION = Prepared(
    select(counters.c.value).where(*(counters.c[name] == bindparam(name) for name in ("account", "region", "name")))
)


def changed(cx: Context) -> None:
    """Take note that a rule has changed: whoever has kept the rules reads them anew, another server on the same database too."""
    key = {"account": cx.account, "region": cx.region, "name": VERSION}
    insert_or_update(cx.db, counters, key, {"value": uuid.uuid4().int >> 66})
    cx.transaction.after_commit.append(partial(_forget, cx.kernel, cx.account))


def rules_of(cx: Context) -> Rules:
    """Return the enabled rules of an account and region."""
    kept, tx = KEPT.of(cx.kernel), cx.transaction
    known = kept.get((cx.account, cx.region))
    if known is not None and tx.driver is not None:  # SQLite has one server, whose every change is forgotten here
        return known[1]
    rows = _VERSION.rows(cx.transaction, {"account": cx.account, "region": cx.region, "name": VERSION})
    version = rows[0][0] if rows else 0
    if known is None or known[0] != version:
        known = version, _read(cx) if rows else {}
        if not any(getattr(each, "func", None) is _forget for each in tx.after_commit):  # not while it is uncommitted
            kept[cx.account, cx.region] = known
    return known[1]


def _forget(kernel: Kernel, account: str | None) -> None:
    kept = KEPT.of(kernel)
    for key in list(kept):
        if account in {None, key[0]}:
            kept.pop(key, None)


def after_reset(kernel: Kernel, account: str | None) -> None:
    """Forget the rules that were kept."""
    _forget(kernel, account)


def _read(cx: Context) -> Rules:
    rules: Rules = {}
    for row in RULES.page(cx):
        document = row.document
        if document["State"] != "DISABLED" and document["Targets"] and "EventPattern" in document:
            rule = Rule(row.arn, document["Name"], pattern.compiled(document["EventPattern"]), document["Targets"])
            rules.setdefault(document["EventBusName"], []).append(rule)
    return rules


@operation("PutEvents", service="events")
def put_events(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Take events. An entry that is wrong says so in its place, the others go on. ValidationException for all of them past 1 MiB."""
    if request.get("EndpointId"):
        raise errors.not_implemented("events: global endpoints")
    entries = request["Entries"]
    sizes = sum(len(str(entry.get(name, ""))) for entry in entries for name in REQUIRED)
    if sizes > MOST_BYTES:
        raise scope.invalid("Total size of the entries in the request is over the limit.")
    rules = rules_of(cx)
    promised: Promised = {}
    answers = [_put(cx, entry, rules, promised) for entry in entries]
    promise(cx, promised)
    return {"FailedEntryCount": sum("ErrorCode" in answer for answer in answers), "Entries": answers}


def _put(cx: Context, entry: dict[str, Any], rules: Rules, promised: Promised) -> dict[str, str]:
    for member in REQUIRED:
        if not entry.get(member):
            reason = f"Parameter {member} is not valid. Reason: {member} is a required argument."
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": reason}
    if entry["Source"].lower().startswith("aws."):
        return {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source."}
    try:
        detail = documents.read(entry["Detail"])
    except ValueError:
        detail = None
    if not isinstance(detail, dict):
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    try:
        bus = entry.get("EventBusName", DEFAULT)
        bus = bus if bus == DEFAULT else scope.bus_name(cx, entry)
    except errors.AwsError as error:
        if error.code == "ResourceNotFoundException":  # the event goes nowhere, as with AWS
            return {"EventId": str(uuid.uuid4())}
        raise
    try:
        event = event_of(
            cx, entry["Source"], entry["DetailType"], detail, entry.get("Resources", []), entry.get("Time")
        )
    except (ValueError, OverflowError, OSError):  # a time that no calendar has
        return {"ErrorCode": "InvalidArgument", "ErrorMessage": "Parameter Time is not valid."}
    _match(cx, rules.get(bus, ()), event, promised)
    return {"EventId": event["id"]}


def event_of(
    cx: Context, source: str, kind: str, detail: Mapping[str, Any], resources: Sequence[str], time: float | None = None
) -> dict[str, Any]:
    """Write an event as targets see it."""
    at = datetime.fromtimestamp(cx.clock.now() if time is None else _seconds(time), UTC)
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": kind,
        "source": source,
        "account": cx.account,
        "time": iso(at),
        "region": cx.region,
        "resources": list(resources),
        "detail": detail,
    }


def _seconds(time: Any) -> float:
    return time.timestamp() if isinstance(time, datetime) else float(time)


def iso(time: datetime) -> str:
    """Write a time as events have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def publish(cx: Context, event: dict[str, Any], bus: str = DEFAULT, hops: int = 0) -> None:
    """Put an event of AWS's own, or of another bus, on a bus."""
    promised: Promised = {}
    _match(cx, rules_of(cx).get(bus, ()), event, promised, hops)
    promise(cx, promised)


def _match(cx: Context, rules: Sequence[Rule], event: dict[str, Any], promised: Promised, hops: int = 0) -> None:
    for rule in rules:
        if rule.matches(event):
            collect(cx, promised, rule, event, hops)


def collect(cx: Context, promised: Promised, rule: Rule, event: dict[str, Any], hops: int = 0) -> None:
    """Add what an event comes to for each target of a rule."""
    ingested = iso(datetime.fromtimestamp(cx.clock.now(), UTC))
    for target in rule.targets:
        try:
            text = inputs.text_for(target, event, (rule.arn, rule.name), ingested)
        except inputs.TooLongError:
            log.warning("%s: %s is not called: its input is too long", rule.arn, target["Arn"])
            continue
        body = promised.setdefault((rule.arn, target["Id"]), {"rule": rule.arn, "target": target, "inputs": []})
        body["inputs"].append(text)
        if ":event-bus/" in target["Arn"]:
            body["hops"] = hops + 1


def promise(cx: Context, promised: Promised) -> None:
    """Promise what was collected: one item of work for each target."""
    for body in promised.values():
        work.add(cx, QUEUE, body["target"]["Arn"], body)


@operation("TestEventPattern", service="events")
def match_event(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return whether a pattern matches an event. ValidationException for an event that is none."""
    del cx
    matches = pattern.compiled(request["EventPattern"])
    try:
        event = documents.read(request["Event"])
    except ValueError as error:
        raise scope.invalid("Parameter Event is not valid.") from error
    lacking = [name for name in EVENT if name not in event] if isinstance(event, dict) else []
    if not isinstance(event, dict) or lacking:
        reason = f" Reason: {lacking[0]} is a required field." if lacking else ""
        raise scope.invalid(f"Parameter Event is not valid.{reason}")
    return {"Result": matches(event)}


def start(kernel: Kernel) -> None:
    """Let components put events of AWS's services on the default bus."""
    other_services.PUBLISH.set(kernel, _publish_entry)


def _publish_entry(cx: Context, source: str, kind: str, detail: Mapping[str, Any], resources: Sequence[str]) -> None:
    rules = rules_of(cx).get(DEFAULT, ())
    if rules:
        promised: Promised = {}
        _match(cx, rules, event_of(cx, source, kind, detail, resources), promised)
        promise(cx, promised)
