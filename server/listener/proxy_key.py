"""The key that a shell of `localmaker env` shows to be connected to other hosts than AWS's; no job has it.

Made once per installation, in `<data directory>/proxy.key`, readable by its owner only, and sent as a proxy's password.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from backends.core import private

if TYPE_CHECKING:
    from pathlib import Path

USER = "localmaker"


def ensure(data_dir: Path) -> str:
    """Return the installation's key, making it unless it is there. Several processes may do so at once."""
    path = data_dir / "proxy.key"
    if not path.exists():
        private.directory(data_dir)
        made = data_dir / f".proxy.key-{secrets.token_hex(8)}"
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(20))
        try:
            with suppress(FileExistsError):  # another process was first
                path.hardlink_to(made)
        finally:
            made.unlink()
    return path.read_text(encoding="ascii")


def in_url(url: str, key: str) -> str:
    """Return a proxy's URL with the key in it."""
    place = urlsplit(url)
    return urlunsplit(place._replace(netloc=f"{USER}:{key}@{place.netloc}"))


def without(url: str) -> str:
    """Return a proxy's URL without user and key."""
    place = urlsplit(url)
    return urlunsplit(place._replace(netloc=place.netloc.rpartition("@")[2]))


def is_shown(head: bytes, data_dir: Path) -> bool:
    """Return whether a CONNECT request's head has the key."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        scheme, _, sent = value.strip().partition(b" ")
        if name.strip().lower() == b"proxy-authorization" and scheme.lower() == b"basic":
            try:
                decoded = base64.b64decode(sent.strip(), validate=True)
            except binascii.Error:
                return False
            return hmac.compare_digest(decoded, f"{USER}:{ensure(data_dir)}".encode())
    return False
