"""What moto was asked that changed it, in order; and (`pending`) what components want of it and it has not answered yet."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, LargeBinary, Table, Text

from backends.core.tables import METADATA, ROW_ID

moto_requests = Table(
    "moto_requests",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("account", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("pending", Boolean, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("kept", LargeBinary),
)
