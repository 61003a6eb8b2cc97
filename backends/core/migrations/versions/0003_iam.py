"""IAM beyond roles: users, groups and policies beside them; keys that last and can be switched off; recorded calls."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the new tables; roles and issued keys move into them."""
    op.create_table(
        "iam_entities",
        sa.Column("account", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
    )
    op.execute(
        "INSERT INTO iam_entities (account, kind, name, created, document)"
        " SELECT account, 'role', name, created, document FROM iam_roles"
    )
    op.drop_table("iam_roles")
    op.create_table(
        "iam_calls",
        sa.Column("account", sa.Text(), primary_key=True),
        sa.Column("principal", sa.Text(), primary_key=True),
        sa.Column("action", sa.Text(), primary_key=True),
        sa.Column("resource", sa.Text(), primary_key=True),
        sa.Column("denied", sa.Boolean(), nullable=False),
        sa.Column("first", sa.Double(), nullable=False),
    )
    op.create_table(
        "issued_keys",
        sa.Column("access_key", sa.Text(), primary_key=True),
        sa.Column("secret_key", sa.Text(), nullable=False),
        sa.Column("session_token", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("arn", sa.Text(), nullable=False),
        sa.Column("expires", sa.Double()),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("session", sa.LargeBinary()),
        sa.Column("used", sa.LargeBinary()),
    )
    op.create_index(op.f("ix_issued_keys_account_arn"), "issued_keys", ["account", "arn"])
    op.execute(
        "INSERT INTO issued_keys (access_key, secret_key, session_token, account, arn, expires, active, created)"
        " SELECT access_key, secret_key, session_token, account, arn, expires, TRUE, 0 FROM access_keys"
    )
    op.drop_table("access_keys")


def downgrade() -> None:
    """Make the old tables again, with what fits into them."""
    op.create_table(
        "iam_roles",
        sa.Column("account", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
    )
    op.execute(
        "INSERT INTO iam_roles (account, name, created, document)"
        " SELECT account, name, created, document FROM iam_entities WHERE kind = 'role'"
    )
    op.create_table(
        "access_keys",
        sa.Column("access_key", sa.Text(), primary_key=True),
        sa.Column("secret_key", sa.Text(), nullable=False),
        sa.Column("session_token", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("arn", sa.Text(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=False),
    )
    op.create_index(op.f("ix_access_keys_account"), "access_keys", ["account"])
    op.execute(
        "INSERT INTO access_keys (access_key, secret_key, session_token, account, arn, expires)"
        " SELECT access_key, secret_key, session_token, account, arn, expires FROM issued_keys"
        " WHERE expires IS NOT NULL"
    )
    for name in ("issued_keys", "iam_calls", "iam_entities"):
        op.drop_table(name)
