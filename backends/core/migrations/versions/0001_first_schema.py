"""First schema, written out: tables may change later, and this revision still makes what it made."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# SQLite numbers rows by itself only for INTEGER; PostgreSQL would run out of it.
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# PostgreSQL compares text by locale otherwise; S3 lists keys by their bytes.
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TABLES = (
    "resources",
    "tags",
    "events",
    "deliveries",
    "clocks",
    "installation",
    "jobs",
    "metric_points",
    "access_keys",
    "iam_roles",
    "log_groups",
    "log_streams",
    "log_events",
    "s3_buckets",
    "s3_objects",
    "s3_uploads",
    "s3_parts",
    "s3_garbage",
    "async_invocations",
)


def upgrade() -> None:
    """Make every table."""
    _make_kernel()
    _make_jobs()
    _make_logs()
    _make_s3()
    _make_endpoints()


def downgrade() -> None:
    """Drop every table."""
    for name in TABLES:
        op.drop_table(name)


def _make_kernel() -> None:
    """Make resources, their tags, and what happened to them."""
    op.create_table(
        "resources",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("arn", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("modified", sa.Double(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("hidden", sa.LargeBinary()),
        sa.UniqueConstraint("kind", "account", "region", "key", name=op.f("uq_resources_kind_account_region_key")),
    )
    op.create_index(op.f("ix_resources_arn"), "resources", ["arn"])
    op.create_index(
        op.f("ix_resources_kind_account_region_created_id"), "resources", ["kind", "account", "region", "created", "id"]
    )
    op.create_index(
        op.f("ix_resources_kind_account_region_modified_id"),
        "resources",
        ["kind", "account", "region", "modified", "id"],
    )
    op.create_index(
        op.f("ix_resources_kind_account_region_status_id"), "resources", ["kind", "account", "region", "status", "id"]
    )
    op.create_table(
        "tags",
        sa.Column("arn", sa.Text(), primary_key=True),
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("arn", sa.Text(), nullable=False),
        sa.Column("old", sa.Text(), nullable=False),
        sa.Column("new", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
    )
    op.create_index(op.f("ix_events_account_id"), "events", ["account", "id"])
    op.create_index(op.f("ix_events_arn_id"), "events", ["arn", "id"])
    op.create_table(
        "deliveries",
        sa.Column("event_id", ROW_ID, primary_key=True),
        sa.Column("subscriber", sa.Text(), primary_key=True),
        sa.Column("arn", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Double(), nullable=False),
        sa.Column("parked", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
    )
    op.create_index(op.f("ix_deliveries_arn_subscriber_event_id"), "deliveries", ["arn", "subscriber", "event_id"])
    op.create_index(op.f("ix_deliveries_parked_next_at_event_id"), "deliveries", ["parked", "next_at", "event_id"])
    op.create_table(
        "clocks",
        sa.Column("account", sa.Text(), primary_key=True),
        sa.Column("offset_s", sa.Double(), nullable=False),
    )
    op.create_table(
        "installation",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
    )


def _make_jobs() -> None:
    """Make jobs, their metrics, and the keys and roles they act with."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("arn", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
    )
    op.create_index(op.f("ix_jobs_arn"), "jobs", ["arn"])
    op.create_index(op.f("ix_jobs_phase_created"), "jobs", ["phase", "created"])
    op.create_table(
        "metric_points",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("dimensions", sa.Text(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
    )
    op.create_index(
        op.f("ix_metric_points_account_region_namespace_name_dimensions_time"),
        "metric_points",
        ["account", "region", "namespace", "name", "dimensions", "time"],
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
    op.create_table(
        "iam_roles",
        sa.Column("account", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
    )


def _make_logs() -> None:
    """Make CloudWatch Logs' groups, streams and events."""
    op.create_table(
        "log_groups",
        sa.Column("account", sa.Text(), primary_key=True),
        sa.Column("region", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("retention_days", sa.Integer()),
    )
    op.create_table(
        "log_streams",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("group_name", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("first_event_ms", sa.BigInteger()),
        sa.Column("last_event_ms", sa.BigInteger()),
        sa.Column("last_ingestion_ms", sa.BigInteger()),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint(
            "account", "region", "group_name", "name", name=op.f("uq_log_streams_account_region_group_name_name")
        ),
    )
    op.create_table(
        "log_events",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("stream_id", sa.BigInteger(), nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False),
        sa.Column("ingestion_ms", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
    )
    op.create_index(op.f("ix_log_events_stream_id_timestamp_ms_id"), "log_events", ["stream_id", "timestamp_ms", "id"])


def _make_s3() -> None:
    """Make the index of S3."""
    op.create_table(
        "s3_buckets",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("settings", sa.LargeBinary()),
    )
    op.create_index(op.f("ix_s3_buckets_account"), "s3_buckets", ["account"])
    op.create_table(
        "s3_objects",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("is_latest", sa.Boolean(), nullable=False),
        sa.Column("is_delete_marker", sa.Boolean(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("modified", sa.Double(), nullable=False),
        sa.Column("blob", sa.Text()),
        sa.Column("info", sa.LargeBinary(), nullable=False),
        sa.Column("tags", sa.LargeBinary()),
        sa.Column("inline", sa.LargeBinary()),
    )
    op.create_index(
        op.f("ix_s3_objects_blob"),
        "s3_objects",
        ["blob"],
        sqlite_where=sa.text("blob IS NOT NULL"),
        postgresql_where=sa.text("blob IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_s3_objects_bucket_key_version_id"), "s3_objects", ["bucket", "key", "version_id"], unique=True
    )
    op.create_index(op.f("ix_s3_objects_latest"), "s3_objects", ["bucket", "is_latest", "key"])
    op.create_table(
        "s3_uploads",
        sa.Column("upload_id", sa.Text(), primary_key=True),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("info", sa.LargeBinary(), nullable=False),
        sa.Column("tags", sa.LargeBinary()),
    )
    op.create_index(op.f("ix_s3_uploads_bucket_key"), "s3_uploads", ["bucket", "key"])
    op.create_table(
        "s3_parts",
        sa.Column("upload_id", sa.Text(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("modified", sa.Double(), nullable=False),
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("info", sa.LargeBinary(), nullable=False),
    )
    op.create_index(op.f("ix_s3_parts_blob"), "s3_parts", ["blob"])
    op.create_table(
        "s3_garbage",
        sa.Column("blob", sa.Text(), primary_key=True),
        sa.Column("since", sa.Double(), nullable=False),
    )


def _make_endpoints() -> None:
    """Make the invocations that were accepted and are not yet answered."""
    op.create_table(
        "async_invocations",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("arn", sa.Text(), nullable=False),
        sa.Column("received", sa.Double(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
    )
    op.create_index(op.f("ix_async_invocations_arn_id"), "async_invocations", ["arn", "id"])
