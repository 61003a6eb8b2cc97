"""ECR's tables. A manifest is kept as it was pushed, byte for byte: its digest is over these bytes."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, LargeBinary, Table, Text

from backends.core.tables import METADATA


def _repository() -> tuple[Column[str], Column[str], Column[str]]:
    return (
        Column("account", Text, primary_key=True),
        Column("region", Text, primary_key=True),
        Column("repository", Text, primary_key=True),
    )


ecr_images = Table(
    "ecr_images",
    METADATA,
    *_repository(),
    Column("digest", Text, primary_key=True),
    Column("media_type", Text, nullable=False),
    Column("artifact_type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("pushed", Double, nullable=False),
    Column("pulled", Double),
    Column("manifest", LargeBinary, nullable=False),
)

ecr_tags = Table(
    "ecr_tags",
    METADATA,
    *_repository(),
    Column("tag", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Index(None, "account", "region", "repository", "digest"),
)

# What an image's manifest refers to: layers, or the images of a manifest list.
ecr_contents = Table(
    "ecr_contents",
    METADATA,
    *_repository(),
    Column("digest", Text, primary_key=True),
    Column("part", Text, primary_key=True),
    Index(None, "account", "region", "repository", "part"),
)

# `blob` names the file; a layer that is mounted from another repository shares it. `since`: epoch seconds from which on
# no image may have named it; one that none does goes an hour later.
ecr_layers = Table(
    "ecr_layers",
    METADATA,
    *_repository(),
    Column("digest", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("blob", Text, nullable=False),
    Column("since", Double, nullable=False),
    Index(None, "blob"),
    Index(None, "since"),
)

ecr_uploads = Table(
    "ecr_uploads",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("repository", Text, nullable=False),
    Column("started", Double, nullable=False),
    Index(None, "started"),
)
