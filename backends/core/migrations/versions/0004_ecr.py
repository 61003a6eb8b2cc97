"""ECR: images, their tags and what they consist of, layers, uploads."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def _repository() -> tuple[sa.Column[str], ...]:
    return tuple(sa.Column(name, sa.Text(), primary_key=True) for name in ("account", "region", "repository"))


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "ecr_images",
        *_repository(),
        sa.Column("digest", sa.Text(), primary_key=True),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("artifact_type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("pushed", sa.Double(), nullable=False),
        sa.Column("pulled", sa.Double()),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "ecr_tags",
        *_repository(),
        sa.Column("tag", sa.Text(), primary_key=True),
        sa.Column("digest", sa.Text(), nullable=False),
    )
    op.create_index(
        op.f("ix_ecr_tags_account_region_repository_digest"), "ecr_tags", ["account", "region", "repository", "digest"]
    )
    op.create_table(
        "ecr_contents",
        *_repository(),
        sa.Column("digest", sa.Text(), primary_key=True),
        sa.Column("part", sa.Text(), primary_key=True),
    )
    op.create_index(
        op.f("ix_ecr_contents_account_region_repository_part"),
        "ecr_contents",
        ["account", "region", "repository", "part"],
    )
    op.create_table(
        "ecr_layers",
        *_repository(),
        sa.Column("digest", sa.Text(), primary_key=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
    )
    op.create_index(op.f("ix_ecr_layers_blob"), "ecr_layers", ["blob"])
    op.create_index(op.f("ix_ecr_layers_since"), "ecr_layers", ["since"])
    op.create_table(
        "ecr_uploads",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("repository", sa.Text(), nullable=False),
        sa.Column("started", sa.Double(), nullable=False),
    )
    op.create_index(op.f("ix_ecr_uploads_started"), "ecr_uploads", ["started"])


def downgrade() -> None:
    """Drop them; the layers' files stay until the folder `registry` of the data directory is removed."""
    for name in ("ecr_uploads", "ecr_layers", "ecr_contents", "ecr_tags", "ecr_images"):
        op.drop_table(name)
