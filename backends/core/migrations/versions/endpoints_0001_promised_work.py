"""Asynchronous invocations are promised work as any other: what was accepted is carried over, in its order."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "endpoints_0001"
down_revision = None
depends_on = "core_0002"
QUEUE = "endpoints.invocations"
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OLD = sa.table(
    "async_invocations",
    *map(sa.column, ("id", "account", "region", "endpoint", "arn", "received", "expires", "request")),
)
NEW = sa.table(
    "work_items",
    *map(sa.column, ("id", "queue", "key", "account", "region", "created", "expires", "next_at", "attempts", "body")),
)


def upgrade() -> None:
    """Carry the rows over, and drop their table."""
    connection = op.get_bind()
    for row in connection.execute(sa.select(OLD).order_by(OLD.c.id)).all():
        connection.execute(sa.insert(NEW).values(_item(row)))
    op.drop_table("async_invocations")


def _item(row: Any) -> dict[str, Any]:
    body = json.dumps({"endpoint": row.endpoint, **json.loads(row.request)}).encode()
    own = {"account": row.account, "region": row.region, "created": row.received, "expires": row.expires, "body": body}
    return {"queue": QUEUE, "key": row.arn, "next_at": 0.0, "attempts": 0, **own}


def downgrade() -> None:
    """Make the table again, and carry the items back."""
    op.create_table(
        "async_invocations",
        sa.Column("id", ROW_ID, primary_key=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("account", "region", "endpoint", "arn")),
        *(sa.Column(name, sa.Double(), nullable=False) for name in ("received", "expires")),
        sa.Column("request", sa.LargeBinary(), nullable=False),
    )
    op.create_index(op.f("ix_async_invocations_arn_id"), "async_invocations", ["arn", "id"])
    connection = op.get_bind()
    promised = NEW.c.queue == QUEUE
    for item in connection.execute(sa.select(NEW).where(promised).order_by(NEW.c.id)).all():
        own = {"endpoint": json.loads(item.body)["endpoint"], "arn": item.key, "received": item.created}
        own |= {"account": item.account, "region": item.region, "expires": item.expires, "request": item.body}
        connection.execute(sa.insert(OLD).values(own))
    connection.execute(sa.delete(NEW).where(promised))
