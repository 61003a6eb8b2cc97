"""Temporary credentials that this server issues: to AssumeRole's callers and to jobs. They carry their account."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from backends.core.tables import access_keys

if TYPE_CHECKING:
    from backends.core.context import Context
    from backends.core.db import Transaction

PREFIX = "ASIALM"  # AWS's temporary keys begin with ASIA and have 20 characters
ALPHABET = string.ascii_uppercase + "234567"
SEEDED_ROLE = "SageMakerExecutionRole"
"""The role that every account has from the start; whoever signs with a plain key is a session of it."""


@dataclass(frozen=True, slots=True)
class Key:
    """One issued key. `arn` is the assumed-role ARN it stands for; `expires` is epoch seconds."""

    access_key: str
    secret_key: str
    session_token: str
    account: str
    arn: str
    expires: float


def issue(cx: Context, account: str, arn: str, duration_s: float) -> Key:
    """Make and keep a key for a role session of an account."""
    key = Key(
        PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(20 - len(PREFIX))),
        secrets.token_urlsafe(30),
        secrets.token_urlsafe(90),
        account,
        arn,
        cx.clock.now() + duration_s,
    )
    cx.db.execute(delete(access_keys).where(access_keys.c.account == account, access_keys.c.expires < cx.clock.now()))
    cx.db.execute(insert(access_keys), {name: getattr(key, name) for name in Key.__dataclass_fields__})
    return key


def find(tx: Transaction, access_key: str) -> Key | None:
    """Find an issued key."""
    row = tx.connection.execute(select(access_keys).where(access_keys.c.access_key == access_key)).first()
    return Key(*row) if row is not None else None
