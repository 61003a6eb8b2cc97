"""Resources that wait for others, and work that was promised."""

import sqlalchemy as sa
from alembic import op

revision = "core_0002"
down_revision = "core_0001"
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "parents",
        sa.Column("id", ROW_ID, primary_key=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("kind", "account", "region", "arn")),
        sa.Column("wake_at", sa.Double()),
        sa.Column("state", sa.LargeBinary(), nullable=False),
    )
    op.create_index(op.f("ix_parents_arn"), "parents", ["arn"], unique=True)
    op.create_index(op.f("ix_parents_wake_at"), "parents", ["wake_at"])
    op.create_table(
        "awaited",
        sa.Column("child_arn", sa.Text(), primary_key=True),
        sa.Column("parent_id", sa.BigInteger(), primary_key=True),
        sa.Column("tag", sa.Text(), nullable=False),
    )
    op.create_index(op.f("ix_awaited_parent_id"), "awaited", ["parent_id"])
    op.create_table(
        "work_items",
        sa.Column("id", ROW_ID, primary_key=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("queue", "key", "account", "region")),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("expires", sa.Double()),
        sa.Column("next_at", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_index(op.f("ix_work_items_queue_key_id"), "work_items", ["queue", "key", "id"])


def downgrade() -> None:
    """Drop the tables."""
    for name in ("work_items", "awaited", "parents"):
        op.drop_table(name)
