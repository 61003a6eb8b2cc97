"""Associations of the lineage graph."""

import sqlalchemy as sa
from alembic import op

revision = "lineage_0001"
down_revision = None
branch_labels = None
depends_on = "core_0001"
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXTS = ("account", "region", "source_arn", "destination_arn", "source_type", "destination_type", "type")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "lineage_edges",
        sa.Column("id", ROW_ID, primary_key=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in TEXTS),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("created_by", sa.LargeBinary(), nullable=False),
    )
    for names, unique in (
        (["source_arn", "destination_arn"], True),
        (["destination_arn", "source_arn"], False),
        (["account", "region", "created", "id"], False),
    ):
        op.create_index(op.f(f"ix_lineage_edges_{'_'.join(names)}"), "lineage_edges", names, unique=unique)


def downgrade() -> None:
    """Drop it."""
    op.drop_table("lineage_edges")
