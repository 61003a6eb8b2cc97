"""Asynchronous invocations that were accepted and are not yet answered: they survive the server."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, LargeBinary, Table, Text

from backends.core.tables import METADATA, ROW_ID

async_invocations = Table(
    "async_invocations",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("arn", Text, nullable=False),
    Column("received", Double, nullable=False),
    Column("expires", Double, nullable=False),
    # JSON: what the container gets (headers), where input, output and failure are, the time it has.
    Column("request", LargeBinary, nullable=False),
    Index(None, "arn", "id"),
)
