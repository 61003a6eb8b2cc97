"""Input channels: which objects a channel means, on which host, and what each is called there.

Source: shapes Channel, S3DataSource, FileSystemDataSource; developer guide "How Amazon SageMaker provides training
information" and "Augmented manifest files" (2026-11). Everything here is a decision; `opt_ml.py` moves the bytes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from backends.core import errors
from backends.core.objects import parse_uri, role_access

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backends.core.context import Context
    from backends.core.objects import StoredObject


T = TypeVar("T")
NAME_BYTES = 255  # of one name, on every file system that jobs use


class DataError(Exception):
    """Input data that cannot be delivered; the job's FailureReason says `ClientError: Data download failed:...`."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One input with its defaults filled in. `path`: its directory below /opt/ml, without `..` and as no other's."""

    name: str
    mode: str
    content_type: str | None
    compression: str
    record_wrapper: str
    shuffle_seed: int | None
    uri: str
    data_type: str
    distribution: str
    attributes: tuple[str, ...]
    groups: tuple[str, ...]
    file_system: dict[str, Any] | None
    path: str

    @property
    def is_sharded(self) -> bool:
        """Return whether each host gets its share of the objects."""
        return self.distribution == "ShardedByS3Key"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One object and its path below the channel's directory."""

    path: str
    stored: StoredObject


def channel_of(entry: dict[str, Any], default_mode: str) -> Channel:
    """Read one entry of InputDataConfig."""
    source = entry["DataSource"].get("S3DataSource", {})
    shuffle = entry.get("ShuffleConfig")
    return Channel(
        entry["ChannelName"],
        entry.get("InputMode", default_mode),
        entry.get("ContentType"),
        entry.get("CompressionType", "None"),
        entry.get("RecordWrapperType", "None"),
        shuffle["Seed"] if shuffle is not None else None,
        source.get("S3Uri", ""),
        source.get("S3DataType", "S3Prefix"),
        source.get("S3DataDistributionType", "FullyReplicated"),
        tuple(source.get("AttributeNames", ())),
        tuple(source.get("InstanceGroupNames", ())),
        entry["DataSource"].get("FileSystemDataSource"),
        f"input/data/{entry['ChannelName']}",
    )


def check_exists(cx: Context, channel: Channel, role: str, tags: Mapping[str, str] | None = None) -> None:
    """Refuse a channel without data at once, with AWS's sentence (amazon-sagemaker-examples issue 2489).

    `tags`: those of the session that the role is used in.
    """
    if channel.file_system is not None:
        return
    bucket, prefix = parse_uri(channel.uri)
    there = role_access.as_role(cx, role, tags)
    if role_access.may(there, bucket, "s3:ListBucket", prefix) and cx.objects.list_keys(cx, bucket, prefix, limit=1):
        return
    raise errors.validation(
        f'No S3 objects found under S3 URL "{channel.uri}" given in input data source. Please ensure that the bucket '
        f"exists in the selected region ({cx.region}), that objects exist under that S3 prefix, and that the role "
        f'"{role}" has "s3:ListBucket" permissions on bucket "{bucket}".'
    )


def objects_of(cx: Context, channel: Channel) -> list[Delivery]:
    """Return a channel's objects in the order of their keys (or of the manifest). DataError for a broken manifest."""
    bucket, prefix = parse_uri(channel.uri)
    if channel.data_type == "ManifestFile":
        return _manifest(cx, bucket, prefix, channel.uri)
    _check(cx, bucket, "s3:ListBucket", prefix)
    deliveries = [
        # A pipe has no file names to be at odds with.
        Delivery(stored.key if channel.mode == "Pipe" else relative_path(prefix, stored.key), _allowed(cx, stored))
        for stored in cx.objects.list_keys(cx, bucket, prefix)
        if not stored.key.endswith("/")  # zero-byte "folders" of the console
    ]
    if not deliveries:
        raise DataError(f"no objects under {channel.uri}")
    return deliveries


