"""IAM's tables: what was made, by kind and name; and which calls principals made, for `localmaker iam policy`."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, LargeBinary, Table, Text

from backends.core.tables import METADATA

iam_entities = Table(
    "iam_entities",
    METADATA,
    Column("account", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("created", Double, nullable=False),
    # Empty for a role that was deleted: neither the seeded one nor one that a request names comes back by itself.
    Column("document", LargeBinary, nullable=False),
)

iam_calls = Table(
    "iam_calls",
    METADATA,
    Column("account", Text, primary_key=True),
    Column("principal", Text, primary_key=True),
    Column("action", Text, primary_key=True),
    Column("resource", Text, primary_key=True),
    Column("denied", Boolean, nullable=False),
    Column("first", Double, nullable=False),
)
