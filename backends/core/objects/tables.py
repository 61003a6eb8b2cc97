"""S3's index: buckets, objects, multipart uploads. Bytes of small objects stand in the row, of others in a blob file.

Keys sort by their UTF-8 bytes, as S3's do. The version columns are there from the first schema on; until versioning is
built every object is the version `null`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, LargeBinary, Table, Text, text

from backends.core.tables import KEY, METADATA, ROW_ID

buckets = Table(
    "s3_buckets",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("settings", LargeBinary),
    Index(None, "account"),
)

objects = Table(
    "s3_objects",
    METADATA,
    Column("id", ROW_ID, primary_key=True),
    Column("bucket", Text, nullable=False),
    Column("key", KEY, nullable=False),
    Column("version_id", Text, nullable=False, default="null"),
    Column("is_latest", Boolean, nullable=False, default=True),
    Column("is_delete_marker", Boolean, nullable=False, default=False),
    Column("size", BigInteger, nullable=False),
    Column("etag", Text, nullable=False),
    Column("modified", Double, nullable=False),
    Column("blob", Text),
    # JSON: content headers, user metadata, checksums, part sizes.
    Column("info", LargeBinary, nullable=False),
    Column("tags", LargeBinary),
    # Last: a listing, which does not read it, then need not walk a row's overflow pages.
    Column("inline", LargeBinary),
    Index(None, "bucket", "key", "version_id", unique=True),
    Index("ix_s3_objects_latest", "bucket", "is_latest", "key"),
    # For the sweep at start; a small object has no blob, and no entry here.
    Index(
        "ix_s3_objects_blob", "blob", sqlite_where=text("blob IS NOT NULL"), postgresql_where=text("blob IS NOT NULL")
    ),
)

uploads = Table(
    "s3_uploads",
    METADATA,
    Column("upload_id", Text, primary_key=True),
    Column("bucket", Text, nullable=False),
    Column("key", KEY, nullable=False),
    Column("account", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("info", LargeBinary, nullable=False),
    Column("tags", LargeBinary),
    Index(None, "bucket", "key"),
)

parts = Table(
    "s3_parts",
    METADATA,
    Column("upload_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("etag", Text, nullable=False),
    Column("modified", Double, nullable=False),
    Column("blob", Text, nullable=False),
    # JSON: checksums (base64) by algorithm.
    Column("info", LargeBinary, nullable=False),
    Index("ix_s3_parts_blob", "blob"),
)

# Blobs that no row names any more; a loop removes their files, so that a crash leaves neither loss nor litter.
garbage = Table(
    "s3_garbage",
    METADATA,
    Column("blob", Text, primary_key=True),
    Column("since", Double, nullable=False),
)
