"""On PostgreSQL names are found by their parts through an index of trigrams, where the role may make the extension."""

import sqlalchemy as sa
from alembic import op

revision = "core_0006"
down_revision = "core_0005"
INDEX = "ix_resources_name_trigrams"


def upgrade() -> None:
    """Make the extension, which PostgreSQL 13 and later trust a database's owner with, and the index; else neither."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    try:
        with connection.begin_nested():
            op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            op.execute(f"CREATE INDEX {INDEX} ON resources USING gin (lower(key) gin_trgm_ops)")
    except sa.exc.DBAPIError:  # not installed, or not allowed: names are searched row by row
        pass


def downgrade() -> None:
    """Drop the index; the extension may be somebody else's."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP INDEX IF EXISTS {INDEX}")
