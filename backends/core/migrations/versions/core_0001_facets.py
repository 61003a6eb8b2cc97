"""Facets, by which Lists and Search find resources; counters; answers by client token."""

import sqlalchemy as sa
from alembic import op

revision = "core_0001"
down_revision = None
depends_on = "0004"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "facets",
        sa.Column("path", sa.Text(), primary_key=True),
        sa.Column("text", sa.Text(), primary_key=True),
        sa.Column("resource_id", sa.BigInteger(), primary_key=True),
        sa.Column("place", sa.Integer(), primary_key=True),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("number", sa.Double()),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_facets_path_number_resource_id"),
        "facets",
        ["path", "number", "resource_id"],
        sqlite_where=sa.text("number IS NOT NULL"),
        postgresql_where=sa.text("number IS NOT NULL"),
    )
    op.create_table(
        "counters",
        *(sa.Column(name, sa.Text(), primary_key=True) for name in ("account", "region", "name")),
        sa.Column("value", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "client_tokens",
        *(sa.Column(name, sa.Text(), primary_key=True) for name in ("account", "region", "operation", "token")),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
    )
    op.create_index(op.f("ix_client_tokens_time"), "client_tokens", ["time"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("client_tokens")
    op.drop_table("counters")
    op.drop_table("facets")
