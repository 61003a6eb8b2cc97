"""S3's own table; buckets and objects are the store's (`backends/core/objects/tables.py`)."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, Integer, Table, Text

from backends.core.tables import METADATA, ROW_ID

# Messages to queues, topics, functions and event buses that were not delivered yet.
notices = Table(
    "s3_notices",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_at", Double, nullable=False, default=0.0),
    Index(None, "next_at", "id"),
)
