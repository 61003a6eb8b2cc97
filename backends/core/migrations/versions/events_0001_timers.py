"""When EventBridge's rules and schedules come next."""

import sqlalchemy as sa
from alembic import op

revision = "events_0001"
down_revision = None
branch_labels = None
depends_on = "core_0001"
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "event_timers",
        *(sa.Column(name, sa.Text(), primary_key=True) for name in ("kind", "account", "region")),
        sa.Column("key", KEY, primary_key=True),
        *(sa.Column(name, sa.Double(), nullable=False) for name in ("next_at", "offset_s")),
    )
    op.create_index(op.f("ix_event_timers_account_next_at"), "event_timers", ["account", "next_at"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("event_timers")
