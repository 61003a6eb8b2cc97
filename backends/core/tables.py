"""The kernel's tables. Components that need more declare theirs in their own `tables.py`, on the same `METADATA`.

Times are epoch seconds (UTC, float); documents are JSON bytes in AWS's wire form.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s"}
)

# SQLite numbers rows by itself only for INTEGER; PostgreSQL would run out of it.
ROW_ID = BigInteger().with_variant(Integer(), "sqlite")

# Keys sort by their UTF-8 bytes on both databases, so that those below one of them are a range.
KEY = Text().with_variant(Text(collation="C"), "postgresql")

resources = Table(
    "resources",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("key", KEY, nullable=False),
    Column("arn", Text, nullable=False),
    Column("status", Text, nullable=False, default=""),
    Column("created", Double, nullable=False),
    Column("modified", Double, nullable=False),
    Column("version", Integer, nullable=False, default=1),
    Column("document", LargeBinary, nullable=False),
    Column("hidden", LargeBinary),
    UniqueConstraint("kind", "account", "region", "key"),
    Index(None, "arn"),
    Index(None, "kind", "account", "region", "created", "id"),
    Index(None, "kind", "account", "region", "modified", "id"),
)
# Most kinds have no status, and every index is a page more for each row that is stored.
Index(
    "ix_resources_kind_account_region_status_created_id",
    *(resources.c[name] for name in ("kind", "account", "region", "status", "created", "id")),
    sqlite_where=resources.c.status != "",
    postgresql_where=resources.c.status != "",
)

# What Lists and Search find resources by, besides their columns (`facets.py`).
facets = Table(
    "facets",
    METADATA,
    Column("path", Text, primary_key=True),
    Column("text", Text, primary_key=True),
    Column("resource_id", BigInteger, primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("item", Integer, nullable=False),
    Column("number", Double),
    Column("folded", Text),
    sqlite_with_rowid=False,
)
Index(
    "ix_facets_path_number_resource_id",
    facets.c.path,
    facets.c.number,
    facets.c.resource_id,
    sqlite_where=facets.c.number.is_not(None),
    postgresql_where=facets.c.number.is_not(None),
)

# Counters that never go back: the versions of a parent's children.
counters = Table(
    "counters",
    METADATA,
    Column("account", Text, primary_key=True),
    Column("region", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

# Resources that wait for others: what each has come to, and when it is woken by the clock (`parents.py`).
parents = Table(
    "parents",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("arn", Text, nullable=False),
    Column("wake_at", Double),
    Column("state", LargeBinary, nullable=False),
    Index(None, "arn", unique=True),
    Index(None, "wake_at"),
)
awaited = Table(
    "awaited",
    METADATA,
    Column("child_arn", Text, primary_key=True),
    Column("parent_id", BigInteger, primary_key=True),
    Column("tag", Text, nullable=False),
    Index(None, "parent_id"),
)

# Work that was promised and is done outside of a transaction, at least once (`work.py`).
work_items = Table(
    "work_items",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("queue", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double),
    Column("next_at", Double, nullable=False, default=0.0),
    Column("attempts", Integer, nullable=False, default=0),
    Column("body", LargeBinary, nullable=False),
    Index(None, "queue", "key", "id"),
)

# What requests with a client token were answered, so that the same request again is answered so and does nothing.
client_tokens = Table(
    "client_tokens",
    METADATA,
    Column("account", Text, primary_key=True),
    Column("region", Text, primary_key=True),
    Column("operation", Text, primary_key=True),
    Column("token", Text, primary_key=True),
    Column("request", LargeBinary, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("time", Double, nullable=False),
    Index(None, "time"),
)

tags = Table(
    "tags",
    METADATA,
    Column("arn", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("folded", Text),
)

events = Table(
    "events",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("time", Double, nullable=False),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("arn", Text, nullable=False),
    Column("old", Text, nullable=False),
    Column("new", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", LargeBinary, nullable=False),
)

deliveries = Table(
    "deliveries",
    METADATA,
    Column("event_id", ROW_ID, primary_key=True),
    Column("subscriber", Text, primary_key=True),
    Column("arn", Text, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_at", Double, nullable=False, default=0.0),
    Column("parked", Boolean, nullable=False, default=False),
    Column("error", Text, nullable=False, default=""),
    Index(None, "parked", "next_at", "event_id"),
    Index(None, "arn", "subscriber", "event_id"),
)

clocks = Table(
    "clocks",
    METADATA,
    Column("account", Text, primary_key=True),
    Column("offset_s", Double, nullable=False),
)

# What the installation keeps about itself: its id, the secret that signs paging tokens.
installation = Table(
    "installation",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

# CloudWatch's points. A statistic set has `total`, `minimum` and `maximum`, and its average as `value`; any other row is
# `value`, seen `samples` times.
metric_points = Table(
    "metric_points",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("dimensions", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("unit", Text, nullable=False, default="None"),
    Column("value", Double, nullable=False),
    Column("samples", Double, nullable=False, default=1.0),
    Column("total", Double),
    Column("minimum", Double),
    Column("maximum", Double),
    Index(None, "account", "region", "namespace", "name", "dimensions", "time"),
    Index(None, "time"),
)

log_groups = Table(
    "log_groups",
    METADATA,
    Column("account", Text, primary_key=True),
    Column("region", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("created", Double, nullable=False),
    Column("retention_days", Integer),
)

log_streams = Table(
    "log_streams",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("group_name", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("first_event_ms", BigInteger),
    Column("last_event_ms", BigInteger),
    Column("last_ingestion_ms", BigInteger),
    Column("stored_bytes", BigInteger, nullable=False, default=0),
    UniqueConstraint("account", "region", "group_name", "name"),
)

log_events = Table(
    "log_events",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("stream_id", BigInteger, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("ingestion_ms", BigInteger, nullable=False),
    Column("message", Text, nullable=False),
    Index(None, "stream_id", "timestamp_ms", "id"),
)

jobs = Table(
    "jobs",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("arn", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("state", LargeBinary, nullable=False),
    Index(None, "phase", "created"),
    Index(None, "arn"),
)

# Credentials that this server issued: for a while (AssumeRole, job roles) or until they are deleted (users of IAM).
issued_keys = Table(
    "issued_keys",
    METADATA,
    Column("access_key", Text, primary_key=True),
    Column("secret_key", Text, nullable=False),
    Column("session_token", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("arn", Text, nullable=False),
    Column("expires", Double),
    Column("active", Boolean, nullable=False),
    Column("created", Double, nullable=False),
    Column("session", LargeBinary),
    Column("used", LargeBinary),
    Index(None, "account", "arn"),
)
