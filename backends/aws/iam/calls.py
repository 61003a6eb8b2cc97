"""Which actions principals asked for: one row for each (principal, action, resource), written in batches behind the requests.

What the last half second recorded is lost by a crash; no answer waited for it. The same batch keeps the last use of keys and
roles (GetAccessKeyLastUsed, RoleLastUsed). Nothing is recorded while LOCALMAKER_IAM is off.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import select, update

from backends.aws.iam import principals, store
from backends.aws.iam.tables import iam_calls
from backends.core.dialects import insert_or_update
from backends.core.loops import every
from backends.core.memory import InMemory
from backends.core.objects import role_access
from backends.core.policy.principals import role_of
from backends.core.tables import issued_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backends.core.context import Context
    from backends.core.db import Transaction
    from backends.core.kernel import Kernel

NAMES = ("account", "principal", "action", "resource")
SEEN = 100_000
"""How many rows are remembered as written, so that a repeated call costs a look into a set."""


EVERY_S = 60.0
"""How exact the last use of a key is; AWS's own may lag by hours."""


class Recorder:
    """What was seen and is not yet written. Locked: on PostgreSQL requests are judged in several threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seen: set[tuple[str, str, str, str, bool]] = set()
        self.rows: dict[tuple[str, str, str, str], dict[str, Any]] = {}
        self.last: dict[str, float] = {}
        self.keys: dict[str, bytes] = {}
        self.roles: dict[tuple[str, str], dict[str, Any]] = {}

    def take(self) -> tuple[list[dict[str, Any]], dict[str, bytes], dict[tuple[str, str], dict[str, Any]]]:
        """Return what is to be written, and begin anew."""
        with self.lock:
            taken = list(self.rows.values()), self.keys, self.roles
            self.rows, self.keys, self.roles = {}, {}, {}
        return taken


RECORDER = InMemory[Recorder]("iam.calls", lambda _kernel: Recorder())


def of(kernel: Kernel) -> Recorder:
    """Return the server's recorder."""
    return RECORDER.of(kernel)


def record(cx: Context, principal: str, action: str, resource: str, *, denied: bool) -> None:
    """Remember a call of the context's account. `resource` is a pattern, as policies write it."""
    recorder = of(cx.kernel)
    key = (cx.account, principal, action, resource)
    if (*key, denied) in recorder.seen:
        return
    row = dict(zip(NAMES, key, strict=True)) | {"denied": denied, "first": cx.clock.now()}
    with recorder.lock:
        if len(recorder.seen) >= SEEN:
            recorder.seen.clear()
        recorder.seen -= {(*key, True), (*key, False)}
        recorder.seen.add((*key, denied))
        recorder.rows[key] = row


def used(cx: Context, service: str, role: str) -> None:
    """Remember that the caller's key, and its role where it has one, was used now."""
    recorder, now = of(cx.kernel), cx.clock.now()
    use = {"LastUsedDate": now, "ServiceName": service, "Region": cx.region}
    with recorder.lock:
        if abs(now - recorder.last.get(cx.caller.access_key, 0.0)) < EVERY_S:
            return
        if len(recorder.last) >= SEEN:
            recorder.last.clear()
        recorder.last[cx.caller.access_key] = now
        recorder.keys[cx.caller.access_key] = orjson.dumps(use)
        if role:
            recorder.roles[cx.account, role] = {"LastUsedDate": now, "Region": cx.region}


@every(0.5)
def tick(kernel: Kernel) -> None:
    """Write what was recorded since the last time."""
    flush(kernel)


def start(kernel: Kernel) -> None:
    """Let the kernel read what a role or a caller has, for what services do as that role or for him."""
    role_access.GRANTS.set(kernel, _role_grants)
    role_access.CALLERS_GRANTS.set(kernel, _callers_grants)


def _role_grants(cx: Context, name: str) -> principals.Grants:
    role = store.peek(cx, store.ROLE, name)
    return principals.of_entity(cx, store.ROLE, role) if role is not None else principals.Grants("", "AssumedRole")


