"""Associations: the edges of the lineage graph, each from a source to a destination, at most one between two entities."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, LargeBinary, Table, Text

from backends.core.tables import METADATA, ROW_ID

lineage_edges = Table(
    "lineage_edges",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("source_arn", Text, nullable=False),
    Column("destination_arn", Text, nullable=False),
    Column("source_type", Text, nullable=False),
    Column("destination_type", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("created_by", LargeBinary, nullable=False),
    Index(None, "source_arn", "destination_arn", unique=True),
    Index(None, "destination_arn", "source_arn"),
    Index(None, "account", "region", "created", "id"),
)
