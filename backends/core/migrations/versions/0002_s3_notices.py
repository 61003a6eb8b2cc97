"""Messages of S3 to queues, topics, functions and event buses that were not delivered yet."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "s3_notices",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Double(), nullable=False),
    )
    op.create_index(op.f("ix_s3_notices_next_at_id"), "s3_notices", ["next_at", "id"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("s3_notices")