def _callers_grants(cx: Context) -> principals.Grants | None:
    """Return what a context's caller has; a key that is gone leaves what its user or role has now."""
    key = cx.kernel.issued_key(cx.caller.access_key) if cx.caller.access_key else None
    if key is not None:
        opened = orjson.loads(key.session) if key.session else {}
        return None if opened.get("owner") or opened.get("owned") else principals.of_key(cx, key)
    if role := role_of(cx.caller.arn):
        return _role_grants(cx, role.rpartition("/")[2])
    if ":user/" not in cx.caller.arn:
        return None
    user = store.peek(cx, store.USER, cx.caller.arn.rpartition("/")[2])
    return principals.of_entity(cx, store.USER, user) if user is not None else principals.Grants("", "User")


def stop(kernel: Kernel) -> None:
    """Write the rest."""
    flush(kernel)


def reset(kernel: Kernel, account: str | None) -> None:
    """Forget what is remembered, so that it can be recorded anew. Idempotent writes make it harmless for other accounts."""
    del account
    recorder = of(kernel)
    recorder.take()
    recorder.seen.clear()
    recorder.last.clear()


def flush(kernel: Kernel) -> None:
    """Write what was recorded; from any thread but the loop's."""
    recorder = of(kernel)
    if recorder.rows or recorder.keys or recorder.roles:
        taken = recorder.take()
        try:
            kernel.db.write_blocking(lambda tx: _write(kernel, tx, *taken))
        except Exception:
            recorder.seen.clear()  # the same calls are recorded anew when they come again
            raise


def _write(
    kernel: Kernel,
    tx: Transaction,
    rows: Iterable[dict[str, Any]],
    used_keys: dict[str, bytes],
    used_roles: dict[tuple[str, str], dict[str, Any]],
) -> None:
    for row in rows:
        key = {name: row[name] for name in NAMES}
        written = {"denied": row["denied"]}
        insert_or_update(
            tx.connection, iam_calls, key, written, {n: v for n, v in row.items() if n not in key | written}
        )
    for access_key, text in used_keys.items():
        tx.connection.execute(update(issued_keys).where(issued_keys.c.access_key == access_key), {"used": text})
    for (account, name), use in used_roles.items():
        cx = kernel.context(account, use["Region"], tx=tx)
        role = store.peek(cx, store.ROLE, name, lock=True)
        if role is not None:
            store.write(cx, store.ROLE, role | {"used": use})


def recorded(tx: Transaction, account: str, resource: str) -> list[dict[str, Any]]:
    """List the calls of a principal, named by its ARN's end: `role/Name` or `user/Name`, paths aside."""
    kind, _, name = resource.partition("/")
    query = select(iam_calls).where(iam_calls.c.account == account).order_by(iam_calls.c.action, iam_calls.c.resource)
    rows = [dict(row._mapping) for row in tx.connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's documented name
    kind_part = f":{kind}/"
    return [row for row in rows if kind_part in row["principal"] and row["principal"].rpartition("/")[2] == name]


def least_policy(calls: Iterable[dict[str, Any]]) -> str:
    """Write the policy that allows these calls and nothing else: actions of the same resources share a statement."""
    resources: dict[str, set[str]] = {}
    for call in calls:
        resources.setdefault(call["action"], set()).add(call["resource"])
    actions: dict[tuple[str, ...], list[str]] = {}
    for action, names_of_resources in sorted(resources.items()):
        actions.setdefault(tuple(sorted(names_of_resources)), []).append(action)
    statements = [
        {
            "Effect": "Allow",
            "Action": names,
            "Resource": "*" if names_of_resources == ("*",) else list(names_of_resources),
        }
        for names_of_resources, names in actions.items()
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)


def literal(resource: str) -> str:
    """Write a resource as the pattern that matches it alone: an object's key may hold `*`, `?` and `$`."""
    return "".join(f"${{{character}}}" if character in "*?$" else character for character in resource)
