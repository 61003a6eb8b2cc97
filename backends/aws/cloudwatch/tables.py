"""What happened to alarms; CloudWatch keeps it for two weeks."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, Table, Text

from backends.core.tables import METADATA, ROW_ID

alarm_history = Table(
    "alarm_history",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("alarm", Text, nullable=False),
    Column("alarm_type", Text, nullable=False),
    Column("item_type", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("summary", Text, nullable=False),
    Column("data", Text, nullable=False),
    Index(None, "account", "region", "time", "id"),
)
