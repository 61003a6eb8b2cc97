"""Lists by status are read in the order of creation, and those below a parent as a range of keys: by an index each."""

import sqlalchemy as sa
from alembic import op

revision = "core_0005"
down_revision = "core_0004"
BY_STATUS = "ix_resources_kind_account_region_status_id"
BY_STATUS_AND_TIME = "ix_resources_kind_account_region_status_created_id"
SCOPE = ["kind", "account", "region"]
HAS_STATUS = sa.text("status != ''")


def upgrade() -> None:
    """Put the time into the index by status; have PostgreSQL sort keys by their bytes, as SQLite does."""
    op.drop_index(BY_STATUS, "resources")
    columns = [*SCOPE, "status", "created", "id"]
    op.create_index(BY_STATUS_AND_TIME, "resources", columns, sqlite_where=HAS_STATUS, postgresql_where=HAS_STATUS)
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("resources", "key", type_=sa.Text(collation="C"))


def downgrade() -> None:
    """Undo it."""
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("resources", "key", type_=sa.Text(collation="default"))
    op.drop_index(BY_STATUS_AND_TIME, "resources")
    columns = [*SCOPE, "status", "id"]
    op.create_index(BY_STATUS, "resources", columns, sqlite_where=HAS_STATUS, postgresql_where=HAS_STATUS)
