"""Code in S3: read from this server's S3, as who asks, and put into the request as a zip before moto sees it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from backends.core import errors
from backends.core.objects import role_access

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backends.core.context import Context

ZIPPED_BYTES = 262_144_000
MEMBERS = ("Code", "Content")
"""Where CreateFunction and PublishLayerVersion say where code is; UpdateFunctionCode says it at the top."""


async def with_zip(cx: Context, body: bytes) -> bytes:
    """Return a request's body with the code that it names in S3. InvalidParameterValueException where it cannot be read."""
    try:
        request = json.loads(body) if b"S3Bucket" in body else None
    except (ValueError, RecursionError):
        return body
    if not isinstance(request, dict):
        return body
    member = next((each for each in MEMBERS if isinstance(request.get(each), dict)), "")
    code: dict[str, Any] = request[member] if member else request
    if not (isinstance(code.get("S3Bucket"), str) and isinstance(code.get("S3Key"), str)):
        return body
    try:
        zipped = await cx.read(lambda inside: _read(inside, code))
    except errors.AwsError as error:
        text = f"Error occurred while GetObject. S3 Error Code: {error.code}. S3 Error Message: {error.message}"
        raise errors.AwsError("InvalidParameterValueException", text) from error
    inline = {k: v for k, v in code.items() if k not in {"S3Bucket", "S3Key", "S3ObjectVersion"}}
    inline["ZipFile"] = base64.b64encode(zipped).decode()
    return json.dumps({**request, member: inline} if member else inline).encode()


def _read(cx: Context, code: Mapping[str, Any]) -> bytes:
    bucket, key = code["S3Bucket"], code["S3Key"]
    role_access.check(cx, bucket, "s3:GetObject", key)
    stored = cx.objects.version(cx, bucket, key, code.get("S3ObjectVersion"))
    if stored is None:
        raise errors.AwsError("NoSuchKey", "The specified key does not exist.")
    if stored.size > ZIPPED_BYTES:
        raise errors.AwsError("EntityTooLarge", f"The object is larger than {ZIPPED_BYTES} bytes.")
    return cx.objects.read_bytes(stored)
