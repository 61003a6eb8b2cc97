"""Texts that are not all ASCII stand without their case beside facets and tags, where Contains looks for them.

Facets are written anew at the next start, by their form's number (`search/reindex.py`).
"""

import sqlalchemy as sa
from alembic import op

revision = "core_0004"
down_revision = "core_0003"
TAGS = sa.table("tags", *map(sa.column, ("arn", "key", "value", "folded")))


def upgrade() -> None:
    """Add the columns."""
    for name in ("facets", "tags"):
        op.add_column(name, sa.Column("folded", sa.Text()))
    connection = op.get_bind()
    for row in connection.execute(sa.select(TAGS)).all():
        if not row.value.isascii():
            own = (TAGS.c.arn == row.arn) & (TAGS.c.key == row.key)
            connection.execute(sa.update(TAGS).where(own).values(folded=row.value.casefold()))


def downgrade() -> None:
    """Drop them."""
    for name in ("facets", "tags"):
        op.drop_column(name, "folded")
