"""Client tokens: the same request with the same token does its work once, and is answered the same again.

Which member is the token is the model's own mark (`idempotencyToken`). Unverified: for how long AWS remembers one (its
other services say eight hours and more), and its words for a token that comes again with another request.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import bindparam, delete, insert, select

from api_specs import model
from backends.core import errors
from backends.core.dialects import one_at_a_time
from backends.core.prepared import Prepared
from backends.core.tables import client_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.core.db import Transaction
    from backends.core.types import Context

REMEMBERED_S = 24 * 3600.0
MOST_AT_ONCE = 1000
_OWN = [client_tokens.c[name] == bindparam(name) for name in ("account", "region", "operation", "token")]
_FIND = Prepared(select(client_tokens.c.request, client_tokens.c.answer).where(*_OWN))
_INSERT = Prepared(insert(client_tokens), ("account", "region", "operation", "token", "request", "answer", "time"))


@cache
def token_member(service: str, operation: str) -> str:
    """Return the member of a request that is its client token; empty where it has none."""
    taken = model.operation(operation, service).input_shape
    members = taken.members.items() if taken is not None else ()
    return next((name for name, member in members if member.metadata.get("idempotencyToken")), "")


def once(cx: Context, service: str, operation: str, request: Mapping[str, Any], work: Callable[[], Any]) -> Any:
    """Do a request's work, unless its token has been here: then return what was answered. ConflictException for another request."""
    member = token_member(service, operation)
    if not member or member not in request:
        return work()
    own = {
        "account": cx.account,
        "region": cx.region,
        "operation": f"{service}:{operation}",
        "token": request[member],
    }
    digest = hashlib.sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS, default=str)).digest()
    one_at_a_time(cx.db, "\0".join(own.values()))
    known = _FIND.row(cx.transaction, own)
    if known is not None:
        if known[0] != digest:
            raise errors.conflict(f"The {member} {request[member]} was used with other parameters.")
        return orjson.loads(known[1])
    answer = work()
    stored = answer if isinstance(answer, bytes) else orjson.dumps(answer)
    _INSERT.run(cx.transaction, {**own, "request": digest, "answer": stored, "time": cx.clock.now()})
    return answer


def forget_old(tx: Transaction, now: float) -> int:
    """Forget tokens older than REMEMBERED_S; return how many there were."""
    first = select(client_tokens.c.time).order_by(client_tokens.c.time).limit(MOST_AT_ONCE)
    old = delete(client_tokens).where(client_tokens.c.time < now - REMEMBERED_S, client_tokens.c.time.in_(first))
    return int(tx.connection.execute(old).rowcount)
