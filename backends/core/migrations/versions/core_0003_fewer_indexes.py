"""Indexes that nothing asks are a page more for every row that is stored: events by ARN and account, statuses of none."""

import sqlalchemy as sa
from alembic import op

revision = "core_0003"
down_revision = "core_0002"
STATUS = "ix_resources_kind_account_region_status_id"
COLUMNS = ["kind", "account", "region", "status", "id"]


def upgrade() -> None:
    """Drop what nothing asks."""
    op.drop_index(op.f("ix_events_arn_id"), "events")
    op.drop_index(op.f("ix_events_account_id"), "events")
    op.drop_index(STATUS, "resources")
    has_status = sa.text("status != ''")
    op.create_index(STATUS, "resources", COLUMNS, sqlite_where=has_status, postgresql_where=has_status)


def downgrade() -> None:
    """Make them again."""
    op.drop_index(STATUS, "resources")
    op.create_index(STATUS, "resources", COLUMNS)
    op.create_index(op.f("ix_events_account_id"), "events", ["account", "id"])
    op.create_index(op.f("ix_events_arn_id"), "events", ["arn", "id"])
