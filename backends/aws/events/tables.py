"""When rules and schedules come next."""

from __future__ import annotations

from sqlalchemy import Column, Double, Index, Table, Text

from backends.core.tables import KEY, METADATA

event_timers = Table(
    "event_timers",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("region", Text, primary_key=True),
    Column("key", KEY, primary_key=True),
    Column("next_at", Double, nullable=False),
    Column("offset_s", Double, nullable=False),
    Index(None, "account", "next_at"),
)
