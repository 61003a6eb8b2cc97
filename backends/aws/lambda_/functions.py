"""A function to be run: what moto has of it, and its code as files."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import os
import stat
import tarfile
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from backends.core import arn as arns
from backends.core import errors, other_services
from backends.core.policy.principals import role_of
from backends.jobs import archive
from backends.jobs.supervisor import beneath

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from backends.core.context import Context
    from backends.core.kernel import Kernel

UNZIPPED_BYTES = 262_144_000
"""Guide, "Lambda quotas": of a function with all its layers."""
PYTHON, LATEST = "python3.", "$LATEST"
ENTRY, MOST_ENTRIES = b"PK\x01\x02", 250_000
"""What each entry of a zip's directory begins with, and how many there may be: each takes memory before any is looked at."""
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""Those of Java's zip library. Of others Python decompresses all that it has read at once: 200 bytes of bzip2 become 300 MB."""
PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Function:
    """One version of a function. `shown`: its configuration as GetFunctionConfiguration has it, and its concurrency."""

    account: str
    region: str
    shown: Mapping[str, Any]

    @property
    def arn(self) -> str:
        """The function's ARN, without a version."""
        return str(self.shown["FunctionArn"]).removesuffix(f":{self.version}")

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.shown["FunctionName"])

    @property
    def version(self) -> str:
        """Its version, `$LATEST` for what may change."""
        return str(self.shown["Version"])

    @property
    def timeout_s(self) -> float:
        """How long an invocation may take."""
        return float(self.shown["Timeout"])

    @property
    def identity(self) -> str:
        """What environments have in common that may run it: whatever of it can change is in it."""
        told = sorted(
            (k, str(v)) for k, v in self.shown.items() if k not in {"ReservedConcurrentExecutions", "EventInvokeConfig"}
        )
        return hashlib.sha256(repr((self.account, self.region, told)).encode()).hexdigest()


async def find(cx: Context, name: str, qualifier: str = "") -> Function:
    """Find a function by its name or ARN, and its version or alias; another account's where its policy lets the caller in.

    ResourceNotFoundException, AccessDeniedException.
    """
    named = arns.parse(name) if name.startswith("arn:") else None
    account, region = (named.account, named.region) if named is not None else (cx.account, cx.region)
    plain, in_name = _parts(name)
    qualifier = qualifier or in_name
    if account != cx.account or region != cx.region:
        qualified = f":{qualifier}" if qualifier not in {"", LATEST} else ""
        arn = f"arn:aws:lambda:{region}:{account}:function:{plain}{qualified}"
        await _check_policy(cx, arn, is_here=region == cx.region)
    future = other_services.FUNCTION.of(cx.kernel)(cx.kernel, account, region, plain, qualifier, False)
    shown: dict[str, Any] = await asyncio.wrap_future(future)
    return Function(account, region, shown)


async def _check_policy(cx: Context, arn: str, *, is_here: bool) -> None:
    """Raise AccessDeniedException unless another account's function lets the caller in."""
    principal = role_of(cx.caller.arn) or cx.caller.arn or f"arn:aws:iam::{cx.account}:root"
    sender = {"service": principal, "account": cx.account, "arn": principal}
    if not is_here or not await asyncio.wrap_future(
        other_services.IS_DELIVERY_ALLOWED.of(cx.kernel)(cx.kernel, sender, arn)
    ):
        text = f"User: {principal} is not authorized to perform: lambda:InvokeFunction on resource: {arn}"
        raise errors.AwsError("AccessDeniedException", text, status=403)


def _parts(name: str) -> tuple[str, str]:
    """Return the name and the qualifier of `name`, `name:1`, `123456789012:function:name` or an ARN."""
    rest = name.partition(":function:")[2] or name
    plain, _, qualifier = rest.partition(":")
    return plain, qualifier


def code_of(kernel: Kernel, function: Function) -> tuple[bytes, list[bytes]]:
    """Read a function's zip and those of its layers, from a thread."""
    read = other_services.FUNCTION.of(kernel)
    shown = read(kernel, function.account, function.region, function.name, function.version, True).result()
    return base64.b64decode(shown["Zip"]), [base64.b64decode(each) for each in shown["LayerZips"]]


class CodeError(ValueError):
    """A zip that is none, or too large; the message says which."""


def unpack(packed: bytes, target: Path, check: Callable[[], None]) -> None:
    """Unpack a zip that anybody may have made into a directory, by way of what unpacks archives. CodeError."""
    target.mkdir(parents=True, exist_ok=True)
    at = beneath.root(str(target))
    try:
        with tempfile.TemporaryFile() as tar:
            _write_tar(packed, tar, check)
            tar.seek(0)
            archive.unpack(tar, at, archive.Limits(total_bytes=UNZIPPED_BYTES), check)
    except archive.ArchiveError as error:
        raise CodeError(str(error)) from error
    finally:
        os.close(at)


def _write_tar(packed: bytes, made: IO[bytes], check: Callable[[], None]) -> None:
    """Write a zip as the tar.gz that `archive.py` takes: it alone knows what a hostile archive can do."""
    if packed.count(ENTRY) > MOST_ENTRIES:
        raise CodeError(f"Could not unzip uploaded file: it has more than {MOST_ENTRIES} entries")
    try:
        with (
            zipfile.ZipFile(io.BytesIO(packed)) as zipped,
            tarfile.open(fileobj=made, mode="w:gz", compresslevel=1) as tar,
        ):
            if sum(entry.file_size for entry in zipped.infolist()) > UNZIPPED_BYTES:
                raise CodeError(f"Unzipped size must be smaller than {UNZIPPED_BYTES} bytes")
            if any(entry.compress_type not in METHODS for entry in zipped.infolist()):
                raise CodeError("Could not unzip uploaded file: it is neither stored nor deflated")
            for entry in zipped.infolist():
                member = tarfile.TarInfo(entry.filename.rstrip("/"))
                mode = entry.external_attr >> 16
                if entry.is_dir():
                    member.type, member.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(member)
                elif not stat.S_ISLNK(mode):  # no link that a function's code needs leads anywhere here
                    member.size, member.mode = entry.file_size, 0o755 if mode & 0o111 else 0o644
                    with zipped.open(entry) as content:
                        tar.addfile(member, _Pieces(content, check))  # type: ignore[arg-type]
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OSError,
        LookupError,
        ValueError,
        zlib.error,
    ) as error:
        raise CodeError(f"Could not unzip uploaded file: {error}") from error


class _Pieces:
    """A member's bytes, in pieces so small that none becomes much more: what a zip says of a size may be a lie."""

    def __init__(self, content: IO[bytes], check: Callable[[], None]) -> None:
        self._content, self._check = content, check

    def read(self, size: int) -> bytes:
        self._check()
        made = bytearray()
        while len(made) < size and (piece := self._content.read(min(PIECE, size - len(made)))):
            made += piece
        return bytes(made)
