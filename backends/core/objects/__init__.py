"""The bytes of S3 and their index: what `backends/aws/s3` answers from, and what jobs read and write without HTTP."""

from backends.core.objects.blobs import Blobs, BlobWriter
from backends.core.objects.rows import Bucket, Content, StoredObject, Summary
from backends.core.objects.store import ObjectStore, parse_uri

__all__ = ["BlobWriter", "Blobs", "Bucket", "Content", "ObjectStore", "StoredObject", "Summary", "parse_uri"]
