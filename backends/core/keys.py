"""Credentials that this server issues: temporary ones to AssumeRole's callers and to jobs, lasting ones to IAM's users.

They carry their account. Signature verification reads them through `kernel.issued_key`; every change goes through here,
so that the next request sees it.
"""

from __future__ import annotations

import hashlib
import secrets
import string
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import delete, insert, select, update

from backends.core.tables import issued_keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.db import Database, Transaction
    from backends.core.types import Context

TEMPORARY, LASTING = "ASIALM", "AKIALM"  # AWS's begin with ASIA and AKIA and have 20 characters
PREFIXES = (TEMPORARY, LASTING)
MOST_REMEMBERED = 4096
ALPHABET = string.ascii_uppercase + "234567"
SEEDED_ROLE = "SageMakerExecutionRole"
"""The role that every account has from the start; whoever signs with a plain key is a session of it."""


@dataclass(frozen=True, slots=True)
class Key:
    """One issued key.

    `arn` is who it stands for: a role session, a user, a federated user. `expires` is epoch seconds; None: never, and
    `session_token` is empty then. `session`: JSON of what its session was opened with (policies, tags, its user's or
    role's ARN). `used`: JSON of its last use.
    """

    access_key: str
    secret_key: str
    session_token: str
    account: str
    arn: str
    expires: float | None
    active: bool
    created: float
    session: bytes | None = None
    used: bytes | None = None


def issue(
    cx: Context, account: str, arn: str, duration_s: float | None, session: Mapping[str, Any] | None = None
) -> Key:
    """Make and keep a key of an account: a temporary one, or (no duration) one that lasts."""
    prefix = LASTING if duration_s is None else TEMPORARY
    key = Key(
        prefix + "".join(secrets.choice(ALPHABET) for _ in range(20 - len(prefix))),
        secrets.token_urlsafe(30),
        "" if duration_s is None else secrets.token_urlsafe(90),
        account,
        arn,
        None if duration_s is None else cx.clock.now() + duration_s,
        active=True,
        created=cx.clock.now(),
        session=orjson.dumps(session) if session else None,
    )
    cx.db.execute(delete(issued_keys).where(issued_keys.c.account == account, issued_keys.c.expires < cx.clock.now()))
    cx.db.execute(insert(issued_keys), {name: getattr(key, name) for name in Key.__dataclass_fields__})
    _changed(cx, key.access_key)
    return key


def find(tx: Transaction, access_key: str) -> Key | None:
    """Find an issued key, temporary or lasting, active or not; None for one that this server did not issue."""
    row = tx.connection.execute(select(issued_keys).where(issued_keys.c.access_key == access_key)).first()
    return Key(*row) if row is not None else None


def of(cx: Context, arn: str) -> list[Key]:
    """List the lasting keys of a user, the oldest first."""
    is_own = (issued_keys.c.account == cx.account) & (issued_keys.c.arn == arn) & issued_keys.c.expires.is_(None)
    return [Key(*row) for row in cx.db.execute(select(issued_keys).where(is_own).order_by(issued_keys.c.created))]


def set_active(cx: Context, key: Key, *, active: bool) -> None:
    """Switch a key on or off."""
    cx.db.execute(update(issued_keys).where(issued_keys.c.access_key == key.access_key), {"active": active})
    _changed(cx, key.access_key)


def remove(cx: Context, key: Key) -> None:
    """Delete a key."""
    cx.db.execute(delete(issued_keys).where(issued_keys.c.access_key == key.access_key))
    _changed(cx, key.access_key)


def end_sessions(cx: Context, name: str) -> None:
    """Delete the temporary keys of this account's role sessions of a name: who holds one is refused from now on."""
    ends = issued_keys.c.arn.endswith(f"/{name}", autoescape=True)
    its = (issued_keys.c.account == cx.account) & ends & issued_keys.c.expires.is_not(None)
    for access_key in cx.db.execute(delete(issued_keys).where(its).returning(issued_keys.c.access_key)).scalars().all():
        _changed(cx, access_key)


def hand_over(cx: Context, old: str, new: str) -> None:
    """Let a renamed user keep his keys."""
    for key in of(cx, old):
        cx.db.execute(update(issued_keys).where(issued_keys.c.access_key == key.access_key), {"arn": new})
        _changed(cx, key.access_key)


def _changed(cx: Context, access_key: str) -> None:
    cx.transaction.after_commit.append(partial(cx.kernel.forget_key, access_key))


class RememberedKeys:
    """The last few thousand keys that were asked for, those too that this server did not issue."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._keys: OrderedDict[str, Key | None] = OrderedDict()
        self._lock = threading.Lock()
        self._changes = 0

    def find(self, access_key: str) -> Key | None:
        """Find an issued key; None where this server did not issue it. Remembered until it is forgotten, at every change."""
        with self._lock:
            if access_key in self._keys:
                self._keys.move_to_end(access_key)
                return self._keys[access_key]
            changes = self._changes
        known = self._db.read_blocking(lambda tx: find(tx, access_key))
        with self._lock:
            if changes == self._changes:  # else what was read may be of before the change
                self._keys[access_key] = known
                if len(self._keys) > MOST_REMEMBERED:
                    self._keys.popitem(last=False)
        return known

    def forget(self, access_key: str) -> None:
        """Forget one key, once its change is committed: requests see it from then on."""
        with self._lock:
            self._changes += 1
            self._keys.pop(access_key, None)

    def forget_account(self, account: str | None) -> None:
        """Forget an account's keys (None: all), after a reset."""
        with self._lock:
            self._changes += 1
            for name, key in list(self._keys.items()):
                if account is None or key is None or key.account == account:
                    del self._keys[name]


def unique_id(prefix: str, text: str) -> str:
    """Return IAM's kind of id: a prefix and 17 letters or digits, always the same for the same text."""
    number = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    letters = []
    for _ in range(17):
        number, index = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[index])
    return prefix + "".join(letters)