def relative_path(prefix: str, key: str) -> str:
    """Return the path of a key below its channel: what follows the prefix, taken as a folder where it is one."""
    if key == prefix:
        rest = key.rpartition("/")[2]
    elif prefix.endswith("/") or not prefix:
        rest = key[len(prefix) :]
    elif key.startswith(f"{prefix}/"):
        rest = key[len(prefix) + 1 :]
    else:
        rest = key[prefix.rfind("/") + 1 :]
    if "//" in rest or (prefix and rest.startswith("/")):  # generative-ai-on-amazon-sagemaker 242
        raise DataError(f"the key {key!r} has an empty part between two slashes, which no file name can have")
    path = PurePosixPath(rest.lstrip("/"))
    if ".." in path.parts or not path.parts or "\0" in rest:
        raise DataError(f"the key {key!r} cannot be a file name")
    if max(len(part.encode()) for part in path.parts) > NAME_BYTES:
        raise DataError(f"the key {key!r} has a part that is longer than a file name can be ({NAME_BYTES} bytes)")
    return str(path)


def _manifest(cx: Context, bucket: str, key: str, uri: str) -> list[Delivery]:
    try:
        first, *suffixes = orjson.loads(_read(cx, bucket, key))
        prefix = first["prefix"]
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{uri} is not a manifest: a JSON list that begins with a prefix") from error
    deliveries = []
    for suffix in suffixes:
        if not isinstance(suffix, str):
            raise DataError(f"{uri} is not a manifest: {orjson.dumps(suffix).decode()[:100]} is no key")
        stored = required(cx, f"{prefix}{suffix}")
        deliveries.append(Delivery(relative_path("", suffix), stored))
    return deliveries


def lines_of(cx: Context, channel: Channel) -> list[tuple[StoredObject | str, ...]]:
    """Return an augmented manifest's lines: per line the named attributes, an object for `-ref`, its text otherwise."""
    bucket, key = parse_uri(channel.uri)
    lines = []
    for number, text in enumerate(_read(cx, bucket, key).splitlines(), 1):
        if not text.strip():
            continue
        try:
            record = orjson.loads(text)
            values = [(name, record[name]) for name in channel.attributes]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"line {number} of {channel.uri} lacks {error}") from error
        lines.append(
            tuple(required(cx, str(value)) if name.endswith("-ref") else _text(value) for name, value in values)
        )
    return lines


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def required(cx: Context, uri: str) -> StoredObject:
    """Return one object that the role may read. DataError where it may not, or there is none."""
    try:
        bucket, key = parse_uri(uri)
    except errors.AwsError as error:
        raise DataError(error.message) from error
    _check(cx, bucket, "s3:GetObject", key)
    stored = cx.objects.head(cx, bucket, key)
    if stored is None:
        raise DataError(f"{uri} does not exist")
    return stored


def _check(cx: Context, bucket: str, action: str, key: str) -> None:
    try:
        role_access.check(cx, bucket, action, key)
    except errors.AwsError as error:
        raise DataError(error.message) from error


def _allowed(cx: Context, stored: StoredObject) -> StoredObject:
    _check(cx, stored.bucket, "s3:GetObject", stored.key)
    return stored


def _read(cx: Context, bucket: str, key: str) -> bytes:
    _check(cx, bucket, "s3:GetObject", key)
    stored = cx.objects.head(cx, bucket, key)
    if stored is None:
        raise DataError(f"s3://{bucket}/{key} does not exist")
    try:
        content: bytes = cx.objects.read_bytes(stored)
    except OSError as error:  # a customer's key encrypts it, or it was deleted since
        raise DataError(f"s3://{bucket}/{key} cannot be read") from error
    return content


def share(items: Sequence[T], channel: Channel, host: int, hosts: int) -> list[T]:
    """Return one host's items: all of them, or every n-th. A sharded shuffle mixes the items over the hosts first."""
    if not channel.is_sharded:
        return list(items)
    mixed = list(items)
    if channel.shuffle_seed is not None:
        random.Random(channel.shuffle_seed).shuffle(mixed)  # noqa: S311 - AWS's Seed, not a secret
    return mixed[host::hosts]
